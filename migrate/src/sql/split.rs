//! Tokens to statements.

use super::blocks::Blocks;
use super::scan::{Kind, Scanner, Token};
use super::{Dialect, SplitError, Statement};

/// A file to its statements, in order. Pieces without anything but blanks and comments are none.
///
/// A semicolon ends a statement unless it stands in quotes, in a comment, in parentheses (PostgreSQL: rules
/// with several actions) or in the body of a routine. After a line `DELIMITER //` of the mysql client, only
/// that delimiter does. Strings are read as servers read them by default: in MySQL a backslash escapes.
pub(crate) fn split(sql: &str, dialect: Dialect) -> Result<Vec<Statement>, SplitError> {
    let mut scanner = Scanner::new(sql, dialect);
    let mut statements = Vec::new();
    let mut current = Current::new(dialect);
    while let Some(token) = scanner.next(current.span.is_none())? {
        match token.kind {
            Kind::Blank | Kind::Comment => {}
            Kind::SetDelimiter => statements.extend(current.finish(sql)),
            Kind::Delimiter if scanner.semicolon_delimits() && !current.blocks.semicolon() => {
                current.grow(&token)
            }
            Kind::Delimiter => statements.extend(current.finish(sql)),
            _ => {
                refuse_psql(sql, dialect, &token)?;
                current.take(&token)?;
            }
        }
    }
    statements.extend(current.finish(sql));
    Ok(statements)
}

/// The statement that has begun.
struct Current<'a> {
    dialect: Dialect,
    /// Where it begins and where it ends so far, and the line.
    span: Option<(usize, usize, u32)>,
    blocks: Blocks<'a>,
    /// Its first word is COPY.
    copy: bool,
    last_word: Option<&'a str>,
}

impl<'a> Current<'a> {
    fn new(dialect: Dialect) -> Current<'a> {
        Current {
            dialect,
            span: None,
            blocks: Blocks::new(dialect),
            copy: false,
            last_word: None,
        }
    }

    fn grow(&mut self, token: &Token<'a>) {
        let (start, _, line) = self.span.unwrap_or((token.start, token.end, token.line));
        self.span = Some((start, token.end, line));
    }

    /// Takes in a token that is neither blank nor a delimiter.
    fn take(&mut self, token: &Token<'a>) -> Result<(), SplitError> {
        match token.kind {
            Kind::Word(word) => {
                let is = |other: &str| word.eq_ignore_ascii_case(other);
                if self.span.is_none() {
                    self.copy = self.dialect == Dialect::Postgres && is("copy");
                }
                let from = self
                    .last_word
                    .is_some_and(|last| last.eq_ignore_ascii_case("from"));
                if self.copy && from && is("stdin") {
                    return Err(SplitError {
                        line: token.line,
                        message: "COPY FROM stdin needs psql, which sends the rows that follow; \
                                  write INSERT statements (pg_dump --inserts)"
                            .to_owned(),
                    });
                }
                self.blocks.word(word);
                self.last_word = Some(word);
            }
            kind => {
                match kind {
                    Kind::Symbol(symbol) => self.blocks.symbol(symbol),
                    Kind::Quoted => self.blocks.quoted(),
                    _ => {}
                }
                self.last_word = None;
            }
        }
        self.grow(token);
        Ok(())
    }

    /// The statement, if there is one; then another may begin.
    fn finish(&mut self, sql: &str) -> Option<Statement> {
        let (start, end, line) = std::mem::replace(self, Current::new(self.dialect)).span?;
        Some(Statement {
            text: sql.get(start..end)?.to_owned(),
            line,
        })
    }
}

/// A backslash outside of quotes is none of PostgreSQL's characters: somebody wrote for psql.
fn refuse_psql(sql: &str, dialect: Dialect, token: &Token<'_>) -> Result<(), SplitError> {
    if dialect != Dialect::Postgres || token.kind != Kind::Symbol(b'\\') {
        return Ok(());
    }
    let rest = sql.get(token.start..).unwrap_or_default();
    let command: String = rest
        .split_whitespace()
        .next()
        .unwrap_or(rest)
        .chars()
        .take(20)
        .collect();
    Err(SplitError {
        line: token.line,
        message: format!("{command} is a command of psql, not SQL; only psql itself can run it"),
    })
}
