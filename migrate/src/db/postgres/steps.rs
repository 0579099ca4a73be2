//! Files that run statement by statement, and are taken up where they were left.

use std::time::{Duration, Instant};

use sqlx::Row;

use super::index::{self, Found};
use super::report::{self, Place};
use super::words::{Kind, kind, waits_politely};
use super::worker::{PgWorker, Stumble, execute, internal, nanoseconds, position};
use super::{connect, errors, text};
use crate::db::{ApplyError, Mode, Progress};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::sql::{Dialect, Statement, prefix_hash, split};

/// Statements that are done together or not at all.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Unit {
    /// One past the last.
    end: usize,
    /// From a BEGIN to its end in the file; otherwise one statement.
    transaction: bool,
    /// It ends in a COMMIT, into which the record of it fits.
    exact: bool,
}

/// The unit that begins at a statement; `None` if its transaction has no end.
fn unit(statements: &[Statement], from: usize) -> Option<Unit> {
    let single = Unit {
        end: from + 1,
        transaction: false,
        exact: true,
    };
    if kind(&statements.get(from)?.text) != Kind::Begin {
        return Some(single);
    }
    let mut exact = true;
    for (number, statement) in statements.iter().enumerate().skip(from + 1) {
        match kind(&statement.text) {
            Kind::Chain => exact = false,
            end @ (Kind::Commit | Kind::OtherEnd) => {
                return Some(Unit {
                    end: number + 1,
                    transaction: true,
                    exact: exact && end == Kind::Commit,
                });
            }
            _ => {}
        }
    }
    None
}

/// A file on its way.
struct Steps<'a> {
    migration: &'a Migration,
    statements: Vec<Statement>,
    report: &'a mut (dyn FnMut(Event) + Send),
}

impl Steps<'_> {
    fn at(&self, statement: usize) -> String {
        let line = self
            .statements
            .get(statement)
            .map_or(0, |statement| statement.line);
        report::at(self.migration, &self.statements, Some(&Place { statement, line }))
    }

    fn note(&mut self, message: String) {
        (self.report)(Event::Note { message });
    }

    fn done(&mut self, statement: usize, took: Duration) {
        (self.report)(Event::Statement {
            version: self.migration.version,
            statement: statement as u32 + 1,
            of: self.statements.len() as u32,
            took,
        });
    }

    fn dirty(&self, statement: usize, why: &str, remedy: &str) -> ApplyError {
        let message = format!("cannot go on with {}: {why}", self.at(statement));
        ApplyError::Failed(Error::new(ErrorKind::Dirty, message).with_remedy(remedy))
    }
}

impl PgWorker {
    /// A file statement by statement.
    pub(super) async fn stepwise(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), ApplyError> {
        let started = Instant::now();
        let statements = split(&migration.sql, Dialect::Postgres).map_err(|error| {
            let message = format!(
                "cannot read {}, line {}: {}",
                migration.file, error.line, error.message
            );
            ApplyError::Failed(
                Error::new(ErrorKind::Failed, message).with_remedy(format!("correct {}", migration.file)),
            )
        })?;
        let mut steps = Steps {
            migration,
            statements,
            report,
        };
        let progress = self.take_up(&mut steps).await?;
        let mut at = self.settle(&mut steps, &progress, mode).await?;
        while at < steps.statements.len() {
            if self.is_cancelled() {
                let message = format!("{} was not begun", steps.at(at));
                return Err(ApplyError::Cancelled(message));
            }
            let unit = unit(&steps.statements, at).ok_or_else(|| {
                let message = format!("cannot apply {}: it has no COMMIT", steps.at(at));
                let remedy = format!("end the transaction in {}", migration.file);
                ApplyError::Failed(Error::new(ErrorKind::Failed, message).with_remedy(remedy))
            })?;
            if unit.transaction {
                self.transaction(&mut steps, at, &unit).await?;
            } else {
                self.single(&mut steps, at).await?;
            }
            at = unit.end;
        }
        let finish = format!(
            "UPDATE {} SET success = true, description = {}, checksum = {}, installed_on = now(), \
             execution_time = {} WHERE version = {version}; DELETE FROM {} WHERE version = {version}",
            self.migrations,
            text::quote(&migration.description),
            text::bytes(&migration.checksum),
            nanoseconds(started),
            self.progress,
            version = migration.version,
        );
        self.note_down(&finish).await.map_err(|error| self.own(&error))
    }

