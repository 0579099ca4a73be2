//! The tokens of one statement, as far as a look at what it does needs them.

/// A token. Comments are none, but what stands in those that the server executes (`/*!40101 ... */`) is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Token {
    /// A word that is not quoted, in upper case.
    Word(String),
    /// A name in backquotes, without them.
    Name(String),
    /// A variable of the user, in upper case, without its `@`.
    Variable(String),
    /// A text in quotes, and whether it has a backslash.
    Text { backslash: bool },
    /// Anything else: one character.
    Sign(char),
}

impl Token {
    pub fn is(&self, word: &str) -> bool {
        matches!(self, Token::Word(own) if own == word)
    }

    pub fn is_any(&self, words: &[&str]) -> bool {
        matches!(self, Token::Word(own) if words.contains(&own.as_str()))
    }

    pub fn is_sign(&self, sign: char) -> bool {
        *self == Token::Sign(sign)
    }

    /// The name that it can be, in upper case: names of columns and indexes have no case.
    pub fn name(&self) -> Option<String> {
        match self {
            Token::Word(name) | Token::Name(name) => Some(name.to_uppercase()),
            _ => None,
        }
    }
}

pub(super) fn tokens(text: &str) -> Vec<Token> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if let Some(executed) = rest.strip_prefix("/*!").or_else(|| rest.strip_prefix("/*M!")) {
            rest = executed.trim_start_matches(|c: char| c.is_ascii_digit());
        } else if let Some(after) = rest.strip_prefix("*/") {
            rest = after;
        } else if rest.starts_with("/*") {
            rest = rest[2..].split_once("*/").map_or("", |(_, after)| after);
        } else if first == '#'
            || rest
                .strip_prefix("--")
                .is_some_and(|after| after.is_empty() || after.starts_with(char::is_whitespace))
        {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if matches!(first, '\'' | '"' | '`') {
            let (end, backslash) = quoted(rest, first);
            tokens.push(match first {
                '`' => Token::Name(rest[1..end].trim_end_matches('`').to_owned()),
                _ => Token::Text { backslash },
            });
            rest = &rest[end..];
        } else if is_in_word(first) {
            let (word, after) = word(rest);
            tokens.push(Token::Word(word.to_uppercase()));
            rest = after;
        } else if first == '@' && rest[1..].starts_with(is_in_word) {
            let (name, after) = word(&rest[1..]);
            tokens.push(Token::Variable(name.to_uppercase()));
            rest = after;
        } else if first == '@' && rest[1..].starts_with(['`', '\'', '"']) {
            let (end, _) = quoted(&rest[1..], rest[1..].chars().next().unwrap_or('`'));
            let name = rest[2..=end].trim_end_matches(['`', '\'', '"']);
            tokens.push(Token::Variable(name.to_uppercase()));
            rest = &rest[1 + end..];
        } else if rest.starts_with("@@") {
            // `@@name` is the server's variable: its sign and its name.
            tokens.push(Token::Sign('@'));
            rest = &rest[2..];
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// True if a text in quotes has a backslash.
pub(super) fn has_backslashes(sql: &str) -> bool {
    tokens(sql).contains(&Token::Text { backslash: true })
}

fn is_in_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '$'
}

fn word(text: &str) -> (&str, &str) {
    text.split_at(text.find(|c| !is_in_word(c)).unwrap_or(text.len()))
}

/// Where a quoted text ends, and whether it has a backslash. A doubled quote ends one text and begins the next.
fn quoted(text: &str, quote: char) -> (usize, bool) {
    let mut backslash = false;
    let mut escaped = false;
    for (at, c) in text.char_indices().skip(1) {
        if escaped {
            escaped = false;
        } else if c == '\\' && quote != '`' {
            (backslash, escaped) = (true, true);
        } else if c == quote {
            return (at + 1, backslash);
        }
    }
    (text.len(), backslash)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_are_left_out_unless_the_server_executes_them() {
        let word = |word: &str| Token::Word(word.to_owned());
        assert_eq!(
            tokens("/*!40000 alter */ -- x\n `a b` # y\n 'it\\'s' /* z */ @v @@w,"),
            [
                word("ALTER"),
                Token::Name("a b".to_owned()),
                Token::Text { backslash: true },
                Token::Variable("V".to_owned()),
                Token::Sign('@'),
                word("W"),
                Token::Sign(','),
            ]
        );
    }
}
