//! What a statement does to transactions, told from its first words.
//!
//! Which ones commit implicitly: <https://dev.mysql.com/doc/refman/8.4/en/implicit-commit.html>,
//! <https://mariadb.com/docs/server/reference/sql-statements/transactions/sql-statements-that-cause-an-implicit-commit>.

/// What a statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Can run in a transaction, together with its record.
    Data,
    /// Changes only the session: whoever takes the file up has to repeat it.
    Setting,
    /// Commits what was before it, and itself; or may.
    Alone,
    /// Begins a transaction.
    Begin,
    /// Ends one.
    Commit,
    /// Gives one up.
    Rollback,
    /// Locks tables: from here on only they can be used.
    Lock,
    /// Ends that.
    Unlock,
}

impl Nature {
    pub fn of(text: &str) -> Nature {
        let words = words(text, 4);
        let word = |index: usize| words.get(index).map_or("", String::as_str);
        match (word(0), word(1)) {
            (
                "INSERT" | "UPDATE" | "DELETE" | "REPLACE" | "SELECT" | "WITH" | "VALUES" | "TABLE" | "DO",
                _,
            )
            | ("LOAD", "DATA" | "XML")
            | ("SHOW" | "EXPLAIN" | "DESCRIBE" | "DESC" | "SAVEPOINT", _)
            | ("RELEASE", "SAVEPOINT")
            | ("CREATE" | "DROP", "TEMPORARY") => Nature::Data,
            ("CREATE", "OR") if word(2) == "REPLACE" && word(3) == "TEMPORARY" => Nature::Data,
            ("SET", "PASSWORD") => Nature::Alone,
            ("SET" | "USE" | "PREPARE" | "DEALLOCATE", _) | ("DROP", "PREPARE") => Nature::Setting,
            ("START", "TRANSACTION") => Nature::Begin,
            ("BEGIN", "" | "WORK") => Nature::Begin,
            ("COMMIT", _) => Nature::Commit,
            ("ROLLBACK", "TO") => Nature::Data,
            ("ROLLBACK", "WORK") if word(2) == "TO" => Nature::Data,
            ("ROLLBACK", _) => Nature::Rollback,
            ("LOCK", "TABLES" | "TABLE") => Nature::Lock,
            ("UNLOCK", "TABLES" | "TABLE") => Nature::Unlock,
            // DDL, CALL and EXECUTE (who knows what they do), and whatever is not known.
            _ => Nature::Alone,
        }
    }
}

/// True if an error means that nothing of the statement was done. What is made of many parts may have done
/// some of them.
pub(super) fn is_atomic(text: &str) -> bool {
    let words = words(text, 2);
    let first = words.first().map_or("", String::as_str);
    match first {
        "CALL" | "EXECUTE" | "BEGIN" | "GRANT" | "REVOKE" | "IF" | "FOR" | "LOOP" | "WHILE" | "REPEAT" => {
            false
        }
        // `DROP TABLE a, b`.
        "DROP" => !text.contains(','),
        "CREATE" | "ALTER" => words
            .get(1)
            .is_none_or(|second| second != "USER" && second != "ROLE"),
        _ => true,
    }
}

/// True if tables that the statement makes may have an engine without transactions.
pub(super) fn names_engine(text: &str) -> bool {
    text.to_ascii_uppercase().contains("ENGINE")
}

/// The first words in upper case, without comments, but with what stands in those that the server executes
/// (`/*!40101 ... */`).
fn words(text: &str, most: usize) -> Vec<String> {
    let mut words = Vec::new();
    let mut rest = text;
    while words.len() < most {
        rest = rest.trim_start();
        if let Some(executed) = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")) {
            rest = executed.trim_start_matches(|c: char| c.is_ascii_digit());
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = after(comment, "*/");
        } else if rest.starts_with('#')
            || rest.starts_with("-- ")
            || rest.starts_with("--\n")
            || rest.starts_with("--\t")
        {
            rest = after(rest, "\n");
        } else if let Some(parenthesis) = rest.strip_prefix('(') {
            rest = parenthesis;
        } else {
            let end = rest
                .find(|c: char| !c.is_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            if end == 0 {
                break;
            }
            words.push(rest[..end].to_ascii_uppercase());
            rest = &rest[end..];
        }
    }
    words
}

fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_words_tell() {
        for (text, nature) in [
            ("insert into a values (1)", Nature::Data),
            ("(SELECT 1) UNION (SELECT 2)", Nature::Data),
            ("-- why\n# so\n/* and */ UPDATE a SET b = 1", Nature::Data),
            ("CREATE OR REPLACE TEMPORARY TABLE a (b INT)", Nature::Data),
            ("CREATE TABLE a (b INT)", Nature::Alone),
            ("CREATE OR REPLACE VIEW a AS SELECT 1", Nature::Alone),
            ("ALTER TABLE a ADD b INT", Nature::Alone),
            ("TRUNCATE a", Nature::Alone),
            ("CALL p()", Nature::Alone),
            ("LOAD INDEX INTO CACHE a", Nature::Alone),
            ("SET PASSWORD = 'x'", Nature::Alone),
            ("SET @a = 1", Nature::Setting),
            ("/*!40101 SET NAMES utf8 */", Nature::Setting),
            ("/*!40000 ALTER TABLE a DISABLE KEYS */", Nature::Alone),
            ("PREPARE s FROM @a", Nature::Setting),
            ("EXECUTE s", Nature::Alone),
            ("BEGIN", Nature::Begin),
            ("BEGIN NOT ATOMIC SELECT 1; END", Nature::Alone),
            ("START TRANSACTION READ WRITE", Nature::Begin),
            ("COMMIT", Nature::Commit),
            ("ROLLBACK", Nature::Rollback),
            ("ROLLBACK TO SAVEPOINT a", Nature::Data),
            ("LOCK TABLES a WRITE", Nature::Lock),
            ("UNLOCK TABLES", Nature::Unlock),
        ] {
            assert_eq!(Nature::of(text), nature, "{text}");
        }
    }

    #[test]
    fn what_has_parts_may_be_done_in_part() {
        assert!(is_atomic("ALTER TABLE a ADD b INT, ADD c INT"));
        assert!(is_atomic("DROP TABLE a"));
        assert!(!is_atomic("DROP TABLE a, b"));
        assert!(!is_atomic("CALL p()"));
        assert!(!is_atomic("CREATE USER a, b"));
    }
}
