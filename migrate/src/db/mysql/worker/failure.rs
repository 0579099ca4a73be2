//! What a failure means: for the records, and for whoever reads about it.

use super::record::{Mark, Standing};
use super::steps::{Steps, unit_end};
use super::*;
use crate::db::mysql::{Doubt, is_of_another, values};
use crate::sql::SplitError;

impl MySqlWorker {
    /// Cleans up after a statement that failed, records what can be said about it, and says it.
    pub(super) async fn fail(&mut self, steps: &mut Steps<'_>, error: sqlx::Error) -> ApplyError {
        if error::is_gone(&error) && !self.reins.is_pulled() {
            // The records say what they said when the statement began, and that is what is known.
            return ApplyError::Cancelled(error::said(&error));
        }
        let text = steps
            .statements
            .get(steps.at)
            .map_or("", |statement| statement.text.as_str());
        // Otherwise an error means that nothing of it was done.
        let in_part = match Nature::of(text) {
            Nature::Alone => !is_atomic(text),
            Nature::Data => steps.loose,
            _ => false,
        };
        let in_part = steps.in_doubt && in_part && !matches!(error, sqlx::Error::WorkerCrashed);
        let verdict = self.judge(steps, &error, in_part);
        let unsure = in_part || steps.is_doubted();
        let _ = self.own_again("ROLLBACK; UNLOCK TABLES".to_owned()).await;
        if !unsure && !steps.foreign && steps.is_untouched() {
            if steps.recorded {
                let _ = self.forget(steps.migration.version).await;
            }
        } else {
            let mark = steps.mark(steps.done, unsure);
            let error = match &verdict {
                ApplyError::Failed(error) => match mark.error {
                    Some(another) => Some(format!("{another}: {error}")),
                    None => Some(error.to_string()),
                },
                _ => mark.error.map(str::to_owned),
            };
            let mark = Mark {
                error: error.as_deref(),
                ..mark
            };
            let _ = self.own_again(self.whole_mark(&mark)).await;
        }
        verdict
    }

    fn judge(&self, steps: &Steps<'_>, error: &sqlx::Error, in_part: bool) -> ApplyError {
        let said = error::said(error);
        if self.reins.is_pulled() {
            return ApplyError::Cancelled(said);
        }
        // The file itself may have set another limit.
        let limited = !self.statement_timeout.is_zero();
        if limited && (self.timed_out || error::is_timeout(error)) {
            let limit = self.statement_timeout.as_secs_f64();
            let said = format!("it took longer than statement_timeout, which is {limit} s");
            return ApplyError::Failed(failed(steps, &said, in_part));
        }
        if error::is_locked(error) && !in_part {
            return ApplyError::Locked(said);
        }
        if error::is_interrupted(error) {
            return ApplyError::Cancelled(said);
        }
        ApplyError::Failed(failed(steps, &said, in_part))
    }

    /// A failure of ours, rather than of the file.
    pub(super) fn judge_own(&self, error: sqlx::Error, migration: &Migration) -> ApplyError {
        if error::is_gone(&error) || error::is_interrupted(&error) {
            return ApplyError::Cancelled(error::said(&error));
        }
        let said = error::said(&error);
        let message = format!(
            "cannot apply {}: cannot read how far it got: {said}",
            migration.file
        );
        ApplyError::Failed(Error::new(ErrorKind::Failed, message))
    }
}

fn failed(steps: &Steps<'_>, said: &str, in_part: bool) -> Error {
    let file = &steps.migration.file;
    let number = steps.at + 1;
    let what = if steps.at < steps.statements.len() {
        statement(steps.statements, steps.at)
    } else {
        "its record".to_owned()
    };
    let head = format!("cannot apply {file}: {what} failed: {said}");
    let applied = first(if steps.is_untouched() { 0 } else { steps.done });
    if steps.foreign && applied.is_none() {
        let ours = match in_part || steps.is_doubted() {
            true => "",
            false => "this run has applied nothing of the file; ",
        };
        let message = format!("{head}; {ours}what another program has applied of it is not known");
        let remedy = format!(
            "another program has begun the file: take back what is applied, or fix statement {number}, then run \
             `runmate migrate repair`; or apply the rest by hand, then run `runmate migrate repair --applied`, which \
             takes the whole file as applied"
        );
        return Error::new(ErrorKind::Failed, message).with_remedy(remedy);
    }
    if steps.is_doubted() {
        let doubted = statement(steps.statements, steps.done);
        let before = applied.map_or_else(String::new, |applied| format!("{applied} applied, and "));
        let message = format!(
            "{head}; {before}of {doubted} it is still not known whether an earlier run has applied it"
        );
        let remedy = format!(
            "look whether it has; then fix statement {number} in {file} and run `runmate migrate repair`, or, if \
             it has, `runmate migrate repair --applied`"
        );
        return Error::new(ErrorKind::Failed, message).with_remedy(remedy);
    }
    if in_part {
        let before = applied.map_or_else(String::new, |applied| format!("{applied} applied, and "));
        let message =
            format!("{head}; {before}this one may be in part, because it has no transaction around it");
        let remedy = format!(
            "look what it has done; then fix statement {number} in {file} and run `runmate migrate repair`, or, if \
             it is done, `runmate migrate repair --applied`"
        );
        return Error::new(ErrorKind::Failed, message).with_remedy(remedy);
    }
    match applied {
        None => {
            let message = format!("{head}; nothing of the file is applied");
            let remedy = format!("fix statement {number} in {file} and start again");
            Error::new(ErrorKind::Failed, message).with_remedy(remedy)
        }
        Some(applied) => {
            let message = format!(
                "{head}; MySQL commits DDL implicitly: {applied} applied, this one and those after it are not"
            );
            let remedy = format!("fix statement {number} in {file} and run `runmate migrate repair`");
            Error::new(ErrorKind::Failed, message).with_remedy(remedy)
        }
    }
}

