//! A file, statement by statement.

use super::record::{Mark, Standing};
use super::*;
use crate::db::mysql::{ANOTHER, is_of_another};

/// How long statements share one transaction. A commit for each of ten thousand INSERTs would take minutes,
/// and one for all of them would hold their locks for as long.
const SHARED: Duration = Duration::from_millis(200);

/// A file that is being applied.
pub(super) struct Steps<'a> {
    pub migration: &'a Migration,
    pub statements: &'a [Statement],
    /// How many statements are done, and stay done.
    pub done: usize,
    /// Which statement runs, from 0: within a transaction it is ahead of `done`.
    pub at: usize,
    /// The tables have something about this migration.
    pub recorded: bool,
    /// Another program has begun it, and nobody knows how far it got.
    pub foreign: bool,
    /// It is recorded that the next statement is in doubt.
    pub in_doubt: bool,
    /// The file has locked tables, ours not being among them.
    pub locked: bool,
    /// What is done in a transaction may stay when it is rolled back.
    pub loose: bool,
    /// The statement that is in doubt from an earlier run, which a person has said to try again.
    doubted: Option<usize>,
}

impl<'a> Steps<'a> {
    fn nature(&self, index: usize) -> Option<Nature> {
        self.statements
            .get(index)
            .map(|statement| Nature::of(&statement.text))
    }

    /// What was in doubt when the file was taken up still is: it was not executed again, or that said nothing
    /// about the first time.
    pub(super) fn is_doubted(&self) -> bool {
        self.doubted == Some(self.done)
    }

    /// Nothing is done but settings of the session.
    pub(super) fn is_untouched(&self) -> bool {
        self.is_untouched_before(self.done)
    }

    fn is_untouched_before(&self, end: usize) -> bool {
        (0..end).all(|index| self.nature(index) == Some(Nature::Setting))
    }

    pub(super) fn mark(&self, done: usize, in_doubt: bool) -> Mark<'a> {
        Mark {
            migration: self.migration,
            done: &self.statements[..done],
            in_doubt,
            // Until something of ours is added to it.
            error: (self.foreign && self.is_untouched_before(done)).then_some(ANOTHER),
        }
    }
}

/// Where what begins with a statement ends: after it, or after the file's own transaction, of which nothing is
/// done before its end.
pub(super) fn unit_end(statements: &[Statement], first: usize) -> usize {
    let nature = |index: usize| statements.get(index).map(|own| Nature::of(&own.text));
    let next = (first + 1).min(statements.len());
    if nature(first) != Some(Nature::Begin) {
        return next;
    }
    let within = |index: &usize| matches!(nature(*index), Some(Nature::Data | Nature::Setting));
    let end = (next..statements.len()).find(|index| !within(index));
    match end {
        Some(end) if matches!(nature(end), Some(Nature::Commit | Nature::Rollback)) => end + 1,
        Some(end) => end,
        None => statements.len(),
    }
}

type Report<'r> = &'r mut (dyn FnMut(Event) + Send);

impl MySqlWorker {
    pub(super) async fn steps(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: Report<'_>,
    ) -> Result<Duration, ApplyError> {
        let start = Instant::now();
        let readable = self.is_readable(migration).await;
        if !readable.map_err(|error| self.judge_own(error, migration))? {
            return Err(ApplyError::Failed(failure::backslashes(migration)));
        }
        let statements = split(&migration.sql, Dialect::MySql)
            .map_err(|error| ApplyError::Failed(failure::not_sql(migration, &error)))?;
        let standing = self.standing(migration).await;
        let standing = standing.map_err(|error| self.judge_own(error, migration))?;
        let done = failure::taken_up(migration, &statements, &standing, mode).map_err(ApplyError::Failed)?;
        let in_doubt = standing
            .progress
            .as_ref()
            .is_some_and(|progress| progress.in_doubt);
        let mut steps = Steps {
            migration,
            statements: &statements,
            done,
            at: done,
            recorded: standing.success.is_some() || standing.progress.is_some(),
            foreign: match &standing.progress {
                Some(progress) => is_of_another(progress),
                None => standing.success.is_some(),
            },
            in_doubt,
            locked: false,
            loose: false,
            doubted: in_doubt.then_some(done),
        };
        let mut result = self.run_steps(&mut steps, &standing, mode, report).await;
        if result.is_ok() {
            steps.at = steps.statements.len();
            result = self.leave(migration, start.elapsed()).await;
        }
        match result {
            Ok(()) => Ok(start.elapsed()),
            Err(error) => Err(self.fail(&mut steps, error).await),
        }
    }

