//! `/health` by the rules of draft-inadarei-api-health-check-06.

mod support;

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use runmate_health::{
    Access, Check, ComponentType, Failure, Health, Measured, Observation, Settings, checks,
};
use serde_json::{Map, Value, json};
use support::{Scripted, boards, get, paused};
use tokio::sync::Notify;

/// What is wrong with a response, rule by rule. Each SHOULD of the draft is a MUST here.
fn violations(code: u16, media: &str, body: &str) -> Vec<String> {
    let mut found = Vec::new();
    if media != "application/health+json" {
        found.push(format!("section 6: the media type is {media}"));
    }
    let Ok(Value::Object(report)) = serde_json::from_str(body) else {
        found.push("section 3: no JSON object".into());
        return found;
    };
    let status = status(&report, &mut found);
    // "For "pass" status, HTTP response code in the 2xx-3xx range MUST be used. For "fail" status, HTTP response
    // code in the 4xx-5xx range MUST be used."; "warn" as "pass", "and additional information SHOULD be provided".
    let fine = (200..400).contains(&code);
    if fine == (status == "fail") {
        found.push(format!("3.1: {code} with {status}"));
    }
    if status != "pass" && !report.contains_key("output") {
        found.push(format!("3.1: {status} without a reason"));
    }
    output(&report, status, "3.5", &mut found);
    for (key, value) in &report {
        let sound = match key.as_str() {
            "status" | "version" | "releaseId" | "output" | "serviceId" | "description" => value.is_string(),
            "notes" => strings(value),
            "links" => links(value),
            "checks" => value.is_object(),
            // Ours.
            "phase" => value.is_string(),
            _ => false,
        };
        if !sound {
            found.push(format!("section 3: {key}: {value}"));
        }
    }
    for (key, list) in report
        .get("checks")
        .and_then(Value::as_object)
        .into_iter()
        .flatten()
    {
        // "MUST not contain a colon, in the name, since colon is used as a separator", of both parts.
        let parts: Vec<&str> = key.split(':').collect();
        if parts.len() > 2 || parts.contains(&"") {
            found.push(format!("section 4: the key {key:?}"));
        }
        match list.as_array() {
            Some(list) if !list.is_empty() => list
                .iter()
                .for_each(|one| measurement(key, parts.len() == 2, one, &mut found)),
            _ => found.push(format!("section 4: {key:?} is no list of objects")),
        }
    }
    found
}

fn status<'a>(object: &'a Map<String, Value>, found: &mut Vec<String>) -> &'a str {
    let status = object.get("status").and_then(Value::as_str).unwrap_or_default();
    if !["pass", "warn", "fail"].contains(&status) {
        found.push(format!("3.1: the status {status:?}"));
    }
    status
}

/// "This field SHOULD be omitted for "pass" state."
fn output(object: &Map<String, Value>, status: &str, section: &str, found: &mut Vec<String>) {
    if status == "pass" && object.contains_key("output") {
        found.push(format!("{section}: an output with pass"));
    }
}

fn measurement(key: &str, has_component: bool, value: &Value, found: &mut Vec<String>) {
    let Some(object) = value.as_object() else {
        found.push(format!("section 4: an element of {key:?} is no object"));
        return;
    };
    let status = status(object, found);
    output(object, status, "4.8", found);
    if has_component && !object.contains_key("componentType") {
        found.push(format!("4.2: {key:?} has no componentType"));
    }
    if object.contains_key("observedUnit") && !object.contains_key("observedValue") {
        found.push(format!("4.4: {key:?} has a unit of nothing"));
    }
    // A state is no quantity, and a count has no unit; everything else that is measured has one.
    let count = key.ends_with(":restarts");
    if object.get("observedValue").is_some_and(Value::is_number)
        && !count
        && !object.contains_key("observedUnit")
    {
        found.push(format!("4.4: {key:?} has no unit"));
    }
    if status == "pass" && object.contains_key("affectedEndpoints") {
        found.push(format!("4.6: {key:?} affects endpoints with pass"));
    }
    for (field, value) in object {
        let sound = match field.as_str() {
            "componentId" | "observedUnit" | "status" | "output" => value.is_string(),
            "componentType" => ["component", "datastore", "system"]
                .map(Value::from)
                .contains(value),
            "observedValue" => !value.is_null(),
            "affectedEndpoints" => strings(value),
            "time" => value.as_str().is_some_and(is_rfc3339),
            "links" => links(value),
            // Ours.
            "level" => ["info", "degraded", "required", "critical"]
                .map(Value::from)
                .contains(value),
            "state" => ["pending", "passing", "failing"].map(Value::from).contains(value),
            "stale" => *value == json!(true),
            "latency" => value.is_object(),
            "transitions" => transitions(value),
            _ => false,
        };
        if !sound {
            found.push(format!("section 4: {key:?}: {field}: {value}"));
        }
    }
}

