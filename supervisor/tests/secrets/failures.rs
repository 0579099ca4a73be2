//! What cannot be resolved keeps everything from starting, and is reported whole.

use super::fault::{BATCH_GET_SECRET, Fault, FaultServer, GET_SECRET, Wrong};
use super::support::{Exit, Setup, process};
use super::{assert_unsaid, parameter, secret, with_server};

const VALUE: &str = "never-to-be-seen";

/// Everything that could be started by mistake leaves a mark.
fn config() -> String {
    process("app", "touch started wait TERM", "")
        + &process("sidecar", "touch started wait TERM", "")
        + &process("task", "touch started", "kind = \"task\"")
        + "[secrets]\ntimeout = \"4s\"\n"
}

/// Runs to the end, and checks what holds whenever a secret is missing.
fn refused(setup: Setup, variables: &[&str], code: i32) -> Exit {
    let run = setup.start();
    let mark = run.dir().join("started");
    let exit = run.exit();
    assert!(!mark.exists(), "something was started: {:?}", exit.lines);
    assert!(!exit.lines.iter().any(|line| line["event"] == "started"));
    assert_eq!(exit.code, Some(code), "{:?}", exit.lines);
    assert_eq!(exit.line()["cause"], "secrets");
    let lines: Vec<_> = exit
        .lines
        .iter()
        .filter(|line| line["event"] == "secret_error")
        .collect();
    let mut said: Vec<_> = lines
        .iter()
        .filter_map(|line| line["variable"].as_str())
        .collect();
    said.sort();
    let mut wanted = variables.to_vec();
    wanted.sort();
    assert_eq!(said, wanted, "a line for each");
    for line in lines {
        let reference = line["reference"].as_str().expect("a reference");
        if reference.starts_with("arn:") {
            assert!(reference.contains(":****9012:"), "{line}");
            assert!(
                line["region"]
                    .as_str()
                    .is_some_and(|region| reference.contains(region)),
                "{line}"
            );
            assert!(line["action"].is_string(), "{line}");
        }
        assert_eq!(line["level"], "ERROR", "{line}");
        assert_ne!(line["cause"], "", "{line}");
        let message = line["message"].as_str().expect("a message");
        assert!(message.contains(line["variable"].as_str().unwrap()), "{line}");
    }
    // In the exit line too: it is the one that is read.
    for variable in variables {
        assert!(
            exit.line()["message"].to_string().contains(variable),
            "{}",
            exit.line()
        );
    }
    assert_unsaid(&exit, &[VALUE, "123456789012"]);
    exit
}

/// One variable, one reason.
fn refused_for(server: &FaultServer, reference: &str, reason: &str, code: i32) -> Exit {
    let setup = with_server(&config(), server).env("NAME", reference);
    let exit = refused(setup, &["NAME"], code);
    let line = exit
        .lines
        .iter()
        .find(|line| line["variable"] == "NAME")
        .expect("checked");
    assert_eq!(line["reason"], reason, "{line}");
    exit
}

fn server() -> FaultServer {
    let server = FaultServer::start();
    server
        .secret(&secret("db"), VALUE)
        .parameter(&parameter("/key"), VALUE);
    server
}

#[test]
fn denied_is_77_and_names_the_action() {
    let server = server();
    server
        .wrong(&secret("db"), Wrong::Denied)
        .wrong(&parameter("/key"), Wrong::Denied);
    let exit = refused_for(&server, &secret("db"), "denied", 77);
    assert!(
        exit.lines
            .iter()
            .any(|line| line["action"] == "secretsmanager:GetSecretValue")
    );
    let exit = refused_for(&server, &parameter("/key"), "denied", 77);
    assert!(
        exit.lines
            .iter()
            .any(|line| line["action"] == "ssm:GetParameters")
    );
}

#[test]
fn a_denied_batch_alone_is_no_failure() {
    let server = server();
    server.deny(BATCH_GET_SECRET);
    let run = with_server(&super::app(""), &server)
        .env("NAME", &secret("db"))
        .start();
    assert_eq!(super::env_of(&run, "app")["NAME"], VALUE);
    super::stop(&run);
    server.deny(GET_SECRET);
    refused_for(&server, &secret("db"), "denied", 77);
}

#[test]
fn a_key_that_may_not_be_used_is_77_and_names_kms() {
    for wrong in [Wrong::Kms, Wrong::KeyDisabled] {
        let server = server();
        server
            .wrong(&secret("db"), wrong)
            .wrong(&parameter("/key"), wrong);
        for reference in [secret("db"), parameter("/key")] {
            let exit = refused_for(&server, &reference, "kms_denied", 77);
            assert!(exit.lines.iter().any(|line| line["action"] == "kms:Decrypt"));
        }
    }
}

#[test]
fn credentials_are_77() {
    for fault in [Fault::ExpiredToken, Fault::UnknownKey] {
        let server = server();
        server.fault("*", fault, usize::MAX);
        refused_for(&server, &secret("db"), "credentials_refused", 77);
    }
    let server = server();
    let setup = Setup::new(&config())
        .env("AWS_ENDPOINT_URL", &server.url())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .env("NAME", &secret("db"));
    let exit = refused(setup, &["NAME"], 77);
    assert!(exit.lines.iter().any(|line| line["reason"] == "no_credentials"));
}