    /// Runs statements on our tables, in a transaction and as the user that we are, whatever the file has set.
    async fn note_down(&mut self, sql: &str) -> Result<(), sqlx::Error> {
        let sql = format!("BEGIN; SET LOCAL role TO DEFAULT; {sql}; COMMIT");
        let result = connect::ask(&mut self.connection, &sql).await;
        if result.is_err() {
            self.roll_back().await;
        }
        result.map(drop)
    }

    /// Notes that the file was begun, and reads how far it has come.
    async fn take_up(&mut self, steps: &mut Steps<'_>) -> Result<Progress, ApplyError> {
        let version = steps.migration.version;
        let sql = format!(
            "INSERT INTO {migrations} (version, description, success, checksum, execution_time) \
             VALUES ({version}, {}, false, {}, -1) ON CONFLICT (version) DO NOTHING; \
             INSERT INTO {progress} (version, done, prefix, in_doubt) VALUES ({version}, 0, {}, false) \
             ON CONFLICT (version) DO NOTHING; \
             SELECT done, prefix, in_doubt, error FROM {progress} WHERE version = {version}",
            text::quote(&steps.migration.description),
            text::bytes(&steps.migration.checksum),
            text::quote(&prefix_hash(&[])),
            migrations = self.migrations,
            progress = self.progress,
        );
        let rows = connect::ask(&mut self.connection, &sql)
            .await
            .map_err(|error| self.own(&error))?;
        let read = || -> Result<Progress, sqlx::Error> {
            let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
            let done: i32 = row.try_get(0)?;
            Ok(Progress {
                version,
                done: u32::try_from(done).unwrap_or(0),
                prefix: row.try_get(1)?,
                in_doubt: row.try_get(2)?,
                error: row.try_get(3)?,
            })
        };
        read().map_err(|error| internal(format!("cannot read the progress of version {version}: {error}")))
    }

    /// Decides where to go on, and brings the session to where it was there.
    async fn settle(
        &mut self,
        steps: &mut Steps<'_>,
        progress: &Progress,
        mode: Mode,
    ) -> Result<usize, ApplyError> {
        let at = progress.done as usize;
        let before = steps.statements.get(..at);
        if before.is_none_or(|before| prefix_hash(before) != progress.prefix) {
            return Err(steps.dirty(
                at.saturating_sub(1),
                &format!("its first {at} statements are applied, and they have changed since"),
                "restore them, and change only what follows; or bring the rest about by hand and set success in \
                 _sqlx_migrations",
            ));
        }
        // Settings last as long as the session, which is a new one.
        for number in 0..at {
            let text = steps.statements[number].text.clone();
            if kind(&text) == Kind::Setting {
                let (_, result) = execute(&mut self.connection, &text).await;
                result.map_err(|error| self.refused(steps, number, &error, Duration::ZERO, ""))?;
            }
        }
        if at == steps.statements.len() {
            return Ok(at);
        }
        let stopped = progress.in_doubt || progress.error.is_some();
        if stopped && mode == (Mode::Repair { applied: true }) {
            let end = unit(&steps.statements, at).map_or(at + 1, |unit| unit.end);
            let sql = self.advanced(steps, end);
            self.note_down(&sql).await.map_err(|error| self.own(&error))?;
            steps.note(format!("{} is taken as applied", steps.at(at)));
            return Ok(end);
        }
        if !progress.in_doubt {
            return Ok(at);
        }
        if self.took_effect(steps, at, mode).await? {
            let sql = self.advanced(steps, at + 1);
            self.note_down(&sql).await.map_err(|error| self.own(&error))?;
            steps.note(format!("{} had come to its end in an earlier run", steps.at(at)));
            return Ok(at + 1);
        }
        Ok(at)
    }

