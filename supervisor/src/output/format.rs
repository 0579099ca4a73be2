//! One line of a child, wrapped into its envelope.

use std::time::SystemTime;

use super::frame::Piece;
use super::json::{escape_into, escape_lossy_into, fitting};
use super::object::{Keys, Known, is_too_deep, looks_like_object, top_level_keys};
use super::time::rfc3339_micros;
use crate::config::LogFormat;

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
    /// For text: `name | `.
    prefix: Vec<u8>,
    /// `"process":…,"stream":…,"pid":…`, each with its key, in the order they are written.
    fields: [(Known, Vec<u8>); 3],
    /// After the message, for the common line that has all of them.
    suffix: Vec<u8>,
    /// What a line may be long, in bytes, without its envelope.
    room: usize,
    /// Parts of the current line that are out already.
    parts: u32,
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
    pub fn new(format: LogFormat, origin: &Origin, max_line: usize) -> Formatter {
        let mut process = b"\"process\":\"".to_vec();
        escape_into(&mut process, origin.process.as_bytes());
        process.push(b'"');
        let fields = [
            (Known::Process, process),
            (
                Known::Stream,
                format!("\"stream\":\"{}\"", origin.stream).into_bytes(),
            ),
            (Known::Pid, format!("\"pid\":{}", origin.pid).into_bytes()),
        ];
        let mut suffix = b"\"".to_vec();
        for (_, field) in &fields {
            suffix.push(b',');
            suffix.extend_from_slice(field);
        }
        suffix.extend_from_slice(b"}\n");
        let mut formatter = Formatter {
            format,
            prefix: format!("{} | ", origin.process).into_bytes(),
            fields,
            suffix,
            room: 0,
            parts: 0,
        };
        formatter.room = max_line.saturating_sub(formatter.overhead()).max(LEAST_ROOM);
        formatter
    }

    /// The longest piece of a line that it takes, in bytes.
    pub fn room(&self) -> usize {
        self.room
    }

    /// How many bytes the envelope adds at most to a line that needs no escape.
    fn overhead(&self) -> usize {
        match self.format {
            LogFormat::Json => HEAD.len() + STAMP_TO_MESSAGE.len() + 27 + self.suffix.len() + MARKS,
            LogFormat::Text => self.prefix.len() + 1,
            LogFormat::Raw | LogFormat::Inherit => 1,
        }
    }

    /// Appends one line, or a part of one. `valid` says that its bytes are known to be UTF-8.
    pub(super) fn write(&mut self, out: &mut Vec<u8>, piece: Piece<'_>, stamp: Stamp, valid: bool) {
        match self.format {
            LogFormat::Json => self.write_json(out, piece, stamp, valid),
            LogFormat::Text => {
                out.extend_from_slice(&self.prefix);
                out.extend_from_slice(piece.bytes);
                out.push(b'\n');
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
        self.parts = if piece.last { 0 } else { self.parts + 1 };
    }

    fn write_json(&mut self, out: &mut Vec<u8>, piece: Piece<'_>, stamp: Stamp, valid: bool) {
        // A chunk in which something is not UTF-8 has mostly lines that are.
        let valid = valid || simdutf8::basic::from_utf8(piece.bytes).is_ok();
        let whole = piece.last && self.parts == 0;
        if whole
            && valid
            && looks_like_object(piece.bytes)
            && !is_too_deep(piece.bytes)
            && let Some(found) = top_level_keys(piece.bytes)
        {
            return self.write_object(out, piece.bytes, found, stamp);
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
        out.extend_from_slice(HEAD);
        out.extend_from_slice(&stamp.0);
        out.extend_from_slice(STAMP_TO_MESSAGE);
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
        out.extend_from_slice(&self.suffix[..self.suffix.len() - 2]);
        if replaced {
            out.extend_from_slice(b",\"invalid_utf8\":true");
        }
        if !whole {
            let part = self.parts + 1;
            out.extend_from_slice(format!(",\"part\":{part},\"last_part\":{}", piece.last).as_bytes());
        }
        out.extend_from_slice(b"}\n");
    }

    /// A line that is an object stays the root; what it lacks is added at its end.
    fn write_object(&self, out: &mut Vec<u8>, line: &[u8], found: Keys, stamp: Stamp) {
        let line = line.trim_ascii();
        if found.has(Known::Emf) {
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
        if !found.has(Known::Timestamp) {
            add(&[b"\"timestamp\":\"", &stamp.0, b"\""]);
        }
        if !found.has(Known::Level) {
            add(&[b"\"level\":\"INFO\""]);
        }
        for (key, field) in &self.fields {
            if !found.has(*key) {
                add(&[field]);
            }
        }
        out.extend_from_slice(b"}\n");
    }
}

const HEAD: &[u8] = b"{\"timestamp\":\"";
const STAMP_TO_MESSAGE: &[u8] = b"\",\"level\":\"INFO\",\"message\":\"";
/// Room for `invalid_utf8`, `part` and `last_part`.
const MARKS: usize = 60;
/// However little an envelope leaves of a line, it has room for the longest escape and character.
const LEAST_ROOM: usize = 16;

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
        Formatter::new(format, &origin, 15 << 10)
    }

    fn written(format: LogFormat, bytes: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let stamp = Stamp(*b"2026-01-02T03:04:05.678901Z");
        let valid = std::str::from_utf8(bytes).is_ok();
        formatter(format).write(&mut out, Piece { bytes, last: true }, stamp, valid);
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

    #[test]
    fn text_and_raw_keep_the_bytes() {
        assert_eq!(written(LogFormat::Text, b"a\xffb"), b"app | a\xffb\n");
        assert_eq!(written(LogFormat::Raw, b"a\xffb"), b"a\xffb\n");
    }

    #[test]
    fn no_line_is_longer_than_it_may_be() {
        for byte in [b'x', b'"', 1, 0xff] {
            let mut formatter = formatter(LogFormat::Json);
            formatter.parts = 3_999_999_999;
            let mut out = Vec::new();
            let bytes = vec![byte; formatter.room()];
            let piece = Piece {
                bytes: &bytes,
                last: false,
            };
            formatter.write(&mut out, piece, Stamp::now(), byte < 0x80);
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
