//! The HTTP client of all SDK clients: TLS only for those who ask for it, and no TLS without certificate
//! authorities.

use std::error::Error;
use std::fmt;
use std::sync::OnceLock;

use aws_smithy_http_client::proxy::ProxyConfig;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use aws_smithy_http_client::{Builder, Connector};
use aws_smithy_runtime_api::client::http::{
    HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
    SharedHttpConnector, http_client_fn,
};
use aws_smithy_runtime_api::client::orchestrator::HttpRequest;
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;

use crate::{FailureKind, Problem};

/// No certificate authority is installed.
#[derive(Debug)]
pub(super) struct NoTrustRoots;

impl fmt::Display for NoTrustRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no certificate authorities are installed")
    }
}

impl Error for NoTrustRoots {}

/// A failed request, with whom it was for.
#[derive(Debug)]
pub(super) struct To {
    host: String,
    source: Box<dyn Error + Send + Sync>,
}

impl fmt::Display for To {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot talk to {}", self.host)
    }
}

impl Error for To {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&*self.source)
    }
}

/// The client. Certificate authorities, which take milliseconds to load, are loaded at the first https
/// request; plain requests (container credentials, endpoints on loopback) never need them. Only https goes
/// through the proxy that the environment names: what is plain is near.
///
/// Plain requests have a connector of the same type as https, one that trusts nobody: the SDK's connector without
/// TLS would be a second copy of hyper's client in the binary, and a third for proxies.
pub(super) fn http_client() -> SharedHttpClient {
    let plain = Builder::new().build_with_connector_fn(|settings, components| {
        configured(settings, components)
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .tls_context(trusting_nobody())
            .build()
    });
    let tls = Builder::new().build_with_connector_fn(|settings, components| {
        configured(settings, components)
            .proxy_config(ProxyConfig::from_env())
            .tls_provider(Provider::Rustls(CryptoMode::Ring))
            .build()
    });
    http_client_fn(move |settings, components| {
        SharedHttpConnector::new(ByScheme {
            plain: plain.clone(),
            tls: tls.clone(),
            settings: settings.clone(),
            components: components.clone(),
        })
    })
}

fn trusting_nobody() -> TlsContext {
    let context = TlsContext::builder()
        .with_trust_store(TrustStore::empty())
        .build();
    context.expect("it has nothing that could be wrong")
}

fn configured(
    settings: Option<&HttpConnectorSettings>,
    components: Option<&RuntimeComponents>,
) -> aws_smithy_http_client::ConnectorBuilder {
    let mut builder = Connector::builder();
    builder.set_connector_settings(settings.cloned());
    builder.set_sleep_impl(components.and_then(RuntimeComponents::sleep_impl));
    builder
}

#[derive(Debug)]
struct ByScheme {
    plain: SharedHttpClient,
    tls: SharedHttpClient,
    settings: HttpConnectorSettings,
    components: RuntimeComponents,
}

impl HttpConnector for ByScheme {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let secure = request.uri().starts_with("https:");
        if secure && !has_trust_roots() {
            return HttpConnectorFuture::ready(Err(ConnectorError::other(NoTrustRoots.into(), None)));
        }
        let client = if secure { &self.tls } else { &self.plain };
        let host = host(request.uri()).to_owned();
        let answer = client
            .http_connector(&self.settings, &self.components)
            .call(request);
        HttpConnectorFuture::new(async move { answer.await.map_err(|error| name_host(error, host)) })
    }
}

/// Whether rustls would find anything to trust. Without, it panics in debug builds and refuses every server in
/// others, in words that lead nobody to the missing package.
fn has_trust_roots() -> bool {
    static FOUND: OnceLock<bool> = OnceLock::new();
    *FOUND.get_or_init(|| !rustls_native_certs::load_native_certs().certs.is_empty())
}

/// Looks at the variables that stand in for AWS's own endpoints: the SDK takes any text, and panics or tries
/// again for as long as it may if it is no URL.
pub(super) fn check_endpoints(variable: impl Fn(&str) -> Option<String>) -> Result<(), Problem> {
    for name in ENDPOINTS {
        let Some(url) = variable(name) else { continue };
        let rest = url
            .strip_prefix("http://")
            .or_else(|| url.strip_prefix("https://"));
        if url.contains(char::is_whitespace) || rest.is_none_or(|rest| host(rest).is_empty()) {
            // Not the text: it may hold a password.
            let what = format!("{name} is no URL; write http://HOST:PORT or https://HOST, or unset it");
            return Err(FailureKind::BadEndpoint(what).into());
        }
    }
    Ok(())
}

/// What the SDK reads for the services that are asked (docs.aws.amazon.com/sdkref/latest/guide,
/// "Service-specific endpoints").
const ENDPOINTS: [&str; 4] = [
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_SECRETS_MANAGER",
    "AWS_ENDPOINT_URL_SSM",
    "AWS_ENDPOINT_URL_STS",
];

/// The host and port of a URL: never its path, a name or a password in it.
pub(super) fn host(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let authority = rest.split(['/', '?', '#']).next().unwrap_or(rest);
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

/// The same error, with whom the request was for.
pub(super) fn name_host(error: ConnectorError, host: String) -> ConnectorError {
    let (timeout, io, user, kind) = (
        error.is_timeout(),
        error.is_io(),
        error.is_user(),
        error.as_other(),
    );
    let source = To {
        host,
        source: error.into_source(),
    };
    match () {
        () if timeout => ConnectorError::timeout(source.into()),
        () if io => ConnectorError::io(source.into()),
        () if user => ConnectorError::user(source.into()),
        () => ConnectorError::other(source.into(), kind),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_host_of_a_url() {
        assert_eq!(
            host("https://ssm.eu-west-1.amazonaws.com/"),
            "ssm.eu-west-1.amazonaws.com"
        );
        assert_eq!(host("http://127.0.0.1:5000/?a=b"), "127.0.0.1:5000");
        assert_eq!(host("http://[::1]:80"), "[::1]:80");
        assert_eq!(host("nonsense"), "nonsense");
        assert_eq!(host("http://user:p@ss@127.0.0.1/v2/x"), "127.0.0.1");
    }

    #[test]
    fn an_endpoint_that_is_no_url_is_named() {
        for (url, good) in [
            ("http://127.0.0.1:4566", true),
            ("https://vpce-1.secretsmanager.eu-west-1.vpce.amazonaws.com", true),
            ("", false),
            ("127.0.0.1:4566", false),
            ("http://", false),
            ("ftp://example.com", false),
            ("http://exa mple.com", false),
        ] {
            let checked = check_endpoints(|name| (name == "AWS_ENDPOINT_URL_SSM").then(|| url.to_owned()));
            assert_eq!(checked.is_ok(), good, "{url}");
        }
    }

    #[test]
    fn what_kind_of_error_it_was_survives_the_host() {
        let io = name_host(ConnectorError::io("reset".into()), "example.com".into());
        assert!(io.is_io());
        let timeout = name_host(ConnectorError::timeout("slow".into()), "example.com".into());
        assert!(timeout.is_timeout());
        assert_eq!(timeout.into_source().to_string(), "cannot talk to example.com");
    }
}
