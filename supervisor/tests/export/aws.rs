//! To X-Ray, signed; and what ECS tells of the container.

use serde_json::json;

use crate::lab::{export, job, within};
use crate::support::otlp::Receiver;

const SIGV4: [&str; 2] = [
    "--sigv4",
    "eu-west-1,AKIDEXAMPLE,wJalrXUtnFEMI/K7MDENG,session+token==",
];

fn credentials(secret: &str) -> serde_json::Value {
    json!([
        ["AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"],
        ["AWS_SECRET_ACCESS_KEY", secret],
        ["AWS_SESSION_TOKEN", "session+token=="],
        ["AWS_REGION", "eu-west-1"],
    ])
}

#[test]
fn xray_gets_a_signature_that_it_can_verify() {
    let receiver = Receiver::with(&SIGV4);
    let mut job = job("Xray", Some(&receiver.http()));
    job["env"] = credentials("wJalrXUtnFEMI/K7MDENG");
    assert_eq!(export(&job, &[]).answer, Ok(None));
    receiver.wait_for_span("restart");
    let request = &receiver.requests()[0];
    assert_eq!(
        (&request["version"], &request["path"]),
        (&json!("HTTP/1.1"), &json!("/v1/traces"))
    );
    let authorization = request["headers"]["authorization"].as_str().expect("a signature");
    assert!(
        authorization.contains("/eu-west-1/xray/aws4_request"),
        "{authorization}"
    );
}

#[test]
fn what_a_collector_is_told_is_not_for_xray() {
    let receiver = Receiver::with(&SIGV4);
    let mut job = job("Xray", Some(&receiver.http()));
    job["env"] = credentials("wJalrXUtnFEMI/K7MDENG");
    let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "x-tenant=shop");
    assert_eq!(export(&job, &[headers]).answer, Ok(None));
    assert_eq!(receiver.requests()[0]["headers"]["x-tenant"], json!(null));
}

#[test]
fn a_wrong_secret_is_refused_and_told() {
    let receiver = Receiver::with(&SIGV4);
    let mut job = job("Xray", Some(&receiver.http()));
    job["env"] = credentials("another");
    let outcome = export(&job, &[]);
    assert!(
        outcome.why().contains("403 Forbidden: SignatureDoesNotMatch"),
        "{}",
        outcome.why()
    );
    assert!(!outcome.why().contains("another") && !outcome.why().contains("session"));
    assert_eq!(receiver.requests().len(), 1);
}

/// Like the services of AWS, the receiver shows what it was to be signed with.
#[test]
fn a_token_of_the_container_is_not_told() {
    let receiver = Receiver::with(&SIGV4);
    let mut job = job("Xray", Some(&receiver.http()));
    // Not the receiver's.
    job["env"] = json!([["AWS_REGION", "us-east-1"]]);
    let uri = format!(
        "{}/credentials",
        receiver.http().replace("localhost", "127.0.0.1")
    );
    let outcome = export(&job, &[("AWS_CONTAINER_CREDENTIALS_FULL_URI", &uri)]);
    assert!(
        outcome.why().ends_with("SignatureDoesNotMatch: ***"),
        "{}",
        outcome.why()
    );
}

#[test]
fn every_attempt_is_signed() {
    let mut receiver = Receiver::with(&SIGV4);
    receiver.behave("busy");
    let mut job = job("Xray", Some(&receiver.http()));
    job["env"] = credentials("wJalrXUtnFEMI/K7MDENG");
    assert_eq!(export(&job, &[]).answer, Ok(None));
    let dates: Vec<_> = receiver
        .requests()
        .iter()
        .map(|request| request["headers"]["x-amz-date"].clone())
        .collect();
    assert!(dates.len() == 2 && dates[0] != dates[1], "{dates:?}");
}

#[test]
fn credentials_region_and_resource_come_from_the_container() {
    let receiver = Receiver::with(&SIGV4);
    // Only literal addresses are asked.
    let here = receiver.http().replace("localhost", "127.0.0.1");
    let env = [
        (
            "AWS_CONTAINER_CREDENTIALS_FULL_URI",
            &*format!("{here}/credentials"),
        ),
        ("ECS_CONTAINER_METADATA_URI_V4", &*format!("{here}/ecs")),
    ];
    assert_eq!(
        export(&job("Xray", Some(&receiver.http())), &env).answer,
        Ok(None)
    );
    let span = receiver.wait_for_span("boot");
    for (key, value) in [
        ("cloud.region", "eu-west-1"),
        ("cloud.account.id", "123456789012"),
        ("aws.ecs.task.family", "shop"),
        ("aws.ecs.task.revision", "7"),
        ("aws.ecs.launchtype", "fargate"),
        (
            "aws.ecs.cluster.arn",
            "arn:aws:ecs:eu-west-1:123456789012:cluster/demo",
        ),
        ("container.name", "app"),
    ] {
        assert_eq!(span["resource"][key], value, "{}", span["resource"]);
    }
}

#[test]
fn a_metadata_endpoint_that_hangs_or_has_a_name_is_done_without() {
    let hanging = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
    let hanging = format!("http://{}", hanging.local_addr().expect("an address"));
    let receiver = Receiver::start();
    for uri in [hanging, "http://ecs.invalid/v4".to_owned()] {
        let outcome = export(
            &within(job("OtlpHttp", Some(&receiver.http())), 5000),
            &[("ECS_CONTAINER_METADATA_URI_V4", &uri)],
        );
        assert_eq!(outcome.answer, Ok(None), "{uri}");
    }
}

#[test]
fn without_credentials_or_a_region_the_reason_is_said() {
    // Nothing of this machine is to be found.
    let env = [("AWS_EC2_METADATA_DISABLED", "true"), ("HOME", "/nonexistent")];
    let mut job = job("Xray", Some("http://127.0.0.1:9"));
    assert!(export(&job, &env).why().contains("set AWS_REGION"));
    job["env"] = json!([["AWS_REGION", "eu-west-1"]]);
    let outcome = export(&job, &env);
    assert!(outcome.why().contains("no credentials"), "{}", outcome.why());
}
