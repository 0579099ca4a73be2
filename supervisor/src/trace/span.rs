//! What is known of one span, and its identity in the forms that others read.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};

/// Which span of which trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Context {
    /// 16 bytes, most significant first. X-Ray reads the first four as seconds since 1970.
    pub trace: [u8; 16],
    /// 8 bytes, most significant first.
    pub span: [u8; 8],
}

impl Context {
    /// 32 lower-case hexadecimal digits.
    pub fn trace_id(&self) -> String {
        hex(&self.trace)
    }

    /// 16 lower-case hexadecimal digits.
    pub fn span_id(&self) -> String {
        hex(&self.span)
    }

    /// The trace as X-Ray names it: `1-`, eight digits, `-`, 24 digits.
    pub fn xray_trace_id(&self) -> String {
        format!("1-{}-{}", hex(&self.trace[..4]), hex(&self.trace[4..]))
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The role of a span (OpenTelemetry's SpanKind).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kind {
    /// The root of a trace: X-Ray makes a segment of it.
    Server,
    /// A part of the work.
    Internal,
    /// A call to somebody else.
    Client,
}

/// The value of an attribute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum Value {
    /// Text.
    Text(String),
    /// A whole number.
    Number(i64),
    /// Seconds and the like.
    Real(f64),
    /// Yes or no.
    Flag(bool),
}

/// A span that is over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Span {
    /// What it is.
    pub context: Context,
    /// The span it is a part of, in the same trace.
    pub parent: Option<[u8; 8]>,
    /// Its name.
    pub name: String,
    /// Its role.
    pub kind: Kind,
    /// When it began.
    pub began: SystemTime,
    /// When it ended.
    pub ended: SystemTime,
    /// What failed; `None` if nothing did.
    pub failure: Option<String>,
    /// Its attributes, each key once.
    pub attributes: Vec<(String, Value)>,
    /// A span of another trace that led to this one.
    pub link: Option<Context>,
}
