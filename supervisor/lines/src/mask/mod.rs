//! Values of secrets, kept out of the log.
//!
//! What is looked for never holds a newline (a value of several lines is looked for line by line), so a
//! match ends within its line. Only the end of a line that is not complete can be the beginning of a
//! secret; that much of it, and no more, waits for the next read.

mod finder;
mod forms;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

use serde_json::Value;

use finder::Finder;

/// What stands for a secret.
const MASK: &str = "***";

/// The secrets of this container, in all the forms in which they are found. The forms are overwritten when
/// this is dropped; what a child printed (read buffers, queued lines) is not.
#[derive(Debug)]
pub struct Masks(Finder);

impl Masks {
    /// `None` if no value has a line of eight bytes.
    pub fn new<'a>(values: impl Iterator<Item = &'a [u8]>) -> Option<Masks> {
        Finder::new(values.flat_map(forms::of_value).collect()).map(Masks)
    }

    /// A text that is complete.
    pub fn text(&self, text: &mut String) {
        for range in self.0.find(text.as_bytes()).into_iter().rev() {
            // A value may begin or end within a character of the text.
            let range = text.floor_char_boundary(range.start)..text.ceil_char_boundary(range.end);
            text.replace_range(range, MASK);
        }
    }

    /// All strings in a value.
    pub fn value(&self, value: &mut Value) {
        match value {
            Value::String(text) => self.text(text),
            Value::Array(values) => values.iter_mut().for_each(|value| self.value(value)),
            Value::Object(entries) => entries.values_mut().for_each(|value| self.value(value)),
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

/// Masks what one stream brings, chunk by chunk.
#[derive(Debug)]
pub struct Masker {
    masks: Arc<Masks>,
    /// What lies at the beginning of the next chunk and is masked already.
    decided: usize,
    /// How much of what follows it belongs to a secret whose mask is written.
    covered: usize,
}

impl Masker {
    /// For a stream of which nothing has come yet.
    pub fn new(masks: Arc<Masks>) -> Masker {
        Masker {
            masks,
            decided: 0,
            covered: 0,
        }
    }

    /// Masks `bytes`, which begin with what [`Masker::took`] left of the text that the last call gave. Says how
    /// much of the text is ready to go out: what follows may be the beginning of a secret. `end`: nothing
    /// will follow.
    pub fn mask<'a>(&mut self, bytes: &'a [u8], end: bool) -> (Cow<'a, [u8]>, usize) {
        let (done, raw) = bytes.split_at(self.decided);
        let limit = if end { raw.len() } else { self.undecided(raw) };
        let found = self.masks.0.find(raw);
        if found.is_empty() && self.covered == 0 {
            self.decided += limit;
            return (Cow::Borrowed(bytes), self.decided);
        }
        let mut text = done.to_vec();
        let mut at = std::mem::take(&mut self.covered);
        for Range { start, end } in found.into_iter().filter(|range| range.start < limit) {
            // If it overlaps what is covered, that mask stands for it too.
            if start >= at {
                text.extend_from_slice(&raw[at..start]);
                text.extend_from_slice(MASK.as_bytes());
            }
            at = at.max(end);
        }
        if at < limit {
            text.extend_from_slice(&raw[at..limit]);
        }
        self.covered = at.saturating_sub(limit);
        self.decided = text.len();
        text.extend_from_slice(&raw[limit..]);
        (Cow::Owned(text), self.decided)
    }

    /// So much of the text went out.
    pub fn took(&mut self, used: usize) {
        self.decided -= used;
    }

    /// Where in what was read the places begin at which a secret may begin that is not complete.
    fn undecided(&self, raw: &[u8]) -> usize {
        let line = memchr::memrchr(b'\n', raw).map_or(0, |newline| newline + 1);
        line.max((raw.len() + 1).saturating_sub(self.masks.0.longest()))
    }
}
