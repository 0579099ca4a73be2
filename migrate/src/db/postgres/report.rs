//! What is said of a migration that failed. Pure.

use super::words::{Kind, kind, rolls_back};
use super::{errors, text};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::sql::Statement;

/// Where in a file something failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Place {
    /// From 0.
    pub statement: usize,
    /// From 1.
    pub line: u32,
}

/// Where a file that was sent as a whole failed: after so many statements, at the place that the server named.
/// A position counts only if it is in the text that we sent.
pub(super) fn place(
    sql: &str,
    statements: &[Statement],
    done: usize,
    position: Option<usize>,
) -> Option<Place> {
    if let Some(position) = position {
        let at = text::offset(sql, position);
        let mut end = 0;
        for (number, statement) in statements.iter().enumerate() {
            // They are pieces of the file, in their order.
            let start = end + sql[end..].find(&statement.text)?;
            end = start + statement.text.len();
            if at <= end || number + 1 == statements.len() {
                return Some(Place {
                    statement: number,
                    line: text::line(sql, at),
                });
            }
        }
    }
    // A constraint that is checked at the end of the transaction fails after the last one.
    let statement = done.min(statements.len().checked_sub(1)?);
    let line = statements.get(statement)?.line;
    Some(Place { statement, line })
}

/// The file's own last end of a transaction before a statement, by its line.
pub(super) fn own_end(statements: &[Statement]) -> Option<u32> {
    let mut ends = statements
        .iter()
        .filter(|statement| matches!(kind(&statement.text), Kind::Commit | Kind::Chain | Kind::OtherEnd));
    ends.next_back().map(|statement| statement.line)
}

/// The statement with which a file undoes what it has done since its last transaction began, if no other end or
/// beginning of one follows.
pub(super) fn own_rollback(statements: &[Statement]) -> Option<usize> {
    let control = |text: &str| {
        matches!(
            kind(text),
            Kind::Begin | Kind::Commit | Kind::Chain | Kind::OtherEnd
        )
    };
    let last = statements
        .iter()
        .rposition(|statement| control(&statement.text))?;
    // Without anything before it, it does no harm.
    let before = statements.get(last.checked_sub(1)?)?;
    (rolls_back(&statements.get(last)?.text) && !control(&before.text)).then_some(last)
}

/// `0002_users.sql, line 7: ALTER TABLE ..`, for a file that cannot be cut into statements.
pub(super) fn at_line(migration: &Migration, line: u32) -> String {
    let text = migration
        .sql
        .lines()
        .nth(line.saturating_sub(1) as usize)
        .unwrap_or_default();
    format!(
        "{}, line {line}: {}",
        migration.file,
        excerpt(text.trim_start_matches('\u{feff}'))
    )
}

/// What to do about an error in a line of a file, if it comes from what is psql's own and no SQL.
pub(super) fn psql(migration: &Migration, line: u32) -> Option<String> {
    let file = &migration.file;
    let lines = || migration.sql.lines().map(str::trim_start).zip(1..=line);
    let copies = lines().any(|(text, _)| {
        let text = text.to_ascii_lowercase();
        let stdin = text.starts_with("from stdin") || text.contains(") from stdin");
        stdin || text.starts_with("copy ") && text.contains(" from stdin")
    });
    if copies {
        return Some(format!(
            "write INSERT instead of COPY .. FROM STDIN in {file} (pg_dump --inserts does): data between the statements \
             is psql's own, and cannot be in a migration"
        ));
    }
    let (text, _) = lines().last().filter(|(_, number)| *number == line)?;
    text.starts_with('\\').then(|| {
        format!(
            "take the lines that begin with a backslash out of {file}: they are psql's own commands, and cannot be in a \
             migration"
        )
    })
}

