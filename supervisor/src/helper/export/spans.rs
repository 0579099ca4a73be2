//! What PID 1 wrote down, as OTLP has it.

use std::time::SystemTime;

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Sent, SpanFlags, Status};

use crate::trace::{Context, Kind, Span, Value};

/// Sampled, since what runmate does is rare and none of it is left out; and no context came from elsewhere.
const FLAGS: u32 = 1 | SpanFlags::ContextHasIsRemoteMask as u32;

/// All spans of a job, in one request.
pub(super) fn request(
    resource: impl Iterator<Item = (String, String)>,
    spans: Vec<Span>,
) -> ExportTraceServiceRequest {
    let attributes = resource.map(|(key, value)| attribute((key, Value::Text(value))));
    let scope = InstrumentationScope {
        name: "runmate".into(),
        version: env!("CARGO_PKG_VERSION").into(),
        ..InstrumentationScope::default()
    };
    ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource {
                attributes: attributes.collect(),
                ..Resource::default()
            }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.into_iter().map(sent).collect(),
                schema_url: String::new(),
            }],
            schema_url: String::new(),
        }],
    }
}

fn sent(span: Span) -> Sent {
    let kind = match span.kind {
        Kind::Server => SpanKind::Server,
        Kind::Internal => SpanKind::Internal,
        Kind::Client => SpanKind::Client,
    };
    let status = match span.failure {
        Some(message) => Status {
            message,
            code: StatusCode::Error.into(),
        },
        None => Status::default(),
    };
    Sent {
        trace_id: span.context.trace.to_vec(),
        span_id: span.context.span.to_vec(),
        parent_span_id: span.parent.map(Vec::from).unwrap_or_default(),
        flags: FLAGS,
        name: span.name,
        kind: kind.into(),
        start_time_unix_nano: nanos(span.began),
        // A clock that was set back in between must not give a span of a negative length.
        end_time_unix_nano: nanos(span.ended.max(span.began)),
        attributes: span.attributes.into_iter().map(attribute).collect(),
        links: span.link.iter().map(link).collect(),
        status: Some(status),
        ..Sent::default()
    }
}

fn link(context: &Context) -> Link {
    Link {
        trace_id: context.trace.to_vec(),
        span_id: context.span.to_vec(),
        flags: FLAGS,
        ..Link::default()
    }
}

/// Since 1970; a clock that is not set yet may be before that.
fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(SystemTime::UNIX_EPOCH);
    u64::try_from(since.unwrap_or_default().as_nanos()).unwrap_or(u64::MAX)
}

fn attribute((key, value): (String, Value)) -> KeyValue {
    let value = match value {
        Value::Text(text) => Any::StringValue(text),
        Value::Number(number) => Any::IntValue(number),
        Value::Real(number) => Any::DoubleValue(number),
        Value::Flag(flag) => Any::BoolValue(flag),
    };
    KeyValue {
        key,
        value: Some(AnyValue { value: Some(value) }),
        ..KeyValue::default()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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

    fn sole(span: Span) -> Sent {
        let [span] = request(std::iter::empty(), vec![span])
            .resource_spans
            .remove(0)
            .scope_spans
            .remove(0)
            .spans
            .try_into()
            .expect("one span");
        span
    }

    #[test]
    fn a_span_keeps_all_that_is_known_of_it() {
        let sent = sole(span());
        assert_eq!((sent.trace_id, sent.span_id), (vec![1; 16], vec![2; 8]));
        assert_eq!(sent.parent_span_id, [3; 8]);
        assert_eq!(sent.flags, 0x101);
        assert_eq!((&*sent.name, sent.kind), ("start app", SpanKind::Client as i32));
        let began = 1_800_000_000_000_000_000;
        assert_eq!(
            (sent.start_time_unix_nano, sent.end_time_unix_nano),
            (began, began + 1_500_000_000)
        );
        let status = Status {
            message: "exit code 3".into(),
            code: StatusCode::Error as i32,
        };
        assert_eq!(sent.status, Some(status));
        let attributes = sent.attributes.into_iter();
        let attributes: Vec<_> = attributes
            .map(|pair| (pair.key, pair.value.and_then(|value| value.value)))
            .collect();
        let expected = [
            ("a", Any::StringValue("x".into())),
            ("b", Any::IntValue(-1)),
            ("c", Any::DoubleValue(0.5)),
            ("d", Any::BoolValue(true)),
        ];
        assert_eq!(
            attributes,
            expected.map(|(key, value)| (key.to_owned(), Some(value)))
        );
        let [link] = &sent.links[..] else {
            panic!("one link")
        };
        assert_eq!((&*link.trace_id, &*link.span_id), (&[4; 16][..], &[5; 8][..]));
        assert_eq!(link.flags, 0x101);
    }

    #[test]
    fn a_root_that_did_well_and_a_clock_that_was_set_back() {
        let root = Span {
            parent: None,
            failure: None,
            link: None,
            ended: SystemTime::UNIX_EPOCH - Duration::from_secs(1),
            ..span()
        };
        let sent = sole(root);
        assert!(sent.parent_span_id.is_empty());
        assert_eq!(sent.status, Some(Status::default()));
        assert!(sent.links.is_empty());
        assert_eq!(sent.end_time_unix_nano, sent.start_time_unix_nano);
    }

    #[test]
    fn a_clock_before_1970_is_one_at_its_beginning() {
        assert_eq!(nanos(SystemTime::UNIX_EPOCH - Duration::from_secs(1)), 0);
    }
}