    async fn run_steps(
        &mut self,
        steps: &mut Steps<'_>,
        standing: &Standing,
        mode: Mode,
        report: Report<'_>,
    ) -> Result<(), sqlx::Error> {
        steps.loose = self.has_loose_tables().await?;
        let next = match &standing.progress {
            // Another program has begun it, and the whole of it is meant.
            _ if steps.foreign => steps.statements.len(),
            // Of any other statement it is known that it was not done.
            Some(progress) if progress.in_doubt || progress.error.is_some() => {
                unit_end(steps.statements, steps.done)
            }
            Some(_) => steps.done,
            None => steps.done,
        };
        if mode == (Mode::Repair { applied: true }) && steps.recorded && next > steps.done {
            for index in steps.done..next {
                let what = statement(steps.statements, index);
                let message = format!("{}: {what} counts as applied", steps.migration.file);
                report(Event::Note { message });
            }
            self.own(self.whole_mark(&steps.mark(next, false))).await?;
            (steps.done, steps.in_doubt, steps.doubted) = (next, false, None);
        }
        self.repeat_settings(steps).await?;
        while steps.done < steps.statements.len() {
            steps.at = steps.done;
            let begun = Instant::now();
            let first = steps.done;
            match steps.nature(first) {
                _ if steps.locked => self.alone(steps, report).await?,
                Some(Nature::Data) => self.together(steps, false, report).await?,
                Some(Nature::Begin) => self.together(steps, true, report).await?,
                Some(Nature::Alone | Nature::Lock) => self.alone(steps, report).await?,
                // Nothing to record: whoever takes the file up repeats it. What it sets may be meant for the
                // very next transaction, which must not be one of ours.
                Some(Nature::Setting | Nature::Unlock | Nature::Commit | Nature::Rollback) | None => {
                    self.run(&steps.statements[first].text).await?;
                    steps.done += 1;
                    tell(steps, first, begun.elapsed(), report);
                }
            }
        }
        Ok(())
    }

    /// What belongs to the session died with the last one.
    async fn repeat_settings(&mut self, steps: &mut Steps<'_>) -> Result<(), sqlx::Error> {
        let mut lock = None;
        for index in 0..steps.done {
            steps.at = index;
            match steps.nature(index) {
                Some(Nature::Setting) => self.run(&steps.statements[index].text).await?,
                Some(Nature::Lock) => lock = Some(index),
                Some(Nature::Unlock | Nature::Begin) => lock = None,
                _ => {}
            }
        }
        if let Some(index) = lock {
            steps.at = index;
            self.run(&steps.statements[index].text).await?;
            steps.locked = true;
        }
        Ok(())
    }

