//! A file to tokens: only as fine as it takes to know what a semicolon means.
//!
//! sqlparser's tokenizer was tried first and is not used, because it is wrong on SQL that servers accept: it
//! refuses `U&'..' UESCAPE '!'` and escapes such as `E'\400'`, reads the second line of an `E''` string by
//! other rules than the first, dissolves MySQL's executable comments (whose bounds are then lost, and with
//! them the `*/` in a string) and has no place for `DELIMITER`. What it refuses cannot be skipped either,
//! because it stops there. This one stops only at a quote or comment that is never closed.

use super::{Dialect, SplitError};

/// A piece of the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Token<'a> {
    pub kind: Kind<'a>,
    pub start: usize,
    pub end: usize,
    pub line: u32,
}

/// What kind of piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind<'a> {
    /// White space.
    Blank,
    /// A comment, the end of its line excluded.
    Comment,
    /// A keyword, a name without quotes, a number.
    Word(&'a str),
    /// A string, a name in quotes, a dollar-quoted text.
    Quoted,
    /// Anything else, byte by byte.
    Symbol(u8),
    /// The beginning or the end of a comment that MySQL executes. Its content are tokens of their own.
    Executable,
    /// What ends a statement: `;` or what `DELIMITER` said.
    Delimiter,
    /// A line of the mysql client that sets another delimiter.
    SetDelimiter,
}

/// Walks through a file.
pub(super) struct Scanner<'a> {
    sql: &'a str,
    dialect: Dialect,
    delimiter: &'a str,
    at: usize,
    line: u32,
    /// How many executable comments are open.
    executable: u32,
}

impl<'a> Scanner<'a> {
    pub fn new(sql: &'a str, dialect: Dialect) -> Scanner<'a> {
        Scanner {
            sql,
            dialect,
            delimiter: ";",
            at: 0,
            line: 1,
            executable: 0,
        }
    }

    /// True unless `DELIMITER` has set another.
    pub fn semicolon_delimits(&self) -> bool {
        self.delimiter == ";"
    }

    /// The next token; `None` at the end. `fresh`: no statement has begun yet.
    pub fn next(&mut self, fresh: bool) -> Result<Option<Token<'a>>, SplitError> {
        let (start, line) = (self.at, self.line);
        if start == self.sql.len() {
            return Ok(None);
        }
        let kind = self.kind(fresh)?;
        debug_assert!(self.at > start);
        let newlines = self.sql.as_bytes()[start..self.at]
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        self.line += newlines as u32;
        Ok(Some(Token {
            kind,
            start,
            end: self.at,
            line,
        }))
    }

