//! TLS without certificate authorities: said at once, by name, and without a try.

mod support;

use std::time::Duration;

use support::fault::FaultServer;
use support::{REGION, Resolve, parameter_arn, secret_arn};

#[test]
fn without_authorities_nothing_is_tried() {
    let server = FaultServer::start();
    let resolved = Resolve::with(&server)
        .env("AWS_ENDPOINT_URL", &server.url().replace("http:", "https:"))
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .get("SECRET", &secret_arn(REGION, "app/db"))
        .get("PARAMETER", &parameter_arn(REGION, "/app/key"))
        .run();
    for name in ["SECRET", "PARAMETER"] {
        assert_eq!(resolved.kind(name), "no_trust_roots");
        assert_eq!(resolved.entry(name)["class"], "Config");
        let remedy = resolved.entry(name)["remedy"].to_string();
        assert!(remedy.contains("ca-certificates"), "{remedy}");
    }
    assert_eq!(server.connections(), 0);
    assert!(resolved.took < Duration::from_secs(2), "{:?}", resolved.took);
}

#[test]
fn plain_http_needs_no_authorities() {
    let server = FaultServer::start();
    let secret = secret_arn(REGION, "app/db");
    server.secret(&secret, "value");
    let resolved = Resolve::with(&server)
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .get("NAME", &secret)
        .run();
    assert_eq!(resolved.value("NAME"), "value");
}

#[test]
fn a_server_that_speaks_no_tls_is_unavailable() {
    let server = FaultServer::start();
    let resolved = Resolve::with(&server)
        .env("AWS_ENDPOINT_URL", &server.url().replace("http:", "https:"))
        .timeout(Duration::from_secs(3))
        .get("NAME", &secret_arn(REGION, "app/db"))
        .run();
    assert!(server.connections() > 0, "this machine has authorities");
    assert_eq!(resolved.entry("NAME")["class"], "Unavailable");
}
