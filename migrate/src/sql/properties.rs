//! What holds for every text.

use proptest::prelude::*;

use super::*;

/// Whole statements that have a semicolon where it ends nothing.
fn statement(dialect: Dialect) -> impl Strategy<Value = String> {
    let texts = "[a-zé;' \\n]{0,8}";
    let dollars = "[a-zé;'\" \\n]{0,8}";
    let (comment, body) = match dialect {
        Dialect::Postgres => (
            "SELECT /* a; /* b; */ */ 1",
            "CREATE FUNCTION f() RETURNS int BEGIN ATOMIC SELECT CASE WHEN a THEN 1 END; SELECT 2; END",
        ),
        Dialect::MySql => (
            "/*!40101 SET a = ';' */",
            "CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW BEGIN IF a THEN SELECT IF(1, 2, 3); END IF; END",
        ),
    };
    prop_oneof![
        texts.prop_map(|text| format!("SELECT '{}'", text.replace('\'', "''"))),
        dollars.prop_map(move |text| match dialect {
            Dialect::Postgres => format!("DO $x$ {text}$x$"),
            Dialect::MySql => format!("SELECT '\\'{}'", text.replace('\'', "\\'")),
        }),
        "[a-z]{1,5}( [a-z0-9_.,=+]{1,5}){0,3}".prop_map(|words| format!("UPDATE {}", words.trim())),
        Just(comment.to_owned()),
        Just(body.to_owned()),
    ]
}

fn dialects() -> impl Strategy<Value = Dialect> {
    prop_oneof![Just(Dialect::Postgres), Just(Dialect::MySql)]
}

/// What may stand between two statements.
const BETWEEN: [&str; 5] = [
    ";",
    ";\n",
    " ; -- a comment; with it\n",
    ";\r\n\r\n",
    ";/* ; */;\n;",
];

proptest! {
    #[test]
    fn joined_statements_come_apart_again(
        (dialect, pieces) in dialects().prop_flat_map(|dialect| {
            let piece = (statement(dialect), 0..BETWEEN.len());
            (Just(dialect), prop::collection::vec(piece, 0..8))
        }),
    ) {
        let mut sql = String::from("-- a comment; before\n");
        let mut expected = Vec::new();
        for (text, between) in pieces {
            let line = 1 + sql.matches('\n').count() as u32;
            sql.push_str(&text);
            sql.push_str(BETWEEN[between]);
            expected.push(Statement { text, line });
        }
        prop_assert_eq!(split(&sql, dialect), Ok(expected));
    }

    #[test]
    fn any_text_is_cut_or_refused(
        dialect in dialects(),
        sql in "([-a-zé'\"`$;:#/*!\\\\ \\r\\n(){}.=0-9]|BEGIN|END|CASE|IF |CREATE |TRIGGER |EACH ROW |DELIMITER |REPEAT |E'|/\\*!|\\$a\\$){0,40}",
    ) {
        let lines = 1 + sql.matches('\n').count() as u32;
        match split(&sql, dialect) {
            Ok(statements) => {
                let mut rest = sql.as_str();
                let mut line = 1;
                for statement in statements {
                    prop_assert!(!statement.text.trim().is_empty());
                    prop_assert_eq!(statement.text.trim(), statement.text.as_str());
                    // Each is a piece of the file, in order, and on the line that it says.
                    let at = rest
                        .match_indices(&statement.text)
                        .find(|(at, _)| line + rest[..*at].matches('\n').count() as u32 == statement.line)
                        .map(|(at, _)| at);
                    prop_assert!(at.is_some(), "{:?} is not in {:?}", statement, rest);
                    let end = at.unwrap_or_default() + statement.text.len();
                    line += rest[..end].matches('\n').count() as u32;
                    rest = &rest[end..];
                }
            }
            Err(error) => prop_assert!((1..=lines).contains(&error.line)),
        }
    }
}
