//! What a call comes to.

use std::time::Duration;

use serde::Serialize;

use crate::db::{Key, Release, Run};
use crate::event::{Holder, seconds};

/// How a run ended well.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Outcome {
    /// Nothing was done, because it had been done before.
    pub skipped: bool,
    /// What it is recorded under.
    pub release: String,
    /// The name of this run.
    pub run: String,
    /// The versions that this run applied.
    pub applied: Vec<i64>,
    /// How long it took in all, waiting included; in seconds when serialized.
    #[serde(serialize_with = "seconds")]
    pub took: Duration,
}

impl Outcome {
    pub(crate) fn skipped(key: &Key, run: &Run) -> Outcome {
        Outcome {
            skipped: true,
            release: key.release.clone(),
            run: run.id.clone(),
            applied: Vec::new(),
            took: Duration::ZERO,
        }
    }

    pub(crate) fn done(key: &Key, run: &Run, applied: Vec<i64>, took: Duration) -> Outcome {
        Outcome {
            skipped: false,
            release: key.release.clone(),
            run: run.id.clone(),
            applied,
            took,
        }
    }
}

/// What `run` would do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Planned {
    /// The migrations to apply, in their order. Empty for a command.
    pub pending: Vec<Pending>,
    /// Nothing would be done.
    pub up_to_date: bool,
    /// What it would be recorded under.
    pub release: String,
    /// A directory or a command.
    pub what: String,
}

/// A migration that has not been applied, or not to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Pending {
    /// Its version.
    pub version: i64,
    /// Its file name.
    pub file: String,
    /// How many of its statements have been done.
    pub done: u32,
}

/// What the database says about itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Status {
    /// Host and name, or the file.
    pub database: String,
    /// What `run` would do; or none and a `problem`.
    pub planned: Option<Planned>,
    /// Why `run` would refuse: drift, or a migration that is half done.
    pub problem: Option<Problem>,
    /// How many migrations have been applied.
    pub applied: usize,
    /// The newest of them.
    pub newest: Option<i64>,
    /// The run that holds the lock.
    pub holder: Option<Holder>,
    /// The last runs, newest first.
    pub releases: Vec<Release>,
}

/// An error as part of a status.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Problem {
    /// `drift` or `dirty`.
    pub kind: String,
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub remedy: Option<String>,
}

/// Whose lock was taken away by `unlock`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Unlocked {
    /// How many sessions were ended.
    pub sessions: u32,
    /// The runs they belonged to.
    pub runs: Vec<String>,
}
