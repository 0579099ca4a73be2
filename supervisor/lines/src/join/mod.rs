//! The lines of a traceback, joined to one event.
//!
//! What begins a traceback is known by its form (`grammar`), so nothing else is ever held: an ordinary line
//! passes after one look at its first bytes. What follows is held for as long as it belongs, and goes out
//! when something comes that does not, when nothing comes for a quarter of a second, or when it is too much.

mod grammar;
#[cfg(test)]
mod tests;

use std::time::{Duration, Instant};

use crate::format::Stamp;
use crate::frame::Piece;
use grammar::{Next, State};

/// Which tracebacks are joined to one event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Multiline {
    /// None.
    Off,
    /// Those of every language that is known.
    Auto,
    /// Those of one.
    Only(Language),
}

/// A language whose tracebacks have several lines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    /// Python.
    Python,
    /// Java, and what runs on its machine.
    Java,
    /// Go.
    Go,
    /// JavaScript as Node.js prints it.
    Node,
    /// Rust.
    Rust,
}

/// A program prints a traceback in one go; it is over when nothing came for this long.
const QUIET: Duration = Duration::from_millis(250);
/// Nor is it held for longer than this by what may belong to it and may not.
const LONGEST: Duration = Duration::from_secs(2);
/// Nor, if lines that belong come one by one (a list that is indented looks like that), for longer than this.
const OLDEST: Duration = Duration::from_secs(5);
/// More is no traceback that somebody reads; what follows are events of their own.
const MOST_BYTES: usize = 256 << 10;
/// Lines without a mark of their own (blank ones, a message of several lines) that may stand between two that
/// have one.
const MOST_DOUBTFUL: usize = 16;

/// Where what was held goes: an event or a line or part of one, and the time it came.
pub type Give<'a> = &'a mut dyn FnMut(Piece<'_>, Stamp);

/// Joins the tracebacks of one stream.
#[derive(Debug)]
pub struct Joiner {
    which: Multiline,
    held: Option<Held>,
    /// The current line has begun with a part that was held or given.
    in_line: bool,
    /// When the last bytes came.
    now: Instant,
    stamp: Stamp,
}

/// The beginning of a traceback, as far as it came.
#[derive(Debug)]
struct Held {
    state: State,
    /// Its lines, each with its newline.
    text: Vec<u8>,
    /// So much of the text belongs to it. What follows does if a line comes that belongs, too.
    sure: usize,
    doubtful: usize,
    /// When the last line came that belongs to it.
    sure_at: Instant,
    /// When its first line came.
    since: Instant,
    stamp: Stamp,
}

impl Joiner {
    /// `None` if nothing is to be joined. It is told the time with all that arrives; this is the time of now.
    pub fn new(which: Multiline, now: Instant, stamp: Stamp) -> Option<Joiner> {
        (which != Multiline::Off).then_some(Joiner {
            which,
            held: None,
            in_line: false,
            now,
            stamp,
        })
    }

    /// When what is held must go out; `None`: nothing is held.
    pub fn deadline(&self) -> Option<Instant> {
        let held = self.held.as_ref()?;
        let quiet = self.now + QUIET;
        Some(quiet.min(held.sure_at + LONGEST).min(held.since + OLDEST))
    }

    /// Bytes came, of which the next lines are made.
    pub fn arrived(&mut self, now: Instant, stamp: Stamp) {
        self.now = now;
        self.stamp = stamp;
    }

    /// Takes the next line, or part of one.
    pub fn feed(&mut self, piece: Piece<'_>, give: Give<'_>) -> Joined {
        let begins = !std::mem::replace(&mut self.in_line, !piece.last);
        if self.held.is_none() && (!begins || !grammar::may_start(piece.bytes)) {
            return Joined::Passes;
        }
        if begins {
            self.begin(piece.bytes, give);
        }
        let Some(held) = &mut self.held else {
            return Joined::Passes;
        };
        held.text.extend_from_slice(piece.bytes);
        if piece.last {
            held.text.push(b'\n');
        }
        if held.doubtful == 0 {
            held.sure = held.text.len();
        }
        let over = held.state == State::Over && piece.last;
        if over || held.text.len() > MOST_BYTES || held.doubtful > MOST_DOUBTFUL {
            self.release(give);
        }
        Joined::Held
    }

    /// Gives out what is held.
    pub fn release(&mut self, give: Give<'_>) {
        let Some(held) = self.held.take() else {
            return;
        };
        let (event, rest) = held.text.split_at(held.sure);
        for (lines, one) in [(event, true), (rest, false)] {
            let mut lines = lines;
            while !lines.is_empty() {
                let end = match lines.last() {
                    Some(b'\n') if one => lines.len() - 1,
                    _ if one => lines.len(),
                    _ => memchr::memchr(b'\n', lines).unwrap_or(lines.len()),
                };
                let last = end < lines.len();
                let bytes = &lines[..end];
                give(Piece { bytes, last }, held.stamp);
                lines = lines.get(end + 1..).unwrap_or_default();
            }
        }
    }

    /// Decides where a line belongs by its beginning.
    fn begin(&mut self, line: &[u8], give: Give<'_>) {
        let start = || grammar::start(line, self.which);
        if let Some(held) = &mut self.held {
            match held.state.next(line) {
                Next::Yes(state) => {
                    held.state = state;
                    held.doubtful = 0;
                    held.sure_at = self.now;
                    return;
                }
                Next::Perhaps if start().is_none() => {
                    held.doubtful += 1;
                    return;
                }
                Next::Perhaps | Next::No => {}
            }
        }
        let started = start();
        self.release(give);
        self.held = started.map(|state| Held {
            state,
            text: Vec::new(),
            sure: 0,
            doubtful: 0,
            sure_at: self.now,
            since: self.now,
            stamp: self.stamp,
        });
    }
}

/// What became of a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Joined {
    /// It is held, or was given out with what was.
    Held,
    /// It belongs to nothing: it goes on as it is.
    Passes,
}
