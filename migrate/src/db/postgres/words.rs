//! What kind of statement it is, as far as its first words say. Pure.

/// A word, a name in quotes, or a symbol.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Token<'a> {
    /// As it stands.
    text: &'a str,
    start: usize,
}

/// What matters of a statement that runs by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// `BEGIN`, `START TRANSACTION`.
    Begin,
    /// `COMMIT`, `END`.
    Commit,
    /// `ROLLBACK`, `ABORT`, `PREPARE TRANSACTION`: ends a transaction in another way.
    OtherEnd,
    /// `COMMIT AND CHAIN`, `ROLLBACK AND CHAIN`: ends one and begins another.
    Chain,
    /// Sets something for the rest of the session.
    Setting,
    CreateIndexConcurrently(Index),
    /// `DROP INDEX CONCURRENTLY`, with the name as it stands.
    DropIndexConcurrently(String),
    /// Cannot run in a transaction, and does no harm when it runs twice.
    Repeatable,
    /// Cannot run in a transaction, and fails or does harm when it runs twice.
    Outside,
    /// Whatever else. If it can run twice without harm, by its own words (`IF NOT EXISTS`).
    Other {
        repeatable: bool,
    },
}

/// What `CREATE INDEX CONCURRENTLY` creates.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Index {
    /// As the catalog has it; none if the server is to choose one.
    pub name: Option<String>,
    /// The table, as it stands.
    pub table: String,
}

/// What kind of statement it is.
pub(super) fn kind(text: &str) -> Kind {
    let tokens = tokens(text, 24);
    let is = |at: usize, word: &str| {
        tokens
            .get(at)
            .is_some_and(|token| token.text.eq_ignore_ascii_case(word))
    };
    let any = |at: usize, words: &[&str]| words.iter().any(|word| is(at, word));
    let find = |word: &str| (0..tokens.len()).find(|at| is(*at, word));
    // What stands in a block of code says nothing of the whole block.
    let repeatable = !any(0, &CODE) && find("IF").is_some_and(|at| is(at + 1, "EXISTS") || is(at + 1, "NOT"));
    let chain = find("CHAIN").is_some_and(|at| at > 0 && is(at - 1, "AND"));
    if is(0, "BEGIN") || is(0, "START") && is(1, "TRANSACTION") {
        return Kind::Begin;
    }
    if any(0, &["COMMIT", "END", "ROLLBACK", "ABORT"]) {
        // `COMMIT PREPARED`, `ROLLBACK TO SAVEPOINT`: not the end of this transaction.
        let to = is(1, "TO") || any(1, &["WORK", "TRANSACTION"]) && is(2, "TO");
        return match () {
            () if is(1, "PREPARED") => Kind::Outside,
            () if to => Kind::Other { repeatable: false },
            () if chain => Kind::Chain,
            () if any(0, &["COMMIT", "END"]) => Kind::Commit,
            () => Kind::OtherEnd,
        };
    }
    if is(0, "PREPARE") && is(1, "TRANSACTION") {
        return Kind::OtherEnd;
    }
    if is(0, "RESET") || is(0, "SET") && !any(1, &["LOCAL", "TRANSACTION", "CONSTRAINTS"]) {
        return Kind::Setting;
    }
    // `SELECT pg_catalog.set_config('search_path', '', false)`, as pg_dump writes it.
    if is(0, "SELECT") && (is(1, "set_config") || is(1, "pg_catalog") && is(3, "set_config")) {
        return Kind::Setting;
    }
    let unique = usize::from(is(1, "UNIQUE"));
    if is(0, "CREATE") && is(1 + unique, "INDEX") && is(2 + unique, "CONCURRENTLY") {
        return index(text, &tokens, 3 + unique);
    }
    if is(0, "DROP") && is(1, "INDEX") && is(2, "CONCURRENTLY") {
        let from = if is(3, "IF") { 5 } else { 3 };
        return Kind::DropIndexConcurrently(name_at(text, &tokens, from));
    }
    if any(
        0,
        &["VACUUM", "ANALYZE", "ANALYSE", "REINDEX", "CLUSTER", "CHECKPOINT"],
    ) || is(0, "ALTER") && is(1, "SYSTEM")
    {
        // Most of these can run in a transaction, and are tried so first.
        let outside = any(0, &["VACUUM"]) || is(1, "SYSTEM") || find("CONCURRENTLY").is_some();
        return if outside {
            Kind::Repeatable
        } else {
            Kind::Other { repeatable: true }
        };
    }
    if any(0, &["CREATE", "DROP"]) && any(1, &["DATABASE", "TABLESPACE"]) && !repeatable {
        return Kind::Outside;
    }
    Kind::Other { repeatable }
}

