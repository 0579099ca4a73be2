//! `runmate exec` and `runmate check --online`.

use std::process::Output;

use serde_json::Value;

use super::fault::{Fault, FaultServer, Wrong};
use super::support::Setup;
use super::{parameter, secret};

const VALUE: &str = "never-to-be-seen";

fn setup(config: Option<&str>, server: &FaultServer, args: &[&str]) -> Setup {
    let mut setup = config.map_or_else(Setup::without_config, Setup::new);
    for (key, value) in server.env() {
        setup = setup.env(key, &value);
    }
    setup.args(args.to_vec())
}

fn texts(output: &Output) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

#[test]
fn exec_becomes_the_command() {
    let server = FaultServer::start();
    server.secret(&secret("db"), "hunter2");
    let script = "echo \"$DB $$ $(cut -d ' ' -f 4 /proc/$$/stat)\"; exit 7";
    let output = setup(None, &server, &["exec", "--", "sh", "-c", script])
        .env("DB", &secret("db"))
        .output();
    let (stdout, stderr) = texts(&output);
    let words: Vec<_> = stdout.split_ascii_whitespace().collect();
    assert_eq!(words[0], "hunter2");
    // Our child itself, not a child of it.
    assert_eq!(words[2], std::process::id().to_string());
    assert_eq!((output.status.code(), stderr.as_str()), (Some(7), ""));
}

#[test]
fn exec_takes_the_secrets_of_the_config() {
    let server = FaultServer::start();
    server.secret(&secret("db"), r#"{"password": "hunter2"}"#);
    let config = format!(
        "[process.app]\ncommand = \"x\"\n[secrets.PASSWORD]\nfrom = {:?}\nas = \"json-key:password\"\n\
         [secrets.KEY]\nfrom = {0:?}\nas = \"file\"\n",
        secret("db")
    );
    let script = "echo \"$PASSWORD\"; cat \"$KEY\"; rm -r \"${KEY%/*/*}\"";
    let output = setup(Some(&config), &server, &["exec", "--", "sh", "-c", script]).output();
    let (stdout, stderr) = texts(&output);
    assert_eq!(stdout, "hunter2\n{\"password\": \"hunter2\"}", "{stderr}");
}

#[test]
fn exec_runs_nothing_without_its_secrets() {
    let server = FaultServer::start();
    server
        .secret(&secret("db"), VALUE)
        .wrong(&secret("db"), Wrong::Denied);
    for (name, reference, code) in [("DENIED", secret("db"), 77), ("MISSING", parameter("/none"), 78)] {
        let run = setup(None, &server, &["exec", "--", "touch", "started"]).env(name, &reference);
        let mark = run.dir().join("started");
        let output = run.output();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(name), "{stderr}");
        assert!(!(stdout + &stderr).contains("123456789012"), "{stderr}");
        assert!(!mark.exists());
    }
}

#[test]
fn exec_says_when_there_is_no_such_command() {
    let server = FaultServer::start();
    let output = setup(None, &server, &["exec", "--", "/nonexistent/program"]).output();
    assert_eq!(output.status.code(), Some(127));
}

#[test]
fn check_online_asks_and_names_but_never_shows() {
    let server = FaultServer::start();
    server
        .secret(&secret("db"), VALUE)
        .parameter(&parameter("/key"), VALUE);
    let config = "[process.app]\ncommand = [\"touch\", \"started\"]\n";
    for json in [false, true] {
        let args = if json {
            &["check", "--online", "--json"][..]
        } else {
            &["check", "--online"]
        };
        let run = setup(Some(config), &server, args)
            .env("DB", &secret("db"))
            .env("KEY", &parameter("/key"));
        let mark = run.dir().join("started");
        let output = run.output();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(0), "{stdout}{stderr}");
        assert!(stdout.contains("DB") && stdout.contains("KEY"), "{stdout}");
        assert!(!(stdout.clone() + &stderr).contains(VALUE));
        assert!(!mark.exists());
        if json {
            let report: Value = serde_json::from_str(&stdout).expect("JSON");
            assert_eq!(report["ok"], true);
        }
    }
    assert_eq!(server.calls().len(), 4, "asked each time");
}

#[test]
fn check_without_online_asks_nobody() {
    let server = FaultServer::start();
    let config = "[process.app]\ncommand = [\"true\"]\n";
    let run = setup(Some(config), &server, &["check"]).env("DB", &secret("db"));
    assert_eq!(run.output().status.code(), Some(0));
    assert_eq!(server.connections(), 0);
}

#[test]
fn check_online_names_all_that_would_be_missing() {
    let server = FaultServer::start();
    server
        .secret(&secret("denied"), VALUE)
        .wrong(&secret("denied"), Wrong::Denied);
    server.secret(&secret("good"), VALUE);
    let config = "[process.app]\ncommand = [\"true\"]\n";
    for (more, code) in [(None, 77), (Some(("MISSING", parameter("/none"))), 78)] {
        let mut run = setup(Some(config), &server, &["check", "--online"])
            .env("DENIED", &secret("denied"))
            .env("GOOD", &secret("good"));
        if let Some((name, reference)) = &more {
            run = run.env(name, reference);
        }
        let output = run.output();
        let (stdout, stderr) = texts(&output);
        assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
        assert!(stdout.contains("DENIED"), "{stdout}");
        assert!(stdout.contains("secretsmanager:GetSecretValue"), "{stdout}");
        if let Some((name, _)) = more {
            assert!(stdout.contains(name), "{stdout}");
        }
        assert!(!(stdout + &stderr).contains(VALUE));
    }
    let server = FaultServer::start();
    server.fault("*", Fault::Hang, usize::MAX);
    let config = config.to_owned() + "[secrets]\ntimeout = \"1s\"\n";
    let run = setup(Some(&config), &server, &["check", "--online"]).env("DB", &secret("db"));
    assert_eq!(run.output().status.code(), Some(69));
}
