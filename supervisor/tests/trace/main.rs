//! Traces from end to end: runmate, its helper, and a collector that others wrote; and collectors that fail.

#[path = "../support/mod.rs"]
mod support;

mod app;
mod arrival;
mod environment;
mod trouble;
mod xray;

use serde_json::Value;
use support::otlp::Receiver;
use support::{Runmate, Setup};

/// A section that exports to this receiver.
fn to(receiver: &Receiver, exporter: &str) -> String {
    let endpoint = match exporter {
        "otlp-grpc" => receiver.grpc(),
        _ => receiver.http(),
    };
    section(exporter, &endpoint)
}

fn section(exporter: &str, endpoint: &str) -> String {
    format!("[trace]\nexporter = \"{exporter}\"\nendpoint = \"{endpoint}\"\nservice = \"checkout\"\n")
}

/// The parts of a span.
fn children(spans: &[Value], root: &Value) -> Vec<Value> {
    let parts = spans.iter().filter(|span| span["parent"] == root["span"]);
    let parts: Vec<Value> = parts.cloned().collect();
    for part in &parts {
        assert_eq!(part["trace"], root["trace"]);
        assert_eq!(part["kind"], "INTERNAL");
        let time = |span: &Value, key: &str| span[key].as_u64().expect("a time");
        assert!(time(root, "began") <= time(part, "began"), "{part} in {root}");
        assert!(time(part, "ended") <= time(root, "ended"), "{part} in {root}");
    }
    parts
}

fn attribute<'a>(span: &'a Value, key: &str) -> &'a Value {
    &span["attributes"][key]
}

/// Whether runmate's line carries the ids of the span.
fn carries(line: &Value, span: &Value) {
    let trace = span["trace"].as_str().expect("an id");
    assert_eq!(line["trace_id"], span["trace"], "{line}");
    assert_eq!(line["span_id"], span["span"], "{line}");
    assert_eq!(
        line["xray_trace_id"],
        format!("1-{}-{}", &trace[..8], &trace[8..]),
        "{line}"
    );
}

fn start(config: &str) -> Runmate {
    Setup::new(config).start()
}
