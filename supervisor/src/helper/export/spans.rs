//! What PID 1 wrote down, as OpenTelemetry has it.

use opentelemetry::trace::{Link, SpanContext, SpanId, SpanKind, Status, TraceFlags, TraceId, TraceState};
use opentelemetry::{InstrumentationScope, KeyValue, Value as Attribute};
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use crate::trace::{Context, Kind, Span, Value};

/// All spans of a job.
pub(super) fn spans(spans: Vec<Span>) -> Vec<SpanData> {
    let scope = InstrumentationScope::builder("runmate")
        .with_version(env!("CARGO_PKG_VERSION"))
        .build();
    spans.into_iter().map(|span| data(span, &scope)).collect()
}

fn data(span: Span, scope: &InstrumentationScope) -> SpanData {
    let mut links = SpanLinks::default();
    links
        .links
        .extend(span.link.map(|link| Link::with_context(context(&link))));
    SpanData {
        span_context: context(&span.context),
        parent_span_id: span.parent.map_or(SpanId::INVALID, SpanId::from_bytes),
        parent_span_is_remote: false,
        span_kind: match span.kind {
            Kind::Server => SpanKind::Server,
            Kind::Internal => SpanKind::Internal,
            Kind::Client => SpanKind::Client,
        },
        name: span.name.into(),
        start_time: span.began,
        // A clock that was set back in between must not give a span of a negative length.
        end_time: span.ended.max(span.began),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        dropped_attributes_count: 0,
        events: SpanEvents::default(),
        links,
        status: span.failure.map_or(Status::Unset, Status::error),
        instrumentation_scope: scope.clone(),
    }
}

/// Sampled: what runmate does is rare, and none of it is left out.
fn context(context: &Context) -> SpanContext {
    SpanContext::new(
        TraceId::from_bytes(context.trace),
        SpanId::from_bytes(context.span),
        TraceFlags::SAMPLED,
        false,
        TraceState::default(),
    )
}

fn attribute((key, value): (String, Value)) -> KeyValue {
    let value: Attribute = match value {
        Value::Text(text) => text.into(),
        Value::Number(number) => number.into(),
        Value::Real(number) => number.into(),
        Value::Flag(flag) => flag.into(),
    };
    KeyValue::new(key, value)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use super::*;

    fn span() -> Span {
        let began = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        Span {
            context: Context {
                trace: [1; 16],
                span: [2; 8],
            },
            parent: Some([3; 8]),
            name: "start app".into(),
            kind: Kind::Client,
            began,
            ended: began + Duration::from_millis(1500),
            failure: Some("exit code 3".into()),
            attributes: vec![
                ("a".into(), Value::Text("x".into())),
                ("b".into(), Value::Number(-1)),
                ("c".into(), Value::Real(0.5)),
                ("d".into(), Value::Flag(true)),
            ],
            link: Some(Context {
                trace: [4; 16],
                span: [5; 8],
            }),
        }
    }

    #[test]
    fn a_span_keeps_all_that_is_known_of_it() {
        let [data] = spans(vec![span()]).try_into().expect("one span");
        assert_eq!(data.span_context.trace_id().to_string(), "01".repeat(16));
        assert_eq!(data.span_context.span_id().to_string(), "02".repeat(8));
        assert!(data.span_context.is_sampled());
        assert_eq!(data.parent_span_id, SpanId::from_bytes([3; 8]));
        assert_eq!(
            (data.name.as_ref(), data.span_kind.clone()),
            ("start app", SpanKind::Client)
        );
        assert_eq!((data.start_time, data.end_time), (span().began, span().ended));
        assert_eq!(data.status, Status::error("exit code 3"));
        let attributes = [
            KeyValue::new("a", "x"),
            KeyValue::new("b", -1),
            KeyValue::new("c", 0.5),
            KeyValue::new("d", true),
        ];
        assert_eq!(data.attributes, attributes);
        let [link] = &data.links.links[..] else {
            panic!("one link")
        };
        assert_eq!(link.span_context.trace_id(), TraceId::from_bytes([4; 16]));
        assert!(link.span_context.is_sampled());
        assert_eq!(data.instrumentation_scope.name(), "runmate");
    }

    #[test]
    fn a_root_that_did_well_and_a_clock_that_was_set_back() {
        let root = Span {
            parent: None,
            failure: None,
            link: None,
            ended: SystemTime::UNIX_EPOCH,
            ..span()
        };
        let [data] = spans(vec![root]).try_into().expect("one span");
        assert_eq!(data.parent_span_id, SpanId::INVALID);
        assert_eq!(data.status, Status::Unset);
        assert!(data.links.links.is_empty());
        assert_eq!(data.end_time, data.start_time);
    }
}
