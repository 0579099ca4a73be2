//! What happens during a run, as it happens.

use std::time::Duration;

use serde::Serialize;

/// One thing that happened. Serializes to an object with an `event` field; durations are seconds.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
#[non_exhaustive]
pub enum Event {
    /// The database cannot be reached yet.
    WaitingForDatabase {
        /// Host and port, or the file.
        database: String,
        /// Why the last attempt failed.
        cause: String,
    },
    /// Somebody else holds the lock. Comes again every few seconds.
    WaitingForLock {
        /// Who holds it, where that is known.
        holder: Option<Holder>,
        /// How long this run has been waiting.
        #[serde(serialize_with = "seconds")]
        waited: Duration,
    },
    /// The lock is ours.
    Locked {
        /// The name of this run, in the ledger and in `application_name`.
        run: String,
        /// How long that took.
        #[serde(serialize_with = "seconds")]
        waited: Duration,
    },
    /// Sessions that a dead run left behind were ended.
    LeftoversEnded {
        /// How many.
        sessions: u32,
        /// The runs they belonged to.
        runs: Vec<String>,
    },
    /// A migration begins, or is taken up again.
    Applying {
        /// Its version.
        version: i64,
        /// Its file name.
        file: String,
        /// How many of its statements earlier runs have already done.
        #[serde(skip_serializing_if = "is_zero")]
        done: u32,
    },
    /// A statement of a migration that runs statement by statement is done.
    Statement {
        /// The migration's version.
        version: i64,
        /// Which statement, from 1.
        statement: u32,
        /// How many it has.
        of: u32,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    /// A migration is done.
    Applied {
        /// Its version.
        version: i64,
        /// Its file name.
        file: String,
        /// How long it took.
        #[serde(serialize_with = "seconds")]
        took: Duration,
    },
    /// A statement could not get a lock in time, or was the victim of a deadlock. It will be tried again.
    Retrying {
        /// The migration's version.
        version: i64,
        /// What the database said.
        cause: String,
        /// When.
        #[serde(rename = "in", serialize_with = "seconds")]
        after: Duration,
    },
    /// Something that a person should know, in a sentence.
    Note {
        /// The sentence.
        message: String,
    },
    /// The command begins.
    CommandStarted {
        /// The program and its arguments.
        command: Vec<String>,
        /// The process.
        pid: u32,
    },
    /// The work is being stopped because the caller asked for it.
    Stopping,
}

/// Who holds the lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Holder {
    /// Its run.
    pub run: String,
    /// Its host, and its process there.
    pub host: String,
    /// What it runs: a release.
    pub release: String,
    /// How long it has held the lock, by the database's clock.
    #[serde(serialize_with = "seconds")]
    pub held: Duration,
}

pub(crate) fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    // Milliseconds are as much as anybody wants to read.
    serializer.serialize_f64((duration.as_secs_f64() * 1000.0).round() / 1000.0)
}

fn is_zero(count: &u32) -> bool {
    *count == 0
}
