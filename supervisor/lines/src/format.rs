//! One line of a child, wrapped into its envelope.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use super::envelope::Members;
use super::fields::{Field, Place, Style};
use super::frame::Piece;
use super::json::{escape_into, escape_lossy_into, fitting};
use super::level::{self, Level};
use super::names::{ECS_VERSION, Names};
use super::object::{Found, Key, look_through, looks_like_object};
use super::time::{rfc3339, rfc3339_micros};

/// How lines of output are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// One JSON object a line.
    Json,
    /// `name | line`.
    Text,
    /// The line as it came.
    Raw,
    /// No pipe: the process writes to runmate's own stdout.
    Inherit,
}

impl fmt::Display for LogFormat {
    /// Its word in the config.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LogFormat::Json => "json",
            LogFormat::Text => "text",
            LogFormat::Raw => "raw",
            LogFormat::Inherit => "inherit",
        })
    }
}

/// Where a line came from.
#[derive(Clone, Debug)]
pub struct Origin {
    /// The process's name in the config.
    pub process: String,
    /// `stdout` or `stderr`.
    pub stream: &'static str,
    /// The pid of the process that runmate started.
    pub pid: i32,
}

/// Writes the lines of one stream. Everything that does not change from line to line is made once.
#[derive(Debug)]
pub struct Formatter {
    format: LogFormat,
    names: Arc<Names>,
    /// For text: `name | `.
    prefix: Vec<u8>,
    /// `{"timestamp":"`.
    head: Vec<u8>,
    /// From the time to the message, for each level: `","level":"INFO","message":"`.
    to_message: [Vec<u8>; 6],
    /// How much of that is `,"message":"`.
    before_message: usize,
    /// Where the process, the stream and the pid stand, each as a member: `"process":"app"`.
    fields: Vec<(Key, Place, Vec<u8>)>,
    /// The keys of an object that stand in the way of one of them; see [`Found::has_one_of`].
    in_the_way: u16,
    /// After the message, for the common line that has all of them.
    suffix: Vec<u8>,
    /// What the parts of a line have in common: `7.stderr.`, before the number of the line.
    line_id: String,
    /// What a line may be long, in bytes, without its envelope.
    room: usize,
    /// Parts of the current line that are out already.
    parts: u32,
    /// The level of the current line, if it has parts.
    level: Level,
    /// Lines in parts so far.
    long_lines: u32,
}

/// The time of a batch, ready to be written. One reading of the clock serves all the lines that
/// came with one read.
#[derive(Clone, Copy, Debug)]
pub struct Stamp([u8; 27]);

impl Stamp {
    /// This time in UTC, to the microsecond.
    pub fn at(time: SystemTime) -> Stamp {
        Stamp(rfc3339_micros(time))
    }
}

impl Formatter {
    /// A formatter for the lines of one stream; none that it writes is longer than `max_line`.
    pub fn new(format: LogFormat, names: Arc<Names>, origin: &Origin, max_line: usize) -> Formatter {
        let mut formatter = Formatter {
            format,
            prefix: format!("{} | ", origin.process).into_bytes(),
            head: Vec::new(),
            to_message: Default::default(),
            before_message: 0,
            fields: Vec::new(),
            in_the_way: Key::Attributes as u16 | Key::Resource as u16,
            suffix: Vec::new(),
            line_id: format!("{}.{}.", origin.pid, origin.stream),
            room: 0,
            parts: 0,
            level: Level::Info,
            long_lines: 0,
            names,
        };
        if format == LogFormat::Json {
            formatter.make_envelope(origin);
        }
        formatter.room = max_line.saturating_sub(formatter.overhead()).max(LEAST_ROOM);
        formatter
    }

