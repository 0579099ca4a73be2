//! What processes find in their environment.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::section;
use crate::support::{Setup, free_address, process};

/// The environment of each process that says it.
fn environments(setup: Setup) -> BTreeMap<String, Value> {
    let exit = setup.start().exit();
    let said = exit.lines.iter().filter(|line| line["env"].is_object());
    let name = |line: &Value| line["process"].as_str().expect("a name").to_owned();
    said.map(|line| (name(line), line["env"].clone())).collect()
}

fn config(trace: &str, more: &str) -> String {
    process("task", "env", &format!("kind = \"task\"\n{more}"))
        + &process("app", "env", "after = [\"task\"]")
        + &section("otlp-http", &format!("http://{}", free_address()))
        + trace
}

#[test]
fn tasks_go_on_with_the_trace() {
    let found = environments(Setup::new(&config("", "")));
    let (task, app) = (&found["task"], &found["app"]);
    let parent = task["TRACEPARENT"].as_str().expect("a parent");
    let parts: Vec<&str> = parent.split('-').collect();
    let [version, trace, span, flags] = parts[..] else {
        panic!("{parent}")
    };
    assert_eq!((version, trace.len(), span.len(), flags), ("00", 32, 16, "01"));
    let xray = format!("Root=1-{}-{};Parent={span};Sampled=1", &trace[..8], &trace[8..]);
    assert_eq!(task["_X_AMZN_TRACE_ID"], xray);
    for key in ["TRACEPARENT", "_X_AMZN_TRACE_ID"] {
        assert!(
            app.get(key).is_none(),
            "a service lives on when the trace is over"
        );
    }
    for process in [task, app] {
        assert_eq!(process["OTEL_SERVICE_NAME"], "checkout");
        for key in [
            "OTEL_RESOURCE_ATTRIBUTES",
            "OTEL_PROPAGATORS",
            "OTEL_EXPORTER_OTLP_ENDPOINT",
        ] {
            assert!(process.get(key).is_none(), "{key} is not ours to invent");
        }
    }
}

#[test]
fn services_do_if_that_is_wanted_and_what_is_written_stays() {
    let own = "env = { TRACEPARENT = \"mine\", OTEL_SERVICE_NAME = \"job\" }";
    let found = environments(Setup::new(&config("carrier = true\n", own)));
    let (task, app) = (&found["task"], &found["app"]);
    assert_eq!(
        (&task["TRACEPARENT"], &task["OTEL_SERVICE_NAME"]),
        (&"mine".into(), &"job".into())
    );
    assert!(task["_X_AMZN_TRACE_ID"].is_string());
    assert!(
        app["TRACEPARENT"]
            .as_str()
            .is_some_and(|parent| parent.starts_with("00-"))
    );
}

/// Whoever started the container may be a part of another trace.
#[test]
fn two_traces_do_not_mix() {
    let inherited = |config: String| {
        Setup::new(&config)
            .env(
                "TRACEPARENT",
                "00-11111111111111111111111111111111-2222222222222222-01",
            )
            .env("TRACESTATE", "vendor=other")
    };
    let found = environments(inherited(config("", "")));
    let (task, app) = (&found["task"], &found["app"]);
    assert!(
        task["TRACEPARENT"]
            .as_str()
            .is_some_and(|parent| !parent.contains("1111111111"))
    );
    assert!(task.get("TRACESTATE").is_none(), "{task}");
    assert_eq!(app["TRACESTATE"], "vendor=other");
    let own = config("", "env = { TRACESTATE = \"mine=1\" }");
    assert_eq!(environments(inherited(own))["task"]["TRACESTATE"], "mine=1");
}

#[test]
fn where_it_runs_is_told_unless_somebody_did() {
    let in_pod = |setup: Setup| {
        setup
            .env("KUBERNETES_SERVICE_HOST", "10.0.0.1")
            .env("HOSTNAME", "web-0")
    };
    let found = environments(in_pod(Setup::new(&config("", ""))));
    assert_eq!(found["app"]["OTEL_RESOURCE_ATTRIBUTES"], "k8s.pod.name=web-0");
    let told = in_pod(Setup::new(&config("", ""))).env("OTEL_RESOURCE_ATTRIBUTES", "service.name=shop");
    let found = environments(told);
    assert_eq!(found["app"]["OTEL_RESOURCE_ATTRIBUTES"], "service.name=shop");
    assert!(
        found["app"].get("OTEL_SERVICE_NAME").is_none(),
        "it would win over the name that is there"
    );
}

/// A migration command is what the helper starts, and goes on with the trace, too.
#[test]
fn a_migration_command_goes_on_with_the_trace() {
    let migrate = "[migrate]\ndatabase = \"sqlite:app.db\"\ncommand = \"echo parent=$TRACEPARENT\"\n";
    let config = process("app", "exit 0", "") + &section("otlp-http", &format!("http://{}", free_address()));
    let exit = Setup::new(&(config + migrate)).start().exit();
    let said = exit.messages("migrate");
    let parent = said.iter().find_map(|line| line.strip_prefix("parent=00-"));
    let parent = parent.unwrap_or_else(|| panic!("{said:?}"));
    let started = exit
        .lines
        .iter()
        .find(|line| line["event"] == "started" && line["name"] == "migrate");
    let started = started.expect("it was started");
    assert_eq!(started["trace_id"], parent[..32]);
    assert_eq!(started["span_id"], parent[33..49]);
}
