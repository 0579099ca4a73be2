//! Values of the session that cannot be had again: a run that takes a file up has another session.

use std::collections::BTreeSet;

use super::nature::Nature;
use super::tokens::{Token, tokens};
use crate::sql::Statement;

/// What gives something else in another session, or at another time.
const CHANGING: [&str; 30] = [
    "SELECT",
    "LAST_INSERT_ID",
    "IDENTITY",
    "INSERT_ID",
    "ROW_COUNT",
    "FOUND_ROWS",
    "WARNING_COUNT",
    "ERROR_COUNT",
    "CONNECTION_ID",
    "PSEUDO_THREAD_ID",
    "NOW",
    "SYSDATE",
    "CURDATE",
    "CURTIME",
    "CURRENT_DATE",
    "CURRENT_TIME",
    "CURRENT_TIMESTAMP",
    "LOCALTIME",
    "LOCALTIMESTAMP",
    "UTC_DATE",
    "UTC_TIME",
    "UTC_TIMESTAMP",
    "UNIX_TIMESTAMP",
    "TIMESTAMP",
    "RAND",
    "RANDOM_BYTES",
    "UUID",
    "UUID_SHORT",
    "NEXTVAL",
    "LASTVAL",
];

/// The first use of a value that was the old session's alone, after the first `done` statements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Lost {
    /// The variable or the prepared statement.
    pub name: String,
    /// The place of the statement that uses it, from 0.
    pub at: usize,
}

/// Settings are made again, which is exact only if they come to the same.
pub(super) fn lost(statements: &[Statement], done: usize) -> Option<Lost> {
    let mut lost = BTreeSet::new();
    for (at, statement) in statements.iter().enumerate() {
        if at >= done && lost.is_empty() {
            return None;
        }
        let tokens = tokens(&statement.text);
        let setting = Nature::of(&statement.text) == Nature::Setting;
        let used = uses(&tokens, setting);
        if at >= done {
            if let Some(name) = used.iter().find(|name| lost.contains(*name)) {
                return Some(Lost {
                    name: name.clone(),
                    at,
                });
            }
            // Given a value anew.
            for name in sets(&tokens, setting) {
                lost.remove(&name);
            }
            continue;
        }
        let changing = tokens.iter().any(|token| token.is_any(&CHANGING));
        let lasts = setting && !changing && !used.iter().any(|name| lost.contains(name));
        for name in sets(&tokens, setting) {
            match lasts {
                true => lost.remove(&name),
                false => lost.insert(name),
            };
        }
    }
    None
}

/// The names that a statement gives something.
fn sets(tokens: &[Token], setting: bool) -> BTreeSet<String> {
    let word = |word: &str| tokens.first().is_some_and(|token| token.is(word));
    let mut names = BTreeSet::new();
    if word("PREPARE") {
        names.extend(tokens.get(1).and_then(Token::name));
    }
    // What it gets by these may be anything.
    let any = word("CALL") || word("EXECUTE");
    let into = tokens.iter().any(|token| token.is("INTO"));
    for (at, token) in tokens.iter().enumerate() {
        let Token::Variable(name) = token else { continue };
        let assigned = is_target(tokens, at, setting);
        // `INTO @a, @b`: those that are only read with it are taken as well.
        if assigned || any || (into && !setting && !word("INSERT") && !word("REPLACE")) {
            names.insert(format!("@{name}"));
        }
    }
    names
}

/// The names that a statement needs.
fn uses(tokens: &[Token], setting: bool) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    if tokens.first().is_some_and(|token| token.is("EXECUTE")) {
        names.extend(tokens.get(1).and_then(Token::name));
    }
    for (at, token) in tokens.iter().enumerate() {
        if let Token::Variable(name) = token
            && !is_target(tokens, at, setting)
        {
            names.insert(format!("@{name}"));
        }
    }
    names
}

/// True for the `@a` of `@a := 1`, and of `SET @a = 1, @b = 2`.
fn is_target(tokens: &[Token], at: usize, setting: bool) -> bool {
    let sign = |place: usize, sign: char| tokens.get(place).is_some_and(|token| token.is_sign(sign));
    let first = at.checked_sub(1).and_then(|before| tokens.get(before));
    let begins = first.is_some_and(|token| token.is("SET") || token.is_sign(','));
    sign(at + 1, ':') && sign(at + 2, '=') || setting && begins && sign(at + 1, '=')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sql::{Dialect, split};

    fn found(sql: &str, done: usize) -> Option<(String, usize)> {
        let statements = split(sql, Dialect::MySql).expect("statements");
        lost(&statements, done).map(|lost| (lost.name, lost.at))
    }

    #[test]
    fn a_value_of_the_session_that_is_needed_later_is_lost() {
        for (sql, done, name, at) in [
            (
                "SET @id = LAST_INSERT_ID(); SELECT 1; INSERT INTO a VALUES (@id)",
                1,
                "@ID",
                2,
            ),
            ("SET @n := (SELECT 1), @m = 2; SELECT @m", 1, "@M", 1),
            ("SELECT @id := 5; SELECT @id", 1, "@ID", 1),
            ("SELECT b INTO @id FROM a; SELECT @id", 1, "@ID", 1),
            ("CALL p(@x); SELECT @x", 1, "@X", 1),
            ("SET @x = NOW(); SET @y = @x; SELECT @y", 2, "@Y", 2),
            (
                "SET @s = IF((SELECT 1), 'a', 'b'); PREPARE s FROM @s; EXECUTE s",
                2,
                "S",
                2,
            ),
        ] {
            assert_eq!(found(sql, done), Some((name.to_owned(), at)), "{sql}");
        }
    }

    #[test]
    fn what_comes_to_the_same_or_is_not_needed_is_not() {
        for (sql, done) in [
            ("SET @id = 5; INSERT INTO a VALUES (@id)", 1),
            ("SET @old = @@sql_mode, @x = 'NOW'; SET sql_mode = @old", 1),
            ("SET @id = LAST_INSERT_ID(); SELECT 1; SELECT 2", 2),
            ("SET @id = NOW(); SET @id = 5; SELECT @id", 1),
            ("SET @id = NOW(); SET @id = 5; SELECT @id", 2),
            ("SET @id = NOW(); SELECT @id; SELECT 1", 2),
            ("INSERT INTO a VALUES (1); SELECT 1", 1),
        ] {
            assert_eq!(found(sql, done), None, "{sql}");
        }
    }
}
