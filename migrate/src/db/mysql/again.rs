//! Whether a statement of which nobody knows that it is applied can be executed again.
//!
//! It can where that fails if it was applied, or changes nothing. `ADD INDEX (k)` is what cannot: the server
//! makes up another name, and there are two.

use std::collections::BTreeSet;

use super::nature::{Nature, is_atomic};
use super::tokens::{Token, tokens};

/// True if the second time fails or changes nothing. What is not known cannot be executed again.
pub(super) fn is_repeatable(text: &str) -> bool {
    let tokens = tokens(text);
    let is = |at: usize, words: &[&str]| tokens.get(at).is_some_and(|token| token.is_any(words));
    let has = |word: &str| tokens.iter().any(|token| token.is(word));
    if is(0, &["CREATE"]) {
        let what = tokens.iter().position(|token| {
            token.is_any(&[
                "TABLE",
                "INDEX",
                "VIEW",
                "PROCEDURE",
                "FUNCTION",
                "TRIGGER",
                "EVENT",
                "SEQUENCE",
                "DATABASE",
                "SCHEMA",
                "USER",
                "ROLE",
                "SERVER",
                "TABLESPACE",
            ])
        });
        // To replace what holds data takes away what came into it since.
        let replaced = is(1, &["OR"]);
        let code = ["VIEW", "PROCEDURE", "FUNCTION", "TRIGGER", "EVENT"];
        let data = ["TABLE", "INDEX", "SEQUENCE", "DATABASE", "SCHEMA"];
        return what.is_some_and(|at| is(at, &code) || is(at, &data) && (!replaced || is(3, &["TEMPORARY"])));
    }
    if is(0, &["ALTER"]) {
        return match tokens.iter().position(|token| token.is("TABLE")) {
            Some(at) if at <= 3 => is_repeatable_alter(&tokens[at + 1..]),
            _ => is(1, &["DATABASE", "SCHEMA", "PROCEDURE", "FUNCTION", "VIEW"]),
        };
    }
    if is(0, &["RENAME"]) {
        // A swap goes through again, and back.
        return is(1, &["TABLE", "TABLES"]) && !tokens.iter().any(|token| token.is_sign(','));
    }
    if is(0, &["SELECT", "SHOW", "EXPLAIN", "DESCRIBE", "DESC"]) {
        return !has("INTO");
    }
    let harmless = [
        "DROP", "ANALYZE", "OPTIMIZE", "CHECK", "REPAIR", "FLUSH", "GRANT", "REVOKE", "LOCK", "UNLOCK", "SET",
    ];
    is(0, &harmless)
        || matches!(
            Nature::of(text),
            Nature::Setting | Nature::Unlock | Nature::Commit | Nature::Rollback
        )
}

/// True if a run that is lost in the statement may have left a part of it. What changes data is only in doubt
/// where a part of it may stay.
pub(super) fn may_be_in_part(text: &str) -> bool {
    match Nature::of(text) {
        Nature::Data => !is_repeatable(text),
        Nature::Begin => true,
        Nature::Alone => !is_atomic(text),
        _ => false,
    }
}

/// What one part of an `ALTER TABLE` does the second time.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    /// It fails, because this is there.
    Adds(String),
    /// It fails, because this is gone.
    Drops(String),
    /// It fails, because the one is gone or the other is there.
    Renames(String, String),
    Fails,
    Harmless,
    /// It may go through, and do something.
    Unknown,
}

/// All of an `ALTER TABLE` is applied or nothing, so it is enough that one part fails.
fn is_repeatable_alter(tokens: &[Token]) -> bool {
    let mut rest = tokens;
    if rest.first().is_some_and(|token| token.is("IF")) {
        rest = rest.get(2..).unwrap_or_default();
    }
    rest = rest.get(1..).unwrap_or_default();
    if rest.first().is_some_and(|token| token.is_sign('.')) {
        rest = rest.get(2..).unwrap_or_default();
    }
    let parts: Vec<Part> = parts(rest).into_iter().map(Part::of).collect();
    let mut added = BTreeSet::new();
    let mut gone = BTreeSet::new();
    for part in &parts {
        match part {
            Part::Adds(name) => drop(added.insert(name)),
            Part::Drops(name) => drop(gone.insert(name)),
            Part::Renames(from, to) => drop((gone.insert(from), added.insert(to))),
            Part::Fails | Part::Harmless | Part::Unknown => {}
        }
    }
    // What is taken away and made anew, or swapped, goes through again.
    let fails = parts.iter().any(|part| match part {
        Part::Adds(name) => !gone.contains(name),
        Part::Drops(name) => !added.contains(name),
        Part::Renames(from, _) => !added.contains(from),
        Part::Fails => true,
        Part::Harmless | Part::Unknown => false,
    });
    fails || parts.iter().all(|part| *part == Part::Harmless)
}

