//! What the beginning of a line says of its level.

use super::Level;

/// No header of a common format has its level later than this.
const LOOKED_AT: usize = 96;
/// Names and brackets before the level: time, pid, thread, logger.
const TOKENS: usize = 8;

/// The level that a line of text begins with; `None` if it says none.
pub(crate) fn detect(line: &[u8]) -> Option<Level> {
    // Most lines begin with a word that is no level, and cost no more than this.
    let (first, second) = (*line.first()?, *line.get(1)?);
    if !may_begin(first, second) {
        return None;
    }
    let head = Head {
        rest: &line[..line.len().min(LOOKED_AT)],
        cut: line.len() > LOOKED_AT,
    };
    head.level()
}

/// Whether a line that begins so may have a level.
fn may_begin(first: u8, second: u8) -> bool {
    match first {
        b'0'..=b'9' | b'[' | b'(' | b'<' | b' ' | b'\t' | 0x1b => true,
        b'A'..=b'Z' | b'a'..=b'z' => {
            // Two letters of a level or of a key of logfmt (time=, ts=, t=, level=, msg=), or E, and E0102.
            let second = match second {
                b'A'..=b'Z' => second | 0x20,
                other => other,
            };
            matches!(
                (first | 0x20, second),
                (b't', b'r' | b'i' | b's' | b'=')
                    | (b'd', b'e' | b'b')
                    | (b'i', b'n')
                    | (b'w', b'a' | b'r')
                    | (b'e', b'r' | b'm')
                    | (b'f', b'a' | b'i' | b't')
                    | (b'c', b'r')
                    | (b'm', b's')
                    | (b'n', b'o')
                    | (b'a', b'l')
                    | (b's', b'e')
                    | (b'p', b'a' | b'h')
                    | (b'l', b'e' | b'v')
                    | (b'd' | b'i' | b'w' | b'e' | b'f' | b'a', b',' | b'0'..=b'2')
            )
        }
        _ => false,
    }
}

/// What is left of the beginning of a line.
struct Head<'a> {
    rest: &'a [u8],
    /// The line goes on after it: its last word may be the beginning of a longer one.
    cut: bool,
}

