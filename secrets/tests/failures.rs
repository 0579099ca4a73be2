//! What each failure is called, who has to act, and that none of them tells a value or an account.

mod support;

use std::time::Duration;

use serde_json::Value;
use support::fault::{
    BATCH_GET_SECRET, ConnectionFault, Fault, FaultServer, GET_PARAMETERS, GET_SECRET, Wrong,
};
use support::{REGION, Resolve, Resolved, parameter_arn, secret_arn};

const VALUE: &str = "never-to-be-seen";

/// Asks for one reference of a server that has it, in health or not.
fn get(server: &FaultServer, reference: &str) -> Resolved {
    get_as(server, "text", reference)
}

fn get_as(server: &FaultServer, form: &str, reference: &str) -> Resolved {
    let resolve = Resolve::with(server).timeout(Duration::from_secs(5));
    resolve.get_as("NAME", form, reference).run()
}

/// Checks kind and class, and what holds for all failures.
fn assert_failure(resolved: &Resolved, kind: &str, class: &str) {
    let entry = resolved.entry("NAME");
    assert_eq!(
        (&entry["kind"], &entry["class"]),
        (&kind.into(), &class.into()),
        "{entry}"
    );
    let text = entry["text"].as_str().expect("a text");
    assert!(text.contains("NAME"), "{text}");
    assert!(!text.contains('\n'), "{text}");
    // Some sentences about values hold their remedy already.
    assert!(entry["remedy"] != "" || kind == "bad_value", "{entry}");
    let all = entry.to_string();
    assert!(!all.contains(VALUE), "{all}");
    assert!(!all.contains("123456789012"), "{all}");
}

fn server() -> (FaultServer, String, String) {
    let server = FaultServer::start();
    let (secret, parameter) = (secret_arn(REGION, "app/db"), parameter_arn(REGION, "/app/key"));
    server.secret(&secret, VALUE).parameter(&parameter, VALUE);
    (server, secret, parameter)
}

#[test]
fn denied() {
    let (server, secret, parameter) = server();
    server
        .wrong(&secret, Wrong::Denied)
        .wrong(&parameter, Wrong::Denied);
    let (of_secret, of_parameter) = (get(&server, &secret), get(&server, &parameter));
    assert_failure(&of_secret, "denied", "Denied");
    assert_eq!(of_secret.entry("NAME")["action"], "secretsmanager:GetSecretValue");
    assert_failure(&of_parameter, "denied", "Denied");
    assert_eq!(of_parameter.entry("NAME")["action"], "ssm:GetParameters");
}

#[test]
fn denied_altogether() {
    let (server, secret, parameter) = server();
    server
        .deny(BATCH_GET_SECRET)
        .deny(GET_SECRET)
        .deny(GET_PARAMETERS);
    for reference in [secret.clone(), format!("{secret}::AWSCURRENT:"), parameter] {
        assert_failure(&get(&server, &reference), "denied", "Denied");
    }
}

#[test]
fn the_key_may_not_be_used() {
    for wrong in [Wrong::Kms, Wrong::KeyDisabled] {
        let (server, secret, parameter) = server();
        server.wrong(&secret, wrong).wrong(&parameter, wrong);
        for reference in [secret.clone(), format!("{secret}::AWSCURRENT:"), parameter] {
            let resolved = get(&server, &reference);
            assert_failure(&resolved, "kms_denied", "Denied");
            assert_eq!(resolved.entry("NAME")["action"], "kms:Decrypt");
        }
    }
}

#[test]
fn the_key_of_one_parameter_takes_no_other_with_it() {
    let (server, _, parameter) = server();
    let other = parameter_arn(REGION, "/app/other");
    server.parameter(&other, "good").wrong(&parameter, Wrong::Kms);
    let resolved = Resolve::with(&server)
        .get("NAME", &parameter)
        .get("OTHER", &other)
        .run();
    assert_failure(&resolved, "kms_denied", "Denied");
    assert_eq!(resolved.value("OTHER"), "good");
}

