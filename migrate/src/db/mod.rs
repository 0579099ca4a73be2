//! What a run needs from a database, and who gives it.
//!
//! A run has two sessions. One, dedicated, holds the lock and does nothing else than to answer questions
//! about it and the ledger; it never has a statement or a transaction open while it waits, because that
//! would block `CREATE INDEX CONCURRENTLY`. The other does the work.

mod any;
mod mysql;
mod postgres;
mod sqlite;
mod words;

pub(crate) use any::AnySession;
pub(crate) use mysql::{Doubt, is_of_another};

use std::future::Future;
use std::os::fd::RawFd;
use std::time::Duration;

use serde::Serialize;

use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::{Event, Holder};
use crate::url::Target;

/// This run, as others see it.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    /// Random, short, and unique: letters and digits only.
    pub id: String,
    /// Where it runs: host name and process, for people.
    pub host: String,
}

/// What a run is recorded under.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Key {
    /// For people: the release as configured, or the start of the fingerprint.
    pub release: String,
    /// A hash over all that decides whether a run is the same as one before: files, inputs, command.
    pub fingerprint: String,
    /// For people: `dir migrations` or `command bundle exec rake db:migrate`.
    pub what: String,
    /// False if nothing can be skipped (a command with neither release nor inputs).
    pub skippable: bool,
}

/// A row of `_sqlx_migrations`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Applied {
    pub version: i64,
    pub description: String,
    pub success: bool,
    pub checksum: Vec<u8>,
}

/// A row of `_runmate_progress`: a migration that runs statement by statement and is not finished.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Progress {
    pub version: i64,
    /// How many statements are done.
    pub done: u32,
    /// [`prefix_hash`](crate::sql::prefix_hash) of the statements that are done.
    pub prefix: String,
    /// The next statement was begun and its end was never recorded: the run died in it.
    pub in_doubt: bool,
    /// Why the next statement failed, if it did.
    pub error: Option<String>,
}

/// A row of `_runmate_releases` as `status` shows it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Release {
    /// The run's name.
    pub run: String,
    /// What it was recorded under.
    pub release: String,
    /// A directory or a command.
    pub what: String,
    /// `running`, `done`, `failed`, `stopped`, or `lost` (it died, and another run noticed).
    pub state: String,
    /// Host and process.
    pub host: String,
    /// Seconds since it began, by the database's clock.
    pub age: u64,
    /// How long it took, in seconds; none while it runs or if it was lost.
    pub took: Option<f64>,
    /// The failure, if it failed.
    pub detail: Option<String>,
}

/// What can be seen without the lock, in as few round trips as possible.
#[derive(Debug, Clone, Default)]
pub(crate) struct Seen {
    /// The database's clock: microseconds since 1970.
    pub now: i64,
    /// The key (release and fingerprint) has a run that is done.
    pub done: bool,
    /// The last failed run of the key: when it ended, what it said, with what exit code.
    pub failure: Option<Failure>,
    /// All rows of `_sqlx_migrations`, by version; empty if there is no such table. Read only if asked for.
    pub applied: Vec<Applied>,
    /// All rows of `_runmate_progress`, likewise.
    pub progress: Vec<Progress>,
    /// The run that is recorded as running, if any. It may be dead.
    pub holder: Option<Holder>,
}

/// A failed run in the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    pub run: String,
    /// Microseconds since 1970, by the database's clock.
    pub ended: i64,
    pub exit_code: i32,
    pub detail: String,
}

/// How a run ended, for the ledger.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Ending<'a> {
    Done,
    Failed { exit_code: i32, detail: &'a str },
    Stopped,
}

/// Why a session could not be had, or failed.
#[derive(Debug)]
pub(crate) enum SessionError {
    /// It may pass: refused, name not resolved, starting up, too many connections, a broken connection.
    Transient(String),
    /// It will not.
    Final(Error),
}

impl From<Error> for SessionError {
    fn from(error: Error) -> Self {
        SessionError::Final(error)
    }
}

/// Why a migration did not get to its end.
#[derive(Debug)]
pub(crate) enum ApplyError {
    /// A lock within the database was not to be had in time (`lock_timeout`), or a deadlock was resolved
    /// against us. Nothing of the transaction or statement is left; it can be tried again.
    Locked(String),
    /// The statement was cancelled, or the session ended, from outside.
    Cancelled(String),
    /// It failed; of kind `Failed`, `Dirty`, or whatever it is.
    Failed(Error),
}

