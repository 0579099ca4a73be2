//! What is sent with every request.

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::endpoint::Variables;
use crate::trace::resource::parse;

/// Who we are, in the form that OpenTelemetry asks of exporters, and what the environment says: `key=value,key=value`,
/// percent-encoded. What can be no header is left out, as OpenTelemetry wants it.
pub(super) fn headers(variable: Variables<'_>) -> HeaderMap {
    let written = variable("OTEL_EXPORTER_OTLP_TRACES_HEADERS")
        .or_else(|| variable("OTEL_EXPORTER_OTLP_HEADERS"))
        .unwrap_or_default();
    let mut headers = own();
    for (key, value) in parse(&written) {
        // Names are lowercased, as HTTP/2 wants it.
        let name = HeaderName::from_bytes(key.as_bytes());
        if let (Ok(name), Ok(mut value)) = (name, HeaderValue::from_str(&value))
            && !value.is_empty()
        {
            // HTTP/2 does not put it into its tables.
            value.set_sensitive(true);
            headers.insert(name, value);
        }
    }
    headers
}

/// Those for a server that the variables are not meant for.
pub(super) fn own() -> HeaderMap {
    let name = concat!("runmate/", env!("CARGO_PKG_VERSION"), " (OTLP; Rust)");
    [(header::USER_AGENT, HeaderValue::from_static(name))]
        .into_iter()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(set: &[(&str, &str)]) -> Vec<(String, String)> {
        let variable = |wanted: &str| {
            let found = set.iter().find(|(name, _)| *name == wanted)?;
            Some(found.1.to_owned())
        };
        let headers = headers(&variable);
        let shown = headers.iter().map(|(name, value)| {
            let value = String::from_utf8_lossy(value.as_bytes());
            (name.to_string(), value.into_owned())
        });
        shown
            .filter(|(name, value)| name != "user-agent" || !value.starts_with("runmate/"))
            .collect()
    }

    #[test]
    fn the_variable_for_traces_wins() {
        let all = ("OTEL_EXPORTER_OTLP_HEADERS", "A=1, b = x%20y%2C ,=z,c=");
        let pair = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        assert_eq!(of(&[]), []);
        assert_eq!(of(&[all]), [pair("a", "1"), pair("b", "x y,")]);
        let traces = ("OTEL_EXPORTER_OTLP_TRACES_HEADERS", "d=4,user-agent=me");
        assert_eq!(of(&[all, traces]), [pair("user-agent", "me"), pair("d", "4")]);
    }

    #[test]
    fn what_can_be_no_header_is_left_out() {
        let set = ("OTEL_EXPORTER_OTLP_HEADERS", "a=x%0D%0Ab: y,a b=1,ok=1");
        assert_eq!(of(&[set]), [("ok".to_owned(), "1".to_owned())]);
    }
}