/// The statements that run code, which may commit.
const CODE: [&str; 2] = ["CALL", "DO"];

/// True if a statement may commit in parts, so that an error does not mean that nothing of it is applied.
pub(super) fn may_commit(text: &str) -> bool {
    let first = tokens(text, 1);
    let first = first.first().map_or("", |token| token.text);
    CODE.iter().any(|word| first.eq_ignore_ascii_case(word))
}

/// True if it undoes what its transaction has done.
pub(super) fn rolls_back(text: &str) -> bool {
    let first = tokens(text, 1);
    let first = first.first().map_or("", |token| token.text);
    let rollback = ["ROLLBACK", "ABORT"]
        .iter()
        .any(|word| first.eq_ignore_ascii_case(word));
    rollback && matches!(kind(text), Kind::OtherEnd | Kind::Chain)
}

/// True if it is one of the statements on indexes that wait for others without holding them up.
pub(super) fn waits_politely(text: &str) -> bool {
    match kind(text) {
        Kind::CreateIndexConcurrently(_) | Kind::DropIndexConcurrently(_) => true,
        Kind::Repeatable => tokens(text, 24)
            .iter()
            .any(|token| token.text.eq_ignore_ascii_case("CONCURRENTLY")),
        _ => false,
    }
}

fn index(text: &str, tokens: &[Token<'_>], from: usize) -> Kind {
    let is = |at: usize, word: &str| {
        tokens
            .get(at)
            .is_some_and(|token| token.text.eq_ignore_ascii_case(word))
    };
    let from = if is(from, "IF") { from + 3 } else { from };
    let (name, on) = if is(from, "ON") {
        (None, from)
    } else {
        (tokens.get(from).map(|token| catalog_name(token.text)), from + 1)
    };
    let table = if is(on + 1, "ONLY") { on + 2 } else { on + 1 };
    Kind::CreateIndexConcurrently(Index {
        name,
        table: name_at(text, tokens, table),
    })
}

/// A name, with its schema if it has one, as it stands.
fn name_at(text: &str, tokens: &[Token<'_>], from: usize) -> String {
    let Some(first) = tokens.get(from) else {
        return String::new();
    };
    let mut last = first;
    let mut at = from;
    while tokens.get(at + 1).is_some_and(|token| token.text == ".") {
        at += 2;
        match tokens.get(at) {
            Some(token) => last = token,
            None => break,
        }
    }
    text[first.start..last.start + last.text.len()].to_owned()
}

/// A name as the catalog has it: without quotes, or in lower case. No longer than names can be.
fn catalog_name(token: &str) -> String {
    let mut name = match token.strip_prefix('"').and_then(|token| token.strip_suffix('"')) {
        Some(quoted) => quoted.replace("\"\"", "\""),
        None => token.to_ascii_lowercase(),
    };
    let mut end = name.len().min(63);
    while !name.is_char_boundary(end) {
        end -= 1;
    }
    name.truncate(end);
    name
}

/// The first so many tokens, without blanks and comments.
fn tokens(text: &str, most: usize) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while tokens.len() < most {
        let rest = &text[at..];
        let Some(first) = rest.chars().next() else { break };
        let word = |c: char| c.is_alphanumeric() || c == '_' || c == '$' || !c.is_ascii();
        let length = if first.is_whitespace() {
            first.len_utf8()
        } else if rest.starts_with("--") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            comment(rest)
        } else {
            let length = match first {
                '"' | '\'' => quoted(rest, first),
                c if word(c) => rest.find(|c| !word(c)).unwrap_or(rest.len()),
                c => c.len_utf8(),
            };
            tokens.push(Token {
                text: &rest[..length],
                start: at,
            });
            length
        };
        at += length;
    }
    tokens
}

