//! TLS without certificate authorities: said at once, by name, and without a try.

mod support;

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use support::fault::FaultServer;
use support::moto::Moto;
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

/// A certificate for 127.0.0.1 and the authority that signed it, in `dir`.
fn make_certificate(dir: &Path) {
    let openssl = |arguments: &str| {
        let status = Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(dir)
            .stderr(Stdio::null())
            .status()
            .expect("openssl starts; scripts/setup-tests.sh installs it");
        assert!(status.success(), "openssl {arguments}");
    };
    std::fs::write(dir.join("names"), "subjectAltName=IP:127.0.0.1\n").expect("written");
    openssl("req -x509 -newkey rsa:2048 -nodes -keyout ca.key -out ca.pem -days 2 -subj /CN=authority");
    openssl("req -newkey rsa:2048 -nodes -keyout key.pem -out request -subj /CN=server");
    openssl(
        "x509 -req -in request -CA ca.pem -CAkey ca.key -CAcreateserial -out certificate.pem -days 2 -extfile names",
    );
}

#[test]
fn a_server_is_trusted_if_its_authority_is() {
    let dir = tempfile::tempdir().expect("a directory");
    make_certificate(dir.path());
    let moto = Moto::start_tls(&dir.path().join("certificate.pem"), &dir.path().join("key.pem"));
    assert!(moto.url().starts_with("https://"), "{}", moto.url());
    let run = |authorities: &Path| {
        Resolve::new()
            .env("AWS_ENDPOINT_URL", moto.url())
            .env("AWS_ACCESS_KEY_ID", "test")
            .env("AWS_SECRET_ACCESS_KEY", "test")
            .env("SSL_CERT_FILE", &authorities.display().to_string())
            .env("SSL_CERT_DIR", "/nonexistent")
            .get("NAME", &secret_arn(REGION, "nowhere"))
            .run()
    };
    // It can only say so if it was spoken to.
    assert_eq!(run(&dir.path().join("ca.pem")).kind("NAME"), "not_found");
    let stranger = tempfile::tempdir().expect("a directory");
    make_certificate(stranger.path());
    let refused = run(&stranger.path().join("ca.pem"));
    assert_eq!(refused.kind("NAME"), "unavailable");
    assert!(
        refused.took < Duration::from_secs(10),
        "not tried again: {:?}",
        refused.took
    );
}