#[test]
fn not_found() {
    let (server, ..) = server();
    let short = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:nothing/here";
    assert_failure(&get(&server, short), "not_found", "Config");
    assert_failure(
        &get(&server, &parameter_arn(REGION, "/none")),
        "not_found",
        "Config",
    );
    assert_failure(&get(&server, "file:/nonexistent/file"), "not_found", "Config");
}

#[test]
fn a_secret_of_another_region_is_not_found_there() {
    let (server, secret, _) = server();
    let resolved = get(&server, &secret.replace(REGION, "us-east-1"));
    assert!(resolved.kind("NAME").starts_with("not_found"));
    let text = resolved.entry("NAME").to_string();
    assert!(text.contains("us-east-1"), "{text}");
}

#[test]
fn an_id_that_looks_whole_is_named_as_the_cause() {
    let server = FaultServer::start();
    server.secret(&secret_arn(REGION, "xyz-secret"), VALUE);
    let reference = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:xyz-secret";
    let resolved = get(&server, reference);
    assert_failure(&resolved, "not_found_suffix", "Config");
    let text = resolved.entry("NAME")["text"].to_string();
    assert!(text.contains("six"), "{text}");
}

#[test]
fn version_not_found() {
    let (server, secret, parameter) = server();
    for reference in [
        format!("{secret}::AWSPREVIOUS:"),
        format!("{secret}:::00000000-0000-4000-8000-000000000009"),
        format!("{parameter}:7"),
        format!("{parameter}:green"),
    ] {
        assert_failure(&get(&server, &reference), "version_not_found", "Config");
    }
}

#[test]
fn scheduled_for_deletion() {
    let (server, secret, _) = server();
    server.wrong(&secret, Wrong::ScheduledForDeletion);
    assert_failure(&get(&server, &secret), "scheduled_for_deletion", "Config");
}