    /// Whether a statement that a run died in took effect; false if it can be executed (again).
    async fn took_effect(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        mode: Mode,
    ) -> Result<bool, ApplyError> {
        match kind(&steps.statements[at].text) {
            Kind::CreateIndexConcurrently(index) if index.name.is_some() => {
                let found = index::find(&mut self.connection, &index).await;
                match found.map_err(|error| self.own(&error))? {
                    Some(Found { valid: true, .. }) => Ok(true),
                    Some(invalid) => {
                        self.politely(steps, at, true).await?;
                        let result = self.drop_invalid(&invalid, steps.report).await;
                        result.map_err(|error| self.refused(steps, at, &error, Duration::ZERO, ""))?;
                        self.politely(steps, at, false).await?;
                        Ok(false)
                    }
                    None => Ok(false),
                }
            }
            Kind::DropIndexConcurrently(name) => index::exists(&mut self.connection, &name)
                .await
                .map(|exists| !exists)
                .map_err(|error| self.own(&error)),
            Kind::Repeatable | Kind::Other { repeatable: true } => Ok(false),
            _ if mode != Mode::Run => Ok(false),
            _ => Err(steps.dirty(
                at,
                "an earlier run died in it, and it cannot be told whether it took effect",
                "look on the database whether it did; `runmate migrate repair` executes it again, `runmate migrate \
                 repair --applied` takes it as applied",
            )),
        }
    }

    /// The statement that notes that all before `done` are done.
    fn advanced(&self, steps: &Steps<'_>, done: usize) -> String {
        format!(
            "UPDATE {} SET done = {done}, prefix = {}, in_doubt = false, error = NULL WHERE version = {}",
            self.progress,
            text::quote(&prefix_hash(&steps.statements[..done])),
            steps.migration.version
        )
    }

    /// One statement: in a transaction with its record if that is possible.
    async fn single(&mut self, steps: &mut Steps<'_>, at: usize) -> Result<(), ApplyError> {
        let text = steps.statements[at].text.clone();
        let started = Instant::now();
        match kind(&text) {
            Kind::CreateIndexConcurrently(index) => {
                let before = index::find(&mut self.connection, &index).await;
                let before = before.map_err(|error| self.own(&error))?;
                // Where there is one of that name already, nothing will be created.
                let result = self.outside(steps, at, before.is_none()).await;
                let Err(error) = result else { return Ok(()) };
                return Err(self.index_failed(steps, at, &index, before, error, started).await);
            }
            Kind::Other { .. } | Kind::Setting => {}
            _ => {
                let result = self.outside(steps, at, true).await;
                return self.settle_failure(steps, at, result, started).await;
            }
        }
        connect::ask(&mut self.connection, "BEGIN")
            .await
            .map_err(|error| self.own(&error))?;
        let mut result = execute(&mut self.connection, &text).await.1;
        if result.is_ok() {
            let sql = format!(
                "SET LOCAL role TO DEFAULT; {}; COMMIT",
                self.advanced(steps, at + 1)
            );
            result = connect::rows(&mut self.connection, &sql).await.map(drop);
        }
        match result {
            Ok(()) => {
                steps.done(at, started.elapsed());
                Ok(())
            }
            Err(error) if matches!(errors::code(&error).as_str(), "25001" | "2D000") => {
                self.roll_back().await;
                let result = self.outside(steps, at, true).await;
                self.settle_failure(steps, at, result, started).await
            }
            Err(error) => self.settle_failure(steps, at, Err(error), started).await,
        }
    }

    /// One statement outside of a transaction. If we die in it, it is in doubt.
    async fn outside(&mut self, steps: &mut Steps<'_>, at: usize, doubt: bool) -> Result<(), sqlx::Error> {
        let started = Instant::now();
        if doubt {
            let sql = format!(
                "UPDATE {} SET in_doubt = true, error = NULL WHERE version = {}",
                self.progress, steps.migration.version
            );
            self.note_down(&sql).await?;
        }
        let text = steps.statements[at].text.clone();
        let polite = self.polite(steps, at);
        if polite {
            connect::ask(&mut self.connection, "SET lock_timeout = 0").await?;
        }
        execute(&mut self.connection, &text).await.1?;
        if polite {
            self.impatient().await?;
        }
        let sql = self.advanced(steps, at + 1);
        self.note_down(&sql).await?;
        steps.done(at, started.elapsed());
        Ok(())
    }

