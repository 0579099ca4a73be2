//! `restart = "app"`: a failing check restarts a process, by the rules of its backoff.

use std::time::{Duration, Instant};

use serde_json::Value;

use crate::lab::{Manner, Server, check};
use crate::support::{Runmate, Setup, is_event, process};

const BACKOFF: &str = "backoff = { min = \"100ms\", max = \"100ms\", restarts = 2, within = \"5m\" }";

fn config(server: &Server) -> String {
    process("app", "ready wait TERM", BACKOFF)
        + &process("sidecar", "wait TERM", "")
        + &check("up", &kind(server), "restart = \"app\"")
}

fn kind(server: &Server) -> String {
    format!("http = \"http://{}/\"", server.address)
}

fn wait_for_starts(run: &Runmate, count: usize) -> Vec<Value> {
    run.wait_until("so many starts of app", |lines| {
        let starts: Vec<Value> = lines
            .iter()
            .filter(|line| is_event(line, "started", "app"))
            .cloned()
            .collect();
        (starts.len() >= count).then_some(starts)
    })
}

#[test]
fn a_failing_check_restarts_its_process_until_that_is_spent() {
    let server = Server::start();
    let run = Setup::new(&config(&server)).with_health().start();
    run.wait_for("up", |line| line["event"] == "up");
    server.wait_for_calls(1);
    server.behave(Manner::Answers("500 Broken"));
    let began = Instant::now();
    let exit = run.exit();
    assert_eq!(exit.line()["cause"], "restarts_spent", "{}", run.said());
    assert_eq!(exit.code, Some(1), "{}", run.said());
    let count = |event: &str, name: &str| {
        let of = exit.lines.iter().filter(|line| is_event(line, event, name));
        of.count()
    };
    assert_eq!(count("started", "app"), 3);
    assert_eq!(count("started", "sidecar"), 1);
    // Each of three lives gets two looks, a second apart; the first of them comes when it comes.
    assert!(
        began.elapsed() > Duration::from_secs(3),
        "a new life has the whole patience, not {:?}",
        began.elapsed()
    );
}

#[test]
fn once_it_passes_again_nothing_more_is_restarted() {
    let server = Server::start();
    let run = Setup::new(&config(&server)).with_health().start();
    run.wait_for("up", |line| line["event"] == "up");
    server.behave(Manner::Answers("500 Broken"));
    wait_for_starts(&run, 2);
    server.behave(Manner::Answers("200 OK"));
    run.wait_for_event("check_passing", "up");
    server.wait_for_calls(4);
    assert_eq!(wait_for_starts(&run, 2).len(), 2);
    assert_eq!(run.get("/healthz").0, 200);
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0));
}

#[test]
fn it_works_without_endpoints_and_only_for_checks_that_restart() {
    let (server, other) = (Server::start(), Server::start());
    let idle = check("idle", &format!("http = \"http://{}/\"", other.address), "");
    let config = config(&server) + &idle + "[health]\nlisten = \"off\"\n";
    let run = Setup::new(&config).start();
    run.wait_for("up", |line| line["event"] == "up");
    server.behave(Manner::Answers("500 Broken"));
    wait_for_starts(&run, 2);
    assert_eq!(other.calls(), 0, "nobody could see what it finds");
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn the_log_says_which_check_and_why() {
    let server = Server::start();
    let run = Setup::new(&config(&server)).with_health().start();
    run.wait_for("up", |line| line["event"] == "up");
    server.behave(Manner::Answers("500 Broken"));
    let line = run.wait_for_event("unhealthy", "app");
    assert_eq!(line["check"], "up", "{line}");
    let why = line["why"].as_str().expect("why");
    assert!(why.contains("500"), "{line}");
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn an_app_that_still_boots_has_the_patience_of_the_intervals() {
    let server = Server::start();
    server.behave(Manner::Answers("500 Not Yet"));
    let config = process("app", "ready wait TERM", BACKOFF)
        + &format!(
            "[health.check.up]\n{}\ninterval = \"3s\"\nfail_after = 2\nrestart = \"app\"\n",
            kind(&server)
        );
    let run = Setup::new(&config).with_health().start();
    run.wait_for_event("ready", "app");
    let ready = Instant::now();
    // It never passed, so it is looked at each second.
    run.wait_for_event("unhealthy", "app");
    let lived = ready.elapsed();
    assert!(lived > Duration::from_millis(2500), "{lived:?}\n{}", run.said());
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn the_log_blames_the_check_that_asked_and_not_one_that_asked_before() {
    let (first, second) = (Server::start(), Server::start());
    // It asks at its first failure, and has not looked again when the other one asks.
    let seldom = "interval = \"6s\"\nfail_after = 1\nrestart = \"sidecar\"\n";
    let config = process("app", "wait TERM", "")
        + &process("sidecar", "ready wait TERM", BACKOFF)
        + &format!("[health.check.first]\n{}\n{seldom}", kind(&first))
        + &check("second", &kind(&second), "restart = \"sidecar\"");
    let run = Setup::new(&config).with_health().start();
    run.wait_for_event("check_passing", "first");
    first.behave(Manner::Answers("500 First"));
    let unhealthy = |count: usize| {
        run.wait_until("unhealthy", |lines| {
            let mut found = lines.iter().filter(|line| is_event(line, "unhealthy", "sidecar"));
            found.nth(count).cloned()
        })
    };
    let line = unhealthy(0);
    assert_eq!(line["check"], "first", "{line}");
    first.behave(Manner::Answers("200 OK"));
    second.behave(Manner::Answers("500 Second"));
    let line = unhealthy(1);
    assert_eq!(line["check"], "second", "{line}");
    assert!(
        line["why"].as_str().is_some_and(|why| why.contains("500")),
        "{line}"
    );
    run.signal(libc::SIGTERM);
    run.exit();
}
