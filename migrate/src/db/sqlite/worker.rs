//! The session that applies migrations.

use std::time::{Duration, Instant};

use futures_util::TryStreamExt;
use sqlx::sqlite::SqliteConnection;
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Executor};

use super::brake::{Brake, EVERY};
use super::error::{is_busy, is_interrupt, is_within, said};
use super::ledger;
use super::place::Place;
use super::script::{self, Nature};
use crate::db::words::{first, nanos, statement};
use crate::db::{ApplyError, Mode, Worker, not_recorded};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::sql::{Statement, prefix_hash};

mod steps;

/// How long SQLite itself waits for a lock. It cannot be stopped while it waits, so it waits in slices.
const SLICE: Duration = Duration::from_millis(200);

/// A connection of its own.
pub(crate) struct SqliteWorker {
    connection: SqliteConnection,
    brake: Brake,
    /// A statement runs in a thread of the connection's, which would go on with it when nobody waits any more.
    _stop: StopWhenDropped,
    lock_timeout: Duration,
    statement_timeout: Duration,
}

struct StopWhenDropped(Brake);

impl Drop for StopWhenDropped {
    fn drop(&mut self) {
        self.0.pull();
    }
}

impl SqliteWorker {
    pub(super) async fn open(
        place: &Place,
        lock_timeout: Duration,
        statement_timeout: Duration,
    ) -> Result<SqliteWorker, sqlx::Error> {
        let slice = if lock_timeout.is_zero() {
            SLICE
        } else {
            SLICE.min(lock_timeout)
        };
        let mut connection = place.options(slice).connect().await?;
        let brake = Brake::new();
        let ours = brake.clone();
        connection
            .lock_handle()
            .await?
            .set_progress_handler(EVERY, move || ours.may_go_on());
        Ok(SqliteWorker {
            connection,
            _stop: StopWhenDropped(brake.clone()),
            brake,
            lock_timeout,
            statement_timeout,
        })
    }

    /// Executes what may be repeated if it could not get its lock, until it gets it or `lock_timeout` is over.
    async fn patiently(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let start = Instant::now();
        self.brake.set(self.statement_timeout);
        loop {
            let answer = sqlx::raw_sql(AssertSqlSafe(sql))
                .execute(&mut self.connection)
                .await;
            match answer {
                Err(error) if is_busy(&error) && !self.brake.is_pulled() => {
                    if !self.lock_timeout.is_zero() && start.elapsed() >= self.lock_timeout {
                        return Err(error);
                    }
                }
                answer => return answer.map(drop),
            }
        }
    }

    async fn roll_back(&mut self) {
        // After some errors SQLite has done so itself.
        let _ = sqlx::query("ROLLBACK").execute(&mut self.connection).await;
    }

    /// Applies a file as a whole, in one transaction with its record.
    async fn whole(
        &mut self,
        migration: &Migration,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        let start = Instant::now();
        let begun = self.patiently("BEGIN IMMEDIATE").await;
        begun.map_err(|error| self.judge(error, |said| bookkeeping(migration, &said)))?;
        let mut done = 0;
        let mut ended = false;
        let mut result = self.run_file(migration, &mut done).await;
        if result.is_ok() {
            self.brake.set(Duration::ZERO);
            result = self.stay_within().await.map(|within| ended = !within);
        }
        if result.is_ok() {
            result = self.record(migration, start.elapsed()).await;
        }
        if result.is_ok() {
            result = self.patiently("COMMIT").await;
        }
        match result {
            Ok(()) => {
                if ended {
                    let message = format!(
                        "{}: it ends the transaction itself, so it was not applied in one with its record; let it \
                         begin with `-- no-transaction`, or take COMMIT out of it",
                        migration.file
                    );
                    report(Event::Note { message });
                }
                Ok(start.elapsed())
            }
            Err(error) => {
                self.roll_back().await;
                let busy = is_busy(&error) && !self.brake.is_pulled();
                match failed_whole(migration, done, &said(&error)) {
                    // To try the file again would be to apply again what it has committed.
                    Tale::InPart(tale) if busy => Err(ApplyError::Failed(tale)),
                    _ => Err(self.judge(error, |said| failed_whole(migration, done, &said).into())),
                }
            }
        }
    }

    /// Gives true if the transaction that the file was run in is still open. The file may have ended it: then
    /// there is a new one. Nobody but SQLite knows, and it says so when it is to begin another.
    async fn stay_within(&mut self) -> Result<bool, sqlx::Error> {
        match sqlx::query("BEGIN").execute(&mut self.connection).await {
            Err(error) if is_within(&error) => return Ok(true),
            answer => answer?,
        };
        sqlx::query("ROLLBACK").execute(&mut self.connection).await?;
        self.patiently("BEGIN IMMEDIATE").await?;
        Ok(false)
    }

    /// SQLite itself splits what it gets; what it has done is counted.
    async fn run_file(&mut self, migration: &Migration, done: &mut usize) -> Result<(), sqlx::Error> {
        let (brake, timeout) = (self.brake.clone(), self.statement_timeout);
        for chunk in script::chunks(&script::split(&migration.sql)) {
            brake.set(timeout);
            let sql = sqlx::raw_sql(AssertSqlSafe(chunk));
            let mut answers = (&mut self.connection).fetch_many(sql);
            while let Some(answer) = answers.try_next().await? {
                if answer.is_left() {
                    *done += 1;
                    brake.set(timeout);
                }
            }
        }
        Ok(())
    }