    /// Whether to wait without limit: `CONCURRENTLY` waits for other transactions and holds nobody up, but has
    /// to begin anew after a timeout. A limit that the file itself has set stays.
    fn polite(&self, steps: &Steps<'_>, at: usize) -> bool {
        let set = |statement: &Statement| statement.text.to_ascii_lowercase().contains("lock_timeout");
        waits_politely(&steps.statements[at].text) && !steps.statements[..at].iter().any(set)
    }

    async fn impatient(&mut self) -> Result<(), sqlx::Error> {
        let milliseconds = self.lock_timeout.as_millis().min(i32::MAX as u128);
        let sql = format!("SET lock_timeout = {milliseconds}");
        connect::ask(&mut self.connection, &sql).await.map(drop)
    }

    async fn politely(&mut self, steps: &mut Steps<'_>, at: usize, wait: bool) -> Result<(), ApplyError> {
        if !self.polite(steps, at) {
            return Ok(());
        }
        let result = if wait {
            connect::ask(&mut self.connection, "SET lock_timeout = 0")
                .await
                .map(drop)
        } else {
            self.impatient().await
        };
        result.map_err(|error| self.own(&error))
    }

    /// What the file has between BEGIN and its end.
    async fn transaction(
        &mut self,
        steps: &mut Steps<'_>,
        from: usize,
        unit: &Unit,
    ) -> Result<(), ApplyError> {
        let began = Instant::now();
        if !unit.exact {
            let sql = format!(
                "UPDATE {} SET in_doubt = true, error = NULL WHERE version = {}",
                self.progress, steps.migration.version
            );
            self.note_down(&sql).await.map_err(|error| self.own(&error))?;
        }
        let mut took = Vec::new();
        for at in from..unit.end {
            let started = Instant::now();
            let last = at + 1 == unit.end;
            let text = steps.statements[at].text.clone();
            let mut result = Ok(());
            if last && unit.exact {
                let sql = format!("SET LOCAL role TO DEFAULT; {}", self.advanced(steps, unit.end));
                result = connect::ask(&mut self.connection, &sql).await.map(drop);
            }
            if result.is_ok() {
                result = execute(&mut self.connection, &text).await.1;
            }
            if last && !unit.exact && result.is_ok() {
                let sql = self.advanced(steps, unit.end);
                result = self.note_down(&sql).await;
            }
            if result.is_err() {
                return self.settle_failure(steps, at, result, began).await;
            }
            took.push(started.elapsed());
        }
        // Only now are they done.
        for (at, took) in (from..).zip(took) {
            steps.done(at, took);
        }
        Ok(())
    }

    /// After a statement that did not succeed: nothing of it is left, which is noted unless the session is gone.
    async fn settle_failure(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        result: Result<(), sqlx::Error>,
        started: Instant,
    ) -> Result<(), ApplyError> {
        let Err(error) = result else { return Ok(()) };
        let took = started.elapsed();
        if !matches!(self.stumble(&error, took), Stumble::Gone) {
            self.roll_back().await;
            self.note_error(steps, &error, false).await;
        }
        Err(self.refused(steps, at, &error, took, ""))
    }

    /// The progress shows what happened. If that cannot be noted, the next run finds out by itself.
    async fn note_error(&mut self, steps: &mut Steps<'_>, error: &sqlx::Error, in_doubt: bool) {
        let sql = format!(
            "UPDATE {} SET in_doubt = {in_doubt}, error = {} WHERE version = {}",
            self.progress,
            text::quote(&errors::server(error).1),
            steps.migration.version
        );
        let _ = self.note_down(&sql).await;
    }