fn transitions(value: &Value) -> bool {
    value.as_array().is_some_and(|list| {
        list.iter()
            .all(|change| change["time"].as_str().is_some_and(is_rfc3339) && change["from"] != change["to"])
    })
}

fn strings(value: &Value) -> bool {
    value
        .as_array()
        .is_some_and(|list| list.iter().all(Value::is_string))
}

/// "An object containing link relations and URIs."
fn links(value: &Value) -> bool {
    value
        .as_object()
        .is_some_and(|links| links.values().all(Value::is_string))
}

/// RFC 3339, section 5.6: `date-time`.
fn is_rfc3339(text: &str) -> bool {
    let shape: String = text
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let Some(rest) = shape.strip_prefix("0000-00-00T00:00:00") else {
        return false;
    };
    let zone = rest
        .strip_prefix('.')
        .map_or(rest, |rest| rest.trim_start_matches('0'));
    let fraction = rest.len() - zone.len();
    let number = |from: usize, to: usize| text[from..to].parse::<u32>().unwrap_or(99);
    fraction != 1
        && (zone == "Z" || ["+00:00", "-00:00"].contains(&zone))
        && (1..=12).contains(&number(5, 7))
        && (1..=31).contains(&number(8, 10))
        && number(11, 13) < 24
        && number(14, 16) < 60
        && number(17, 19) <= 60
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]
    #[test]
    fn every_report_follows_the_draft(board in boards()) {
        paused().block_on(async {
            let health = board.health().await;
            let (code, media, body) = get(&health, "/health", None).await;
            let found = violations(code, &media, &body);
            prop_assert!(found.is_empty(), "{:?}\n{}", found, body);
            let report: Value = serde_json::from_str(&body).expect("JSON");
            // The same in both: nobody is told less than the other.
            let (healthz, _, _) = get(&health, "/healthz", None).await;
            prop_assert!(report["status"] != "pass" || healthz == 200);
            Ok(())
        })?;
    }
}

