//! Where credentials come from, by the SDK's chain: the endpoints of containers.

mod support;

use std::path::Path;
use std::process::Command;

use support::credentials::{ACCESS_KEY, CredentialServer, PATH, SESSION_TOKEN};
use support::fault::FaultServer;
use support::{REGION, Resolve, Resolved, secret_arn};

const TOKEN: &str = "token-of-the-container";

/// Resolves one secret with no credentials but those of the endpoint.
fn resolve(server: &FaultServer, env: &[(&str, &str)]) -> Resolved {
    let secret = secret_arn(REGION, "app/db");
    server.secret(&secret, "value");
    let mut resolve = Resolve::new()
        .env("AWS_ENDPOINT_URL", &server.url())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent");
    for (key, value) in env {
        resolve = resolve.env(key, value);
    }
    resolve.get("NAME", &secret).run()
}

/// Checks that the value came, and that the call was signed with what the endpoint gave.
fn assert_used(resolved: &Resolved, server: &FaultServer, endpoint: &CredentialServer) {
    assert_eq!(resolved.value("NAME"), "value", "{:?}", endpoint.seen());
    let calls = server.calls();
    assert_eq!(calls.len(), 1);
    assert_eq!(calls[0].access_key, ACCESS_KEY);
    assert_eq!(calls[0].session_token.as_deref(), Some(SESSION_TOKEN));
    assert_eq!(endpoint.seen().given, 1, "{:?}", endpoint.seen());
}

fn token_file(dir: &Path, content: &str) -> String {
    let path = dir.join("token");
    std::fs::write(&path, content).expect("written");
    path.display().to_string()
}

#[test]
fn by_a_full_uri_with_a_token_file() {
    let (server, endpoint) = (FaultServer::start(), CredentialServer::start(Some(TOKEN)));
    let dir = tempfile::tempdir().expect("a directory");
    let file = token_file(dir.path(), TOKEN);
    let resolved = resolve(
        &server,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.full_uri()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file),
        ],
    );
    assert_used(&resolved, &server, &endpoint);
}

/// It cannot be sent, so whoever wrote the file has to know.
#[test]
fn a_newline_at_the_end_of_the_token_file_is_named() {
    let (server, endpoint) = (FaultServer::start(), CredentialServer::start(Some(TOKEN)));
    let dir = tempfile::tempdir().expect("a directory");
    let file = token_file(dir.path(), &format!("{TOKEN}\n"));
    let resolved = resolve(
        &server,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.full_uri()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", &file),
        ],
    );
    let entry = resolved.entry("NAME");
    assert_eq!(entry["class"], "Denied");
    let text = entry["text"].as_str().expect("a text");
    assert!(text.contains(&file) && text.contains("line break"), "{text}");
    assert!(!entry.to_string().contains(TOKEN), "{entry}");
    assert!(endpoint.seen().tokens.is_empty(), "{:?}", endpoint.seen());
}

#[test]
fn a_token_that_is_refused_is_named() {
    let (server, endpoint) = (FaultServer::start(), CredentialServer::start(Some(TOKEN)));
    let resolved = resolve(
        &server,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.full_uri()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "another"),
        ],
    );
    let kind = resolved.kind("NAME");
    assert!(
        ["no_credentials", "credentials_refused"].contains(&kind),
        "{kind}"
    );
    assert_eq!(resolved.entry("NAME")["class"], "Denied");
    assert!(server.calls().is_empty());
}

#[test]
fn a_token_file_that_is_missing_is_named() {
    let (server, endpoint) = (FaultServer::start(), CredentialServer::start(Some(TOKEN)));
    let resolved = resolve(
        &server,
        &[
            ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &endpoint.full_uri()),
            ("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE", "/nonexistent/token"),
        ],
    );
    assert_eq!(resolved.entry("NAME")["class"], "Denied");
    let entry = resolved.entry("NAME").to_string();
    assert!(entry.contains("/nonexistent/token"), "{entry}");
}

/// The address of ECS is fixed, so this one has a network of its own: the test runs itself inside.
#[test]
fn by_a_relative_uri_at_the_address_of_ecs() {
    const INSIDE: &str = "RESOLVE_TEST_INSIDE";
    if std::env::var_os(INSIDE).is_none() {
        let script = "ip link set lo up && ip address add 169.254.170.2/32 dev lo && exec \"$@\"";
        let output = Command::new("unshare")
            .args(["--map-root-user", "--net", "sh", "-c", script, "sh"])
            .arg(std::env::current_exe().expect("this program"))
            .args(["--exact", "by_a_relative_uri_at_the_address_of_ecs"])
            .env(INSIDE, "1")
            .output()
            .expect("unshare(1) starts");
        let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success() && said.contains("1 passed"),
            "in a network namespace (it needs user namespaces or root, and iproute2: scripts/setup-tests.sh): {said}"
        );
        return;
    }
    let server = FaultServer::start();
    let endpoint = CredentialServer::start_at(([169, 254, 170, 2], 80).into(), None);
    let resolved = resolve(&server, &[("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", PATH)]);
    assert_used(&resolved, &server, &endpoint);
}
