//! `[trace]`: where traces go, and under which name.

use std::collections::BTreeMap;

use hyper::Uri;
use runmate_health::checks::Peer;

use super::reader::Value;
use super::{Exporter, Process, Secrets, Trace, keys};
use crate::trace::resource;

/// The words of `exporter`.
#[derive(Clone, Copy)]
enum Word {
    Auto,
    Grpc,
    Http,
    Xray,
    Off,
}

const WORDS: &[(&str, Word)] = &[
    ("auto", Word::Auto),
    ("otlp-grpc", Word::Grpc),
    ("otlp-http", Word::Http),
    ("xray", Word::Xray),
    ("off", Word::Off),
];

/// The port of OTLP over HTTP; that over gRPC is 4317 (OTLP specification, "OTLP/HTTP Default Port").
const HTTP_PORT: u16 = 4318;

/// The environment as the exporter reads it.
pub(super) struct Env<'a> {
    pub variables: &'a BTreeMap<String, String>,
    /// Variables that hold a reference in place of their value.
    pub secrets: &'a Secrets,
}

impl Env<'_> {
    /// An empty value counts as none (OpenTelemetry, "General SDK configuration").
    fn get(&self, name: &str) -> Option<&str> {
        let value = self.variables.get(name).map(|value| value.trim());
        value.filter(|value| !value.is_empty())
    }

    /// The value, unless it only stands for one.
    fn plain(&self, name: &str) -> Option<&str> {
        let is_secret = self.secrets.wanted.iter().any(|secret| secret.name == name);
        self.get(name).filter(|_| !is_secret)
    }
}

/// Reads the section; `main` names the service if nothing else does.
pub(super) fn read(section: Option<&Value>, env: &Env, main: Option<&Process>) -> Trace {
    let table = section.and_then(|value| value.table(Some(keys::TRACE), "a table [trace]"));
    let get = |name| table.as_ref().and_then(|table| table.get(name));
    let word = get("exporter")
        .and_then(|value| value.choice(WORDS))
        .unwrap_or(Word::Auto);
    let endpoint = get("endpoint").and_then(|value| {
        let url = value.filled("a URL such as \"http://127.0.0.1:4317\"")?;
        value.check(check_endpoint(&url))?;
        if matches!(word, Word::Auto) {
            value.error(
                "is used only by an exporter that is named; write exporter = \"otlp-grpc\", \"otlp-http\" or \
                 \"xray\", or set OTEL_EXPORTER_OTLP_ENDPOINT instead",
            );
        }
        Some(url)
    });
    let exporter = match word {
        Word::Auto => automatic(env),
        Word::Grpc => Exporter::OtlpGrpc(endpoint),
        Word::Http => Exporter::OtlpHttp(endpoint),
        Word::Xray => Exporter::Xray(endpoint),
        // A switch: what else is written may stay for the day it is turned on.
        Word::Off => Exporter::Off,
    };
    let named = get("service").and_then(|value| value.filled("a name such as \"checkout\""));
    Trace {
        doubt: doubt(&exporter, env),
        exporter,
        service: named.unwrap_or_else(|| service(env, main)),
        carrier: get("carrier").and_then(|value| value.bool()).unwrap_or(false),
    }
}

/// Whether traces can be sent there. The message does not repeat it: a password may be in it.
fn check_endpoint(url: &str) -> Result<(), String> {
    let example = "write one such as \"http://127.0.0.1:4317\"";
    let uri: Uri = url.parse().map_err(|_| format!("is no URL; {example}"))?;
    let host = uri.host().unwrap_or_default();
    if !matches!(uri.scheme_str(), Some("http" | "https")) || host.is_empty() {
        return Err(format!("is no http or https URL; {example}"));
    }
    if uri
        .authority()
        .is_some_and(|authority| authority.as_str().contains('@'))
    {
        return Err(
            "has a user or password in it, which nobody would send; remove them, and put what the \
                    collector asks for into OTEL_EXPORTER_OTLP_HEADERS"
                .to_owned(),
        );
    }
    // The exporter would refuse it when it is too late for the boot.
    if Peer::of(&uri).is_err() {
        return Err(format!("has a host or port that cannot be; {example}"));
    }
    Ok(())
}

/// What the variables of OpenTelemetry ask for.
fn automatic(env: &Env) -> Exporter {
    let one_of = |general: &str, of_traces: &str| env.get(of_traces).or_else(|| env.get(general));
    let disabled = env
        .get("OTEL_SDK_DISABLED")
        .is_some_and(|value| value.eq_ignore_ascii_case("true"));
    let exporters = env.get("OTEL_TRACES_EXPORTER").unwrap_or("otlp");
    let wanted = exporters.split(',').any(|name| name.trim() == "otlp");
    let endpoint = one_of(
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    );
    let Some(endpoint) = endpoint.filter(|_| wanted && !disabled) else {
        return Exporter::Off;
    };
    let protocol = one_of(
        "OTEL_EXPORTER_OTLP_PROTOCOL",
        "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    );
    let port = || endpoint.parse::<Uri>().ok().and_then(|uri| uri.port_u16());
    let http = match protocol {
        Some(protocol) => protocol.starts_with("http"),
        None => port() == Some(HTTP_PORT),
    };
    if http {
        Exporter::OtlpHttp(None)
    } else {
        Exporter::OtlpGrpc(None)
    }
}

/// What is wrong with the address of the environment, if it is the one that counts. Not an error of the config: the
/// container can do without traces.
fn doubt(exporter: &Exporter, env: &Env) -> Option<String> {
    let by_http = match exporter {
        Exporter::OtlpHttp(None) => true,
        Exporter::OtlpGrpc(None) => false,
        _ => return None,
    };
    let mut names = [
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
    ]
    .into_iter();
    let name = names.find(|name| env.get(name).is_some())?;
    let url = env.plain(name)?;
    let checked = if by_http || url.contains("://") {
        check_endpoint(url)
    } else {
        // By gRPC a host and a port will do (OpenTelemetry, protocol/exporter.md).
        check_endpoint(&format!("https://{url}"))
    };
    let why = checked.err()?;
    Some(format!("{name} {why}; until then no traces are sent."))
}

/// The name of the service where the config has none.
fn service(env: &Env, main: Option<&Process>) -> String {
    let attributes = env.plain("OTEL_RESOURCE_ATTRIBUTES").unwrap_or_default();
    let attribute = resource::parse(attributes).find(|(key, _)| key == "service.name");
    let attribute = attribute.map(|(_, value)| value);
    let name = env.plain("OTEL_SERVICE_NAME").map(str::to_owned);
    let name = name
        .or(attribute)
        .or_else(|| env.plain("K_SERVICE").map(str::to_owned));
    name.unwrap_or_else(|| main.map(|main| main.name.clone()).unwrap_or_default())
}