#[test]
fn the_rules_find_what_breaks_them() {
    let sound = json!({
        "status": "warn", "output": "a reason", "notes": ["one"], "links": { "about": "https://example.com" },
        "checks": {
            "uptime": [{ "componentType": "system", "observedValue": 1.5, "observedUnit": "s", "status": "pass" }],
            "db:responseTime": [{
                "componentId": "1", "componentType": "datastore", "observedValue": 3, "observedUnit": "ms",
                "status": "fail", "affectedEndpoints": ["/users/{id}"], "time": "2026-02-03T04:05:06.789Z",
                "output": "refused", "links": {},
            }],
        },
    });
    let check = |report: &Value| violations(200, "application/health+json", &report.to_string());
    assert_eq!(check(&sound), [""; 0]);
    assert_eq!(
        violations(503, "application/health+json", &sound.to_string()).len(),
        1
    );
    assert_eq!(violations(200, "application/json", &sound.to_string()).len(), 1);
    assert_eq!(violations(200, "application/health+json", "[]").len(), 1);

    let db = "/checks/db:responseTime/0";
    for (pointer, key, value) in [
        ("", "status", json!("ok")),
        ("", "status", json!("fail")),
        ("", "status", json!("pass")),
        ("", "output", Value::Null),
        ("", "notes", json!("one")),
        ("", "links", json!(["about"])),
        ("", "version", json!(1)),
        ("", "releaseID", json!("1")),
        ("", "checks", json!([])),
        (
            "/checks",
            "a:b:c",
            json!([{ "componentType": "system", "status": "pass" }]),
        ),
        (
            "/checks",
            "a:",
            json!([{ "componentType": "system", "status": "pass" }]),
        ),
        ("/checks", "a", json!([])),
        ("/checks", "a", json!({})),
        ("/checks", "a", json!([1])),
        ("/checks", "a", json!([{}])),
        ("/checks", "a", json!([{ "status": "pass", "observedUnit": "s" }])),
        ("/checks", "a", json!([{ "status": "pass", "observedValue": 1 }])),
        ("/checks", "a:b", json!([{ "status": "pass" }])),
        (db, "status", json!("pass")),
        (db, "componentType", json!("database")),
        (db, "componentId", json!(1)),
        (db, "observedValue", Value::Null),
        (db, "observedUnit", json!(1)),
        (db, "affectedEndpoints", json!("/users")),
        (db, "time", json!("2026-02-03 04:05:06Z")),
        (db, "time", json!("2026-13-03T04:05:06Z")),
        (db, "time", json!("2026-02-03T24:05:06Z")),
        (db, "time", json!("2026-02-03T04:05:06.Z")),
        (db, "time", json!("2026-02-03T04:05:06")),
        (db, "time", json!(1_770_000_000)),
        (db, "observedvalue", json!(1)),
    ] {
        let mut broken = sound.clone();
        let place = broken.pointer_mut(pointer).expect("a place");
        place[key] = value.clone();
        assert!(!check(&broken).is_empty(), "{pointer} {key} {value}");
    }
}

/// The key of the only check, and whether it has a value.
async fn key(health: &Health) -> (String, bool) {
    let (_, _, body) = get(health, "/health", None).await;
    let report: Value = serde_json::from_str(&body).expect("JSON");
    let checks = report["checks"].as_object().expect("an object");
    let (key, elements) = checks.iter().find(|(key, _)| *key != "uptime").expect("a check");
    (key.clone(), elements[0].get("observedValue").is_some())
}

/// The key of a check before its first look, and after each of so many.
fn keys(check: impl Check, looks: usize) -> Vec<(String, bool)> {
    paused().block_on(async {
        let health = Health::new(Access::Public);
        let settings = Settings::default().interval(Duration::from_secs(1));
        health.check("space", check, settings);
        let mut keys = vec![key(&health).await];
        let looked = Arc::new(Notify::new());
        let tells = Arc::clone(&looked);
        health.observe(move |_| tells.notify_one());
        for _ in 0..looks {
            looked.notified().await;
            keys.push(key(&health).await);
        }
        keys
    })
}

#[test]
fn a_key_does_not_change_with_the_result() {
    let key = |measured: &str, value| (format!("space:{measured}"), value);
    // A directory that is not there: nothing is measured.
    let disk = checks::Disk::new("/nowhere/at/all");
    assert_eq!(keys(disk, 1), [key("free", false), key("free", false)]);

    // One that does not say what it measures, until it has done so.
    let measured = Measured::new("waiting", 1.0, "jobs");
    let own = Scripted {
        kind: ComponentType::Component,
        results: vec![
            Err(Failure::new("refused")),
            Ok(Observation::of(measured)),
            Err(Failure::new("refused")),
            Err(Failure::unknown("nobody to ask")),
        ],
        looked: Default::default(),
    };
    let (before, after) = (key("responseTime", true), key("waiting", false));
    assert_eq!(
        keys(own, 4),
        [
            key("responseTime", false),
            before,
            key("waiting", true),
            after.clone(),
            after
        ]
    );
}
