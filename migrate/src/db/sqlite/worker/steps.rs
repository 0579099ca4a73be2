//! Files without a transaction: statement by statement, each together with the record that it is done.

use super::*;
use crate::db::Progress;

/// A file that is being applied.
struct Steps<'a> {
    migration: &'a Migration,
    statements: &'a [Statement],
    /// How many statements are done.
    done: usize,
    /// Which statement runs, from 0: within a transaction of the file's own it is ahead of `done`.
    at: usize,
    /// An earlier run began it.
    resumed: bool,
    /// The next statement has failed before. Of any other it is known that it was not done.
    failed: bool,
}

impl SqliteWorker {
    /// Applies a file from its beginning, or from where an earlier run came to.
    pub(super) async fn steps(
        &mut self,
        migration: &Migration,
        progress: Option<Progress>,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        let start = Instant::now();
        let statements = script::split(&migration.sql);
        let done = match &progress {
            Some(progress) => taken_up(migration, &statements, progress).map_err(ApplyError::Failed)?,
            None => 0,
        };
        let mut steps = Steps {
            migration,
            statements: &statements,
            done,
            at: done,
            resumed: progress.is_some(),
            failed: progress.is_some_and(|progress| progress.in_doubt || progress.error.is_some()),
        };
        let mut result = self.run_steps(&mut steps, mode, report).await;
        if result.is_ok() {
            result = self.leave(migration, start.elapsed()).await;
        }
        match result {
            Ok(()) => Ok(start.elapsed()),
            Err(error) => {
                self.roll_back().await;
                let error = self.judge(error, |said| failed_step(&steps, &said));
                self.note_failure(&steps, &error).await;
                Err(error)
            }
        }
    }

    async fn run_steps(
        &mut self,
        steps: &mut Steps<'_>,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), sqlx::Error> {
        self.enter(steps).await?;
        let version = steps.migration.version;
        let statements = steps.statements;
        if steps.failed && mode == (Mode::Repair { applied: true }) && steps.done < statements.len() {
            let next = unit(statements, steps.done);
            self.mark(version, &statements[..next]).await?;
            let message = format!(
                "{}: {} counts as applied",
                steps.migration.file,
                statement(statements, steps.done)
            );
            report(Event::Note { message });
            steps.done = next;
        }
        // What belongs to the connection died with the last one.
        for (index, statement) in statements[..steps.done].iter().enumerate() {
            if script::is_setting(&statement.text) {
                steps.at = index;
                self.patiently(&statement.text).await?;
            }
        }
        while steps.done < statements.len() {
            steps.at = steps.done;
            if self.brake.is_pulled() {
                return Err(sqlx::Error::WorkerCrashed); // The brake decides what it means.
            }
            let begun = Instant::now();
            let next = unit(statements, steps.done);
            self.run_unit(steps, next).await?;
            steps.done = next;
            report(Event::Statement {
                version,
                statement: number(next),
                of: number(statements.len()),
                took: begun.elapsed(),
            });
        }
        steps.at = steps.done;
        Ok(())
    }

    /// Runs the statements up to before `next`, and notes that they are done.
    async fn run_unit(&mut self, steps: &mut Steps<'_>, next: usize) -> Result<(), sqlx::Error> {
        let (version, statements, first) = (steps.migration.version, steps.statements, steps.done);
        match Nature::of(&statements[first].text) {
            Nature::Plain => {
                self.patiently("BEGIN IMMEDIATE").await?;
                self.run_one(&statements[first]).await?;
                self.mark(version, &statements[..next]).await?;
                self.patiently("COMMIT").await
            }
            // The file's own transaction: the note goes into it, just before its end.
            Nature::Begin => {
                self.patiently(&statements[first].text).await?;
                for (index, statement) in statements[..next].iter().enumerate().skip(first + 1) {
                    steps.at = index;
                    if Nature::of(&statement.text) == Nature::Commit {
                        self.mark(version, &statements[..next]).await?;
                        self.patiently(&statement.text).await?;
                    } else {
                        self.run_one(statement).await?;
                    }
                }
                match Nature::of(&statements[next - 1].text) {
                    Nature::Commit => Ok(()),
                    // Nothing was done, so there is nothing that the note would have to be exact about.
                    Nature::Rollback => self.mark(version, &statements[..next]).await,
                    _ => Err(sqlx::Error::Protocol(
                        "the file begins a transaction and does not end it".to_owned(),
                    )),
                }
            }
            Nature::Outside | Nature::Commit | Nature::Rollback => {
                self.patiently(&statements[first].text).await?;
                self.mark(version, &statements[..next]).await
            }
        }
    }

    async fn run_one(&mut self, statement: &Statement) -> Result<(), sqlx::Error> {
        self.brake.set(self.statement_timeout);
        let sql = sqlx::raw_sql(AssertSqlSafe(statement.text.as_str()));
        let answer = sql.execute(&mut self.connection).await;
        self.brake.set(Duration::ZERO);
        answer.map(drop)
    }