impl<'a> Head<'a> {
    fn level(mut self) -> Option<Level> {
        self.skip_blanks();
        let first = *self.rest.first()?;
        match first {
            b'<' => return self.priority(),
            b'0'..=b'9' => self.time()?,
            b'A'..=b'Z' | b'a'..=b'z' => {
                if let Some(level) = self.letter().or_else(|| self.fields()) {
                    return Some(level);
                }
                if self.rest.starts_with(b"PHP ") {
                    self.rest = &self.rest[4..];
                }
                return self.word(self.count(|byte| byte.is_ascii_alphabetic()));
            }
            _ => {}
        }
        // Behind a time or within brackets.
        for _ in 0..TOKENS {
            self.skip_separators();
            match *self.rest.first()? {
                b'[' | b'(' => {
                    if let Some(level) = self.bracket()? {
                        return Some(level);
                    }
                }
                b'0'..=b'9' | b'+' => {
                    self.skip_while(|byte| matches!(byte, b'0'..=b'9' | b':' | b'.' | b',' | b'+' | b'#'))
                }
                b'A'..=b'Z' | b'a'..=b'z' | b'_' => {
                    let length = self.count(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                    if self.rest.get(length) == Some(&b'=') {
                        return self.fields();
                    }
                    if let Some(level) = self.word(length) {
                        return Some(level);
                    }
                    if let Some(level) = self.name(length)? {
                        return Some(level);
                    }
                }
                _ => return None,
            }
        }
        None
    }

    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn count(&self, matching: impl Fn(u8) -> bool) -> usize {
        self.rest.iter().take_while(|byte| matching(**byte)).count()
    }

    fn skip_while(&mut self, matching: impl Fn(u8) -> bool) {
        self.rest = &self.rest[self.count(matching)..];
    }

    /// Blanks, and what colours the text on a terminal.
    fn skip_blanks(&mut self) {
        loop {
            self.skip_while(|byte| byte == b' ' || byte == b'\t');
            if !self.rest.starts_with(b"\x1b[") {
                return;
            }
            self.rest = &self.rest[2..];
            self.skip_while(|byte| byte.is_ascii_digit() || byte == b';');
            self.rest = self.rest.get(1..).unwrap_or_default();
        }
    }

    fn skip_separators(&mut self) {
        loop {
            self.skip_blanks();
            let Some(b'-' | b'|' | b',' | b':') = self.rest.first() else {
                return;
            };
            self.rest = &self.rest[1..];
        }
    }

    /// A date, a time of day or both; nothing else that begins with a digit.
    fn time(&mut self) -> Option<()> {
        let at = |index: usize| self.rest.get(index).copied().unwrap_or_default();
        let digits = |indices: &[usize]| indices.iter().all(|index| at(*index).is_ascii_digit());
        let month = || at(3).is_ascii_alphabetic() && digits(&[1, 7]);
        // An address, which most often begins a line with a digit, is none of these at the first look.
        let fits = match (at(1), at(2), at(4)) {
            (_, _, b'-' | b'/') => at(7) == at(4) && digits(&[1, 2, 3, 5, 6, 8, 9]),
            (_, b':', _) => digits(&[1, 3, 4]) && (at(5) == b':' || at(6) == b'M'),
            (b':', _, _) => digits(&[2, 3]) && at(5) == b'M',
            (_, b'-' | b'/', _) => at(6) == at(2) && month(),
            _ => false,
        };
        if !fits {
            return None;
        }
        let in_time = |byte: u8| matches!(byte, b'0'..=b'9' | b'-' | b'/' | b':' | b'.' | b',' | b'+');
        loop {
            self.skip_while(|byte| in_time(byte) || byte.is_ascii_alphabetic());
            // The time of the day behind the date.
            let blanks = self.count(|byte| byte == b' ');
            let next = &self.rest[blanks..];
            let digits = next.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if blanks == 0 || !(1..=2).contains(&digits) || next.get(digits) != Some(&b':') {
                return Some(());
            }
            self.rest = next;
        }
    }

    /// `<3>`, as the kernel, systemd and syslog have it.
    fn priority(&mut self) -> Option<Level> {
        self.take(1);
        let digits = self.count(|byte| byte.is_ascii_digit());
        if !(1..=3).contains(&digits) || self.rest.get(digits) != Some(&b'>') {
            return None;
        }
        let number = std::str::from_utf8(self.take(digits)).ok()?.parse().ok()?;
        Some(Level::of_priority(number))
    }

    /// `E, [` of Ruby and `E0102 03:04` of glog.
    fn letter(&self) -> Option<Level> {
        let level = match *self.rest.first()? {
            b'D' => Level::Debug,
            b'I' => Level::Info,
            b'W' => Level::Warn,
            b'E' => Level::Error,
            b'F' => Level::Fatal,
            _ => return None,
        };
        let rest = &self.rest[1..];
        let glog = || {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let after = &rest[digits..];
            (digits == 4 || digits == 8) && after.first() == Some(&b' ') && after.get(3) == Some(&b':')
        };
        (rest.starts_with(b", [") || glog()).then_some(level)
    }

    /// A level as a word of its own, which has so many letters: in capitals, or with something behind it that sets it apart.
    fn word(&self, length: usize) -> Option<Level> {
        let word = &self.rest[..length];
        let level = Level::of_word(word)?;
        let after = &self.rest[length..];
        let capitals = word.iter().all(u8::is_ascii_uppercase);
        match after {
            [] if self.cut => None,
            [] => capitals.then_some(level),
            [b':' | b'\t', ..] | [b' ', b'-' | b'|', b' ', ..] => Some(level),
            // `Fatal error:` of PHP and Go.
            [b' ', ..] if after.starts_with(b" error:") => Some(level),
            // TRACE is a method of HTTP, too.
            [b' ', second, ..] => (capitals && *second != b'/').then_some(level),
            [b' ' | b'|' | b'[' | b']' | b',' | 0x1b, ..] => capitals.then_some(level),
            _ => None,
        }
    }

    /// What may stand between the time and the level: a zone, or the name of a logger. A logger may have
    /// the level for its last part, as in `app.ERROR:` of Monolog. `None`: here begins the text.
    ///
    /// `begin`: how much of it is known to be letters and digits.
    fn name(&mut self, begin: usize) -> Option<Option<Level>> {
        let in_name = |byte: &&u8| {
            byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b':' | b'/' | b'$' | b'@' | b'-')
        };
        let length = begin + self.rest[begin..].iter().take_while(in_name).count();
        let name = self.take(length);
        if let Some(name) = name.strip_suffix(b":")
            && let Some(dot) = name.iter().rposition(|byte| *byte == b'.')
            && let Some(level) = Level::of_word(&name[dot + 1..])
        {
            return Some(Some(level));
        }
        let zone = || name.len() <= 5 && name.iter().all(u8::is_ascii_uppercase);
        let logger = || {
            name.iter().any(|byte| matches!(byte, b'.' | b'_' | b'$' | b'@'))
                || name.windows(2).any(|two| two == b"::")
        };
        let set_apart = matches!(self.rest, [b'\t', ..] | [b' ', b'-' | b'|', b' ', ..]);
        (set_apart || zone() || logger()).then_some(None)
    }