#[test]
fn values_that_do_not_fit() {
    let server = FaultServer::start();
    let (json, plain) = (secret_arn(REGION, "json"), secret_arn(REGION, "plain"));
    server
        .secret(&json, r#"{"a": "never-to-be-seen", "b": null}"#)
        .secret(&plain, VALUE);
    assert_failure(&get(&server, &format!("{json}:c::")), "no_such_key", "Config");
    assert_failure(&get(&server, &format!("{json}:b::")), "null", "Config");
    assert_failure(&get(&server, &format!("{plain}:a::")), "bad_value", "Config");
    assert_failure(&get_as(&server, "database-url", &json), "bad_value", "Config");
    assert_failure(&get_as(&server, "database-url", &plain), "bad_value", "Config");
}

#[test]
fn credentials_that_are_refused() {
    for fault in [Fault::ExpiredToken, Fault::UnknownKey, Fault::WrongClock] {
        let (server, secret, parameter) = server();
        server.fault("*", fault, usize::MAX);
        for reference in [secret, parameter] {
            assert_failure(&get(&server, &reference), "credentials_refused", "Denied");
        }
    }
}

#[test]
fn no_credentials() {
    let (server, secret, _) = server();
    let resolved = Resolve::new()
        .env("AWS_ENDPOINT_URL", &server.url())
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .env("HOME", "/nonexistent")
        .get("NAME", &secret)
        .run();
    assert_failure(&resolved, "no_credentials", "Denied");
    assert!(server.calls().is_empty());
    assert!(resolved.took < Duration::from_secs(5), "{:?}", resolved.took);
}

#[test]
fn an_unreachable_service() {
    let (server, secret, parameter) = server();
    let env = server.env();
    drop(server);
    for reference in [secret, parameter] {
        let mut resolve = Resolve::new().timeout(Duration::from_secs(5));
        for (key, value) in &env {
            resolve = resolve.env(key, value);
        }
        assert_failure(
            &resolve.get("NAME", &reference).run(),
            "unavailable",
            "Unavailable",
        );
    }
}

#[test]
fn a_name_that_nobody_knows() {
    let (server, secret, _) = server();
    let resolve = Resolve::with(&server).env("AWS_ENDPOINT_URL", "http://nobody.invalid:80");
    let resolved = resolve.timeout(Duration::from_secs(5)).get("NAME", &secret).run();
    assert_failure(&resolved, "unavailable", "Unavailable");
}

#[test]
fn a_service_that_is_broken() {
    let broken = |fault: Fault| {
        let (server, secret, parameter) = server();
        server.fault("*", fault.clone(), usize::MAX);
        for reference in [secret, parameter] {
            let resolved = get(&server, &reference);
            assert_failure(&resolved, "unavailable", "Unavailable");
            assert!(
                resolved.took < Duration::from_secs(6),
                "{fault:?}: {:?}",
                resolved.took
            );
        }
    };
    // Each of them takes the whole timeout.
    std::thread::scope(|scope| {
        scope.spawn(|| broken(Fault::ServerError));
        scope.spawn(|| broken(Fault::Unavailable));
        scope.spawn(|| broken(Fault::Garbage));
        scope.spawn(|| broken(Fault::WrongShape));
        scope.spawn(|| broken(Fault::Close));
    });
}

#[test]
fn one_secret_that_the_service_cannot_read() {
    let (server, secret, _) = server();
    server.wrong(&secret, Wrong::Internal);
    assert_failure(&get(&server, &secret), "unavailable", "Unavailable");
}

#[test]
fn connections_that_are_reset() {
    let (server, secret, _) = server();
    server.connection_fault(ConnectionFault::Reset, usize::MAX);
    assert_failure(&get(&server, &secret), "unavailable", "Unavailable");
}

#[test]
fn everything_at_once() {
    let (server, secret, parameter) = server();
    let (denied, deleted) = (secret_arn(REGION, "denied"), secret_arn(REGION, "deleted"));
    let no_key = parameter_arn(REGION, "/app/kms");
    server.secret(&denied, VALUE).wrong(&denied, Wrong::Denied);
    server
        .secret(&deleted, VALUE)
        .wrong(&deleted, Wrong::ScheduledForDeletion);
    server.parameter(&no_key, VALUE).wrong(&no_key, Wrong::Kms);
    let resolved = Resolve::with(&server)
        .get("GOOD", &secret)
        .get("DENIED", &denied)
        .get("DELETED", &deleted)
        .get("MISSING", &parameter_arn(REGION, "/none"))
        .get("KMS", &no_key)
        .get("FINE", &parameter)
        .get("FILE", "file:/nonexistent")
        .run();
    assert_eq!((resolved.value("GOOD"), resolved.value("FINE")), (VALUE, VALUE));
    assert_eq!(resolved.kind("DENIED"), "denied");
    assert_eq!(resolved.kind("DELETED"), "scheduled_for_deletion");
    assert_eq!(resolved.kind("MISSING"), "not_found");
    assert_eq!(resolved.kind("KMS"), "kms_denied");
    assert_eq!(resolved.kind("FILE"), "not_found");
}

#[test]
fn the_services_words_cannot_break_a_line_or_tell_an_account() {
    let (server, secret, _) = server();
    let words = "first line\nsecond line\u{1b}[31m for 123456789012 \u{7f}";
    server.fault("*", Fault::Error("ValidationException", words), usize::MAX);
    let resolved = get(&server, &secret);
    let detail = resolved.entry("NAME")["detail"].as_str().expect("a detail");
    assert!(detail.contains("second line"), "{detail}");
    assert!(!detail.chars().any(char::is_control), "{detail:?}");
    let Value::String(text) = &resolved.entry("NAME")["text"] else {
        panic!("no text")
    };
    assert!(!text.contains("123456789012") && !text.contains('\n'), "{text}");
}