    fn make_envelope(&mut self, origin: &Origin) {
        let names = &self.names;
        let mut process = b"\"".to_vec();
        escape_into(&mut process, origin.process.as_bytes());
        process.push(b'"');
        let values = [
            (Key::Process, Field::Process, process),
            (
                Key::Stream,
                Field::Stream,
                format!("\"{}\"", origin.stream).into_bytes(),
            ),
            (Key::Pid, Field::Pid, origin.pid.to_string().into_bytes()),
        ];
        for (which, field, value) in values {
            let name = names.of(field);
            let member = [key(&name.text), value].concat();
            self.fields.push((which, name.place, member));
        }
        if names.style() == Style::Ecs {
            let member = format!("\"ecs.version\":\"{ECS_VERSION}\"").into_bytes();
            self.fields.push((Key::EcsVersion, Place::Root, member));
        }
        for (key, ..) in &self.fields {
            self.in_the_way |= *key as u16;
        }
        self.head = [b"{", &*key(&names.of(Field::Timestamp).text), b"\""].concat();
        let before_message = [b",", &*key(&names.of(Field::Message).text), b"\""].concat();
        for level in Level::ALL {
            let opening = &mut self.to_message[level as usize];
            opening.extend_from_slice(AFTER_TIME);
            opening.extend(key(&names.of(Field::Level).text));
            opening.extend_from_slice(format!("\"{}\"", level.name()).as_bytes());
            if names.style() == Style::Otel {
                opening.extend_from_slice(format!(",{}", severity_number(level)).as_bytes());
            }
            opening.extend_from_slice(&before_message);
        }
        self.before_message = before_message.len();
        self.suffix = b"\"".to_vec();
        self.members().append_to(&mut self.suffix);
        self.suffix.extend_from_slice(b"}\n");
    }

    /// The fields that every line has.
    fn members(&self) -> Members {
        let mut members = Members::default();
        for (_, place, member) in &self.fields {
            members.add(*place, member);
        }
        members
    }

    /// The longest piece of a line that it takes, in bytes.
    pub fn room(&self) -> usize {
        self.room
    }

    /// How many bytes the envelope adds at most to a line that needs no escape.
    fn overhead(&self) -> usize {
        match self.format {
            LogFormat::Json => {
                let longest = self.to_message.iter().map(Vec::len).max().unwrap_or(0);
                let mut marked = Vec::new();
                self.write_marked_end(&mut marked, true, Some(u32::MAX), false, u32::MAX);
                self.head.len() + 27 + longest + marked.len()
            }
            LogFormat::Text => self.prefix.len() + 1 + " [part 4294967295, last]".len(),
            LogFormat::Raw | LogFormat::Inherit => 1,
        }
    }

    /// Appends one line, or a part of one. `level` is that of the line if somebody knows it; otherwise
    /// its beginning tells. `valid` says that its bytes are known to be UTF-8.
    pub fn write(
        &mut self,
        out: &mut Vec<u8>,
        piece: Piece<'_>,
        level: Option<Level>,
        stamp: Stamp,
        valid: bool,
    ) {
        match self.format {
            LogFormat::Json => self.write_json(out, piece, level, stamp, valid),
            LogFormat::Text => {
                out.extend_from_slice(&self.prefix);
                out.extend_from_slice(piece.bytes);
                if !piece.last || self.parts > 0 {
                    let last = if piece.last { ", last" } else { "" };
                    out.extend_from_slice(format!(" [part {}{last}]", self.parts + 1).as_bytes());
                }
                out.push(b'\n');
                self.skip(piece);
            }
            // The end of a part too, or the line of another process would go on where it stops.
            LogFormat::Raw | LogFormat::Inherit => {
                out.extend_from_slice(piece.bytes);
                out.push(b'\n');
            }
        }
    }

    /// Leaves out a line, or a part of one: in the numbers of the parts it shows.
    pub fn skip(&mut self, piece: Piece<'_>) {
        if piece.last {
            self.parts = 0;
            return;
        }
        if self.parts == 0 {
            self.long_lines = self.long_lines.wrapping_add(1);
        }
        self.parts += 1;
    }

    fn write_json(
        &mut self,
        out: &mut Vec<u8>,
        piece: Piece<'_>,
        level: Option<Level>,
        stamp: Stamp,
        valid: bool,
    ) {
        // A chunk in which something is not UTF-8 has mostly lines that are.
        let valid = valid || simdutf8::basic::from_utf8(piece.bytes).is_ok();
        let whole = piece.last && self.parts == 0;
        if whole
            && valid
            && looks_like_object(piece.bytes)
            && let Some(found) = look_through(piece.bytes, self.names.keys())
        {
            return self.write_object(out, piece.bytes, found, stamp);
        }
        // What the first part says holds for the others.
        if self.parts == 0 {
            self.level = level
                .or_else(|| level::detect(piece.bytes))
                .unwrap_or(Level::Info);
        }
        // Escapes may make it too long for one line.
        let mut rest = piece.bytes;
        loop {
            let (bytes, after) = rest.split_at(fitting(rest, valid, self.room));
            let last = piece.last && after.is_empty();
            self.write_message(out, Piece { bytes, last }, stamp, valid);
            self.skip(Piece { bytes, last });
            rest = after;
            if rest.is_empty() {
                return;
            }
        }
    }

