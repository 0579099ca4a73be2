//! Lines that are JSON objects already: whether they are, and which keys they have.
//!
//! A reader of its own, because a line is only looked through: nothing of it is kept, so most of it is
//! searching for the end of a string. What it takes is what serde_json takes (a test compares them), and
//! it is twice as fast.

mod keys;

use super::json::{BLOCK, escapes_in_block};
use keys::Meaning;
pub(crate) use keys::{Key, KeyTable};

/// Arrays and objects that are nested deeper than common readers follow (serde_json to 128 levels, jq 1.6
/// to 256) make a line text: whole, and harmless to whoever reads it.
const DEEPEST: usize = 100;

/// What was found in an object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found<'a> {
    keys: u16,
    /// The value of its level, under whatever name.
    pub level: Option<&'a [u8]>,
    /// The value of its time, under another name than ours.
    pub time: Option<&'a [u8]>,
}

impl<'a> Found<'a> {
    pub fn has(&self, key: Key) -> bool {
        self.keys & key as u16 != 0
    }

    /// Whether it has any of these: their numbers, added up.
    pub fn has_one_of(&self, keys: u16) -> bool {
        self.keys & keys != 0
    }

    fn add(&mut self, key: Key, value: &'a [u8]) {
        match key {
            Key::Level => self.level = Some(value),
            Key::OtherLevel if !self.has(Key::Level) => self.level = self.level.or(Some(value)),
            Key::OtherTime => self.time = self.time.or(Some(value)),
            _ => {}
        }
        self.keys |= key as u16;
    }
}

/// A cheap first look.
pub(super) fn looks_like_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.first() == Some(&b'{') && line.last() == Some(&b'}')
}

/// Checks that the line is one JSON object, whole and valid, and finds the keys that matter. The line
/// must be valid UTF-8.
pub(super) fn look_through<'a>(line: &'a [u8], table: &KeyTable) -> Option<Found<'a>> {
    let mut reader = Reader::new(line);
    let mut found = Found::default();
    reader.blanks();
    reader.expect(b'{')?;
    reader.members(|reader, name| {
        let decoded;
        let name = match name {
            Text::Plain(name) => name,
            Text::Escaped(quoted) => {
                // As rare as that: no reader of our own is worth it.
                decoded = serde_json::from_slice::<String>(quoted).ok()?;
                decoded.as_bytes()
            }
        };
        let begin = reader.at;
        let key = match table.find(name) {
            None => return reader.value(1),
            Some(Meaning::Key(key)) => Some(key),
            Some(Meaning::Parent) if reader.peek() == Some(b'{') => {
                return reader.child(name, table, &mut found);
            }
            Some(Meaning::Parent) => table.key(name),
        };
        reader.value(1)?;
        if let Some(key) = key {
            found.add(key, &line[begin..reader.at]);
        }
        Some(())
    })?;
    reader.blanks();
    (reader.at == line.len()).then_some(found)
}

/// The inside of a string, or all of it with its quotes if it has escapes.
enum Text<'a> {
    Plain(&'a [u8]),
    Escaped(&'a [u8]),
}

struct Reader<'a> {
    line: &'a [u8],
    at: usize,
    /// The block that was looked at last, and what ends a string or interrupts it there. A line has many
    /// strings, most of them short: so each block is looked at once, not each string.
    block: usize,
    special: u64,
}