    /// After a `CREATE INDEX CONCURRENTLY` that did not succeed: it leaves an index that is not valid, which is
    /// dropped at once, because a unique one still refuses rows. If that fails or there is no time, it stays in
    /// doubt, so that the next run drops it.
    async fn index_failed(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        index: &super::words::Index,
        before: Option<Found>,
        error: sqlx::Error,
        started: Instant,
    ) -> ApplyError {
        let took = started.elapsed();
        let stumble = self.stumble(&error, took);
        if matches!(stumble, Stumble::Gone) {
            return self.refused(steps, at, &error, took, "");
        }
        let _ = self.impatient().await;
        let left = match index::find(&mut self.connection, index).await {
            Ok(Some(found)) if !found.valid && before.is_none_or(|before| before.oid != found.oid) => {
                Some(found)
            }
            _ => None,
        };
        let mut in_doubt = false;
        let mut more = String::new();
        if let Some(left) = left {
            in_doubt = matches!(stumble, Stumble::Cancelled)
                || self.drop_invalid(&left, steps.report).await.is_err();
            if in_doubt {
                more = format!(
                    "the INVALID index {} is left and will be dropped by the next run",
                    left.name
                );
                steps.note(more.clone());
            }
        }
        self.note_error(steps, &error, in_doubt).await;
        self.refused(steps, at, &error, took, &more)
    }

    /// What is said of a statement that did not succeed.
    fn refused(
        &self,
        steps: &Steps<'_>,
        at: usize,
        error: &sqlx::Error,
        took: Duration,
        more: &str,
    ) -> ApplyError {
        let statement = &steps.statements[at];
        let place = Place {
            statement: at,
            line: position(error).map_or(statement.line, |position| {
                let inside = text::offset(&statement.text, position);
                statement.line - 1 + text::line(&statement.text, inside)
            }),
        };
        let place = report::at(steps.migration, &steps.statements, Some(&place));
        let said = errors::server(error).1;
        match self.stumble(error, took) {
            Stumble::Locked => ApplyError::Locked(format!("{place}: {said}")),
            Stumble::Cancelled => ApplyError::Cancelled(format!("{place}: {said}")),
            Stumble::Gone => ApplyError::Cancelled(format!("{place}: the session was ended: {said}")),
            Stumble::Refused => {
                let mut state = applied(&steps.statements, at);
                if !more.is_empty() {
                    state = format!("{state}; {more}");
                }
                let remedy = report::remedy(error, steps.migration);
                ApplyError::Failed(report::failed(&place, &said, &state, remedy))
            }
        }
    }
}

/// What of a file is applied when a statement failed.
fn applied(statements: &[Statement], failed: usize) -> String {
    // A transaction of the file went with the statement.
    let (mut at, mut done) = (0, 0);
    while at <= failed {
        done = at;
        at = unit(statements, at).map_or(at + 1, |unit| unit.end);
    }
    match done {
        0 => "nothing of the file is applied".to_owned(),
        1 => "statement 1 is applied, and the next start goes on after it".to_owned(),
        done => format!("statements 1 to {done} are applied, and the next start goes on after them"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statements(texts: &[&str]) -> Vec<Statement> {
        let statement = |text: &&str| Statement {
            text: (*text).to_owned(),
            line: 1,
        };
        texts.iter().map(statement).collect()
    }

    #[test]
    fn what_is_done_together() {
        let file = statements(&[
            "A",
            "BEGIN",
            "B",
            "COMMIT",
            "BEGIN",
            "ROLLBACK",
            "BEGIN",
            "COMMIT AND CHAIN",
            "END",
            "BEGIN",
        ]);
        let ends = |from| unit(&file, from).map(|unit| (unit.end, unit.transaction, unit.exact));
        assert_eq!(ends(0), Some((1, false, true)));
        assert_eq!(ends(1), Some((4, true, true)));
        assert_eq!(ends(4), Some((6, true, false)));
        assert_eq!(ends(6), Some((9, true, false)));
        assert_eq!(ends(9), None);
    }

    #[test]
    fn what_is_applied() {
        let file = statements(&["A", "BEGIN", "B", "COMMIT", "C"]);
        assert_eq!(applied(&file, 0), "nothing of the file is applied");
        assert!(applied(&file, 2).starts_with("statement 1 is"));
        assert!(applied(&file, 4).starts_with("statements 1 to 4 are"));
    }
}