/// Cut at the commas that are not in parentheses.
fn parts(tokens: &[Token]) -> Vec<&[Token]> {
    let mut depth = 0_usize;
    tokens
        .split(|token| {
            match token {
                Token::Sign('(') => depth += 1,
                Token::Sign(')') => depth = depth.saturating_sub(1),
                _ => {}
            }
            depth == 0 && token.is_sign(',')
        })
        .collect()
}

impl Part {
    fn of(tokens: &[Token]) -> Part {
        let mut words = Words { tokens };
        if words.take(&["ADD"]) {
            return Part::add(words);
        }
        if words.take(&["DROP"]) {
            let primary = words.take(&["PRIMARY"]);
            let what = words.take(&["COLUMN", "INDEX", "KEY", "CONSTRAINT", "CHECK", "PARTITION"]);
            if !what && words.take(&["FOREIGN"]) {
                words.take(&["KEY"]);
            }
            return match (words.condition(), primary, words.name()) {
                (true, ..) => Part::Harmless,
                (_, true, _) => Part::Drops("PRIMARY".to_owned()),
                (_, _, Some(name)) => Part::Drops(name),
                _ => Part::Unknown,
            };
        }
        if words.take(&["MODIFY"]) {
            return Part::of_column(tokens);
        }
        if words.take(&["CHANGE"]) {
            words.take(&["COLUMN"]);
            if words.condition() {
                return Part::Unknown;
            }
            return match (words.name(), words.name()) {
                (Some(from), Some(to)) if from == to => Part::of_column(tokens),
                (Some(from), Some(to)) => Part::Renames(from, to),
                _ => Part::Unknown,
            };
        }
        if words.take(&["RENAME"]) {
            let within = words.take(&["COLUMN", "INDEX", "KEY"]);
            if !within {
                return Part::Fails;
            }
            if words.condition() {
                return Part::Unknown;
            }
            return match (words.name(), words.take(&["TO"]), words.name()) {
                (Some(from), true, Some(to)) => Part::Renames(from, to),
                _ => Part::Unknown,
            };
        }
        let options = [
            "ALTER",
            "ENGINE",
            "CONVERT",
            "DEFAULT",
            "CHARACTER",
            "CHARSET",
            "COLLATE",
            "COMMENT",
            "AUTO_INCREMENT",
            "ROW_FORMAT",
            "KEY_BLOCK_SIZE",
            "ALGORITHM",
            "LOCK",
            "ENABLE",
            "DISABLE",
            "FORCE",
        ];
        match words.take(&options) {
            true => Part::Harmless,
            false => Part::Unknown,
        }
    }

    /// A column that is defined anew is as it was, but for the indexes and keys that it comes with.
    fn of_column(tokens: &[Token]) -> Part {
        let makes = |token: &Token| token.is_any(&["UNIQUE", "KEY", "REFERENCES", "PRIMARY", "CHECK"]);
        match tokens.iter().any(makes) {
            true => Part::Unknown,
            false => Part::Harmless,
        }
    }

    fn add(mut words: Words<'_>) -> Part {
        let adds = |name: Option<String>| name.map_or(Part::Unknown, Part::Adds);
        let mut symbol = None;
        if words.take(&["CONSTRAINT"]) {
            if words.condition() {
                return Part::Unknown;
            }
            let kinds = ["PRIMARY", "UNIQUE", "FOREIGN", "CHECK"];
            if !words.tokens.first().is_some_and(|token| token.is_any(&kinds)) {
                symbol = words.name();
            }
        }
        if words.take(&["PRIMARY"]) {
            return Part::Adds("PRIMARY".to_owned());
        }
        if words.take(&["FOREIGN", "CHECK"]) {
            return adds(symbol);
        }
        let unique = words.take(&["UNIQUE", "FULLTEXT", "SPATIAL"]);
        if words.take(&["INDEX", "KEY"]) || unique {
            let condition = words.condition();
            let name = match words.tokens.first() {
                Some(token) if token.is("USING") => symbol,
                _ => words.name().or(symbol),
            };
            return match (condition, name) {
                (true, Some(_)) => Part::Harmless,
                (true, None) => Part::Unknown,
                (false, name) => adds(name),
            };
        }
        if symbol.is_some() || words.take(&["PARTITION"]) {
            return Part::Unknown;
        }
        words.take(&["COLUMN"]);
        match (words.condition(), words.name()) {
            (true, Some(_)) => Part::Harmless,
            (_, name) => adds(name),
        }
    }
}

