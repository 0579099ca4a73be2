//! The session that does the work.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgDatabaseError, PgErrorPosition};
use sqlx::{AssertSqlSafe, Either, Row};

use super::ledger::SINCE;
use super::{connect, errors, text};
use crate::db::{ApplyError, Mode, SessionError, Worker, not_recorded};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::url::Target;

/// The session of one run that does the work.
pub(crate) struct PgWorker {
    pub(super) connection: PgConnection,
    /// Host and database, for people.
    pub(super) name: String,
    /// `_sqlx_migrations` and `_runmate_progress` with their schema: a migration may change `search_path`.
    pub(super) migrations: String,
    pub(super) progress: String,
    /// What each migration finds: statements that undo what the one before has set, and set what we want.
    fresh: String,
    pub(super) lock_timeout: Duration,
    statement_timeout: Duration,
    pub(super) pid: i32,
    /// Since when the server has this session; with the process it is never another one.
    pub(super) since: i64,
    cancelled: Arc<AtomicBool>,
    /// Invalid indexes that were spoken of already.
    pub(super) noted: BTreeSet<i64>,
}

/// What cancels a worker's statement.
#[derive(Debug, Clone)]
pub(crate) struct Handle {
    /// The server's process.
    pub(super) pid: i32,
    /// Tells a cancellation of ours from others, and stops the worker between statements.
    pub(super) cancelled: Arc<AtomicBool>,
}

/// How a statement of a migration ended that did not succeed.
#[derive(Debug)]
pub(super) enum Stumble {
    /// No lock in time, a deadlock: it can be tried again.
    Locked,
    /// Cancelled on our wish, or on another's.
    Cancelled,
    /// The session is gone; what became of the statement is not known.
    Gone,
    /// The server refused it.
    Refused,
}

impl PgWorker {
    /// Opens the session.
    pub(super) async fn open(
        options: &PgConnectOptions,
        target: &Target,
        application: &str,
    ) -> Result<PgWorker, SessionError> {
        let doing = "cannot set up the session that migrates";
        let failed = |error: &sqlx::Error| errors::asking(error, doing, &target.name);
        let mut connection = connect::open(options, &target.name, application).await?;
        let qualified = |table: &str| {
            format!(
                "(SELECT format('%I.%I', nspname, relname) FROM pg_class \
                 JOIN pg_namespace ON pg_namespace.oid = relnamespace WHERE pg_class.oid = to_regclass('{table}'))"
            )
        };
        let sql = format!(
            "SELECT pg_backend_pid(), {}, {}, \
             coalesce((SELECT {SINCE} FROM pg_stat_activity WHERE pid = pg_backend_pid()), 0)",
            qualified("_sqlx_migrations"),
            qualified("_runmate_progress")
        );
        let rows = connect::ask(&mut connection, &sql)
            .await
            .map_err(|error| failed(&error))?;
        let read = || -> Result<(i32, String, String, i64), sqlx::Error> {
            let row = rows.first().ok_or(sqlx::Error::RowNotFound)?;
            Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?, row.try_get(3)?))
        };
        let (pid, migrations, progress, since) = read().map_err(|error| failed(&error))?;

        let milliseconds = |timeout: Duration| timeout.as_millis().min(i32::MAX as u128).to_string();
        let (lock, statement) = (
            milliseconds(target.lock_timeout),
            milliseconds(target.statement_timeout),
        );
        let mut settings = vec![
            ("application_name", application),
            ("lock_timeout", lock.as_str()),
            ("statement_timeout", statement.as_str()),
            ("idle_in_transaction_session_timeout", "0"),
            ("idle_session_timeout", "0"),
            ("transaction_timeout", "0"),
        ];
        // Not every platform's server can do all of it; it is only a help.
        match connect::ask(&mut connection, &connect::settings(&connect::NETWORK)).await {
            Ok(_) => settings.extend(connect::NETWORK),
            Err(error @ sqlx::Error::Database(_)) if !errors::broken(&error) => {}
            Err(error) => return Err(failed(&error)),
        }
        let fresh = format!(
            "RESET SESSION AUTHORIZATION; RESET ROLE; RESET ALL; DISCARD TEMP; {}",
            connect::settings(&settings)
        );
        Ok(PgWorker {
            connection,
            name: target.name.clone(),
            migrations,
            progress,
            fresh,
            lock_timeout: target.lock_timeout,
            statement_timeout: target.statement_timeout,
            pid,
            since,
            cancelled: Arc::new(AtomicBool::new(false)),
            noted: BTreeSet::new(),
        })
    }

    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::SeqCst)
    }

    /// What an error of a migration's statement means; `took`: how long it ran.
    pub(super) fn stumble(&self, error: &sqlx::Error, took: Duration) -> Stumble {
        if errors::broken(error) {
            return Stumble::Gone;
        }
        let timed_out = || {
            // The message may be in another language.
            let limit = self.statement_timeout;
            error.to_string().contains("statement timeout") || !limit.is_zero() && took >= limit
        };
        match errors::code(error).as_str() {
            "55P03" | "40P01" | "40001" => Stumble::Locked,
            "57014" if self.is_cancelled() || !timed_out() => Stumble::Cancelled,
            _ => Stumble::Refused,
        }
    }

    /// An error of our own statements between those of a migration.
    pub(super) fn own(&self, error: &sqlx::Error) -> ApplyError {
        if self.is_cancelled() {
            return ApplyError::Cancelled(errors::server(error).1);
        }
        let doing = "cannot record the migration";
        if errors::broken(error) {
            let state = "the next start sees what of it is applied";
            return errors::gone(&format!("{doing} of {}", self.name), error, state);
        }
        match errors::asking(error, doing, &self.name) {
            SessionError::Transient(message) => ApplyError::Cancelled(message),
            SessionError::Final(error) => ApplyError::Failed(error),
        }
    }

    /// Makes the session as good as new. True if a part of the migration is applied, or may be.
    async fn refresh(&mut self, migration: &Migration) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "{}; SELECT EXISTS (SELECT 1 FROM {} WHERE version = {} AND (done > 0 OR in_doubt))",
            self.fresh, self.progress, migration.version
        );
        let rows = connect::ask(&mut self.connection, &sql).await?;
        rows.last().map_or(Ok(false), |row| row.try_get(0))
    }

    /// Ends a transaction that failed. If that fails, the end of the session does it.
    pub(super) async fn roll_back(&mut self) {
        let _ = connect::ask(&mut self.connection, "ROLLBACK").await;
    }
}

