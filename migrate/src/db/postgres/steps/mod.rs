//! Files that run statement by statement, and are taken up where they were left.

mod failure;
mod resume;

use std::time::{Duration, Instant};

use super::index;
use super::report::{self, Place};
use super::words::{Kind, kind, may_commit, waits_politely};
use super::worker::{PgWorker, execute, nanoseconds};
use super::{connect, errors, text};
use crate::db::{ApplyError, Mode};
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

/// How a statement outside of a transaction ended that did not come to a good end.
enum Outside {
    /// It was not begun.
    NotBegun(sqlx::Error),
    /// The server refused it.
    Refused(sqlx::Error),
    /// It was, and that could not be noted: it stays in doubt.
    NotNoted(sqlx::Error),
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
            let remedy =
                report::psql(migration, error.line).unwrap_or_else(|| format!("correct {}", migration.file));
            ApplyError::Failed(Error::new(ErrorKind::Failed, message).with_remedy(remedy))
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
                return match self.outside(steps, at, before.is_none()).await {
                    Err(Outside::NotBegun(error) | Outside::Refused(error)) => {
                        Err(self.index_failed(steps, at, &index, before, error, started).await)
                    }
                    Err(Outside::NotNoted(error)) => Err(self.own(&error)),
                    Ok(()) => Ok(()),
                };
            }
            Kind::Other { .. } | Kind::Setting => {}
            _ => {
                return self.alone(steps, at, started).await;
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
                self.alone(steps, at, started).await
            }
            Err(error) => self.settle_failure(steps, at, Err(error), started).await,
        }
    }

    async fn alone(&mut self, steps: &mut Steps<'_>, at: usize, started: Instant) -> Result<(), ApplyError> {
        match self.outside(steps, at, true).await {
            Err(Outside::Refused(error)) if may_commit(&steps.statements[at].text) => {
                Err(self.partly_done(steps, at, &error, started).await)
            }
            Err(Outside::NotBegun(error) | Outside::Refused(error)) => {
                self.settle_failure(steps, at, Err(error), started).await
            }
            Err(Outside::NotNoted(error)) => Err(self.own(&error)),
            Ok(()) => Ok(()),
        }
    }

    /// One statement outside of a transaction. If we die in it, it is in doubt.
    async fn outside(&mut self, steps: &mut Steps<'_>, at: usize, doubt: bool) -> Result<(), Outside> {
        let started = Instant::now();
        if doubt {
            self.doubt(steps).await.map_err(Outside::NotBegun)?;
        }
        let text = steps.statements[at].text.clone();
        let polite = self.polite(steps, at);
        if polite {
            self.patient().await.map_err(Outside::NotBegun)?;
        }
        execute(&mut self.connection, &text)
            .await
            .1
            .map_err(Outside::Refused)?;
        self.advance(steps, at + 1).await.map_err(Outside::NotNoted)?;
        if polite {
            self.impatient().await.map_err(Outside::NotNoted)?;
        }
        steps.done(at, started.elapsed());
        Ok(())
    }

    /// Notes that the next statement is about to run outside of a transaction.
    async fn doubt(&mut self, steps: &mut Steps<'_>) -> Result<(), sqlx::Error> {
        let sql = format!(
            "UPDATE {} SET in_doubt = true, error = NULL WHERE version = {}",
            self.progress, steps.migration.version
        );
        self.note_down(&sql).await
    }

    /// Notes that all before `done` are done. More than once, because a cancellation may have been meant for the
    /// statement, which is done by now.
    async fn advance(&mut self, steps: &mut Steps<'_>, done: usize) -> Result<(), sqlx::Error> {
        let sql = self.advanced(steps, done);
        let mut result = self.note_down(&sql).await;
        for _ in 0..2 {
            if result.as_ref().is_err_and(|error| !errors::broken(error)) {
                result = self.note_down(&sql).await;
            }
        }
        result
    }

    /// Whether to wait without limit: `CONCURRENTLY` waits for other transactions and holds nobody up, but has
    /// to begin anew after a timeout. A limit that the file itself has set stays.
    fn polite(&self, steps: &Steps<'_>, at: usize) -> bool {
        let set = |statement: &Statement| statement.text.to_ascii_lowercase().contains("lock_timeout");
        waits_politely(&steps.statements[at].text) && !steps.statements[..at].iter().any(set)
    }

    async fn patient(&mut self) -> Result<(), sqlx::Error> {
        connect::ask(&mut self.connection, "SET lock_timeout = 0")
            .await
            .map(drop)
    }

    async fn impatient(&mut self) -> Result<(), sqlx::Error> {
        let milliseconds = self.lock_timeout.as_millis().min(i32::MAX as u128);
        let sql = format!("SET lock_timeout = {milliseconds}");
        connect::ask(&mut self.connection, &sql).await.map(drop)
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
            self.doubt(steps).await.map_err(|error| self.own(&error))?;
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
            if let Err(error) = result {
                // What stands before an AND CHAIN may be applied.
                let before = &steps.statements[from..at];
                if before
                    .iter()
                    .any(|statement| kind(&statement.text) == Kind::Chain)
                {
                    return Err(self.partly_done(steps, at, &error, began).await);
                }
                return self.settle_failure(steps, at, Err(error), began).await;
            }
            if last && !unit.exact {
                let result = self.advance(steps, unit.end).await;
                result.map_err(|error| self.own(&error))?;
            }
            took.push(started.elapsed());
        }
        // Only now are they done.
        for (at, took) in (from..).zip(took) {
            steps.done(at, took);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn statements(texts: &[&str]) -> Vec<Statement> {
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
}
