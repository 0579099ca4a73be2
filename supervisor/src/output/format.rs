//! One line of a child, wrapped into its envelope.

use std::sync::Arc;
use std::time::SystemTime;

use super::envelope::Members;
use super::frame::Piece;
use super::json::{escape_into, escape_lossy_into, fitting};
use super::level::{self, Level};
use super::names::{ECS_VERSION, Names};
use super::object::{Found, Key, look_through, looks_like_object};
use super::time::rfc3339_micros;
use crate::config::{Field, LogFormat, Place, Style};

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
pub(super) struct Stamp([u8; 27]);

impl Stamp {
    pub fn now() -> Stamp {
        Stamp(rfc3339_micros(SystemTime::now()))
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
    pub(super) fn write(
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
    pub(super) fn skip(&mut self, piece: Piece<'_>) {
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
        let taken = [Key::Attributes, Key::Resource]
            .into_iter()
            .chain(self.fields.iter().map(|(key, ..)| *key));
        if !taken.into_iter().any(|key| found.has(key)) {
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

/// The inside of a JSON string that is a time of RFC 3339 with a date.
fn rfc3339(value: &[u8]) -> Option<&[u8]> {
    const LONGEST: usize = "2026-01-02T03:04:05.678901234+00:00".len();
    let inside = value.strip_prefix(b"\"")?.strip_suffix(b"\"")?;
    let digits = |from: usize, to: usize| inside[from..to].iter().all(u8::is_ascii_digit);
    let fits = (20..=LONGEST).contains(&inside.len())
        && digits(0, 4)
        && digits(5, 7)
        && digits(8, 10)
        && digits(11, 13)
        && [4, 7, 10, 13, 16].map(|at| inside[at]) == *b"--T::"
        && inside[17..]
            .iter()
            .all(|byte| byte.is_ascii_digit() || b".:+-Z".contains(byte));
    fits.then_some(inside)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::{Value, json};

    fn formatter(format: LogFormat) -> Formatter {
        let origin = Origin {
            process: "app".into(),
            stream: "stderr",
            pid: 7,
        };
        Formatter::new(format, Arc::default(), &origin, 15 << 10)
    }

    fn written(format: LogFormat, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let stamp = Stamp(*b"2026-01-02T03:04:05.678901Z");
        let valid = std::str::from_utf8(bytes).is_ok();
        formatter(format).write(&mut out, Piece { bytes, last: true }, None, stamp, valid);
        out
    }

    fn parsed(bytes: &[u8]) -> Value {
        serde_json::from_slice(&written(LogFormat::Json, bytes)).unwrap()
    }

    #[test]
    fn a_plain_line_gets_the_envelope() {
        assert_eq!(
            parsed(b"say \"hi\""),
            json!({"timestamp": "2026-01-02T03:04:05.678901Z", "level": "INFO", "message": "say \"hi\"",
                   "process": "app", "stream": "stderr", "pid": 7})
        );
    }

    #[test]
    fn an_object_stays_the_root_and_gets_what_it_lacks() {
        assert_eq!(
            parsed(br#" {"level":"debug","n":1.50,"a":{"pid":3}} "#),
            json!({"level": "debug", "n": 1.50, "a": {"pid": 3}, "timestamp": "2026-01-02T03:04:05.678901Z",
                   "process": "app", "stream": "stderr", "pid": 7})
        );
        assert_eq!(parsed(b"{}")["process"], "app");
        assert_eq!(parsed(b"{ }")["process"], "app");
    }

    #[test]
    fn an_objects_own_text_is_not_touched() {
        let line = written(LogFormat::Json, br#"{"n":1.500,"b":12345678901234567890123}"#);
        assert!(line.starts_with(br#"{"n":1.500,"b":12345678901234567890123,"#));
    }

    #[test]
    fn no_key_is_doubled_even_when_it_is_written_with_escapes() {
        let line = String::from_utf8(written(LogFormat::Json, br#"{"\u0070id":1,"process":"x"}"#)).unwrap();
        assert!(
            !line.contains("\"pid\"") && line.matches("process").count() == 1,
            "{line}"
        );
    }

    #[test]
    fn an_emf_line_passes_untouched() {
        let emf = br#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"x":1}"#;
        assert_eq!(written(LogFormat::Json, emf), [&emf[..], b"\n"].concat());
    }

    #[test]
    fn what_only_looks_like_an_object_is_text() {
        for line in [
            "{not json}",
            "{\"a\":1} {\"b\":2}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{'a':1}",
        ] {
            assert_eq!(parsed(line.as_bytes())["message"], line);
        }
        assert_eq!(parsed(b"{\"a\":\"\xff\"}")["invalid_utf8"], true);
        let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
        assert_eq!(parsed(deep.as_bytes())["message"], deep);
        let flat = format!("{{\"a\":[{}0]}}", "[],".repeat(500));
        assert!(parsed(flat.as_bytes())["a"].is_array(), "many are not deep");
        let quoted = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(500));
        assert!(
            parsed(quoted.as_bytes())["a"].is_string(),
            "brackets in a string are not levels"
        );
    }

    fn styled(style: Style, renames: &[(&str, &str)], bytes: &[u8]) -> String {
        let own = |(word, name): &(&str, &str)| ((*word).to_owned(), (*name).to_owned());
        let names = Arc::new(Names::new(style, &renames.iter().map(own).collect()));
        let origin = Origin {
            process: "app".into(),
            stream: "stderr",
            pid: 7,
        };
        let mut formatter = Formatter::new(LogFormat::Json, names, &origin, 15 << 10);
        let mut out = Vec::new();
        let stamp = Stamp(*b"2026-01-02T03:04:05.678901Z");
        formatter.write(&mut out, Piece { bytes, last: true }, None, stamp, true);
        String::from_utf8(out).unwrap().trim_end().to_owned()
    }

    #[test]
    fn each_style_has_its_own_names() {
        let time = "2026-01-02T03:04:05.678901Z";
        assert_eq!(
            styled(Style::Lambda, &[], b"ERROR x"),
            format!(
                r#"{{"timestamp":"{time}","level":"ERROR","message":"ERROR x","process":"app","stream":"stderr","pid":7}}"#
            )
        );
        assert_eq!(
            styled(Style::Ecs, &[], b"ERROR x"),
            format!(
                r#"{{"@timestamp":"{time}","log.level":"ERROR","message":"ERROR x","process.name":"app","stream":"stderr","process.pid":7,"ecs.version":"8.10.0"}}"#
            )
        );
        assert_eq!(
            styled(Style::Otel, &[], b"ERROR x"),
            format!(
                r#"{{"timestamp":"{time}","severity_text":"ERROR","severity_number":17,"body":"ERROR x","attributes":{{"log.iostream":"stderr"}},"resource":{{"process.name":"app","process.pid":7}}}}"#
            )
        );
        assert_eq!(
            styled(
                Style::Otel,
                &[("process", "service"), ("message", "say \"x\"")],
                b"x"
            ),
            format!(
                r#"{{"timestamp":"{time}","severity_text":"INFO","severity_number":9,"say \"x\"":"x","service":"app","attributes":{{"log.iostream":"stderr"}},"resource":{{"process.pid":7}}}}"#
            )
        );
    }

    #[test]
    fn an_object_gets_what_it_lacks_by_the_names_of_the_style() {
        let parse = |style, renames, line: &[u8]| {
            serde_json::from_str::<Value>(&styled(style, renames, line)).unwrap()
        };
        let severity = &[("level", "severity")];
        assert_eq!(
            parse(Style::Lambda, severity, br#"{"level":"warning"}"#)["severity"],
            "WARN"
        );
        assert_eq!(
            parse(Style::Lambda, severity, br#"{"severity":"x"}"#).get("level"),
            None
        );
        assert_eq!(
            parse(Style::Lambda, &[], br#"{"severity":"error"}"#)["level"],
            "ERROR"
        );
        assert_eq!(parse(Style::Ecs, &[], br#"{"level":50}"#)["log.level"], "ERROR");
        let nested = parse(
            Style::Ecs,
            &[],
            br#"{"log":{"level":"x"},"process":{"name":"y"},"ecs":{"version":"1"}}"#,
        );
        for absent in ["log.level", "process.name", "ecs.version"] {
            assert_eq!(nested.get(absent), None, "{nested}");
        }
        assert_eq!(nested["process.pid"], 7);
        let otel = parse(
            Style::Otel,
            &[],
            br#"{"severity_text":"WARN","attributes":{"a":1},"resource":1}"#,
        );
        assert_eq!(
            otel,
            json!({"severity_text": "WARN", "attributes": {"a": 1}, "resource": 1, "severity_number": 13,
                   "timestamp": "2026-01-02T03:04:05.678901Z", "process.name": "app", "log.iostream": "stderr",
                   "process.pid": 7})
        );
        let emf = r#"{"_aws":{},"x": 1 }"#;
        for style in [Style::Lambda, Style::Ecs, Style::Otel] {
            assert_eq!(styled(style, severity, emf.as_bytes()), emf);
        }
    }

    #[test]
    fn a_time_of_its_own_is_taken_over_where_it_says_the_same() {
        let time = |line: &str| parsed(line.as_bytes())["timestamp"].as_str().unwrap().to_owned();
        assert_eq!(
            time(r#"{"time":"2025-12-31T23:59:59+01:00"}"#),
            "2025-12-31T23:59:59+01:00"
        );
        assert_eq!(
            time(r#"{"@timestamp":"2025-12-31T23:59:59.1Z"}"#),
            "2025-12-31T23:59:59.1Z"
        );
        for other in [
            "1767323045.678",
            "\"03:04:05\"",
            "\"2025-12-31T23:59:59\\\"Z\"",
            "\"2025-12-31T23:59:5xZ\"",
        ] {
            assert_eq!(
                time(&format!(r#"{{"ts":{other}}}"#)),
                "2026-01-02T03:04:05.678901Z"
            );
        }
    }

    #[test]
    fn the_level_is_what_is_known_or_what_the_line_says() {
        let mut formatter = formatter(LogFormat::Json);
        let mut level = |bytes: &[u8], last, known| {
            let mut out = Vec::new();
            formatter.write(&mut out, Piece { bytes, last }, known, Stamp::now(), true);
            let line: Value = serde_json::from_slice(&out).unwrap();
            line["level"].as_str().unwrap().to_owned()
        };
        assert_eq!(level(b"WARN x", true, None), "WARN");
        assert_eq!(level(b"WARN x", true, Some(Level::Error)), "ERROR");
        assert_eq!(level(b"FATAL a", false, None), "FATAL");
        assert_eq!(level(b"DEBUG is not where the line begins", true, None), "FATAL");
        assert_eq!(level(b"x", true, None), "INFO");
    }

    #[test]
    fn the_parts_of_a_line_say_which_line_they_are_of() {
        let mut formatter = formatter(LogFormat::Json);
        let mut out = Vec::new();
        for (bytes, last) in [
            ("a", false),
            ("b", true),
            ("whole", true),
            ("c", false),
            ("d", true),
        ] {
            let piece = Piece {
                bytes: bytes.as_bytes(),
                last,
            };
            formatter.write(&mut out, piece, None, Stamp::now(), true);
        }
        let lines: Vec<Value> = serde_json::Deserializer::from_slice(&out)
            .into_iter()
            .map(Result::unwrap)
            .collect();
        let marks = |line: &Value| json!([line["line_id"], line["part"], line["last_part"]]);
        assert_eq!(
            lines.iter().map(marks).collect::<Vec<_>>(),
            [
                json!(["7.stderr.1", 1, false]),
                json!(["7.stderr.1", 2, true]),
                json!([null, null, null]),
                json!(["7.stderr.2", 1, false]),
                json!(["7.stderr.2", 2, true]),
            ]
        );
        let mut text = self::formatter(LogFormat::Text);
        out.clear();
        for (bytes, last) in [("a", false), ("b", true), ("whole", true)] {
            let piece = Piece {
                bytes: bytes.as_bytes(),
                last,
            };
            text.write(&mut out, piece, None, Stamp::now(), true);
        }
        assert_eq!(out, b"app | a [part 1]\napp | b [part 2, last]\napp | whole\n");
    }

    #[test]
    fn text_and_raw_keep_the_bytes() {
        assert_eq!(written(LogFormat::Text, b"a\xffb"), b"app | a\xffb\n");
        assert_eq!(written(LogFormat::Raw, b"a\xffb"), b"a\xffb\n");
    }

    #[test]
    fn no_line_is_longer_than_it_may_be() {
        let styles = [Style::Lambda, Style::Ecs, Style::Otel];
        for (byte, style) in [b'x', b'"', 1, 0xff]
            .into_iter()
            .flat_map(|byte| styles.map(|style| (byte, style)))
        {
            let origin = Origin {
                process: "app".into(),
                stream: "stderr",
                pid: 4_194_304,
            };
            let names = Arc::new(Names::new(style, &Default::default()));
            let mut formatter = Formatter::new(LogFormat::Json, names, &origin, 15 << 10);
            formatter.parts = 3_999_999_999;
            formatter.long_lines = 3_999_999_999;
            let mut out = Vec::new();
            let bytes = vec![byte; formatter.room()];
            let piece = Piece {
                bytes: &bytes,
                last: false,
            };
            formatter.write(&mut out, piece, None, Stamp::now(), byte < 0x80);
            let longest = out.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max();
            assert!(longest.unwrap() <= 15 << 10, "{longest:?}");
        }
    }

    proptest! {
        #[test]
        fn every_line_is_json_whatever_came(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
            prop_assert!(parsed(&bytes).is_object());
        }
    }
}
