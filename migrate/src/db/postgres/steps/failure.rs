//! What is left when a statement did not succeed, and what is said of it.

use std::time::{Duration, Instant};

use super::{Steps, unit};
use crate::db::ApplyError;
use crate::db::postgres::index::{self, Found};
use crate::db::postgres::report::{self, Place};
use crate::db::postgres::words::Index;
use crate::db::postgres::worker::{PgWorker, Stumble, position};
use crate::db::postgres::{errors, text};
use crate::error::{Error, ErrorKind};
use crate::sql::Statement;

/// What to do about a statement of which nobody knows whether it took effect.
pub(super) const LOOK: &str = "look on the database whether it took effect; `runmate migrate repair` executes it again, \
    `runmate migrate repair --applied` takes it as applied";

/// What is said of a statement that commits in parts.
const PART: &str = "it may have committed a part before that";

impl PgWorker {
    /// After a statement that did not succeed: nothing of it is left, which is noted unless the session is gone.
    pub(super) async fn settle_failure(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        result: Result<(), sqlx::Error>,
        started: Instant,
    ) -> Result<(), ApplyError> {
        let Err(error) = result else { return Ok(()) };
        let took = started.elapsed();
        if errors::usable(&error) {
            self.roll_back().await;
            self.note_error(steps, &error, took, false).await;
        }
        Err(self.refused(steps, at, &error, took, ""))
    }

    /// After a failure of what commits in parts: whether one of them is applied, only a person can tell. So it stays
    /// in doubt, and is not tried again even if only a lock was missing.
    pub(super) async fn partly_done(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        error: &sqlx::Error,
        started: Instant,
    ) -> ApplyError {
        let took = started.elapsed();
        if errors::usable(error) {
            self.roll_back().await;
            self.note_error(steps, error, took, true).await;
        }
        match self.stumble(error, took) {
            Stumble::Gone => return self.refused(steps, at, error, took, PART),
            Stumble::Cancelled if self.is_cancelled() => {
                let place = self.place(steps, at, error);
                let said = errors::server(error).1;
                return ApplyError::Cancelled(format!("{place}: {said}; {PART}"));
            }
            Stumble::Cancelled | Stumble::Locked | Stumble::Refused => {}
        }
        let message = format!(
            "cannot apply {}: {}; {PART}{}",
            self.place(steps, at, error),
            errors::server(error).1,
            match done_before(&steps.statements, at) {
                0 => String::new(),
                1 => ", and statement 1 is applied".to_owned(),
                done => format!(", and statements 1 to {done} are applied"),
            }
        );
        ApplyError::Failed(Error::new(ErrorKind::Dirty, message).with_remedy(LOOK))
    }

    /// The progress shows what happened. If that cannot be noted, the next run finds out by itself. Who only has
    /// to try again has not failed: `repair --applied` takes what failed as applied.
    async fn note_error(
        &mut self,
        steps: &mut Steps<'_>,
        error: &sqlx::Error,
        took: Duration,
        in_doubt: bool,
    ) {
        let said = match self.stumble(error, took) {
            Stumble::Locked => "NULL".to_owned(),
            _ => text::quote(&errors::server(error).1),
        };
        let sql = format!(
            "UPDATE {} SET in_doubt = {in_doubt}, error = {said} WHERE version = {}",
            self.progress, steps.migration.version
        );
        let _ = self.note_down(&sql).await;
    }

    /// After a `CREATE INDEX CONCURRENTLY` that did not succeed: it leaves an index that is not valid, which is
    /// dropped at once, because a unique one still refuses rows. If that fails or there is no time, it stays in
    /// doubt, so that the next run drops it.
    pub(super) async fn index_failed(
        &mut self,
        steps: &mut Steps<'_>,
        at: usize,
        index: &Index,
        before: Option<Found>,
        error: sqlx::Error,
        started: Instant,
    ) -> ApplyError {
        let took = started.elapsed();
        let stumble = self.stumble(&error, took);
        if !errors::usable(&error) {
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
        self.note_error(steps, &error, took, in_doubt).await;
        self.refused(steps, at, &error, took, &more)
    }

    /// In which line of the file an error is.
    fn line(&self, steps: &Steps<'_>, at: usize, error: &sqlx::Error) -> u32 {
        let statement = &steps.statements[at];
        position(error).map_or(statement.line, |position| {
            let inside = text::offset(&statement.text, position);
            statement.line - 1 + text::line(&statement.text, inside)
        })
    }

    /// Where in the file an error is.
    fn place(&self, steps: &Steps<'_>, at: usize, error: &sqlx::Error) -> String {
        let place = Place {
            statement: at,
            line: self.line(steps, at, error),
        };
        report::at(steps.migration, &steps.statements, Some(&place))
    }

    /// What is said of a statement that did not succeed.
    pub(super) fn refused(
        &self,
        steps: &Steps<'_>,
        at: usize,
        error: &sqlx::Error,
        took: Duration,
        more: &str,
    ) -> ApplyError {
        let place = self.place(steps, at, error);
        let said = errors::server(error).1;
        match self.stumble(error, took) {
            Stumble::Locked => ApplyError::Locked(format!("{place}: {said}")),
            Stumble::Cancelled => ApplyError::Cancelled(format!("{place}: {said}")),
            Stumble::Gone => {
                let state = match more {
                    "" => "the next start sees what of it is applied",
                    more => more,
                };
                errors::gone(&format!("cannot apply {place}"), error, state)
            }
            Stumble::Refused => {
                let mut state = applied(&steps.statements, at);
                if !more.is_empty() {
                    state = format!("{state}; {more}");
                }
                let remedy = report::remedy(error, steps.migration, Some(self.line(steps, at, error)));
                ApplyError::Failed(report::failed(&place, &said, &state, remedy))
            }
        }
    }
}

/// How many statements of a file are applied when one failed.
fn done_before(statements: &[Statement], failed: usize) -> usize {
    // A transaction of the file went with the statement.
    let (mut at, mut done) = (0, 0);
    while at <= failed {
        done = at;
        at = unit(statements, at).map_or(at + 1, |unit| unit.end);
    }
    done
}

/// What of a file is applied when a statement failed.
fn applied(statements: &[Statement], failed: usize) -> String {
    match done_before(statements, failed) {
        0 => "nothing of the file is applied".to_owned(),
        1 => "statement 1 is applied, and the next start goes on after it".to_owned(),
        done => format!("statements 1 to {done} are applied, and the next start goes on after them"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::statements;
    use super::*;

    #[test]
    fn what_is_applied() {
        let file = statements(&["A", "BEGIN", "B", "COMMIT", "C"]);
        assert_eq!(applied(&file, 0), "nothing of the file is applied");
        assert!(applied(&file, 2).starts_with("statement 1 is"));
        assert!(applied(&file, 4).starts_with("statements 1 to 4 are"));
    }
}
