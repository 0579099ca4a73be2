//! The traces of a plan.

use serde_json::{Value, json};

use crate::config::{Exporter, Trace};

/// Where traces go, in a line.
pub(super) fn line(trace: &Trace) -> String {
    let (name, endpoint) = exporter(&trace.exporter);
    if trace.exporter == Exporter::Off {
        return name.to_owned();
    }
    let endpoint = endpoint.map(|endpoint| format!(" to {endpoint}"));
    let who = if trace.carrier { "everyone" } else { "tasks" };
    format!(
        "{name}{}, service {}, passed on to {who}",
        endpoint.unwrap_or_default(),
        trace.service
    )
}

/// The same for programs.
pub(super) fn json(trace: &Trace) -> Value {
    let (name, endpoint) = exporter(&trace.exporter);
    json!({
        "exporter": name,
        "endpoint": endpoint,
        "service": trace.service,
        "carrier": trace.carrier,
    })
}

/// Its word in the config, and the endpoint that stands there.
fn exporter(exporter: &Exporter) -> (&'static str, Option<&str>) {
    match exporter {
        Exporter::Off => ("off", None),
        Exporter::OtlpGrpc(endpoint) => ("otlp-grpc", endpoint.as_deref()),
        Exporter::OtlpHttp(endpoint) => ("otlp-http", endpoint.as_deref()),
        Exporter::Xray(endpoint) => ("xray", endpoint.as_deref()),
    }
}
