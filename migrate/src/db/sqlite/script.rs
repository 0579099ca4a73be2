//! A script to its statements, by SQLite's own rule for when an input is complete: at a semicolon outside of
//! quotes and comments, and in `CREATE TRIGGER` only after `END`.
//! Source: <https://www.sqlite.org/c3ref/complete.html>.

use crate::sql::Statement;

/// What a statement needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// Can run in a transaction, together with its record.
    Plain,
    /// Has no meaning in a transaction, and can be repeated: `PRAGMA`, `VACUUM`, `ATTACH`.
    Outside,
    /// Begins a transaction.
    Begin,
    /// Commits one.
    Commit,
    /// Gives one up.
    Rollback,
}

impl Nature {
    pub fn of(text: &str) -> Nature {
        let mut words = words(text);
        match words.next().unwrap_or_default().as_str() {
            "PRAGMA" | "VACUUM" | "ATTACH" | "DETACH" => Nature::Outside,
            "BEGIN" => Nature::Begin,
            "COMMIT" | "END" => Nature::Commit,
            // ROLLBACK TO a savepoint goes on.
            "ROLLBACK" if !words.any(|word| word == "TO") => Nature::Rollback,
            _ => Nature::Plain,
        }
    }
}

/// True if the statement changes only the connection, so that whoever takes a script up has to repeat it.
pub(super) fn is_setting(text: &str) -> bool {
    matches!(
        words(text).next().as_deref(),
        Some("PRAGMA" | "ATTACH" | "DETACH")
    )
}

/// The words of a statement, in upper case, without comments.
fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    tokens(text)
        .filter(|token| token.kind == Kind::Word)
        .map(|token| token.text.to_ascii_uppercase())
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Blank,
    Word,
    Semicolon,
    Other,
}

struct Token<'a> {
    kind: Kind,
    text: &'a str,
    start: usize,
}

/// Tokens one after the other; together they are the whole text.
fn tokens(text: &str) -> impl Iterator<Item = Token<'_>> {
    let mut start = 0;
    std::iter::from_fn(move || {
        let rest = text.get(start..).filter(|rest| !rest.is_empty())?;
        let (kind, length) = token(rest);
        let token = Token {
            kind,
            text: &rest[..length],
            start,
        };
        start += length;
        Some(token)
    })
}

/// The first token: its kind and its length.
fn token(rest: &str) -> (Kind, usize) {
    let until = |end: &str, from: usize| {
        rest[from..]
            .find(end)
            .map_or(rest.len(), |at| from + at + end.len())
    };
    let while_ = |accept: fn(char) -> bool| rest.find(|c| !accept(c)).unwrap_or(rest.len());
    let first = rest.chars().next().unwrap_or(' ');
    match first {
        ';' => (Kind::Semicolon, 1),
        '-' if rest.starts_with("--") => (Kind::Blank, until("\n", 2)),
        '/' if rest.starts_with("/*") => (Kind::Blank, until("*/", 2)),
        // A doubled quote ends one string and begins the next, which comes to the same.
        '\'' => (Kind::Other, until("'", 1)),
        '"' => (Kind::Other, until("\"", 1)),
        '`' => (Kind::Other, until("`", 1)),
        '[' => (Kind::Other, until("]", 1)),
        c if c.is_ascii_whitespace() => (Kind::Blank, while_(|c| c.is_ascii_whitespace())),
        c if in_word(c) => (Kind::Word, while_(in_word)),
        c => (Kind::Other, c.len_utf8()),
    }
}

fn in_word(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_' || c == '$' || !c.is_ascii()
}

/// Where a statement stands.
#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    Explain,
    Create,
    Normal,
    Trigger,
    /// In a trigger, after a semicolon.
    TriggerSemicolon,
    /// In a trigger, after a semicolon and `END`.
    TriggerEnd,
}

impl State {
    fn after(self, token: &Token<'_>) -> State {
        let word = match token.kind {
            Kind::Blank => return self,
            Kind::Semicolon => {
                return match self {
                    State::Trigger | State::TriggerSemicolon => State::TriggerSemicolon,
                    _ => State::Start,
                };
            }
            Kind::Other => "",
            Kind::Word => token.text,
        };
        let is = |other: &str| word.eq_ignore_ascii_case(other);
        match self {
            State::Start if is("EXPLAIN") => State::Explain,
            State::Explain if is("QUERY") || is("PLAN") => State::Explain,
            State::Start | State::Explain if is("CREATE") => State::Create,
            State::Create if is("TEMP") || is("TEMPORARY") => State::Create,
            State::Create if is("TRIGGER") => State::Trigger,
            State::Start | State::Explain | State::Create | State::Normal => State::Normal,
            State::TriggerSemicolon if is("END") => State::TriggerEnd,
            State::Trigger | State::TriggerSemicolon | State::TriggerEnd => State::Trigger,
        }
    }
}