fn quoted(text: &str, quote: char) -> usize {
    let mut at = 1;
    while let Some(found) = text[at..].find(quote) {
        at += found + 1;
        if !text[at..].starts_with(quote) {
            return at;
        }
        at += 1;
    }
    text.len()
}

/// Comments may stand in comments.
fn comment(text: &str) -> usize {
    let (mut at, mut depth) = (2, 1);
    while depth > 0 && at < text.len() {
        match text.as_bytes().get(at..at + 2) {
            Some(b"/*") => (at, depth) = (at + 2, depth + 1),
            Some(b"*/") => (at, depth) = (at + 2, depth - 1),
            _ => at += 1,
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds() {
        let other = Kind::Other { repeatable: false };
        let again = Kind::Other { repeatable: true };
        for (text, expected) in [
            ("begin", Kind::Begin),
            (
                "START /* x */ TRANSACTION ISOLATION LEVEL SERIALIZABLE",
                Kind::Begin,
            ),
            ("COMMIT", Kind::Commit),
            ("End Work", Kind::Commit),
            ("commit and chain", Kind::Chain),
            ("COMMIT PREPARED 'x'", Kind::Outside),
            ("ROLLBACK", Kind::OtherEnd),
            ("ROLLBACK TO SAVEPOINT a", other.clone()),
            ("ROLLBACK WORK TO a", other.clone()),
            ("PREPARE TRANSACTION 'x'", Kind::OtherEnd),
            ("SET search_path = a", Kind::Setting),
            ("SET LOCAL search_path = a", other.clone()),
            (
                "SELECT pg_catalog.set_config('search_path', '', false)",
                Kind::Setting,
            ),
            ("RESET ALL", Kind::Setting),
            ("VACUUM a", Kind::Repeatable),
            ("ANALYZE a", again.clone()),
            ("REINDEX INDEX a", again.clone()),
            ("REINDEX INDEX CONCURRENTLY a", Kind::Repeatable),
            ("REINDEX (CONCURRENTLY) TABLE a", Kind::Repeatable),
            ("ALTER SYSTEM SET a = 1", Kind::Repeatable),
            ("CREATE DATABASE a", Kind::Outside),
            ("DROP DATABASE IF EXISTS a", again.clone()),
            ("CREATE TABLE IF NOT EXISTS a (b int)", again),
            ("CREATE TABLE a (b int)", other.clone()),
            ("DO $$ BEGIN IF NOT a THEN COMMIT; END IF; END $$", other),
            (
                "DROP INDEX CONCURRENTLY IF EXISTS s.\"A b\"",
                Kind::DropIndexConcurrently("s.\"A b\"".into()),
            ),
            ("", Kind::Other { repeatable: false }),
        ] {
            assert_eq!(kind(text), expected, "{text}");
        }
    }

    #[test]
    fn indexes_have_names_and_tables() {
        for (text, name, table) in [
            ("CREATE INDEX CONCURRENTLY A_b ON c (d)", Some("a_b"), "c"),
            (
                "create unique index concurrently if not exists \"A\"\"b\" on only s.\"C d\" (e)",
                Some("A\"b"),
                "s.\"C d\"",
            ),
            (
                "CREATE INDEX CONCURRENTLY -- quietly\n ON c USING gin (d)",
                None,
                "c",
            ),
            (
                "CREATE INDEX CONCURRENTLY a /* of /* the */ */ ON c(d)",
                Some("a"),
                "c",
            ),
        ] {
            let expected = Kind::CreateIndexConcurrently(Index {
                name: name.map(str::to_owned),
                table: table.to_owned(),
            });
            assert_eq!(kind(text), expected, "{text}");
            assert!(waits_politely(text));
        }
        assert_eq!(catalog_name(&"é".repeat(40)).len(), 62);
        assert!(!waits_politely("VACUUM a"));
        assert!(may_commit("/* x */ call a()") && may_commit("DO 'a'") && !may_commit("VACUUM a"));
    }

    #[test]
    fn any_text_is_read_to_its_end() {
        for text in [
            "/*",
            "/* /* */",
            "'",
            "\"é",
            "--",
            "é$1",
            "CREATE INDEX CONCURRENTLY",
            "DROP INDEX CONCURRENTLY",
        ] {
            kind(text);
        }
    }
}