    /// Notes what is done.
    async fn mark(&mut self, version: i64, done: &[Statement]) -> Result<(), sqlx::Error> {
        self.brake.set(Duration::ZERO);
        sqlx::query("UPDATE _runmate_progress SET done = ?1, prefix = ?2, error = NULL WHERE version = ?3")
            .bind(number(done.len()))
            .bind(prefix_hash(done))
            .bind(version)
            .execute(&mut self.connection)
            .await
            .map(drop)
    }

    /// Notes that a file is begun; sqlx sees it as failed until it is finished.
    async fn enter(&mut self, steps: &Steps<'_>) -> Result<(), sqlx::Error> {
        let migration = steps.migration;
        if steps.resumed {
            return Ok(());
        }
        self.patiently("BEGIN IMMEDIATE").await?;
        // Another program's attempt, of which a person has said that it did nothing.
        sqlx::query("DELETE FROM _sqlx_migrations WHERE version = ?1 AND success = FALSE")
            .bind(migration.version)
            .execute(&mut self.connection)
            .await?;
        sqlx::query(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
                VALUES (?1, ?2, FALSE, ?3, -1)",
        )
        .bind(migration.version)
        .bind(&migration.description)
        .bind(&migration.checksum)
        .execute(&mut self.connection)
        .await?;
        sqlx::query(
            "INSERT INTO _runmate_progress (version, done, prefix, in_doubt) VALUES (?1, 0, ?2, FALSE)",
        )
        .bind(migration.version)
        .bind(prefix_hash(&[]))
        .execute(&mut self.connection)
        .await?;
        self.patiently("COMMIT").await
    }

    /// Notes that a file is finished.
    pub(super) async fn leave(&mut self, migration: &Migration, took: Duration) -> Result<(), sqlx::Error> {
        self.patiently("BEGIN IMMEDIATE").await?;
        self.record(migration, took).await?;
        self.patiently("COMMIT").await
    }

    /// Keeps the failure for `status`. A file of which nothing is applied is forgotten, so that it is as if it
    /// had never been begun.
    async fn note_failure(&mut self, steps: &Steps<'_>, error: &ApplyError) {
        self.brake.set(Duration::ZERO);
        let version = steps.migration.version;
        let done = &steps.statements[..steps.done];
        let forget = done.iter().all(|statement| script::is_setting(&statement.text));
        let _ = if forget {
            self.forget(version).await
        } else {
            let text = match error {
                ApplyError::Failed(error) => Some(error.to_string()),
                _ => None,
            };
            sqlx::query("UPDATE _runmate_progress SET error = ?1 WHERE version = ?2")
                .bind(text)
                .bind(version)
                .execute(&mut self.connection)
                .await
                .map(drop)
        };
    }

    async fn forget(&mut self, version: i64) -> Result<(), sqlx::Error> {
        self.patiently("BEGIN IMMEDIATE").await?;
        let mut gone = Ok(());
        for sql in [
            "DELETE FROM _sqlx_migrations WHERE version = ?1 AND success = FALSE",
            "DELETE FROM _runmate_progress WHERE version = ?1",
        ] {
            if gone.is_ok() {
                gone = sqlx::query(sql)
                    .bind(version)
                    .execute(&mut self.connection)
                    .await
                    .map(drop);
            }
        }
        ledger::end(&mut self.connection, gone).await
    }
}

/// Where the next unit ends: after one statement, or after the file's own transaction.
fn unit(statements: &[Statement], first: usize) -> usize {
    if Nature::of(&statements[first].text) != Nature::Begin {
        return first + 1;
    }
    statements[first..]
        .iter()
        .position(|statement| matches!(Nature::of(&statement.text), Nature::Commit | Nature::Rollback))
        .map_or(statements.len(), |end| first + end + 1)
}

fn number(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}

/// How many statements are done, if they are still the same.
fn taken_up(migration: &Migration, statements: &[Statement], progress: &Progress) -> Result<usize, Error> {
    let done = progress.done as usize;
    match statements.get(..done) {
        Some(prefix) if prefix_hash(prefix) == progress.prefix => Ok(done),
        _ => {
            let file = &migration.file;
            let message = format!(
                "cannot go on with {file}: its first {done} statements are applied, and they are not what they were"
            );
            let remedy =
                format!("restore the first {done} statements of {file}; change only what comes after");
            Err(Error::new(ErrorKind::Dirty, message).with_remedy(remedy))
        }
    }
}

fn failed_step(steps: &Steps<'_>, said: &str) -> Error {
    let file = &steps.migration.file;
    let what = if steps.at < steps.statements.len() {
        statement(steps.statements, steps.at)
    } else {
        "its record".to_owned()
    };
    let state = match first(steps.done) {
        Some(applied) => format!("{applied} applied, the others are not"),
        None => "nothing of the file is applied".to_owned(),
    };
    let message = format!("cannot apply {file}: {what} failed: {said}; {state}");
    let remedy = match steps.done {
        0 => format!("fix statement {} in {file} and start again", steps.at + 1),
        done => format!(
            "fix statement {} in {file} and start again: it goes on after statement {done}",
            steps.at + 1
        ),
    };
    Error::new(ErrorKind::Failed, message).with_remedy(remedy)
}
