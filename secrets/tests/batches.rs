//! Few calls, and every value where it belongs.

mod support;

use std::collections::BTreeSet;

use support::fault::{BATCH_GET_SECRET, FaultServer, GET_PARAMETER, GET_PARAMETERS, GET_SECRET, Wrong};
use support::{REGION, Resolve, parameter_arn, secret_arn};

const ABROAD: &str = "us-east-1";

/// How many calls the references need at least, when so many fit into one.
fn calls(ids: &BTreeSet<String>, fit: usize) -> usize {
    ids.len().div_ceil(fit)
}

#[test]
fn a_hundred_variables_take_the_fewest_calls_and_get_their_own_values() {
    let server = FaultServer::start();
    let mut resolve = Resolve::with(&server);
    let mut wanted = Vec::new();
    let mut planned = 0;
    // 60 secrets and 40 parameters in two regions; every seventh is one that was there already.
    for (region, secrets, parameters) in [(REGION, 38, 25), (ABROAD, 22, 15)] {
        let (mut secret_ids, mut parameter_ids) = (BTreeSet::new(), BTreeSet::new());
        for index in 0..secrets {
            let arn = secret_arn(region, &format!("app/s{}", index - index % 7 / 6));
            let value = format!("secret {arn}");
            if secret_ids.insert(arn.clone()) {
                server.secret(&arn, &value);
            }
            wanted.push((format!("S_{region}_{index}"), arn, value));
        }
        for index in 0..parameters {
            let arn = parameter_arn(region, &format!("/app/p{}", index - index % 7 / 6));
            let value = format!("parameter {arn}");
            if parameter_ids.insert(arn.clone()) {
                server.parameter(&arn, &value);
            }
            wanted.push((format!("P_{region}_{index}"), arn, value));
        }
        assert!(
            secret_ids.len() < secrets && parameter_ids.len() < parameters,
            "duplicates"
        );
        planned += calls(&secret_ids, 20) + calls(&parameter_ids, 10);
    }
    assert_eq!((wanted.len(), planned), (100, 2 + 3 + 1 + 2));
    for (name, arn, _) in &wanted {
        resolve = resolve.get(name, arn);
    }
    let resolved = resolve.run();
    for (name, _, value) in &wanted {
        assert_eq!(resolved.value(name), value, "{name}");
    }
    assert_eq!(server.calls().len(), planned, "{:#?}", server.calls());
    assert_eq!((server.count(GET_SECRET), server.count(GET_PARAMETER)), (0, 0));
    assert!(server.count_in(ABROAD, BATCH_GET_SECRET) > 0);
}

#[test]
fn answers_come_in_the_order_of_the_requests() {
    let server = FaultServer::start();
    let mut resolve = Resolve::with(&server);
    for index in [3, 1, 2, 1] {
        let (secret, parameter) = (
            secret_arn(REGION, &format!("s{index}")),
            parameter_arn(REGION, &format!("p{index}")),
        );
        server.secret(&secret, "v").parameter(&parameter, "v");
        resolve = resolve.get(&format!("P{index}"), &parameter);
        resolve = resolve.get(&format!("S{index}"), &secret);
    }
    let resolved = resolve.run();
    let names: Vec<_> = resolved
        .entries
        .iter()
        .map(|entry| entry["name"].as_str())
        .collect();
    let names: Vec<_> = names.into_iter().flatten().collect();
    assert_eq!(names, ["P3", "S3", "P1", "S1", "P2", "S2", "P1", "S1"]);
}

