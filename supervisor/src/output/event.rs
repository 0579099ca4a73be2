//! Runmate's own lines.

use std::borrow::Cow;
use std::time::SystemTime;

use serde_json::{Map, Value};

use super::mask::Masks;
use super::time::rfc3339_micros;
use crate::config::LogFormat;
use crate::trace::Context;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// As planned.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
}

impl Level {
    fn name(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
        }
    }
}

/// One line of runmate's own: an event, a sentence for people, and fields for machines.
#[derive(Clone, Debug)]
pub struct Line {
    level: Level,
    event: &'static str,
    message: String,
    fields: Map<String, Value>,
    /// The span that it tells about.
    within: Option<Context>,
}

impl Line {
    /// `event` is a fixed word that can be searched for; `message` a sentence without a full stop.
    pub fn new(level: Level, event: &'static str, message: impl Into<String>) -> Line {
        Line {
            level,
            event,
            message: message.into(),
            fields: Map::new(),
            within: None,
        }
    }

    /// Adds a field. Fields come out in the order they were added.
    pub fn with(mut self, key: &str, value: impl Into<Value>) -> Line {
        self.fields.insert(key.to_owned(), value.into());
        self
    }

    /// Adds a field if there is a value.
    pub fn with_some(self, key: &str, value: Option<impl Into<Value>>) -> Line {
        match value {
            Some(value) => self.with(key, value),
            None => self,
        }
    }

    /// Says which span it tells about, if there is one.
    pub fn within(mut self, span: Option<Context>) -> Line {
        self.within = span;
        self
    }

    /// The line without the secrets that it may tell.
    pub(super) fn masked(&self, masks: Option<&Masks>) -> Cow<'_, Line> {
        let Some(masks) = masks else {
            return Cow::Borrowed(self);
        };
        let mut line = self.clone();
        masks.text(&mut line.message);
        line.fields.values_mut().for_each(|value| masks.value(value));
        Cow::Owned(line)
    }

    /// The line as JSON, newline included.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out, SystemTime::now());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Appends the line in a format. `raw` and `inherit` have no form of their own; there,
    /// runmate's lines are JSON, so that the reason of an exit can always be read by a machine.
    pub(super) fn write(&self, out: &mut Vec<u8>, format: LogFormat, now: SystemTime) {
        match format {
            LogFormat::Text => self.write_text(out),
            LogFormat::Json | LogFormat::Raw | LogFormat::Inherit => self.write_json(out, now),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>, now: SystemTime) {
        let timestamp = rfc3339_micros(now);
        let mut object = Map::new();
        let mut put = |key: &str, value: &str| object.insert(key.to_owned(), value.into());
        put("timestamp", &String::from_utf8_lossy(&timestamp));
        put("level", self.level.name());
        put("message", &self.message);
        put("process", "runmate");
        put("event", self.event);
        if let Some(span) = self.within {
            put("trace_id", &span.trace_id());
            put("span_id", &span.span_id());
            put("xray_trace_id", &span.xray_trace_id());
        }
        object.extend(self.fields.clone());
        serde_json::to_writer(&mut *out, &object).expect("maps of strings and numbers serialise");
        out.push(b'\n');
    }

    fn write_text(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("runmate | {} {}", self.level.name(), self.event).as_bytes());
        // Control characters in a message would tear the line.
        let message: String = self
            .message
            .chars()
            .map(|c| if c.is_control() { ' ' } else { c })
            .collect();
        out.extend_from_slice(format!(": {message}").as_bytes());
        for (key, value) in &self.fields {
            out.extend_from_slice(format!(" {key}={value}").as_bytes());
        }
        out.push(b'\n');
    }
}