#[test]
fn what_somebody_has_to_correct_is_78() {
    let server = server();
    server.secret(&secret("json"), r#"{"a": "never-to-be-seen", "b": null}"#);
    server.secret(&secret("xyz-secret"), VALUE);
    server
        .secret(&secret("gone"), VALUE)
        .wrong(&secret("gone"), Wrong::ScheduledForDeletion);
    let short = "arn:aws:secretsmanager:eu-west-1:123456789012:secret";
    for (reference, reason) in [
        (format!("{short}:nothing/here"), "not_found"),
        (format!("{short}:xyz-secret"), "not_found_suffix"),
        (parameter("/none"), "not_found"),
        (parameter("/key:7"), "version_not_found"),
        (format!("{}::AWSPREVIOUS:", secret("db")), "version_not_found"),
        (secret("gone"), "scheduled_for_deletion"),
        (format!("{}:c::", secret("json")), "no_such_key"),
        (format!("{}:b::", secret("json")), "null"),
        (format!("{}:a::", secret("db")), "bad_value"),
        ("file:/nonexistent/file".to_owned(), "not_found"),
    ] {
        refused_for(&server, &reference, reason, 78);
    }
}

#[test]
fn the_six_characters_are_explained() {
    let server = FaultServer::start();
    server.secret(&secret("xyz-secret"), VALUE);
    let reference = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:xyz-secret";
    let exit = refused_for(&server, reference, "not_found_suffix", 78);
    let line = exit
        .lines
        .iter()
        .find(|line| line["variable"] == "NAME")
        .expect("checked");
    assert!(line["message"].to_string().contains("six"), "{line}");
}

#[test]
fn a_service_that_is_away_is_69() {
    for fault in [Fault::ServerError, Fault::Garbage, Fault::Close] {
        let server = server();
        server.fault("*", fault, usize::MAX);
        refused_for(&server, &secret("db"), "unavailable", 69);
    }
    let server = server();
    server.fault("*", Fault::Throttle(Some(1)), usize::MAX);
    refused_for(&server, &secret("db"), "throttled", 69);
    let env = server.env();
    drop(server);
    let mut setup = Setup::new(&config()).env("NAME", &secret("db"));
    for (key, value) in env {
        setup = setup.env(key, &value);
    }
    let exit = refused(setup, &["NAME"], 69);
    assert!(exit.lines.iter().any(|line| line["reason"] == "unavailable"));
}

#[test]
fn no_authorities_are_78_at_once() {
    let server = server();
    let setup = with_server(&config(), &server)
        .env("AWS_ENDPOINT_URL", &server.url().replace("http:", "https:"))
        .env("SSL_CERT_FILE", "/dev/null")
        .env("SSL_CERT_DIR", "/nonexistent")
        .env("NAME", &secret("db"));
    let exit = refused(setup, &["NAME"], 78);
    let line = exit
        .lines
        .iter()
        .find(|line| line["variable"] == "NAME")
        .expect("checked");
    assert_eq!(line["reason"], "no_trust_roots");
    assert!(line.to_string().contains("ca-certificates"), "{line}");
    assert!(
        exit.line()["uptime"]
            .as_f64()
            .is_some_and(|seconds| seconds < 2.0),
        "{}",
        exit.line()
    );
    assert_eq!(server.connections(), 0);
}

#[test]
fn all_failures_come_in_one_report_and_the_gravest_decides() {
    let server = server();
    server
        .secret(&secret("denied"), VALUE)
        .wrong(&secret("denied"), Wrong::Denied);
    server
        .secret(&secret("gone"), VALUE)
        .wrong(&secret("gone"), Wrong::ScheduledForDeletion);
    server
        .parameter(&parameter("/kms"), VALUE)
        .wrong(&parameter("/kms"), Wrong::Kms);
    server
        .secret(&secret("broken"), VALUE)
        .wrong(&secret("broken"), Wrong::Internal);
    let all = [
        ("DENIED", secret("denied")),
        ("GONE", secret("gone")),
        ("KMS", parameter("/kms")),
        ("MISSING", parameter("/none")),
        ("BROKEN", secret("broken")),
        ("GOOD", secret("db")),
        ("FINE", parameter("/key")),
    ];
    for (names, code) in [
        (&["DENIED", "GONE", "KMS", "MISSING", "BROKEN"][..], 78),
        (&["DENIED", "KMS", "BROKEN"], 77),
        (&["DENIED"], 77),
        (&["GONE", "BROKEN"], 78),
        (&["BROKEN"], 69),
    ] {
        let mut setup = with_server(&config(), &server);
        let healthy = ["GOOD", "FINE"];
        for (name, reference) in &all {
            if names.contains(name) || healthy.contains(name) {
                setup = setup.env(name, reference);
            }
        }
        refused(setup, names, code);
    }
}
