//! Secrets in the least containers: no certificate authorities, no root, no writable file.

use std::time::Duration;

use serde_json::Value;

use crate::docker::{Container, Images};
use crate::fault::FaultServer;
use crate::locked_down::LOCKED;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:app/db-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/key";

/// `docker run` options for a server on this machine's loopback.
fn with_server(server: &FaultServer) -> Vec<String> {
    let mut options = vec!["--network".to_owned(), "host".to_owned()];
    for (key, value) in server.env() {
        options.extend(["-e".to_owned(), format!("{key}={value}")]);
    }
    options
}

/// Runs a container with more options than fit into a line.
fn run(image: &str, options: &[String], more: &[&str], command: &[&str]) -> Container {
    let options: Vec<&str> = options
        .iter()
        .map(String::as_str)
        .chain(more.iter().copied())
        .collect();
    Container::run(image, &options, command)
}

fn find<'a>(log: &'a [Value], event: &str) -> &'a Value {
    let line = log.iter().find(|line| line["event"] == event);
    line.unwrap_or_else(|| panic!("no {event} in {log:?}"))
}

#[test]
fn an_image_without_authorities_is_told_so_at_once() {
    // The real endpoints, which are https, and no way to them: nobody is to be asked.
    let options = [
        "--network",
        "none",
        "-e",
        &format!("DATABASE_PASSWORD={SECRET}"),
        "-e",
        "AWS_ACCESS_KEY_ID=AKIDEXAMPLE",
        "-e",
        "AWS_SECRET_ACCESS_KEY=secret-key-of-nobody",
    ];
    let container = Container::run(Images::scratch(), &options, &["/runmate", "probe"]);
    assert_eq!(container.wait(), 78);
    let exit = container.exit_line();
    assert!(
        exit["uptime"].as_f64().is_some_and(|seconds| seconds < 2.0),
        "{exit}"
    );
    let log = container.log();
    let line = find(&log, "secret_error");
    assert_eq!(line["variable"], "DATABASE_PASSWORD");
    assert_eq!(line["reason"], "no_trust_roots");
    assert!(line["message"].to_string().contains("ca-certificates"), "{line}");
    assert!(!container.stdout().contains("123456789012"));
}

#[test]
fn a_locked_down_container_gets_its_secrets() {
    let server = FaultServer::start();
    server
        .secret(SECRET, r#"{"password": "hunter2"}"#)
        .parameter(PARAMETER, "a key");
    let config = format!(
        "[process.app]\ncommand = 'id -u; echo \"$PASSWORD\"; cat \"$KEY\"; echo; stat -c \"%a %u\" \"$KEY\"'\n\
         [secrets.KEY]\nfrom = \"{PARAMETER}\"\nas = \"file\"\n[health]\nlisten = \"off\"\n"
    );
    let more = [
        "-e",
        &format!("RUNMATE_CONFIG_INLINE={config}"),
        "-e",
        &format!("PASSWORD={SECRET}:password::"),
    ];
    let container = run(
        Images::debian(),
        &with_server(&server),
        &[LOCKED, &more[..]].concat(),
        &[],
    );
    assert_eq!(container.wait(), 0, "{}", container.stdout());
    for said in ["1000", "hunter2", "a key", "400 1000"] {
        assert!(container.said(said), "{said}: {}", container.stdout());
    }
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn a_locked_down_image_from_scratch_gets_its_secrets() {
    let server = FaultServer::start();
    server.secret(SECRET, "value").parameter(PARAMETER, "a key");
    let config = format!(
        "[process.app]\ncommand = [\"/runmate\", \"probe\", \"http://127.0.0.1:9/\"]\n\
         [secrets.KEY]\nfrom = \"{PARAMETER}\"\nas = \"file\"\n[health]\nlisten = \"off\"\n"
    );
    let more = [
        "-e",
        &format!("RUNMATE_CONFIG_INLINE={config}"),
        "-e",
        &format!("PASSWORD={SECRET}"),
    ];
    let container = run(
        Images::scratch(),
        &with_server(&server),
        &[LOCKED, &more[..]].concat(),
        &[],
    );
    assert_eq!(container.wait(), 1, "the probe of a closed port: it was started");
    let log = container.log();
    assert_eq!(find(&log, "secrets")["resolved"], 2);
    find(&log, "started");
}

#[test]
fn a_secrets_file_makes_the_same_image_work_offline() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("secrets.json");
    let content = serde_json::json!({ (SECRET): "value of the file" });
    std::fs::write(&path, content.to_string()).expect("write");
    let mount = format!("{}:/secrets.json:ro", path.display());
    let options = [
        "--network",
        "none",
        "-v",
        &mount,
        "-e",
        "RUNMATE_SECRETS_FILE=/secrets.json",
        "-e",
        &format!("PASSWORD={SECRET}"),
    ];
    // The value itself is masked in the log.
    let container = Container::run(
        Images::debian(),
        &options,
        &[
            "sh",
            "-c",
            "echo \"$PASSWORD\"; echo \"${PASSWORD#value } is there\"",
        ],
    );
    assert_eq!(container.wait(), 0, "{}", container.stdout());
    assert!(container.said("***"));
    assert!(container.said("of the file is there"));
}

#[test]
fn a_stop_while_resolving_ends_the_container_at_once() {
    let server = FaultServer::start();
    server.fault("*", crate::fault::Fault::Hang, usize::MAX);
    let secret = format!("PASSWORD={SECRET}");
    let container = run(
        Images::debian(),
        &with_server(&server),
        &[
            LOCKED,
            &[
                "-e",
                &secret,
                "-e",
                "RUNMATE_CONFIG_INLINE=[health]\nlisten = \"off\"",
            ],
        ]
        .concat(),
        &["sleep", "1000"],
    );
    server.wait_for_calls(1);
    let took = container.stop();
    assert!(took < Duration::from_secs(3), "{took:?}");
    assert_eq!(container.exit_code(), 143);
    container.exit_line();
}
