//! To X-Ray without a collector, from end to end: a stand-in recomputes each signature.

use serde_json::json;

use crate::support::otlp::Receiver;
use crate::support::{Setup, is_own, process};
use crate::{attribute, children, to};

#[test]
fn boot_and_drain_arrive_signed_and_a_task_finds_the_trace() {
    let (key, secret) = ("AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG");
    let receiver = Receiver::with(&["--sigv4", &format!("eu-west-1,{key},{secret}")]);
    let config = process("task", "env", "kind = \"task\"")
        + &process("app", "wait SIGTERM exit 0", "after = [\"task\"]")
        + &to(&receiver, "xray")
        + "[run]\ndrain_delay = \"0s\"\n";
    // Only literal addresses are asked.
    let metadata = format!("{}/ecs", receiver.http().replace("localhost", "127.0.0.1"));
    let run = Setup::new(&config)
        .env("AWS_ACCESS_KEY_ID", key)
        .env("AWS_SECRET_ACCESS_KEY", secret)
        .env("AWS_REGION", "eu-west-1")
        .env("ECS_CONTAINER_METADATA_URI_V4", &metadata)
        .start();
    let boot = receiver.wait_for_span("boot");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0));
    receiver.wait_for_span("drain");
    assert!(!exit.lines.iter().any(|line| is_own(line, "trace_failed")));

    let mut posts = receiver.requests();
    posts.retain(|request| request["method"] == "POST");
    assert_eq!(posts.len(), 2, "{posts:#?}");
    for post in &posts {
        let authorization = post["headers"]["authorization"].as_str().expect("a signature");
        assert!(
            authorization.contains("/eu-west-1/xray/aws4_request"),
            "{authorization}"
        );
        assert_eq!(
            (&post["version"], &post["path"]),
            (&json!("HTTP/1.1"), &json!("/v1/traces"))
        );
    }
    for (key, value) in [
        ("service.name", "checkout"),
        ("cloud.provider", "aws"),
        ("cloud.platform", "aws_ecs"),
        ("cloud.region", "eu-west-1"),
        ("aws.ecs.task.family", "shop"),
    ] {
        assert_eq!(boot["resource"][key], value, "{}", boot["resource"]);
    }

    let parts = children(&receiver.spans(), &boot);
    let mut starts = parts.iter();
    let start = starts.find(|span| attribute(span, "runmate.process.name") == "task");
    let start = start.expect("a start of the task");
    let trace = boot["trace"].as_str().expect("an id");
    let found = exit.lines.iter().find(|line| line["env"].is_object());
    let parent = start["span"].as_str().expect("an id");
    assert_eq!(
        found.expect("an environment")["env"]["_X_AMZN_TRACE_ID"],
        format!("Root=1-{}-{};Parent={parent};Sampled=1", &trace[..8], &trace[8..])
    );
}