/// A script to its statements, in order, each without its semicolon and without blanks or comments around it.
pub(super) fn split(script: &str) -> Vec<Statement> {
    let mut statements = Vec::new();
    let mut state = State::Start;
    // From the first token that is no blank to the end of the last one.
    let mut span: Option<(usize, usize)> = None;
    // How many lines there are before a place, which is counted on from the last one.
    let (mut counted, mut line) = (0, 1);
    let mut finish = |span: &mut Option<(usize, usize)>| {
        if let Some((start, end)) = span.take() {
            line += script[counted..start].matches('\n').count();
            counted = start;
            statements.push(Statement {
                text: script[start..end].to_owned(),
                line: u32::try_from(line).unwrap_or(u32::MAX),
            });
        }
    };
    for token in tokens(script) {
        state = state.after(&token);
        match token.kind {
            Kind::Blank => {}
            Kind::Semicolon if state == State::Start => finish(&mut span),
            _ => {
                let end = token.start + token.text.len();
                span = Some((span.map_or(token.start, |(start, _)| start), end));
            }
        }
    }
    finish(&mut span);
    statements
}

/// How much of a script SQLite gets at once.
const CHUNK: usize = 16 * 1024;

/// Statements as scripts of a bounded size, unless one statement is longer. SQLite copies all that it gets for
/// each statement in it, so a long script as a whole takes time by the square of its length.
pub(super) fn chunks(statements: &[Statement]) -> Vec<String> {
    let mut chunks: Vec<String> = Vec::new();
    for statement in statements {
        match chunks.last_mut() {
            Some(chunk) if chunk.len() + statement.text.len() < CHUNK => chunk.push_str(&statement.text),
            _ => chunks.push(statement.text.clone()),
        }
        if let Some(chunk) = chunks.last_mut() {
            chunk.push_str(";\n");
        }
    }
    chunks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(script: &str) -> Vec<String> {
        split(script)
            .into_iter()
            .map(|statement| statement.text)
            .collect()
    }

    #[test]
    fn semicolons_end_statements_only_outside_of_quotes_and_comments() {
        assert_eq!(
            texts("-- a; b\nSELECT ';', \"a;b\", [c;d], `e;f` /* ; */ ; ; SELECT 'it''s;' -- end;\n"),
            ["SELECT ';', \"a;b\", [c;d], `e;f`", "SELECT 'it''s;'"]
        );
        assert_eq!(texts("  \n-- nothing\n"), Vec::<String>::new());
        assert_eq!(texts("SELECT 'open; "), ["SELECT 'open; "]);
    }

    #[test]
    fn a_trigger_is_one_statement() {
        let trigger = "CREATE TEMP TRIGGER t AFTER INSERT ON a BEGIN\n  UPDATE a SET x = CASE 1 WHEN 1 THEN 2 END;\n  DELETE FROM b; -- ; END;\nEND";
        assert_eq!(texts(&format!("{trigger};\nSELECT 1;")), [trigger, "SELECT 1"]);
        assert_eq!(
            texts("CREATE TABLE trigger_a(x); END;"),
            ["CREATE TABLE trigger_a(x)", "END"]
        );
    }

    #[test]
    fn a_long_script_is_cut_between_statements() {
        let script = format!("SELECT '{}'; -- end\nSELECT 2", "x;".repeat(CHUNK)).repeat(2) + "; ";
        let statements = split(&script.replace("SELECT 2S", "SELECT 2; S"));
        let chunks = chunks(&statements);
        assert_eq!(statements.len(), 4);
        assert_eq!(chunks.len(), 4);
        assert_eq!(split(&chunks.concat()).len(), 4);
        let short: Vec<Statement> = split(&"INSERT INTO a VALUES (1);\n".repeat(10_000));
        let chunks = super::chunks(&short);
        assert!(chunks.iter().all(|chunk| chunk.len() < CHUNK + 2), "too long");
        assert_eq!(chunks.concat(), "INSERT INTO a VALUES (1);\n".repeat(10_000));
        assert!(chunks.len() < 20, "{}", chunks.len());
    }

    #[test]
    fn lines_count_from_where_the_statement_begins() {
        let lines: Vec<u32> = split("-- c\nSELECT 1;\n\n/* a\nb */ SELECT\n2;")
            .iter()
            .map(|s| s.line)
            .collect();
        assert_eq!(lines, [2, 5]);
    }

    #[test]
    fn what_has_no_place_in_a_transaction_is_known_by_its_first_word() {
        for (text, nature) in [
            ("/* x */ pragma foreign_keys = off", Nature::Outside),
            ("VACUUM", Nature::Outside),
            ("begin immediate", Nature::Begin),
            ("END TRANSACTION", Nature::Commit),
            ("ROLLBACK", Nature::Rollback),
            ("ROLLBACK TRANSACTION TO SAVEPOINT a", Nature::Plain),
            ("CREATE TABLE pragma(x)", Nature::Plain),
        ] {
            assert_eq!(Nature::of(text), nature, "{text}");
        }
    }
}
