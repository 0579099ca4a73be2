//! Runmate's own lines.

use std::borrow::Cow;
use std::sync::Arc;
use std::time::SystemTime;

use runmate_lines::{ECS_VERSION, Field, Level, Masks, Name, Names, Place, Style, rfc3339_micros};
use serde_json::{Map, Value};

use crate::config::LogFormat;
use crate::trace::Context;

/// How lines look.
#[derive(Clone, Debug)]
pub struct Look {
    /// The format of runmate's own lines.
    pub format: LogFormat,
    /// What the fields of JSON lines are called.
    pub names: Arc<Names>,
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

    pub(super) fn level(&self) -> Level {
        self.level
    }

    pub(super) fn message(&self) -> &str {
        &self.message
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

    /// The line as JSON, newline included, for when there is no sink: with the names of no style.
    pub(crate) fn to_json(&self) -> String {
        let mut out = Vec::new();
        self.write_json(&mut out, &Names::default(), SystemTime::now());
        String::from_utf8_lossy(&out).into_owned()
    }

    /// Appends the line in a format. `raw` and `inherit` have no form of their own; there,
    /// runmate's lines are JSON, so that the reason of an exit can always be read by a machine.
    pub(super) fn write(&self, out: &mut Vec<u8>, look: &Look, now: SystemTime) {
        match look.format {
            LogFormat::Text => self.write_text(out),
            LogFormat::Json | LogFormat::Raw | LogFormat::Inherit => self.write_json(out, &look.names, now),
        }
    }

    fn write_json(&self, out: &mut Vec<u8>, names: &Names, now: SystemTime) {
        let timestamp = rfc3339_micros(now);
        let mut object = Object::default();
        let mut put = |field: Field, value: &str| object.put(names.of(field), value.into());
        put(Field::Timestamp, &String::from_utf8_lossy(&timestamp));
        put(Field::Level, self.level.name());
        put(Field::Message, &self.message);
        put(Field::Process, "runmate");
        put(Field::Event, self.event);
        if let Some(span) = self.within {
            put(Field::TraceId, &span.trace_id());
            put(Field::SpanId, &span.span_id());
            put(Field::XrayTraceId, &span.xray_trace_id());
        }
        for (key, value) in &self.fields {
            object.put(&names.of_other(key), value.clone());
        }
        match names.style() {
            Style::Lambda => {}
            Style::Ecs => object.put_root("ecs.version", ECS_VERSION.into()),
            Style::Otel => object.put_root("severity_number", self.level.severity_number().into()),
        }
        serde_json::to_writer(&mut *out, &object.joined()).expect("maps of strings and numbers serialise");
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
        if let Some(span) = self.within {
            out.extend_from_slice(format!(" trace_id=\"{}\"", span.trace_id()).as_bytes());
        }
        for (key, value) in &self.fields {
            out.extend_from_slice(format!(" {key}={value}").as_bytes());
        }
        out.push(b'\n');
    }
}

/// The members of a line, by the place where they stand.
#[derive(Default)]
struct Object {
    root: Map<String, Value>,
    attributes: Map<String, Value>,
    resource: Map<String, Value>,
}

impl Object {
    /// Nothing is there twice: what was there first stays.
    fn put(&mut self, name: &Name, value: Value) {
        let members = match name.place {
            Place::Root => &mut self.root,
            Place::Attributes => &mut self.attributes,
            Place::Resource => &mut self.resource,
        };
        members.entry(&name.text).or_insert(value);
    }

    fn put_root(&mut self, name: &str, value: Value) {
        self.root.entry(name).or_insert(value);
    }

    fn joined(mut self) -> Map<String, Value> {
        for (name, members) in [("attributes", self.attributes), ("resource", self.resource)] {
            if !members.is_empty() {
                self.root.insert(name.to_owned(), members.into());
            }
        }
        self.root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn written(style: Style, renames: &[(&str, &str)]) -> Value {
        let own = |(word, name): &(&str, &str)| ((*word).to_owned(), (*name).to_owned());
        let look = Look {
            format: LogFormat::Json,
            names: Arc::new(Names::new(style, &renames.iter().map(own).collect())),
        };
        let span = Context {
            trace: [0x11; 16],
            span: [0x22; 8],
        };
        let line = Line::new(Level::Warn, "ended", "app ended")
            .with("code", 3)
            .with("pid", 7)
            .within(Some(span));
        let mut out = Vec::new();
        line.write(&mut out, &look, SystemTime::UNIX_EPOCH);
        serde_json::from_slice(&out).unwrap()
    }

    #[test]
    fn own_lines_follow_the_style() {
        let (trace, span) = ("11".repeat(16), "22".repeat(8));
        let xray = format!("1-{}-{}", "11".repeat(4), "11".repeat(12));
        let time = "1970-01-01T00:00:00.000000Z";
        assert_eq!(
            written(Style::Lambda, &[]),
            json!({"timestamp": time, "level": "WARN", "message": "app ended", "process": "runmate", "event": "ended",
                   "trace_id": trace, "span_id": span, "xray_trace_id": xray, "code": 3, "pid": 7})
        );
        assert_eq!(
            written(Style::Ecs, &[]),
            json!({"@timestamp": time, "log.level": "WARN", "message": "app ended", "process.name": "runmate",
                   "event.action": "ended", "trace.id": trace, "span.id": span, "labels.xray_trace_id": xray,
                   "runmate.code": 3, "process.pid": 7, "ecs.version": "8.10.0"})
        );
        assert_eq!(
            written(Style::Otel, &[]),
            json!({"timestamp": time, "severity_text": "WARN", "severity_number": 13, "body": "app ended",
                   "event_name": "ended", "trace_id": trace, "span_id": span,
                   "attributes": {"xray_trace_id": xray, "code": 3},
                   "resource": {"process.name": "runmate", "process.pid": 7}})
        );
    }

    #[test]
    fn text_names_the_trace() {
        let look = Look {
            format: LogFormat::Text,
            names: Arc::default(),
        };
        let span = Context {
            trace: [0x11; 16],
            span: [0x22; 8],
        };
        let line = Line::new(Level::Info, "up", "all up").with("after", 1);
        let written = |line: &Line| {
            let mut out = Vec::new();
            line.write(&mut out, &look, SystemTime::UNIX_EPOCH);
            String::from_utf8(out).unwrap()
        };
        assert_eq!(written(&line), "runmate | INFO up: all up after=1\n");
        assert_eq!(
            written(&line.within(Some(span))),
            "runmate | INFO up: all up trace_id=\"11111111111111111111111111111111\" after=1\n"
        );
    }

    #[test]
    fn own_lines_follow_renames_and_double_nothing() {
        let line = written(Style::Lambda, &[("level", "severity"), ("event", "code")]);
        assert_eq!(line["severity"], "WARN");
        assert_eq!(line["code"], "ended", "a field does not take the name of another");
        assert_eq!(line["runmate.code"], 3, "and is not lost");
        assert_eq!(line.get("level"), None);
    }
}
