//! What others said, made fit for a body and a log line.

/// As long as a message may be, in characters.
const LONGEST: usize = 200;

/// On one line, without control characters, and no longer than a line should be.
pub(super) fn one_line(text: &str) -> String {
    cut(joined(text))
}

/// On one line, without control characters.
pub(super) fn joined(text: &str) -> String {
    let mut line = String::new();
    for word in text.split(|c: char| c.is_whitespace() || c.is_control()) {
        if word.is_empty() {
            continue;
        }
        if !line.is_empty() {
            line.push(' ');
        }
        line.push_str(word);
    }
    line
}

pub(super) fn cut(mut line: String) -> String {
    if let Some((end, _)) = line.char_indices().nth(LONGEST) {
        line.truncate(end);
        line.push_str("...");
    }
    line
}

#[cfg(test)]
mod tests {
    use super::one_line;

    #[test]
    fn what_was_said_becomes_one_short_line() {
        assert_eq!(one_line("  a\n\tb\0c  \r\n"), "a b c");
        assert_eq!(one_line(&"ä".repeat(200)).chars().count(), 200);
        let cut = one_line(&"ä".repeat(201));
        assert!(cut.ends_with("ä...") && cut.chars().count() == 203);
    }
}
