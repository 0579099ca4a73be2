//! The fields of a JSON log line, and what each style calls them.

/// How the fields of a JSON line are named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Style {
    /// As AWS Lambda writes JSON logs.
    #[default]
    Lambda,
    /// The Elastic Common Schema.
    Ecs,
    /// The log data model of OpenTelemetry.
    Otel,
}

/// A field that every style has, whatever it calls it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Field {
    /// When runmate read the line.
    Timestamp,
    /// How much it matters.
    Level,
    /// The line itself.
    Message,
    /// Whose it is.
    Process,
    /// `stdout` or `stderr`.
    Stream,
    /// The pid of the process that runmate started.
    Pid,
    /// The trace it belongs to.
    TraceId,
    /// The span it belongs to.
    SpanId,
    /// The trace as X-Ray names it.
    XrayTraceId,
    /// What happened, in lines of runmate's own.
    Event,
}

/// Where a field stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the object that the line is.
    Root,
    /// In the object `attributes`.
    Attributes,
    /// In the object `resource`.
    Resource,
}

impl Field {
    /// All of them, in the order in which they are written.
    pub const ALL: [Field; 10] = [
        Field::Timestamp,
        Field::Level,
        Field::Message,
        Field::Process,
        Field::Stream,
        Field::Pid,
        Field::TraceId,
        Field::SpanId,
        Field::XrayTraceId,
        Field::Event,
    ];

    /// Its name in the config, which is also its name in the style `lambda`.
    pub fn word(self) -> &'static str {
        match self {
            Field::Timestamp => "timestamp",
            Field::Level => "level",
            Field::Message => "message",
            Field::Process => "process",
            Field::Stream => "stream",
            Field::Pid => "pid",
            Field::TraceId => "trace_id",
            Field::SpanId => "span_id",
            Field::XrayTraceId => "xray_trace_id",
            Field::Event => "event",
        }
    }
}

impl Style {
    /// What this style calls a field, and where it puts it.
    pub fn name(self, field: Field) -> (Place, &'static str) {
        match self {
            Style::Lambda => (Place::Root, field.word()),
            Style::Ecs => (Place::Root, ecs(field)),
            Style::Otel => otel(field),
        }
    }

    /// What else it has at the root. No field can be renamed to one of these.
    pub fn fixed(self) -> &'static [&'static str] {
        match self {
            Style::Lambda => &[],
            Style::Ecs => &["ecs.version"],
            Style::Otel => &["severity_number", "attributes", "resource"],
        }
    }
}

/// As the loggers of ecs-logging write it: dotted names at the root, these three first (its spec/spec.json).
/// The schema has no field for the stream; `stream` is what Filebeat calls it.
fn ecs(field: Field) -> &'static str {
    match field {
        Field::Timestamp => "@timestamp",
        Field::Level => "log.level",
        Field::Message => "message",
        Field::Process => "process.name",
        Field::Stream => "stream",
        Field::Pid => "process.pid",
        Field::TraceId => "trace.id",
        Field::SpanId => "span.id",
        Field::XrayTraceId => "labels.xray_trace_id",
        Field::Event => "event.action",
    }
}

/// The fields of the log data model (opentelemetry.io/docs/specs/otel/logs/data-model) in the spelling of
/// OTLP's LogRecord; attributes by the semantic conventions where they have one (`log.iostream`, `process.pid`).
fn otel(field: Field) -> (Place, &'static str) {
    match field {
        Field::Timestamp => (Place::Root, "timestamp"),
        Field::Level => (Place::Root, "severity_text"),
        Field::Message => (Place::Root, "body"),
        Field::Process => (Place::Resource, "process.name"),
        Field::Stream => (Place::Attributes, "log.iostream"),
        Field::Pid => (Place::Resource, "process.pid"),
        Field::TraceId => (Place::Root, "trace_id"),
        Field::SpanId => (Place::Root, "span_id"),
        Field::XrayTraceId => (Place::Attributes, "xray_trace_id"),
        Field::Event => (Place::Root, "event_name"),
    }
}