    /// Runs statements in a transaction, ours or the file's own, together with the record that they are done.
    async fn together(
        &mut self,
        steps: &mut Steps<'_>,
        own: bool,
        report: Report<'_>,
    ) -> Result<(), sqlx::Error> {
        let first = steps.done;
        let begun = Instant::now();
        if steps.loose && !steps.in_doubt {
            self.own(self.whole_mark(&steps.mark(first, true))).await?;
            (steps.recorded, steps.in_doubt) = (true, true);
        }
        let mut next = first;
        let mut took = Vec::new();
        if own {
            self.run(&steps.statements[first].text).await?;
            took.push(begun.elapsed());
            next += 1;
        } else {
            self.own("START TRANSACTION".to_owned()).await?;
        }
        let end = loop {
            let nature = steps.nature(next);
            let more = match nature {
                Some(Nature::Data) => own || next == first || (begun.elapsed() < SHARED && !steps.loose),
                // In a transaction of ours it could be meant for the next one.
                Some(Nature::Setting) => own,
                _ => false,
            };
            if !more {
                break nature;
            }
            steps.at = next;
            let since = Instant::now();
            self.run_doubted(steps, next, report).await?;
            // A statement that was killed may say that it is done (`DO SLEEP(60)`). It can still be undone.
            if self.reins.is_pulled() {
                return Err(sqlx::Error::WorkerCrashed);
            }
            took.push(since.elapsed());
            next += 1;
        };
        // The file's own end, or ours: what follows would commit it anyway.
        let since = Instant::now();
        match end {
            Some(Nature::Commit) if own => {
                steps.at = next;
                self.own(self.mark(&steps.mark(next + 1, false))).await?;
                self.run(&steps.statements[next].text).await?;
                took.push(since.elapsed());
                next += 1;
            }
            Some(Nature::Rollback) if own => {
                steps.at = next;
                self.run(&steps.statements[next].text).await?;
                self.own(self.whole_mark(&steps.mark(next + 1, false))).await?;
                took.push(since.elapsed());
                next += 1;
            }
            _ => {
                self.own(format!("{}; COMMIT", self.mark(&steps.mark(next, false))))
                    .await?
            }
        }
        (steps.done, steps.recorded, steps.in_doubt) = (next, true, false);
        for (index, took) in (first..next).zip(took) {
            tell(steps, index, took, report);
        }
        Ok(())
    }

    /// Runs a statement that commits by itself: it is in doubt before, and done after.
    async fn alone(&mut self, steps: &mut Steps<'_>, report: Report<'_>) -> Result<(), sqlx::Error> {
        let index = steps.done;
        let text = &steps.statements[index].text;
        let begun = Instant::now();
        if !steps.in_doubt {
            let mark = self.whole_mark(&steps.mark(index, true));
            self.record(steps, mark).await?;
            (steps.recorded, steps.in_doubt) = (true, true);
        }
        self.run_doubted(steps, index, report).await?;
        match Nature::of(text) {
            Nature::Lock => steps.locked = true,
            Nature::Unlock | Nature::Begin => steps.locked = false,
            _ => {}
        }
        // Done, whatever becomes of the record.
        (steps.done, steps.in_doubt) = (index + 1, false);
        let mark = self.whole_mark(&steps.mark(index + 1, false));
        self.record(steps, mark).await?;
        if names_engine(text) {
            self.loose = None;
            steps.loose = self.has_loose_tables().await?;
        }
        tell(steps, index, begun.elapsed(), report);
        Ok(())
    }

    /// Runs a statement. If it was in doubt and the server says that it is done already, it is.
    async fn run_doubted(
        &mut self,
        steps: &mut Steps<'_>,
        index: usize,
        report: Report<'_>,
    ) -> Result<(), sqlx::Error> {
        let answer = self.run(&steps.statements[index].text).await;
        match answer {
            Err(error) if steps.doubted == Some(index) && error::is_done_already(&error) => {
                let what = statement(steps.statements, index);
                let message = format!(
                    "{}: {what} was done before the run that began it was lost: {}",
                    steps.migration.file,
                    error::said(&error)
                );
                report(Event::Note { message });
                Ok(())
            }
            answer => answer,
        }
    }

    /// Writes a record: aside, while the file has locked tables and ours cannot be used here.
    async fn record(&mut self, steps: &Steps<'_>, sql: String) -> Result<(), sqlx::Error> {
        if steps.locked {
            self.own_aside(sql).await
        } else {
            self.own(sql).await
        }
    }
}

fn tell(steps: &Steps<'_>, index: usize, took: Duration, report: Report<'_>) {
    let number = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    report(Event::Statement {
        version: steps.migration.version,
        statement: number(index + 1),
        of: number(steps.statements.len()),
        took,
    });
}
