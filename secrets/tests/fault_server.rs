//! The fault server itself: it has to behave like the services, or the tests that lean on it show nothing.

#[path = "support/client.rs"]
mod client;
#[path = "support/credentials.rs"]
mod credentials;
#[path = "support/fault.rs"]
mod fault;

use std::io::{Read, Write};
use std::net::TcpStream;

use fault::{BATCH_GET_SECRET, ConnectionFault, Fault, FaultServer, GET_PARAMETERS, GET_SECRET, Wrong};
use serde_json::{Value, json};

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:demo/db-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/demo/key";

fn ask(server: &FaultServer, target: &str, body: &Value) -> (u16, Value) {
    client::ask(&server.url(), "eu-west-1", target, body)
}

fn connect(server: &FaultServer) -> TcpStream {
    TcpStream::connect(("127.0.0.1", server.port())).expect("connected")
}

#[test]
fn an_id_that_ends_like_a_whole_arn_is_taken_as_one() {
    let server = FaultServer::start();
    server.secret(
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:xyz-secret-AbCdEf",
        "v",
    );
    let get = |id: &str| {
        let answer = ask(
            &server,
            "secretsmanager.GetSecretValue",
            &json!({ "SecretId": id }),
        );
        answer.0
    };
    assert_eq!(get("xyz-secret"), 200, "a name is no ARN");
    assert_eq!(
        get("arn:aws:secretsmanager:eu-west-1:123456789012:secret:xyz-secret"),
        400
    );
    assert_eq!(
        get("arn:aws:secretsmanager:eu-west-1:123456789012:secret:xyz-secret-AbCdEf"),
        200
    );
    server.secret(SECRET, "v");
    assert_eq!(
        get("arn:aws:secretsmanager:eu-west-1:123456789012:secret:demo/db"),
        200
    );
}

#[test]
fn versions_and_stages_are_found() {
    let server = FaultServer::start();
    server.secret(SECRET, "old").secret(SECRET, "new");
    let get = |more: &str, value: &str| {
        let mut body = json!({ "SecretId": SECRET });
        body[more] = json!(value);
        ask(&server, "secretsmanager.GetSecretValue", &body).1
    };
    assert_eq!(get("X", "")["SecretString"], "new");
    assert_eq!(get("VersionStage", "AWSPREVIOUS")["SecretString"], "old");
    assert_eq!(
        get("VersionId", &server.version_id(SECRET, 1))["SecretString"],
        "old"
    );
    assert_eq!(
        get("VersionStage", "NONE"),
        json!({
            "__type": "ResourceNotFoundException",
            "Message": "Secrets Manager can't find the specified secret value for staging label: NONE",
        })
    );
}

#[test]
fn batches_have_limits_and_report_single_failures() {
    let server = FaultServer::start();
    server.secret(SECRET, "v").wrong(SECRET, Wrong::Kms);
    let ids: Vec<String> = (0..21).map(|index| format!("s{index}")).collect();
    let (status, error) = ask(
        &server,
        "secretsmanager.BatchGetSecretValue",
        &json!({ "SecretIdList": ids }),
    );
    assert_eq!((status, &error["__type"]), (400, &json!("ValidationException")));
    let (status, _) = ask(&server, "AmazonSSM.GetParameters", &json!({ "Names": ids[..11] }));
    assert_eq!(status, 400);
    let (status, batch) = ask(
        &server,
        "secretsmanager.BatchGetSecretValue",
        &json!({ "SecretIdList": [SECRET] }),
    );
    assert_eq!(status, 200);
    assert_eq!(batch["Errors"][0]["Message"], "Access to KMS is not allowed");
    assert_eq!(server.count_in("eu-west-1", BATCH_GET_SECRET), 2);
    server.deny(BATCH_GET_SECRET);
    let body = json!({ "SecretIdList": [SECRET] });
    let (status, error) = ask(&server, "secretsmanager.BatchGetSecretValue", &body);
    assert_eq!((status, &error["__type"]), (400, &json!("AccessDeniedException")));
}