impl<'a> Reader<'a> {
    fn new(line: &'a [u8]) -> Reader<'a> {
        Reader {
            line,
            at: 0,
            block: usize::MAX,
            special: 0,
        }
    }

    // As calls these would take longer than what they do.
    #[inline(always)]
    fn peek(&self) -> Option<u8> {
        self.line.get(self.at).copied()
    }

    #[inline(always)]
    fn expect(&mut self, byte: u8) -> Option<()> {
        (self.peek()? == byte).then(|| self.at += 1)
    }

    /// Loggers write none, or one.
    #[inline(always)]
    fn blanks(&mut self) {
        if self.peek().is_some_and(|byte| byte <= b' ') {
            self.skip_blanks();
        }
    }

    #[inline(never)]
    fn skip_blanks(&mut self) {
        while let Some(b' ' | b'\n' | b'\t' | b'\r') = self.peek() {
            self.at += 1;
        }
    }

    /// The next byte that is no blank.
    #[inline(always)]
    fn punctuation(&mut self) -> Option<u8> {
        self.blanks();
        let byte = self.peek()?;
        self.at += 1;
        Some(byte)
    }

    /// What follows the opening brace of an object. `value` is called for each name and reads its value.
    fn members(&mut self, mut value: impl FnMut(&mut Self, Text<'a>) -> Option<()>) -> Option<()> {
        self.blanks();
        if self.peek()? == b'}' {
            self.at += 1;
            return Some(());
        }
        loop {
            let name = self.text()?;
            if self.punctuation()? != b':' {
                return None;
            }
            self.blanks();
            value(self, name)?;
            match self.punctuation()? {
                b',' => self.blanks(),
                b'}' => return Some(()),
                _ => return None,
            }
        }
    }

    fn elements(&mut self, depth: usize) -> Option<()> {
        self.blanks();
        if self.peek()? == b']' {
            self.at += 1;
            return Some(());
        }
        loop {
            self.value(depth)?;
            match self.punctuation()? {
                b',' => self.blanks(),
                b']' => return Some(()),
                _ => return None,
            }
        }
    }

    /// An object at the root whose members may be meant by a name with a dot.
    fn child(&mut self, parent: &[u8], table: &KeyTable, found: &mut Found<'a>) -> Option<()> {
        let begin = self.at;
        let line = self.line;
        self.at += 1;
        self.members(|reader, name| {
            let begin = reader.at;
            reader.value(2)?;
            if let Text::Plain(name) = name
                && let Some(key) = table.key(&[parent, b".", name].concat())
            {
                found.add(key, &line[begin..reader.at]);
            }
            Some(())
        })?;
        if let Some(key) = table.key(parent) {
            found.add(key, &line[begin..self.at]);
        }
        Some(())
    }

    /// A value within `depth` others.
    #[inline(always)]
    fn value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'"' => self.string().map(|_| ()),
            _ => self.other_value(depth),
        }
    }

    fn other_value(&mut self, depth: usize) -> Option<()> {
        match self.peek()? {
            b'{' | b'[' if depth == DEEPEST => None,
            b'{' => {
                self.at += 1;
                self.members(|reader, _| reader.value(depth + 1))
            }
            b'[' => {
                self.at += 1;
                self.elements(depth + 1)
            }
            b't' => self.word(b"true"),
            b'f' => self.word(b"false"),
            b'n' => self.word(b"null"),
            _ => self.number(),
        }
    }

    #[inline(always)]
    fn word(&mut self, word: &[u8]) -> Option<()> {
        self.line[self.at..]
            .starts_with(word)
            .then(|| self.at += word.len())
    }

    fn number(&mut self) -> Option<()> {
        if self.peek()? == b'-' {
            self.at += 1;
        }
        match self.peek()? {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.peek() == Some(b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.peek() {
            self.at += 1;
            if let Some(b'+' | b'-') = self.peek() {
                self.at += 1;
            }
            self.digits()?;
        }
        Some(())
    }

    #[inline(always)]
    fn digits(&mut self) -> Option<()> {
        let begin = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        (self.at > begin).then_some(())
    }

    #[inline(always)]
    fn text(&mut self) -> Option<Text<'a>> {
        let begin = self.at;
        Some(match self.string()? {
            false => Text::Plain(&self.line[begin + 1..self.at - 1]),
            true => Text::Escaped(&self.line[begin..self.at]),
        })
    }

    /// Goes behind a string and says whether it has escapes.
    #[inline(always)]
    fn string(&mut self) -> Option<bool> {
        self.expect(b'"')?;
        let mut escaped = false;
        loop {
            let block = self.at / BLOCK;
            if block != self.block {
                self.look_at(block)?;
            }
            let special = self.special >> (self.at % BLOCK);
            if special == 0 {
                self.at = (block + 1) * BLOCK;
                continue;
            }
            self.at += special.trailing_zeros() as usize;
            if self.line[self.at] == b'"' {
                self.at += 1;
                return Some(escaped);
            }
            escaped = true;
            self.escape()?;
        }
    }

    /// `None`: the line has no such block.
    #[inline(never)]
    fn look_at(&mut self, block: usize) -> Option<()> {
        if block * BLOCK >= self.line.len() {
            return None;
        }
        self.block = block;
        self.special = escapes_in_block(self.line, block);
        Some(())
    }

    /// Goes behind an escape; `None`: it is none, or a control character.
    #[inline(never)]
    fn escape(&mut self) -> Option<()> {
        let rest = self.line[self.at..].strip_prefix(b"\\")?;
        self.at += match rest.first()? {
            b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't' => 2,
            b'u' if rest.get(1..5)?.iter().all(u8::is_ascii_hexdigit) => 6,
            _ => return None,
        };
        Some(())
    }
}

#[cfg(test)]
mod tests;
