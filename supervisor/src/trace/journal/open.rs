//! What is under way: spans without an end, and the traces that they belong to.

use std::time::{Duration, SystemTime};

use opentelemetry_sdk::trace::IdGenerator;

use super::Moment;
use crate::machine::Time;
use crate::trace::{Context, Kind, Span, Value};

/// A span that has begun.
pub(super) struct Open {
    pub context: Context,
    parent: Option<[u8; 8]>,
    name: &'static str,
    kind: Kind,
    began: Time,
    attributes: Vec<(String, Value)>,
    link: Option<Context>,
}

/// The root of a trace that has begun.
pub(super) struct Root {
    pub span: Open,
    /// The wall clock at the zero of our own time, as it was when the trace began. One trace has one, so that its
    /// parts fit together even if the clock is set meanwhile.
    zero: SystemTime,
}

/// A boot under way.
pub(super) struct Boot {
    pub root: Root,
    pub secrets: Option<Open>,
    /// When a process was started last.
    pub last_start: Option<Time>,
}

/// A drain under way.
pub(super) struct Drain {
    pub root: Root,
    pub began: Time,
}

impl Open {
    pub fn attribute(&mut self, key: &str, value: Value) {
        self.attributes.push((key.to_owned(), value));
    }
}

impl Root {
    /// A new trace, from `began` on, which is not after `now`.
    pub fn begin(ids: &dyn IdGenerator, name: &'static str, began: Time, now: Moment) -> Root {
        let context = Context {
            trace: ids.new_trace_id().to_bytes(),
            span: ids.new_span_id().to_bytes(),
        };
        let span = Open {
            context,
            parent: None,
            name,
            kind: Kind::Server,
            began,
            attributes: Vec::new(),
            link: None,
        };
        let zero = now.wall.checked_sub(now.time).unwrap_or(SystemTime::UNIX_EPOCH);
        Root { span, zero }
    }

    /// Says which trace led to this one.
    pub fn linked(mut self, to: Context) -> Root {
        self.span.link = Some(to);
        self
    }

    /// A part of it.
    pub fn child(&self, ids: &dyn IdGenerator, name: &'static str, began: Time) -> Open {
        Open {
            context: Context {
                trace: self.span.context.trace,
                span: ids.new_span_id().to_bytes(),
            },
            parent: Some(self.span.context.span),
            name,
            kind: Kind::Internal,
            began: began.max(self.span.began),
            attributes: Vec::new(),
            link: None,
        }
    }

    /// A part of it that is over.
    pub fn close(&self, part: Open, now: Time, failure: Option<String>) -> Span {
        finish(part, self.zero, now, failure)
    }

    /// All of it is over.
    pub fn end(self, now: Time, failure: Option<String>) -> Span {
        finish(self.span, self.zero, now, failure)
    }
}

fn finish(span: Open, zero: SystemTime, now: Time, failure: Option<String>) -> Span {
    // A time before 1970 can be told to nobody.
    let at = |time: Duration| zero.checked_add(time).unwrap_or(zero).max(SystemTime::UNIX_EPOCH);
    Span {
        context: span.context,
        parent: span.parent,
        name: span.name.to_owned(),
        kind: span.kind,
        began: at(span.began),
        ended: at(now.max(span.began)),
        failure,
        attributes: span.attributes,
        link: span.link,
    }
}