    /// Notes the migration in sqlx's table the way sqlx does.
    async fn record(&mut self, migration: &Migration, took: Duration) -> Result<(), sqlx::Error> {
        // An attempt from when the file was still without a transaction, which did nothing.
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version = ?1 AND success = FALSE")
            .bind(migration.version)
            .execute(&mut self.connection)
            .await?;
        sqlx::query("DELETE FROM _runmate_progress WHERE version = ?1")
            .bind(migration.version)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                VALUES (?1, ?2, TRUE, ?3, ?4)",
        )
        .bind(migration.version)
        .bind(&migration.description)
        .bind(&migration.checksum)
        .bind(nanos(took))
        .execute(&mut self.connection)
        .await?;
        Ok(())
    }

    /// What a failure means. `tell` makes a sentence of what SQLite said.
    fn judge(&self, error: sqlx::Error, tell: impl FnOnce(String) -> Error) -> ApplyError {
        if self.brake.is_pulled() {
            return ApplyError::Cancelled(said(&error));
        }
        if is_busy(&error) {
            return ApplyError::Locked(said(&error));
        }
        if is_interrupt(&error) {
            let limit = self.statement_timeout.as_secs_f64();
            return ApplyError::Failed(tell(format!(
                "it took longer than statement_timeout, which is {limit} s"
            )));
        }
        if matches!(error, sqlx::Error::Io(_) | sqlx::Error::WorkerCrashed) {
            return ApplyError::Cancelled(said(&error));
        }
        ApplyError::Failed(tell(said(&error)))
    }
}

impl Worker for SqliteWorker {
    type Handle = Brake;

    fn handle(&self) -> Brake {
        self.brake.clone()
    }

    async fn apply(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        if self.brake.is_pulled() {
            return Err(ApplyError::Cancelled("the run is being stopped".to_owned()));
        }
        let progress = ledger::progress(&mut self.connection, migration.version).await;
        let progress = progress.map_err(|error| self.judge(error, |said| bookkeeping(migration, &said)))?;
        // Another program began it, and a person says that all of it is applied.
        if progress.is_none() && mode == (Mode::Repair { applied: true }) {
            let begun = ledger::is_half_done(&mut self.connection, migration.version).await;
            if begun.map_err(|error| self.judge(error, |said| bookkeeping(migration, &said)))? {
                let left = self.leave(migration, Duration::ZERO).await;
                left.map_err(|error| self.judge(error, |said| bookkeeping(migration, &said)))?;
                let message = format!("{}: all of it counts as applied", migration.file);
                report(Event::Note { message });
                return Ok(Duration::ZERO);
            }
        }
        // A file that got a transaction only after some of its statements were done goes on where it was.
        if migration.no_transaction || progress.as_ref().is_some_and(|progress| progress.done > 0) {
            self.steps(migration, progress, mode, report).await
        } else {
            self.whole(migration, report).await
        }
    }

    async fn mark_applied(&mut self, migration: &Migration) -> Result<(), ApplyError> {
        let recorded =
            sqlx::query("UPDATE _sqlx_migrations SET success = TRUE, checksum = ?2 WHERE version = ?1")
                .bind(migration.version)
                .bind(&migration.checksum)
                .execute(&mut self.connection)
                .await;
        recorded
            .map(drop)
            .map_err(|error| not_recorded(migration, &error))
    }

    async fn close(self) {
        let _ = self.connection.close().await;
    }
}

/// Our own tables, rather than the file.
fn bookkeeping(migration: &Migration, said: &str) -> Error {
    let message = format!(
        "cannot apply {}: cannot record its progress: {said}",
        migration.file
    );
    Error::new(ErrorKind::Failed, message)
}

/// The failure of a whole file, by what is left of it.
enum Tale {
    Nothing(Error),
    InPart(Error),
}

impl From<Tale> for Error {
    fn from(tale: Tale) -> Error {
        match tale {
            Tale::Nothing(error) | Tale::InPart(error) => error,
        }
    }
}

fn failed_whole(migration: &Migration, done: usize, said: &str) -> Tale {
    let file = &migration.file;
    let statements = script::split(&migration.sql);
    let what = if done < statements.len() {
        statement(&statements, done)
    } else {
        "its record".to_owned()
    };
    // It took the transaction into its own hands.
    let own = statements
        .iter()
        .take(done)
        .any(|statement| matches!(Nature::of(&statement.text), Nature::Commit | Nature::Rollback));
    if own {
        let message = format!(
            "cannot apply {file}: {what} failed: {said}; the file ends the transaction itself, so what it \
             committed is applied, and the rest is not"
        );
        let remedy = "undo by hand what was committed, take COMMIT and ROLLBACK out of the file (or let it begin \
                      with `-- no-transaction`), and start again";
        return Tale::InPart(Error::new(ErrorKind::Failed, message).with_remedy(remedy));
    }
    let message = format!("cannot apply {file}: {what} failed: {said}; nothing of the file is applied");
    Tale::Nothing(Error::new(ErrorKind::Failed, message).with_remedy(format!("fix {file} and start again")))
}
