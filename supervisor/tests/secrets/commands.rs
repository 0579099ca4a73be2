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

#[test]
fn exec_leaves_no_file_behind_if_it_cannot_become_the_command() {
    let server = FaultServer::start();
    server.secret(&secret("db"), "a value of this test alone");
    let config = format!(
        "[process.app]\ncommand = \"x\"\n[secrets.KEY]\nfrom = {:?}\nas = \"file\"\n",
        secret("db")
    );
    let output = setup(Some(&config), &server, &["exec", "--", "/nonexistent/program"]).output();
    assert_eq!(output.status.code(), Some(127));
    let left = std::fs::read_dir("/dev/shm").expect("/dev/shm").flatten();
    let mut left = left.flat_map(|dir| std::fs::read_dir(dir.path()).into_iter().flatten().flatten());
    let file = left.find(|dir| {
        std::fs::read(dir.path().join("KEY")).is_ok_and(|value| value == b"a value of this test alone")
    });
    assert!(file.is_none(), "{file:?}");
}

#[test]
fn exec_does_not_hand_on_that_sigpipe_is_ignored() {
    let server = FaultServer::start();
    let script = "grep SigIgn /proc/$$/status";
    let output = setup(None, &server, &["exec", "--", "sh", "-c", script]).output();
    let (stdout, _) = texts(&output);
    let mask = stdout.split_ascii_whitespace().nth(1).expect("a mask");
    let mask = u64::from_str_radix(mask, 16).expect("hexadecimal");
    // The one that Rust's runtime ignores.
    assert_eq!(mask >> (libc::SIGPIPE - 1) & 1, 0, "{stdout}");
}

#[test]
fn exec_as_pid_1_hears_a_stop_while_it_resolves() {
    // SAFETY: no memory is involved.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(root, "this test makes a PID namespace: run it as root");
    let server = FaultServer::start();
    server.fault("*", Fault::Hang, usize::MAX);
    let mut child = std::process::Command::new("unshare")
        .args(["--pid", "--fork", "--kill-child", env!("CARGO_BIN_EXE_runmate")])
        .args(["exec", "--", "true"])
        .envs(server.env())
        .env("DB", secret("db"))
        .spawn()
        .expect("unshare(1) starts");
    server.wait_for_calls(1);
    let inner = super::support::proc::descendants(child.id() as i32);
    // SAFETY: the child was not waited for, so that its own child has its pid still.
    unsafe { libc::kill(inner[0].pid, libc::SIGTERM) };
    assert_eq!(child.wait().expect("it ends").code(), Some(143));
}

#[test]
fn check_online_finds_what_no_process_could_be_given() {
    let server = FaultServer::start();
    server.secret(&secret("long"), &"x".repeat(131_072));
    let config = "[process.app]\ncommand = [\"true\"]\n";
    let run = setup(Some(config), &server, &["check", "--online"]).env("LONG", &secret("long"));
    let output = run.output();
    let (stdout, _) = texts(&output);
    assert_eq!(output.status.code(), Some(78), "{stdout}");
    assert!(
        stdout.contains("the variable LONG is 131078 bytes long"),
        "{stdout}"
    );
}