#[test]
fn answers_are_shuffled_and_carry_selectors() {
    let server = FaultServer::start();
    server.parameter(PARAMETER, "one").parameter(PARAMETER, "two");
    server.label(PARAMETER, 1, "blue");
    let names = [
        format!("{PARAMETER}:blue"),
        format!("{PARAMETER}:2"),
        PARAMETER.to_owned(),
        "/demo/none".to_owned(),
    ];
    let body = json!({ "Names": names, "WithDecryption": true });
    let (_, answer) = ask(&server, "AmazonSSM.GetParameters", &body);
    assert_eq!(answer["InvalidParameters"], json!(["/demo/none"]));
    let found = answer["Parameters"].as_array().expect("a list");
    let selectors: Vec<_> = found
        .iter()
        .map(|entry| (&entry["Selector"], &entry["Value"]))
        .collect();
    assert_eq!(
        selectors,
        [
            (&Value::Null, &json!("two")),
            (&json!(":2"), &json!("two")),
            (&json!(":blue"), &json!("one")),
        ]
    );
    let (_, plain) = ask(
        &server,
        "AmazonSSM.GetParameters",
        &json!({ "Names": ["/demo/key"] }),
    );
    assert_ne!(plain["Parameters"][0]["Value"], "two", "not decrypted");
    let (_, abroad) = client::ask(&server.url(), "us-east-1", "AmazonSSM.GetParameters", &body);
    assert_eq!(abroad["Parameters"], json!([]));
}

#[test]
fn one_denied_name_denies_the_whole_call() {
    let server = FaultServer::start();
    let other = format!("{PARAMETER}2");
    server.parameter(PARAMETER, "one").parameter(&other, "two");
    server.wrong(&other, Wrong::Denied);
    let body = json!({ "Names": [PARAMETER, other] });
    let (status, error) = ask(&server, "AmazonSSM.GetParameters", &body);
    assert_eq!((status, &error["__type"]), (400, &json!("AccessDeniedException")));
    assert!(error["Message"].as_str().expect("a message").contains(&other));
}

#[test]
fn faults_take_their_turns() {
    let server = FaultServer::start();
    server.secret(SECRET, "v");
    server.fault(GET_SECRET, Fault::Throttle(Some(1)), 2);
    server.fault("*", Fault::Close, 1);
    let get = || {
        ask(
            &server,
            "secretsmanager.GetSecretValue",
            &json!({ "SecretId": SECRET }),
        )
        .0
    };
    let codes: Vec<u16> = (0..4).map(|_| get()).collect();
    assert_eq!(codes, [400, 400, 0, 200]);
    assert_eq!((server.count(GET_SECRET), server.count(GET_PARAMETERS)), (4, 0));
    server.connection_fault(ConnectionFault::Reset, 1);
    let mut stream = connect(&server);
    stream.write_all(b"POST / HTTP/1.1\r\n").expect("sent");
    let error = stream.read(&mut [0; 10]).expect_err("a reset");
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    assert_eq!(server.connections(), 5);
}

#[test]
fn credentials_want_the_very_token() {
    let server = credentials::CredentialServer::start(Some("token"));
    let uri = server.full_uri();
    let address = uri
        .strip_prefix("http://")
        .and_then(|rest| rest.split('/').next());
    let get = |token: &str| {
        let mut stream = TcpStream::connect(address.expect("an address")).expect("connected");
        let path = credentials::PATH;
        write!(stream, "GET {path} HTTP/1.1\r\nAuthorization: {token}\r\n\r\n").expect("sent");
        stream.shutdown(std::net::Shutdown::Write).expect("half closed");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("an answer");
        answer.contains(credentials::ACCESS_KEY)
    };
    assert!(get("token"));
    assert!(!get("token "));
    assert!(!get("other"));
    let seen = server.seen();
    assert_eq!((seen.given, seen.refused, seen.tokens.len()), (1, 2, 3));
}
