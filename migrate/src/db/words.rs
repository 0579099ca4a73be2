//! How statements and migrations are named in messages, the same for all databases.

use std::time::Duration;

use crate::sql::Statement;

/// How many characters of a statement a message shows.
const EXCERPT: usize = 80;

/// The beginning of a statement, on one line.
pub(crate) fn excerpt(text: &str) -> String {
    let mut line = String::new();
    for word in text.split_whitespace() {
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
        if line.chars().count() > EXCERPT {
            let mut cut: String = line.chars().take(EXCERPT).collect();
            cut.push_str("...");
            return cut;
        }
    }
    line
}

/// `statement 2 of 3 (line 7: ALTER TABLE ...)`, for the statement with that place, from 0.
pub(crate) fn statement(statements: &[Statement], index: usize) -> String {
    match statements.get(index) {
        Some(statement) => format!(
            "statement {} of {} (line {}: {})",
            index + 1,
            statements.len(),
            statement.line,
            excerpt(&statement.text)
        ),
        None => format!("statement {}", index + 1),
    }
}

/// `statement 1 is`, `statements 1 to 3 are`; nothing for none.
pub(crate) fn first(count: usize) -> Option<String> {
    match count {
        0 => None,
        1 => Some("statement 1 is".to_owned()),
        count => Some(format!("statements 1 to {count} are")),
    }
}

/// A duration in nanoseconds, as sqlx records it.
pub(crate) fn nanos(took: Duration) -> i64 {
    i64::try_from(took.as_nanos()).unwrap_or(i64::MAX)
}

/// A text that is cut to what a column holds, at a character.
pub(crate) fn cut(text: &str, characters: usize) -> &str {
    match text.char_indices().nth(characters) {
        Some((end, _)) => &text[..end],
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_named_by_its_place_and_its_beginning() {
        let statements = [
            Statement {
                text: "SELECT\n  1".to_owned(),
                line: 2,
            },
            Statement {
                text: format!("SELECT '{}'", "é".repeat(100)),
                line: 5,
            },
        ];
        assert_eq!(statement(&statements, 0), "statement 1 of 2 (line 2: SELECT 1)");
        let long = statement(&statements, 1);
        assert!(long.ends_with("é...)") && long.chars().count() < 120, "{long}");
        assert_eq!(statement(&statements, 2), "statement 3");
    }

    #[test]
    fn a_text_is_cut_between_characters() {
        assert_eq!(cut("äöü", 2), "äö");
        assert_eq!(cut("äöü", 3), "äöü");
    }
}