/// `0002_users.sql, statement 2 of 3, line 7: ALTER TABLE ..`
pub(super) fn at(migration: &Migration, statements: &[Statement], place: Option<&Place>) -> String {
    let Some(place) = place else {
        return migration.file.clone();
    };
    let text = statements
        .get(place.statement)
        .map_or("", |statement| &statement.text);
    format!(
        "{}, statement {} of {}, line {}: {}",
        migration.file,
        place.statement + 1,
        statements.len(),
        place.line,
        excerpt(text)
    )
}

/// The beginning of a statement, in one line.
pub(super) fn excerpt(text: &str) -> String {
    const MOST: usize = 80;
    let words: Vec<&str> = text.split_whitespace().collect();
    let line = words.join(" ");
    if line.chars().count() <= MOST {
        return line;
    }
    let mut short: String = line.chars().take(MOST - 1).collect();
    short.push('…');
    short
}

/// What to do about an error of the server in a line of the file, beside correcting the statement.
pub(super) fn remedy(error: &sqlx::Error, migration: &Migration, line: Option<u32>) -> String {
    let file = &migration.file;
    let code = errors::code(error);
    if let ("42601", Some(remedy)) = (code.as_str(), line.and_then(|line| psql(migration, line))) {
        return remedy;
    }
    match code.as_str() {
        "25001" | "2D000" if migration.sql.starts_with("\u{feff}-- no-transaction") => {
            format!(
                "take the byte order mark away that {file} begins with: after it, `-- no-transaction` counts for nothing"
            )
        }
        "25001" | "2D000" if !migration.no_transaction => {
            format!("make `-- no-transaction` the first line of {file}; its statements then run one by one")
        }
        "57014" => "raise statement_timeout in [migrate], or set it to 0; then start again".to_owned(),
        "42501" => "let the owner of the object run it, or grant the right; then start again".to_owned(),
        "" if error.to_string().contains("Copy") => {
            format!("write INSERT instead of COPY .. FROM STDIN in {file}")
        }
        _ => format!("correct {file}, or the data it stumbled over; then start again"),
    }
}

/// A failure of kind `Failed`.
pub(super) fn failed(at: &str, said: &str, state: &str, remedy: String) -> Error {
    Error::new(ErrorKind::Failed, format!("cannot apply {at}: {said}; {state}")).with_remedy(remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn statement(text: &str, line: u32) -> Statement {
        Statement {
            text: text.to_owned(),
            line,
        }
    }

    #[test]
    fn the_place_of_a_failure() {
        let sql = "SELECT 1;\n-- ü\nSELECT 1,\n  nope;\nSELECT 1;\n";
        let statements = [
            statement("SELECT 1", 1),
            statement("SELECT 1,\n  nope", 3),
            statement("SELECT 1", 5),
        ];
        let at = |done, position| {
            place(sql, &statements, done, position).map(|place| (place.statement, place.line))
        };
        let nope = sql.chars().position(|c| c == 'n').map(|at| at + 1);
        // Syntax errors come before the first statement runs.
        assert_eq!(at(0, nope), Some((1, 4)));
        assert_eq!(at(2, None), Some((2, 5)));
        assert_eq!(at(3, None), Some((2, 5)));
        assert_eq!(at(0, Some(1000)), Some((2, 6)));
        assert_eq!(place("", &[], 0, Some(1)), None);
    }

    #[test]
    fn excerpts_are_short_and_in_one_line() {
        assert_eq!(excerpt("SELECT\n\t1"), "SELECT 1");
        let long = excerpt(&"ü ".repeat(200));
        assert_eq!(long.chars().count(), 80);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_files_own_commit_is_found() {
        let statements = [
            statement("BEGIN", 1),
            statement("SELECT 1", 2),
            statement("COMMIT", 3),
        ];
        assert_eq!(own_end(&statements), Some(3));
        assert_eq!(own_end(&statements[..2]), None);
        let twice = [&statements[..], &[statement("END", 5)]].concat();
        assert_eq!(own_end(&twice), Some(5));
    }
}