/// As sqlx records it.
pub(super) fn nanoseconds(started: Instant) -> i64 {
    i64::try_from(started.elapsed().as_nanos()).unwrap_or(i64::MAX)
}

/// Runs a text of several statements, and says how many of them were done.
pub(super) async fn execute(connection: &mut PgConnection, sql: &str) -> (usize, Result<(), sqlx::Error>) {
    let mut answers = sqlx::raw_sql(AssertSqlSafe(sql)).fetch_many(connection);
    let mut done = 0;
    loop {
        match answers.try_next().await {
            Ok(Some(Either::Left(_))) => done += 1,
            Ok(Some(Either::Right(_))) => {}
            Ok(None) => return (done, Ok(())),
            Err(error) => return (done, Err(error)),
        }
    }
}

/// The server's position in the text that it was sent.
pub(super) fn position(error: &sqlx::Error) -> Option<usize> {
    let error = error.as_database_error()?.try_downcast_ref::<PgDatabaseError>()?;
    match error.position()? {
        PgErrorPosition::Original(position) => Some(position),
        PgErrorPosition::Internal { .. } => None,
    }
}

impl Worker for PgWorker {
    type Handle = Handle;

    fn handle(&self) -> Handle {
        Handle {
            pid: self.pid,
            cancelled: Arc::clone(&self.cancelled),
        }
    }

    async fn apply(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        let started = Instant::now();
        if self.is_cancelled() {
            return Err(ApplyError::Cancelled(format!("{} was not begun", migration.file)));
        }
        let half_done = self.refresh(migration).await.map_err(|error| self.own(&error))?;
        if half_done && !migration.no_transaction {
            report(Event::Note {
                message: format!(
                    "{} was begun statement by statement, and goes on so, although its first line is no longer \
                     `-- no-transaction`",
                    migration.file
                ),
            });
        }
        if migration.no_transaction || half_done {
            self.stepwise(migration, mode, report).await?;
        } else {
            self.whole(migration, report).await?;
        }
        let took = started.elapsed();
        self.note_invalid_indexes(report).await;
        Ok(took)
    }

    async fn mark_applied(&mut self, migration: &Migration) -> Result<(), ApplyError> {
        let sql = format!(
            "UPDATE {} SET success = true, checksum = {}, installed_on = now() WHERE version = {}",
            self.migrations,
            text::bytes(&migration.checksum),
            migration.version,
        );
        let (_, result) = execute(&mut self.connection, &sql).await;
        result.map_err(|error| not_recorded(migration, &error))
    }

    async fn close(self) {
        connect::close(self.connection).await;
    }
}

/// For faults that cannot be, short of a fault of ours.
pub(super) fn internal(message: String) -> ApplyError {
    ApplyError::Failed(Error::new(ErrorKind::Internal, message))
}