    /// The inside of brackets: `[error]`, `[core:error]`, `[2026-01-02T03:04:05Z ERROR module]`. `None`:
    /// this is no header.
    fn bracket(&mut self) -> Option<Option<Level>> {
        let close = if self.take(1) == b"[" { b']' } else { b')' };
        let inside = self.rest.iter().position(|byte| *byte == close)?;
        let inner = self.take(inside);
        self.take(1);
        let word = inner.rsplit(|byte| *byte == b':').next().unwrap_or_default();
        if let Some(level) = Level::of_word(word.trim_ascii()) {
            return Some(Some(level));
        }
        if !inner.first().is_some_and(u8::is_ascii_digit) {
            return Some(None);
        }
        let mut inner = Head {
            rest: inner,
            cut: false,
        };
        if inner.time().is_none() {
            return Some(None);
        }
        inner.skip_separators();
        // `ERROR/MainProcess` of Celery.
        let length = inner.count(|byte| byte.is_ascii_alphabetic());
        Some(Level::of_word(&inner.rest[..length]))
    }

    /// `level=warn` of logfmt, among other fields. A line that is not logfmt has none.
    fn fields(&self) -> Option<Level> {
        let mut rest = self.rest;
        loop {
            let length = rest
                .iter()
                .take_while(|byte| byte.is_ascii_alphanumeric() || **byte == b'_')
                .count();
            if length == 0 || rest.get(length) != Some(&b'=') {
                return None;
            }
            let key = &rest[..length];
            rest = &rest[length + 1..];
            let value = if rest.first() == Some(&b'"') {
                rest = &rest[1..];
                let end = rest.iter().position(|byte| *byte == b'"')?;
                if end > 0 && rest[end - 1] == b'\\' {
                    return None;
                }
                let value = &rest[..end];
                rest = &rest[end + 1..];
                value
            } else {
                let end = rest.iter().position(|byte| *byte == b' ').unwrap_or(rest.len());
                let value = &rest[..end];
                rest = &rest[end..];
                value
            };
            if [&b"level"[..], b"lvl", b"severity", b"loglevel"].contains(&key) {
                return Level::of_word(value);
            }
            rest = rest.trim_ascii_start();
        }
    }
}

#[cfg(test)]
mod tests;
