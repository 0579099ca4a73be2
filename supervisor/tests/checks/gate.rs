//! The first boot: what is required has to pass once before the platform takes the container for a good one.

use std::time::{Duration, Instant};

use crate::lab::{Manner, Server, by_name, check, wait_state};
use crate::support::{Runmate, Setup, process};

fn start(server: &Server, url: &str, level: &str) -> Runmate {
    server.behave(Manner::Answers("500 Broken"));
    let kind = format!("http = \"{url}\"");
    let config = process("app", "wait TERM", "") + &check("api", &kind, &format!("level = \"{level}\""));
    let run = Setup::new(&config).with_health().start();
    run.wait_for_event("ready", "app");
    run
}

/// An app that a migration comes before; that goes on once there is a file `go`, and ends with this code.
fn migrating(server: &Server, code: u8, more: &str) -> Runmate {
    let wait = format!("until [ -e go ]; do sleep 0.02; done; exit {code}");
    let kind = format!("http = \"http://{}/\"", server.address);
    let config = process("app", "wait TERM", "")
        + &format!("[migrate]\ndatabase = \"sqlite:a.db\"\ncommand = \"{wait}\"\n{more}\n")
        + &check("api", &kind, "level = \"required\"")
        + &check("space", "disk = { path = \"/\", min_free = \"1B\" }", "");
    Setup::new(&config).with_health().start()
}

fn statuses(run: &Runmate) -> [u16; 3] {
    ["/healthz", "/readyz", "/health"].map(|path| run.get(path).0)
}

fn stop(run: &Runmate) {
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}

#[test]
fn a_required_check_holds_a_new_container_until_it_passed_and_never_again() {
    let server = Server::start();
    // Looked at here, and by the helper.
    for url in [format!("http://{}/", server.address), by_name(server.address)] {
        let run = start(&server, &url, "required");
        assert_eq!(statuses(&run), [503; 3]);
        let line = run.wait_for_event("check_pending", "api");
        let message = line["message"].as_str().expect("a message");
        assert!(
            message.contains("500") && message.contains("/healthz is 503 until its first pass"),
            "{line}"
        );
        wait_state(&run, "api", "failing");
        assert_eq!(statuses(&run), [503; 3]);
        server.behave(Manner::Answers("204 No Content"));
        wait_state(&run, "api", "passing");
        assert_eq!(statuses(&run), [200; 3]);
        server.behave(Manner::Answers("500 Broken"));
        wait_state(&run, "api", "failing");
        assert_eq!(statuses(&run), [200, 503, 200]);
        assert_eq!(run.get("/health").1["status"], "warn");
        stop(&run);
    }
}

#[test]
fn a_critical_check_fails_healthz_whenever_it_fails() {
    let server = Server::start();
    let run = start(&server, &by_name(server.address), "critical");
    assert_eq!(statuses(&run), [503; 3]);
    server.behave(Manner::Answers("200 OK"));
    wait_state(&run, "api", "passing");
    assert_eq!(statuses(&run), [200; 3]);
    server.behave(Manner::Answers("500 Broken"));
    wait_state(&run, "api", "failing");
    assert_eq!(statuses(&run), [503; 3]);
    let line = run.wait_for_event("check_failing", "api");
    assert_eq!(line["level"], "ERROR", "{line}");
    stop(&run);
}

#[test]
fn a_degraded_check_holds_nothing() {
    let server = Server::start();
    let run = start(&server, &by_name(server.address), "degraded");
    wait_state(&run, "api", "failing");
    assert_eq!(statuses(&run), [200; 3]);
    assert_eq!(run.get("/health").1["status"], "warn");
    assert!(!run.said().contains("check_pending"), "{}", run.said());
    stop(&run);
}

#[test]
fn nothing_is_looked_at_while_the_database_is_migrated() {
    let server = Server::start();
    for (code, more) in [(0, ""), (1, "on_failure = \"continue\"")] {
        server.behave(Manner::Answers("500 No Such Table"));
        let before = server.calls();
        let run = migrating(&server, code, more);
        run.wait_for_event("started", "migrate");
        // Longer than two looks, and three of them would be a failure.
        let began = Instant::now();
        while began.elapsed() < Duration::from_millis(2500) {
            assert_eq!(statuses(&run), [200, 503, 200]);
            assert_eq!(server.calls(), before, "{}", run.said());
            std::thread::sleep(Duration::from_millis(50));
        }
        std::fs::write(run.dir().join("go"), "").expect("write");
        server.wait_for_calls(1);
        wait_state(&run, "api", "failing");
        assert_eq!(run.get("/healthz").0, 503, "it holds now");
        server.behave(Manner::Answers("200 OK"));
        wait_state(&run, "api", "passing");
        assert_eq!(statuses(&run), [200; 3]);
        stop(&run);
    }
}

#[test]
fn after_a_migration_that_ends_the_container_nothing_is_looked_at() {
    let server = Server::start();
    let run = migrating(&server, 3, "");
    run.wait_for_event("started", "migrate");
    std::fs::write(run.dir().join("go"), "").expect("write");
    let exit = run.exit();
    assert_ne!(exit.code, Some(0), "{}", run.said());
    assert_eq!(server.calls(), 0);
}