    /// Steps over one token and says what it was.
    fn kind(&mut self, fresh: bool) -> Result<Kind<'a>, SplitError> {
        let mysql = self.dialect == Dialect::MySql;
        if mysql && self.set_delimiter(fresh)? {
            return Ok(Kind::SetDelimiter);
        }
        let rest = self.rest();
        // An executable comment is part of one statement, whatever it holds.
        if self.executable == 0 && rest.starts_with(self.delimiter) {
            self.at += self.delimiter.len();
            return Ok(Kind::Delimiter);
        }
        let bytes = rest.as_bytes();
        let (first, second) = (bytes[0], bytes.get(1).copied());
        match (first, second) {
            (b' ' | b'\t' | b'\n' | b'\r' | 0x0b | 0x0c, _) => {
                self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
                Ok(Kind::Blank)
            }
            // What some editors put before UTF-8.
            _ if self.at == 0 && rest.starts_with('\u{feff}') => {
                self.at += '\u{feff}'.len_utf8();
                Ok(Kind::Blank)
            }
            (b'-', Some(b'-')) if !mysql || bytes.get(2).is_none_or(|byte| *byte <= b' ') => {
                Ok(self.line_comment())
            }
            (b'#', _) if mysql => Ok(self.line_comment()),
            (b'/', Some(b'*')) if mysql && (rest.starts_with("/*!") || rest.starts_with("/*M!")) => {
                self.at += if bytes[2] == b'!' { 3 } else { 4 };
                // The version from which on it is executed.
                self.skip_while(|byte| byte.is_ascii_digit());
                self.executable += 1;
                Ok(Kind::Executable)
            }
            (b'*', Some(b'/')) if self.executable > 0 => {
                self.at += 2;
                self.executable -= 1;
                Ok(Kind::Executable)
            }
            (b'/', Some(b'*')) => self.comment(),
            (b'\'', _) => self.quoted(b'\'', mysql),
            (b'"', _) => self.quoted(b'"', mysql),
            (b'`', _) if mysql => self.quoted(b'`', false),
            (b'$', _) => self.dollar(),
            (b'e' | b'E', Some(b'\'')) if !mysql => {
                self.at += 1;
                self.escape_string()
            }
            _ if is_word(first) => Ok(self.word()),
            _ => {
                self.at += 1;
                Ok(Kind::Symbol(first))
            }
        }
    }

    fn rest(&self) -> &'a str {
        self.sql.get(self.at..).unwrap_or_default()
    }

    fn peek(&self) -> Option<u8> {
        self.sql.as_bytes().get(self.at).copied()
    }

    fn skip_while(&mut self, is: impl Fn(u8) -> bool) {
        while self.peek().is_some_and(&is) {
            self.at += 1;
        }
    }

    fn unclosed(&self, what: &str) -> SplitError {
        SplitError {
            line: self.line,
            message: format!("{what} that begins here is never closed"),
        }
    }

    fn line_comment(&mut self) -> Kind<'a> {
        self.skip_while(|byte| byte != b'\n');
        Kind::Comment
    }

    /// `/* .. */`: nested in PostgreSQL, not in MySQL.
    fn comment(&mut self) -> Result<Kind<'a>, SplitError> {
        let bytes = self.sql.as_bytes();
        let (mut at, mut depth) = (self.at + 2, 1);
        while depth > 0 {
            match (bytes.get(at), bytes.get(at + 1)) {
                (Some(b'*'), Some(b'/')) => depth -= 1,
                (Some(b'/'), Some(b'*')) if self.dialect == Dialect::Postgres => depth += 1,
                (Some(_), Some(_)) => {
                    at += 1;
                    continue;
                }
                _ => return Err(self.unclosed("the comment")),
            }
            at += 2;
        }
        self.at = at;
        Ok(Kind::Comment)
    }

    /// From one quote to the other; a doubled one is no end.
    fn quoted(&mut self, quote: u8, backslash: bool) -> Result<Kind<'a>, SplitError> {
        let bytes = self.sql.as_bytes();
        let mut at = self.at + 1;
        loop {
            match bytes.get(at) {
                Some(byte) if *byte == quote && bytes.get(at + 1) == Some(&quote) => at += 2,
                Some(byte) if *byte == quote => break,
                Some(b'\\') if backslash => at += 2,
                Some(_) => at += 1,
                None => {
                    let what = if quote == b'\'' { "the string" } else { "the name" };
                    return Err(self.unclosed(what));
                }
            }
        }
        self.at = at + 1;
        Ok(Kind::Quoted)
    }

    /// What follows the E of a PostgreSQL string. It may go on in another line, and is still of that kind: the
    /// server's rule, which psql, reading line by line, does not know.
    fn escape_string(&mut self) -> Result<Kind<'a>, SplitError> {
        loop {
            self.quoted(b'\'', true)?;
            let end = self.at;
            loop {
                self.skip_while(|byte| byte.is_ascii_whitespace() || byte == 0x0b);
                if !self.rest().starts_with("--") {
                    break;
                }
                self.line_comment();
            }
            if self.peek() != Some(b'\'') || !self.sql[end..self.at].contains(['\n', '\r']) {
                self.at = end;
                return Ok(Kind::Quoted);
            }
        }
    }

    /// A dollar: a parameter, or a quote (MySQL has those since version 9), or else part of a name.
    fn dollar(&mut self) -> Result<Kind<'a>, SplitError> {
        let rest = self.rest();
        let tag = rest[1..].bytes().take_while(|byte| is_word(*byte)).count();
        let starts_with_digit = rest.as_bytes().get(1).is_some_and(u8::is_ascii_digit);
        let closed = !starts_with_digit && rest.as_bytes().get(1 + tag) == Some(&b'$');
        if closed {
            let quote = &rest[..tag + 2];
            match rest[quote.len()..].find(quote) {
                Some(length) => {
                    self.at += quote.len() + length + quote.len();
                    return Ok(Kind::Quoted);
                }
                None if self.dialect == Dialect::Postgres => {
                    return Err(self.unclosed(&format!("the text in {quote}")));
                }
                None => {}
            }
        }
        if self.dialect == Dialect::Postgres {
            self.at += 1;
            self.skip_while(|byte| byte.is_ascii_digit());
            return Ok(Kind::Symbol(b'$'));
        }
        Ok(self.word())
    }

    fn word(&mut self) -> Kind<'a> {
        let start = self.at;
        // A number is no name: what follows `1` in `1$$` is a quote.
        let number =
            self.dialect == Dialect::Postgres && self.peek().is_some_and(|byte| byte.is_ascii_digit());
        // Always at least one, that it goes on.
        self.at += 1;
        // The client of MySQL finds its delimiter in the middle of a word, too: `END$$`.
        while self
            .peek()
            .is_some_and(|byte| is_word(byte) || byte == b'$' && !number)
            && !self.sql.as_bytes()[self.at..].starts_with(self.delimiter.as_bytes())
        {
            self.at += 1;
        }
        Kind::Word(self.sql.get(start..self.at).unwrap_or_default())
    }

    /// Steps over a line `DELIMITER //`, if one begins here.
    fn set_delimiter(&mut self, fresh: bool) -> Result<bool, SplitError> {
        const NAME: &str = "delimiter";
        let rest = self.rest();
        let named = rest
            .get(..NAME.len())
            .is_some_and(|name| name.eq_ignore_ascii_case(NAME));
        let before = self.sql[..self.at].rsplit('\n').next().unwrap_or_default();
        if !named || !before.trim_start_matches('\u{feff}').trim().is_empty() || self.executable > 0 {
            return Ok(false);
        }
        let line = rest.split('\n').next().unwrap_or_default();
        let argument = &line[NAME.len()..];
        if !argument.is_empty() && !argument.starts_with(|c: char| c.is_ascii_whitespace()) {
            return Ok(false);
        }
        let delimiter = argument.split_ascii_whitespace().next().unwrap_or_default();
        // In the middle of a statement it may as well be a column of that name.
        if !fresh && (delimiter.is_empty() || delimiter.bytes().any(is_word)) {
            return Ok(false);
        }
        let unquoted = ['\'', '"', '`'].into_iter().find_map(|quote| {
            delimiter
                .strip_prefix(quote)
                .and_then(|inner| inner.strip_suffix(quote))
        });
        let delimiter = unquoted.unwrap_or(delimiter);
        if delimiter.is_empty() {
            return Err(SplitError {
                line: self.line,
                message: "DELIMITER says no delimiter; write one such as DELIMITER //".to_owned(),
            });
        }
        self.delimiter = delimiter;
        self.at += line.len();
        Ok(true)
    }
}

/// What words consist of, beside the dollar.
fn is_word(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte >= 0x80
}