pub(super) fn not_sql(migration: &Migration, error: &SplitError) -> Error {
    let (file, line) = (&migration.file, error.line);
    let message = format!(
        "cannot apply {file}: line {line}: {}; nothing was executed",
        error.message
    );
    Error::new(ErrorKind::Failed, message).with_remedy(format!("fix {file} and start again"))
}

pub(super) fn backslashes(migration: &Migration) -> Error {
    let file = &migration.file;
    let message = format!(
        "cannot apply {file}: it has backslashes in texts, and sql_mode has NO_BACKSLASH_ESCAPES, with which statements \
         cannot be told apart there; nothing was executed"
    );
    Error::new(ErrorKind::Failed, message).with_remedy(
        "take NO_BACKSLASH_ESCAPES out of the server's sql_mode, or write CHAR(92) for backslashes",
    )
}

/// How many statements are done, if the file can be taken up at all.
pub(super) fn taken_up(
    migration: &Migration,
    statements: &[Statement],
    standing: &Standing,
    mode: Mode,
) -> Result<usize, Error> {
    let file = &migration.file;
    let dirty =
        |message: String, remedy: String| Err(Error::new(ErrorKind::Dirty, message).with_remedy(remedy));
    let progress = match (&standing.progress, standing.success) {
        (None, None) => return Ok(0),
        (_, Some(true)) => {
            let message = format!("cannot apply {file}: somebody else has applied it in the meantime");
            return Err(Error::new(ErrorKind::Failed, message).with_remedy("start again"));
        }
        // A person has looked, and says that nothing or all of it is applied.
        (None, Some(false)) if mode != Mode::Run => return Ok(0),
        (None, Some(false)) => {
            return dirty(
                format!("cannot apply {file}: another program began it and did not finish, nor record how far it got"),
                "look into the database; if all of it is applied, run `runmate migrate repair --applied`; if none is \
                 (or take back what is), `runmate migrate repair`, which begins with the first statement"
                    .to_owned(),
            );
        }
        (Some(progress), _) => progress,
    };
    let done = progress.done as usize;
    match statements.get(..done) {
        Some(prefix) if prefix_hash(prefix) == progress.prefix => {}
        _ => {
            return dirty(
                format!(
                    "cannot go on with {file}: its first {done} statements are applied, and are not what they were"
                ),
                format!("restore the first {done} statements of {file}; change only what comes after them"),
            );
        }
    }
    let failed = progress.in_doubt || progress.error.is_some();
    let applied = mode == (Mode::Repair { applied: true }) && failed;
    let from = match applied {
        true if is_of_another(progress) => statements.len(),
        true => unit_end(statements, done),
        false => done,
    };
    if let Some(lost) = values::lost(statements, from) {
        let (name, what) = (lost.name, statement(statements, lost.at));
        return dirty(
            format!(
                "cannot go on with {file}: {what} uses {name}, whose value was that of the session that began the file"
            ),
            format!(
                "write in {file}, after the first {from} statements, what {name} stood for (look for the value in the \
                 database), or give it that value anew there; then run `runmate migrate repair`"
            ),
        );
    }
    let doubted = statements
        .get(done)
        .filter(|_| progress.in_doubt && (progress.error.is_none() || is_of_another(progress)));
    let doubt = doubted.map(|statement| Doubt::of(&statement.text));
    if let Some(doubt) = doubt.filter(|doubt| mode != (Mode::Repair { applied: true }) && !doubt.repeatable) {
        let what = statement(statements, done);
        let whether = doubt.whether();
        let message = format!("cannot go on with {file}: an earlier run ended in {what}, and {whether}");
        if is_of_another(progress) {
            let remedy = "another program has begun the file before that: apply what is missing of all of it by hand, \
                          then run `runmate migrate repair --applied`, which takes the whole file as applied";
            return dirty(message, remedy.to_owned());
        }
        return dirty(message, doubt.remedy(done + 1));
    }
    if mode == Mode::Run && (progress.in_doubt || progress.error.is_some()) {
        let what = statement(statements, done);
        let why = match &progress.error {
            Some(_) => "failed",
            None => "was begun and may or may not be applied",
        };
        return dirty(
            format!("cannot go on with {file} by itself: {what} {why}"),
            "run `runmate migrate repair` (or, if that statement is applied, `runmate migrate repair --applied`)"
                .to_owned(),
        );
    }
    Ok(done)
}
