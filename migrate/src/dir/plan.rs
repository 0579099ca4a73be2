//! What is left to do, decided from the files and the database's tables alone.

use std::collections::BTreeMap;

use super::checksum::matches;
use crate::db::{Applied, Mode, Progress};
use crate::db::{Doubt, is_of_another};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::sql::{Dialect, split};
use crate::url::Kind;

/// What is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In the order of versions.
    pub steps: Vec<Step>,
}

/// A migration to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its place in the list of files.
    pub index: usize,
    /// How many of its statements are done already.
    pub done: u32,
    /// It was begun, statement by statement, and not finished.
    pub half_done: bool,
    /// Somebody looked and says that all of it is applied: it is only to be recorded as done.
    pub record_only: bool,
}

/// Compares the files (in the order of versions) with what the database says.
///
/// - A file that is recorded as applied is done; if it has changed since, that is drift.
/// - A version that is recorded but has no file is drift, unless it is newer than all files: then this is an
///   older image on a newer schema.
/// - A file that is not recorded is to be applied, older than others or not.
/// - A half-done migration is taken up where the way on is certain: on PostgreSQL, and on MySQL if the run
///   ended between two statements. Where a statement failed or is in doubt, or another program left no
///   progress, a person has to say so ([`Mode::Repair`]).
pub(crate) fn plan(
    files: &[Migration],
    applied: &[Applied],
    progress: &[Progress],
    kind: Kind,
    mode: Mode,
) -> Result<Plan, Error> {
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary for each type.
    let mut rows: BTreeMap<i64, &Applied> = BTreeMap::new();
    rows.extend(applied.iter().map(|row| (row.version, row)));
    let mut half_done: BTreeMap<i64, &Progress> = BTreeMap::new();
    half_done.extend(
        progress
            .iter()
            .filter(|progress| rows.get(&progress.version).is_none_or(|row| !row.success))
            .map(|progress| (progress.version, progress)),
    );

    let mut steps = Vec::new();
    for (index, file) in files.iter().enumerate() {
        let row = rows.get(&file.version);
        let (done, record_only) = match half_done.get(&file.version) {
            Some(progress) => {
                if mode == Mode::Run {
                    may_go_on(file, progress, kind)?;
                }
                (progress.done, false)
            }
            None if row.is_some_and(|row| row.success) => continue,
            None if row.is_some() => match mode {
                Mode::Run => return Err(left_by_another(file)),
                Mode::Repair { applied } => (0, applied),
            },
            None => (0, false),
        };
        steps.push(Step {
            index,
            done,
            half_done: half_done.contains_key(&file.version),
            record_only,
        });
    }
    let known = |version: &i64| files.iter().any(|file| file.version == *version);
    let unfinished = rows.values().filter(|row| !row.success).map(|row| row.version);
    if let Some(version) = unfinished
        .chain(half_done.keys().copied())
        .find(|version| !known(version))
    {
        return Err(Error::new(
            ErrorKind::Dirty,
            format!("version {version} was left half done, and its file is not here"),
        )
        .with_remedy("use the image or the directory that has the file, and run: runmate migrate repair"));
    }
    no_drift(files, &rows)?;
    Ok(Plan { steps })
}

/// An error that names all files which are not what was applied.
fn no_drift(files: &[Migration], rows: &BTreeMap<i64, &Applied>) -> Result<(), Error> {
    let newest = files.iter().map(|file| file.version).max();
    let mut found = Vec::new();
    for row in rows.values().filter(|row| row.success) {
        match files.iter().find(|file| file.version == row.version) {
            Some(file) if !matches(&file.sql, &row.checksum) => {
                found.push(format!("{} was changed after it was applied", file.file));
            }
            None if newest.is_some_and(|newest| row.version < newest) => found.push(format!(
                "the file of version {} ({}) is missing, but it was applied",
                row.version, row.description
            )),
            _ => {}
        }
    }
    if found.is_empty() {
        return Ok(());
    }
    Err(Error::new(
        ErrorKind::Drift,
        format!(
            "the migrations are not those that were applied: {}",
            found.join("; ")
        ),
    )
    .with_remedy("restore the files as they were applied, and put what is to change into a new migration"))
}

/// An error if a person has to say how this half-done migration goes on.
fn may_go_on(file: &Migration, progress: &Progress, kind: Kind) -> Result<(), Error> {
    if kind != Kind::MySql || !progress.in_doubt && progress.error.is_none() {
        return Ok(());
    }
    if is_of_another(progress) {
        return Err(left_by_another(file));
    }
    let name = &file.file;
    let number = progress.done + 1;
    let statement = name_statement(file, progress.done);
    let before = match progress.done {
        0 => "nothing of it is applied before that".to_owned(),
        1 => "statement 1 is applied".to_owned(),
        done => format!("statements 1 to {done} are applied"),
    };
    let (what, remedy) = if progress.in_doubt {
        let statements = split(&file.sql, Dialect::MySql).unwrap_or_default();
        let text = statements.get(progress.done as usize);
        let doubt = Doubt::of(text.map_or("", |statement| statement.text.as_str()));
        (
            format!("the run ended in {statement}, and {}", doubt.whether()),
            doubt.remedy(number as usize),
        )
    } else {
        let cause = progress.error.as_deref().unwrap_or_default();
        (
            format!("{statement} failed ({cause})"),
            format!("fix statement {number} in {name}, then run: runmate migrate repair"),
        )
    };
    Err(Error::new(
        ErrorKind::Dirty,
        format!("the migration {name} was left half done: {what}; {before}"),
    )
    .with_remedy(remedy))
}

/// `statement 2 of 3 (line 7)`, as far as that can be told.
fn name_statement(file: &Migration, done: u32) -> String {
    let number = done + 1;
    let statements = split(&file.sql, Dialect::MySql).unwrap_or_default();
    match statements.get(done as usize) {
        Some(statement) => format!(
            "statement {number} of {} (line {})",
            statements.len(),
            statement.line
        ),
        None => format!("statement {number}"),
    }
}

/// A row that says neither done nor how far: sqlx-cli on MySQL leaves such.
fn left_by_another(file: &Migration) -> Error {
    Error::new(
        ErrorKind::Dirty,
        format!(
            "the migration {} was begun by another program and not finished; it is not known which of its \
             statements are applied",
            file.file
        ),
    )
    .with_remedy(
        "look into the database; if all of them are applied, run: runmate migrate repair --applied; if none is \
         (or take back what is), run: runmate migrate repair, which begins with the first",
    )
}

#[cfg(test)]
mod tests;