#[test]
fn keys_of_one_secret_are_one_id_and_no_hindrance_to_a_batch() {
    let server = FaultServer::start();
    let (db, other) = (secret_arn(REGION, "db"), secret_arn(REGION, "other"));
    server.secret(&db, r#"{"username": "app", "password": "hunter2", "port": 5432}"#);
    server.secret(&other, "plain");
    let resolved = Resolve::with(&server)
        .get("USER", &format!("{db}:username::"))
        .get("PASSWORD", &format!("{db}:password::"))
        .get_as("PORT", "json-key:port", &db)
        .get("OTHER", &other)
        .run();
    assert_eq!(resolved.value("USER"), "app");
    assert_eq!(resolved.value("PASSWORD"), "hunter2");
    assert_eq!(resolved.value("PORT"), "5432");
    assert_eq!(resolved.value("OTHER"), "plain");
    let calls = server.calls();
    assert_eq!(calls.len(), 1, "{calls:#?}");
    assert_eq!(calls[0].ids.len(), 2, "{calls:#?}");
}

#[test]
fn versions_stages_and_selectors_are_those_that_were_asked_for() {
    let server = FaultServer::start();
    let (secret, parameter) = (secret_arn(REGION, "db"), parameter_arn(REGION, "/app/key"));
    server
        .secret(&secret, "one")
        .secret(&secret, "two")
        .secret(&secret, "three");
    server
        .parameter(&parameter, "eins")
        .parameter(&parameter, "zwei")
        .parameter(&parameter, "drei");
    server.label(&parameter, 2, "blue");
    let first = server.version_id(&secret, 1);
    let resolved = Resolve::with(&server)
        .get("CURRENT", &secret)
        .get("STAGED_CURRENT", &format!("{secret}::AWSCURRENT:"))
        .get("PREVIOUS", &format!("{secret}::AWSPREVIOUS:"))
        .get("FIRST", &format!("{secret}:::{first}"))
        .get("NEWEST", &parameter)
        .get("BLUE", &format!("{parameter}:blue"))
        .get("EINS", &format!("{parameter}:1"))
        .get("DREI", &format!("{parameter}:3"))
        .run();
    assert_eq!(resolved.value("CURRENT"), "three");
    assert_eq!(resolved.value("STAGED_CURRENT"), "three");
    assert_eq!(resolved.value("PREVIOUS"), "two");
    assert_eq!(resolved.value("FIRST"), "one");
    assert_eq!(resolved.value("NEWEST"), "drei");
    assert_eq!(resolved.value("BLUE"), "zwei");
    assert_eq!(resolved.value("EINS"), "eins");
    assert_eq!(resolved.value("DREI"), "drei");
}

#[test]
fn arns_without_their_suffix_find_their_secrets() {
    let server = FaultServer::start();
    let mut resolve = Resolve::with(&server);
    for index in 0..5 {
        let arn = secret_arn(REGION, &format!("app/s{index}"));
        server.secret(&arn, &format!("value {index}"));
        resolve = resolve.get(
            &format!("PART{index}"),
            arn.strip_suffix("-AbCdEf").expect("a suffix"),
        );
        resolve = resolve.get(&format!("WHOLE{index}"), &arn);
    }
    let resolved = resolve.run();
    for index in 0..5 {
        assert_eq!(resolved.value(&format!("PART{index}")), format!("value {index}"));
        assert_eq!(resolved.value(&format!("WHOLE{index}")), format!("value {index}"));
    }
}

#[test]
fn without_the_batch_action_secrets_come_one_by_one() {
    let server = FaultServer::start();
    server.deny(BATCH_GET_SECRET);
    let mut resolve = Resolve::with(&server);
    for index in 0..25 {
        let arn = secret_arn(REGION, &format!("s{index}"));
        server.secret(&arn, &format!("value {index}"));
        resolve = resolve.get(&format!("S{index}"), &arn);
    }
    let resolved = resolve.run();
    for index in 0..25 {
        assert_eq!(resolved.value(&format!("S{index}")), format!("value {index}"));
    }
    assert_eq!(server.count(GET_SECRET), 25);
    let batches = server.count(BATCH_GET_SECRET);
    assert!((1..=2).contains(&batches), "once per batch, not again: {batches}");
}

#[test]
fn one_parameter_that_is_denied_takes_no_other_with_it() {
    let server = FaultServer::start();
    let mut resolve = Resolve::with(&server);
    for index in 0..10 {
        let arn = parameter_arn(REGION, &format!("/app/p{index}"));
        server.parameter(&arn, &format!("value {index}"));
        resolve = resolve.get(&format!("P{index}"), &arn);
    }
    server.wrong(&parameter_arn(REGION, "/app/p4"), Wrong::Denied);
    let resolved = resolve.run();
    for index in (0..10).filter(|index| *index != 4) {
        assert_eq!(resolved.value(&format!("P{index}")), format!("value {index}"));
    }
    assert_eq!(resolved.kind("P4"), "denied");
    assert_eq!(resolved.entry("P4")["action"], "ssm:GetParameters");
    let calls = server.count(GET_PARAMETERS);
    assert!((2..=11).contains(&calls), "{calls}");
}

#[test]
fn one_secret_that_fails_takes_no_other_with_it() {
    let server = FaultServer::start();
    let (good, bad) = (secret_arn(REGION, "good"), secret_arn(REGION, "bad"));
    server.secret(&good, "v").secret(&bad, "never seen");
    server.wrong(&bad, Wrong::Denied);
    let resolved = Resolve::with(&server).get("GOOD", &good).get("BAD", &bad).run();
    assert_eq!(resolved.value("GOOD"), "v");
    assert_eq!(resolved.kind("BAD"), "denied");
    assert_eq!(resolved.entry("BAD")["action"], "secretsmanager:GetSecretValue");
    assert!(!format!("{:?}", resolved.entries).contains("never seen"));
}

#[test]
fn binary_secrets_keep_their_bytes() {
    let server = FaultServer::start();
    let arn = secret_arn(REGION, "keystore");
    // ff 00 fe
    server.binary_secret(&arn, "/wD+");
    let resolved = Resolve::with(&server)
        .get_as("TEXT", "base64", &arn)
        .get_as("BYTES", "file", &arn)
        .get("NONE", &arn)
        .run();
    assert_eq!(resolved.value("TEXT"), "/wD+");
    assert_eq!(resolved.entry("BYTES")["value"], serde_json::json!([255, 0, 254]));
    assert_eq!(resolved.kind("NONE"), "bad_value");
}

#[test]
fn an_empty_list_asks_nobody() {
    let server = FaultServer::start();
    let resolved = Resolve::with(&server).run();
    assert!(resolved.entries.is_empty());
    assert_eq!(server.connections(), 0);
}