/// What is left of a part.
struct Words<'a> {
    tokens: &'a [Token],
}

impl Words<'_> {
    fn take(&mut self, words: &[&str]) -> bool {
        match self.tokens.split_first() {
            Some((first, rest)) if first.is_any(words) => {
                self.tokens = rest;
                true
            }
            _ => false,
        }
    }

    fn name(&mut self) -> Option<String> {
        let (first, rest) = self.tokens.split_first()?;
        let name = first.name()?;
        self.tokens = rest;
        Some(name)
    }

    /// `IF EXISTS`, `IF NOT EXISTS`.
    fn condition(&mut self) -> bool {
        let found = self.take(&["IF"]);
        if found {
            self.take(&["NOT"]);
            self.take(&["EXISTS"]);
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fails_or_changes_nothing_the_second_time_can_be_repeated() {
        for text in [
            "CREATE TABLE a (b INT, KEY (b))",
            "CREATE UNIQUE INDEX i ON a (b)",
            "CREATE OR REPLACE VIEW v AS SELECT 1",
            "CREATE DEFINER = x@y TRIGGER t AFTER INSERT ON a FOR EACH ROW SET @x = 1",
            "DROP TABLE a, b",
            "RENAME TABLE a TO b",
            "ALTER TABLE a ADD b INT, ADD INDEX (b)",
            "ALTER TABLE `x`.`a` ADD COLUMN IF NOT EXISTS b INT",
            "ALTER ONLINE TABLE a ADD UNIQUE KEY u (b)",
            "ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (b) REFERENCES c (d)",
            "ALTER TABLE a ADD CONSTRAINT c CHECK (b > 0)",
            "ALTER TABLE a ADD PRIMARY KEY (b)",
            "ALTER TABLE a DROP COLUMN b, ADD c DECIMAL(1, 2)",
            "ALTER TABLE a CHANGE b c INT UNIQUE",
            "ALTER TABLE a MODIFY b BIGINT, ALGORITHM=COPY",
            "ALTER TABLE a CHANGE b b BIGINT",
            "ALTER TABLE a ALTER b SET DEFAULT 5, ENGINE = InnoDB",
            "ALTER TABLE a RENAME TO b",
            "OPTIMIZE TABLE a",
        ] {
            assert!(is_repeatable(text), "{text}");
        }
    }

    #[test]
    fn what_goes_through_twice_and_what_is_not_known_cannot() {
        for text in [
            "ALTER TABLE t ADD INDEX (k), ADD INDEX (id,k), ADD CHECK (k<100000), ALGORITHM=COPY",
            "ALTER TABLE t ADD KEY USING BTREE (k)",
            "ALTER TABLE t ADD UNIQUE (k)",
            "ALTER TABLE t ADD CONSTRAINT FOREIGN KEY (k) REFERENCES c (d)",
            "ALTER TABLE t ADD CONSTRAINT CHECK (k > 0)",
            "ALTER TABLE t DROP INDEX i, ADD INDEX i (k), ADD INDEX (z)",
            "ALTER TABLE t DROP c, ADD c INT",
            "ALTER TABLE t CHANGE a b INT, CHANGE b a INT",
            "ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN b TO a",
            "ALTER TABLE t MODIFY a INT UNIQUE",
            "ALTER TABLE t ADD PARTITION PARTITIONS 4",
            "RENAME TABLE a TO x, b TO a, x TO b",
            "CREATE OR REPLACE TABLE t (a INT)",
            "INSERT INTO t VALUES (1)",
            "UPDATE t SET a = a + 1",
            "BEGIN",
            "TRUNCATE t",
            "CALL p()",
            "EXECUTE s",
        ] {
            assert!(!is_repeatable(text), "{text}");
        }
    }
}