/// Whether a half-done migration may be taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// `run`: only where the way on is certain.
    Run,
    /// `repair`: a person asked for it. `applied`: the statement in doubt is taken as done.
    Repair { applied: bool },
}

/// Who was ended by [`Session::fence`] or [`Session::end_holder`].
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Ended {
    pub sessions: u32,
    pub runs: Vec<String>,
}

/// The dedicated session.
pub(crate) trait Session: Send + Sized {
    /// The session that does the work.
    type Worker: Worker;

    /// Connects, once: the caller tries again after [`SessionError::Transient`]. Gives a session with a
    /// writer: a read-only server is a final error of kind `Config`.
    ///
    /// With `target.create` a missing database is created; SQLite files always are.
    fn connect(target: &Target, run: &Run) -> impl Future<Output = Result<Self, SessionError>> + Send;

    /// What there is to see, without the lock. Tables that do not exist are empty.
    /// `with_migrations`: `_sqlx_migrations` and the progress as well.
    fn look(
        &mut self,
        key: &Key,
        with_migrations: bool,
    ) -> impl Future<Output = Result<Seen, SessionError>> + Send;

    /// Tries to take the lock, sqlx's own as well, and never waits for it.
    fn try_lock(&mut self) -> impl Future<Output = Result<bool, SessionError>> + Send;

    /// Once the lock is ours: proves that it is exclusive (from a second connection), ends what a dead
    /// holder left behind and waits until that is gone, creates the tables. Refuses a pooler with kind
    /// `Config`.
    fn fence(&mut self) -> impl Future<Output = Result<Ended, SessionError>> + Send;

    /// Notes in the ledger that this run begins; runs that are still noted as running were lost.
    fn begin(&mut self, key: &Key) -> impl Future<Output = Result<(), SessionError>> + Send;

    /// Opens the session that does the work, and notes whatever ends it if we die.
    fn worker(&mut self) -> impl Future<Output = Result<Self::Worker, SessionError>> + Send;

    /// What a command needs in its environment so that its sessions can be told (`PGAPPNAME`).
    fn command_env(&self) -> Vec<(String, String)>;

    /// The descriptor of the lock, where it is one of the operating system: whoever holds a copy holds the lock.
    fn lock_descriptor(&self) -> Option<RawFd> {
        None
    }

    /// True if the lock is still held by this session.
    fn heartbeat(&mut self) -> impl Future<Output = Result<bool, SessionError>> + Send;

    /// Cancels the running statement of a worker, on the server.
    fn cancel(
        &mut self,
        handle: &<Self::Worker as Worker>::Handle,
    ) -> impl Future<Output = Result<(), SessionError>> + Send;

    /// Notes in the ledger how this run ended.
    fn finish(&mut self, ending: Ending<'_>) -> impl Future<Output = Result<(), SessionError>> + Send;

    /// Gives the lock back and says goodbye.
    fn close(self) -> impl Future<Output = ()> + Send;

    /// For `unlock`: ends the sessions of whoever holds the lock. None hold it: nothing.
    fn end_holder(&mut self) -> impl Future<Output = Result<Ended, SessionError>> + Send;

    /// For `status`: the last releases, newest first.
    fn releases(&mut self, limit: u32) -> impl Future<Output = Result<Vec<Release>, SessionError>> + Send;
}

/// The session that does the work.
pub(crate) trait Worker: Send {
    /// What [`Session::cancel`] needs.
    type Handle: Send + Sync;

    /// For [`Session::cancel`].
    fn handle(&self) -> Self::Handle;

    /// Applies one migration, once: from its beginning, or from where `_runmate_progress` says. Records it
    /// in `_sqlx_migrations` the way sqlx does.
    fn apply(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> impl Future<Output = Result<Duration, ApplyError>> + Send;

    /// Records a migration that another program left half done as applied, without executing anything: a
    /// person has looked and says that it is.
    fn mark_applied(&mut self, migration: &Migration) -> impl Future<Output = Result<(), ApplyError>> + Send;

    /// Says goodbye.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// That a migration could not be recorded.
fn not_recorded(migration: &Migration, error: &sqlx::Error) -> ApplyError {
    let message = format!("cannot record {} as applied: {error}", migration.file);
    ApplyError::Failed(
        Error::new(ErrorKind::Failed, message).with_remedy("nothing was changed; try it again"),
    )
}
