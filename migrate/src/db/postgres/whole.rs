//! Whole files, in one transaction each.

use std::time::Instant;

use sqlx::Row;

use super::report::{self, Place};
use super::words::{Kind, kind};
use super::worker::{PgWorker, Stumble, execute, nanoseconds, position};
use super::{connect, errors, text};
use crate::db::ApplyError;
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::sql::{Dialect, Statement, split};

impl PgWorker {
    /// A whole file in a transaction, and its record with it.
    pub(super) async fn whole(
        &mut self,
        migration: &Migration,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), ApplyError> {
        let started = Instant::now();
        if let Some(error) = rolls_itself_back(migration) {
            return Err(ApplyError::Failed(error));
        }
        // In the transaction it is too late to find out what the database can store.
        let description = connect::fit(&mut self.connection, &migration.description)
            .await
            .map_err(|error| self.own(&error))?;
        // The setting ends with the transaction: so it is seen whether the file ended it.
        connect::ask(
            &mut self.connection,
            "BEGIN; SET LOCAL runmate.transaction = 'ours'",
        )
        .await
        .map_err(|error| self.own(&error))?;
        let (done, result) = execute(&mut self.connection, sent(migration)).await;
        let result = match result {
            Ok(()) => self
                .record(migration, &description, started)
                .await
                .map_err(|error| (error, true)),
            Err(error) => Err((error, false)),
        };
        let result = match result {
            // What the file has committed itself has to be recorded, even if that was cancelled. If it was in a
            // transaction at its end, the last part went with this failure.
            Err((error, true)) if errors::usable(&error) && commits_itself(migration) => {
                self.roll_back().await;
                self.record(migration, &description, started)
                    .await
                    .map_err(|error| (error, true))
            }
            result => result,
        };
        match result {
            Ok(true) => Ok(()),
            Ok(false) => {
                report(Event::Note {
                    message: format!(
                        "{} ends the transaction itself, so that it was recorded in another one; take BEGIN and \
                         COMMIT out of it, or make `-- no-transaction` its first line",
                        migration.file
                    ),
                });
                Ok(())
            }
            Err((error, at_end)) => {
                let stumble = self.stumble(&error, started.elapsed());
                if errors::usable(&error) {
                    self.roll_back().await;
                }
                Err(whole_failed(migration, done, &error, &stumble, at_end))
            }
        }
    }

    /// Records a migration and ends its transaction; false if that was no longer ours.
    async fn record(
        &mut self,
        migration: &Migration,
        description: &str,
        started: Instant,
    ) -> Result<bool, sqlx::Error> {
        let sql = format!(
            "SELECT coalesce(current_setting('runmate.transaction', true), '') = 'ours'; \
             RESET SESSION AUTHORIZATION; RESET ROLE; \
             INSERT INTO {} (version, description, success, checksum, execution_time) \
             VALUES ({version}, {}, true, {}, {took}) ON CONFLICT (version) DO UPDATE SET success = true, \
             checksum = excluded.checksum, installed_on = now(), execution_time = excluded.execution_time; \
             DELETE FROM {} WHERE version = {version}; \
             COMMIT",
            self.migrations,
            text::quote(description),
            text::bytes(&migration.checksum),
            self.progress,
            version = migration.version,
            took = nanoseconds(started),
        );
        // Constraints that were put off are checked now, and may take their time.
        let rows = connect::rows(&mut self.connection, &sql).await?;
        rows.first().map_or(Ok(true), |row| row.try_get(0))
    }
}

/// What the server gets of a file: it takes a byte order mark for the beginning of a word.
fn sent(migration: &Migration) -> &str {
    migration.sql.strip_prefix('\u{feff}').unwrap_or(&migration.sql)
}

/// Why a file is refused whose last transaction would be rolled back by the file itself: it would be recorded as
/// applied, and not be.
fn rolls_itself_back(migration: &Migration) -> Option<Error> {
    let statements = split(sent(migration), Dialect::Postgres).unwrap_or_default();
    let at = report::own_rollback(&statements)?;
    let line = statements.get(at)?.line;
    let place = Place { statement: at, line };
    let message = format!(
        "cannot apply {}: the file would roll its own work back, and be recorded as applied; nothing of the file is \
         applied",
        report::at(migration, &statements, Some(&place))
    );
    let remedy = format!("take ROLLBACK out of {}", migration.file);
    Some(Error::new(ErrorKind::Failed, message).with_remedy(remedy))
}

/// True if a file ends its transaction itself, and begins no other after it.
fn commits_itself(migration: &Migration) -> bool {
    let statements = split(sent(migration), Dialect::Postgres).unwrap_or_default();
    let mut kinds = statements.iter().rev().map(|statement| kind(&statement.text));
    let last = kinds.find(|kind| matches!(kind, Kind::Begin | Kind::Commit | Kind::Chain | Kind::OtherEnd));
    matches!(last, Some(Kind::Commit | Kind::OtherEnd))
}

/// What is said of a file that failed as a whole.
fn whole_failed(
    migration: &Migration,
    done: usize,
    error: &sqlx::Error,
    stumble: &Stumble,
    at_end: bool,
) -> ApplyError {
    // A text that the server understood otherwise than we do has no numbered statements.
    let statements: Vec<Statement> = split(sent(migration), Dialect::Postgres).unwrap_or_default();
    let position = position(error).filter(|_| !at_end);
    let sql = sent(migration);
    let place = report::place(sql, &statements, done, position);
    let line = position.map(|position| text::line(sql, text::offset(sql, position)));
    let at = match (&place, line) {
        _ if at_end => format!("{}, at the end of its transaction", migration.file),
        (None, Some(line)) => report::at_line(migration, line),
        (place, _) => report::at(migration, &statements, place.as_ref()),
    };
    let said = errors::server(error).1;
    let before = place.as_ref().map_or(0, |place: &Place| place.statement);
    // A syntax error stands before everything: nothing was executed, not even a COMMIT further up.
    let executed = if at_end {
        statements.len()
    } else {
        before.min(done)
    };
    let executed = statements.get(..executed).unwrap_or_default();
    let own_end = report::own_end(executed);
    let state = match own_end {
        Some(line) => format!(
            "the file ends its transaction itself in line {line}, and what stands before it is applied"
        ),
        None => "nothing of the file is applied".to_owned(),
    };
    match (stumble, own_end) {
        // To try again would be to apply the first part again.
        (Stumble::Locked, None) => ApplyError::Locked(format!("{at}: {said}")),
        (Stumble::Cancelled, None) => ApplyError::Cancelled(format!("{at}: {said}; {state}")),
        (Stumble::Gone, None) if !at_end => errors::gone(&format!("cannot apply {at}"), error, &state),
        (Stumble::Gone, _) => errors::gone(
            &format!("cannot apply {at}"),
            error,
            "the next start sees whether it is applied",
        ),
        (_, None) => ApplyError::Failed(report::failed(
            &at,
            &said,
            &state,
            report::remedy(error, migration, line),
        )),
        (_, Some(_)) => ApplyError::Failed(report::failed(
            &at,
            &said,
            &state,
            format!(
                "take that part out of {}, correct the rest, and start again; without BEGIN and COMMIT in a file it \
                 is applied as a whole or not at all",
                migration.file
            ),
        )),
    }
}