    fn write_message(&self, out: &mut Vec<u8>, piece: Piece<'_>, stamp: Stamp, valid: bool) {
        out.extend_from_slice(&self.head);
        out.extend_from_slice(&stamp.0);
        out.extend_from_slice(&self.to_message[self.level as usize]);
        let replaced = if valid {
            escape_into(out, piece.bytes);
            false
        } else {
            escape_lossy_into(out, piece.bytes)
        };
        let whole = piece.last && self.parts == 0;
        if !replaced && whole {
            return out.extend_from_slice(&self.suffix);
        }
        let part = (!whole).then_some(self.parts + 1);
        // The number of a line is known when its first part is out.
        let line = self.long_lines.wrapping_add(u32::from(self.parts == 0));
        self.write_marked_end(out, replaced, part, piece.last, line);
    }

    /// What follows the message of a line that is not as it was.
    fn write_marked_end(&self, out: &mut Vec<u8>, replaced: bool, part: Option<u32>, last: bool, line: u32) {
        out.push(b'"');
        let mut members = self.members();
        let mut mark = |word: &str, value: &str| {
            let name = self.names.of_other(word);
            members.add(name.place, &[&key(&name.text), value.as_bytes()].concat());
        };
        if replaced {
            mark("invalid_utf8", "true");
        }
        if let Some(part) = part {
            mark("part", &part.to_string());
            mark("last_part", if last { "true" } else { "false" });
            mark("line_id", &format!("\"{}{line}\"", self.line_id));
        }
        members.append_to(out);
        out.extend_from_slice(b"}\n");
    }

    /// A line that is an object stays the root; what it lacks is added at its end.
    fn write_object(&self, out: &mut Vec<u8>, line: &[u8], found: Found<'_>, stamp: Stamp) {
        let line = line.trim_ascii();
        if found.has(Key::Emf) {
            // CloudWatch reads its Embedded Metric Format only from lines that it finds unchanged.
            out.extend_from_slice(line);
            return out.push(b'\n');
        }
        let body = line[..line.len() - 1].trim_ascii_end();
        out.extend_from_slice(body);
        let mut first = body.len() == 1;
        let mut add = |field: &[&[u8]]| {
            if !std::mem::take(&mut first) {
                out.push(b',');
            }
            field.iter().for_each(|bytes| out.extend_from_slice(bytes));
        };
        if !found.has(Key::Timestamp) {
            // Its own time under another name, if it says it as we would.
            let time = found.time.and_then(rfc3339);
            add(&[&self.head[1..], time.unwrap_or(&stamp.0), b"\""]);
        }
        let level = || found.level.and_then(Level::of_json).unwrap_or(Level::Info);
        if !found.has(Key::Level) {
            add(&[self.level_member(level())]);
        } else if self.names.style() == Style::Otel && !found.has(Key::SeverityNumber) {
            add(&[severity_number(level()).as_bytes()]);
        }
        if !found.has_one_of(self.in_the_way) {
            return out.extend_from_slice(&self.suffix[1..]);
        }
        let mut members = Members::default();
        for (_, place, member) in self.fields.iter().filter(|(key, ..)| !found.has(*key)) {
            // An object of that name that the line has is not ours to change.
            let place = match place {
                Place::Attributes if found.has(Key::Attributes) => Place::Root,
                Place::Resource if found.has(Key::Resource) => Place::Root,
                place => *place,
            };
            members.add(place, member);
        }
        members.append_to(out);
        out.extend_from_slice(b"}\n");
    }

    /// `"level":"INFO"`, and what else the style says of it.
    fn level_member(&self, level: Level) -> &[u8] {
        let opening = &self.to_message[level as usize];
        &opening[AFTER_TIME.len()..opening.len() - self.before_message]
    }
}

/// What ends the time and goes on to the level.
const AFTER_TIME: &[u8] = b"\",";
/// However little an envelope leaves of a line, it has room for the longest escape and character.
const LEAST_ROOM: usize = 16;

/// `"severity_number":9`.
fn severity_number(level: Level) -> String {
    format!("\"severity_number\":{}", level.severity_number())
}

/// `"name":` as JSON.
fn key(name: &str) -> Vec<u8> {
    let mut out = b"\"".to_vec();
    escape_into(&mut out, name.as_bytes());
    out.extend_from_slice(b"\":");
    out
}

#[cfg(test)]
mod tests;
