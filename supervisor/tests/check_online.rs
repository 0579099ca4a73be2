//! `runmate check --online` looks once at what the health checks look at.

#[path = "support/programs.rs"]
mod programs;
mod support;

use std::net::TcpListener;

use serde_json::{Value, json};
use support::{Setup, free_address};

const APP: &str = "[process.app]\ncommand = [\"true\"]\n[health]\nlisten = \"off\"\n";

/// Exit code and report of these checks.
fn report(checks: &str, env: &[(&str, &str)]) -> (Option<i32>, Value) {
    let mut setup = Setup::new(&format!("{APP}{checks}")).args(["check", "--online", "--json"]);
    for (name, value) in env {
        setup = setup.env(name, value);
    }
    let output = setup.output();
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let report = serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    (output.status.code(), report)
}

/// The findings about checks, as `severity key message`.
fn findings(report: &Value) -> Vec<String> {
    let text = |value: &Value| value.as_str().expect("a string").to_owned();
    let all = report["findings"].as_array().expect("a list").iter();
    all.filter(|finding| text(&finding["key"]).starts_with("health.check."))
        .map(|finding| {
            format!(
                "{} {} {}",
                text(&finding["severity"]),
                text(&finding["key"]),
                text(&finding["message"])
            )
        })
        .collect()
}

#[test]
fn what_passes_is_a_line_and_what_fails_a_warning() {
    let up = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let (up_at, down_at) = (up.local_addr().expect("bound"), free_address());
    let checks = format!(
        "[health.check.up]\ntcp = \"{up_at}\"\n[health.check.down]\ntcp = \"{down_at}\"\n\
         [health.check.command]\nexec = [\"false\"]\n"
    );
    let (code, report) = report(&checks, &[]);
    assert_eq!(code, Some(0), "{report}");
    let of = |place: usize, key: &str| report["checks"][place][key].clone();
    assert_eq!((of(0, "name"), of(0, "passed")), (json!("up"), json!(true)));
    assert_eq!((of(1, "name"), of(1, "passed")), (json!("down"), json!(false)));
    assert_eq!((of(2, "name"), of(2, "passed")), (json!("command"), Value::Null));
    let found = findings(&report);
    let [down] = found.as_slice() else {
        panic!("{found:?}")
    };
    assert!(down.starts_with("warning health.check.down fails: "), "{down}");
    let output = Setup::new(&format!("{APP}{checks}"))
        .args(["check", "--online"])
        .output();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(text.contains("\nup: passes in "), "{text}");
    assert!(
        text.contains("\ncommand: not looked at; only run runs commands\n"),
        "{text}"
    );
}

#[test]
fn without_what_the_container_requires_it_is_69() {
    for level in ["required", "critical"] {
        let down = free_address();
        let checks = format!("[health.check.down]\ntcp = \"{down}\"\nlevel = \"{level}\"\n");
        let (code, report) = report(&checks, &[]);
        assert_eq!((code, &report["ok"]), (Some(69), &json!(false)), "{report}");
        assert!(
            findings(&report)[0].starts_with("error health.check.down fails: "),
            "{report}"
        );
    }
}

#[test]
fn a_server_that_does_not_answer_takes_no_longer_than_the_timeout() {
    let silent = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = silent.local_addr().expect("bound");
    let checks = format!("[health.check.silent]\nredis = \"redis://:hush@{address}\"\ntimeout = \"200ms\"\n");
    let (code, report) = report(&checks, &[]);
    assert_eq!(code, Some(0));
    assert_eq!(
        findings(&report),
        [format!(
            "warning health.check.silent fails: no answer within 200ms: still logging in at {address}"
        )]
    );
    assert!(!report.to_string().contains("hush"), "{report}");
}

#[test]
fn a_secret_that_is_no_address_is_an_error_and_not_shown() {
    let secrets = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secrets.path(), "hush://hush").expect("written");
    let reference = format!("file:{}", secrets.path().display());
    let (code, report) = report("[health.check.db]\npostgres = \"${DB}\"\n", &[("DB", &reference)]);
    assert_eq!(code, Some(78), "{report}");
    let text = report.to_string();
    assert!(
        text.contains("health.check.db.postgres: ") && !text.contains("hush"),
        "{text}"
    );
}

#[test]
fn a_password_of_libpq_is_the_secret_and_not_its_reference() {
    let database = programs::Postgres::start("app", "hush");
    let secrets = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secrets.path(), "hush").expect("written");
    let reference = format!("file:{}", secrets.path().display());
    let check = format!(
        "[health.check.db]\npostgres = \"postgres://app@127.0.0.1:{}/postgres\"\n",
        database.port()
    );
    let named = format!("[secrets.PGPASSWORD]\nfrom = \"{reference}\"\n");
    for (config, env) in [
        (check.clone(), &[("PGPASSWORD", reference.as_str())][..]),
        (check.clone() + &named, &[]),
    ] {
        let (code, report) = report(&config, env);
        assert_eq!(
            (code, &report["checks"][0]["passed"]),
            (Some(0), &json!(true)),
            "{report}"
        );
        assert!(!report.to_string().contains("hush"), "{report}");
    }
}
