//! The helper that runs checks: whatever happens to it, nothing else is affected.

use std::time::{Duration, Instant};

use crate::lab::{Manner, Server, by_name, check, helper, helpers, shown, wait_stale, wait_state};
use crate::support::{Runmate, Setup, eventually, is_event, process};

fn start(server: &Server) -> Runmate {
    let kind = format!("http = \"{}\"", by_name(server.address));
    // The level with the gravest consequences.
    let config = process("app", "wait TERM", "") + &check("api", &kind, "level = \"critical\"");
    let run = Setup::new(&config).with_health().start();
    wait_state(&run, "api", "passing");
    run
}

fn ends(run: &Runmate) -> usize {
    let lines = run.lines();
    let ends = lines.iter().filter(|line| line["event"] == "helper_ended");
    ends.count()
}

fn wait_for_ends(run: &Runmate, count: usize) {
    run.wait_until("end of the helper", |lines| {
        let ends = lines.iter().filter(|line| line["event"] == "helper_ended");
        (ends.count() >= count).then_some(())
    });
}

fn stop(run: &Runmate) {
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0), "{}", run.said());
    assert!(!exit.has("check_failing", "api"), "{}", run.said());
}

#[test]
fn a_helper_that_is_killed_is_started_again_and_knows_what_to_look_at() {
    let server = Server::start();
    let run = start(&server);
    let first = helper(&run);
    first.kill();
    wait_for_ends(&run, 1);
    let second = eventually("another helper", || {
        helpers(&run).into_iter().find(|helper| helper.pid != first.pid)
    });
    server.wait_for_calls(2);
    wait_state(&run, "api", "passing");
    assert_eq!(run.get("/healthz").0, 200);
    let pids: Vec<i32> = helpers(&run).iter().map(|helper| helper.pid).collect();
    assert_eq!(pids, [second.pid], "one helper and no more");
    let line = run.wait_for("the reason", |line| line["event"] == "helper_ended");
    assert_eq!(
        (line["level"].as_str(), line["how"].as_str()),
        (Some("WARN"), Some("was killed by SIGKILL")),
        "{line}"
    );
    stop(&run);
}

#[test]
fn a_helper_that_does_not_answer_is_killed_and_started_again() {
    let server = Server::start();
    let run = start(&server);
    helper(&run).signal(libc::SIGSTOP);
    wait_for_ends(&run, 1);
    let line = run.wait_for("the reason", |line| line["event"] == "helper_ended");
    assert_eq!(line["how"], "did not answer and was killed", "{line}");
    server.wait_for_calls(1);
    wait_state(&run, "api", "passing");
    assert_eq!(run.get("/healthz").0, 200);
    stop(&run);
}

#[test]
fn a_helper_that_was_frozen_with_its_container_is_not_blamed() {
    let server = Server::start();
    let kind = format!("http = \"{}\"", by_name(server.address));
    let config = process("app", "wait TERM", "") + &check("api", &kind, "");
    let run = Setup::new(&config).with_health().start();
    wait_state(&run, "api", "passing");
    let helper = helper(&run);
    for _ in 0..3 {
        server.behave(Manner::Hangs);
        server.wait_for_calls(1);
        // A look is under way: it is overdue twice over when the container goes on.
        helper.signal(libc::SIGSTOP);
        run.signal(libc::SIGSTOP);
        std::thread::sleep(Duration::from_secs(4));
        server.behave(Manner::Answers("200 OK"));
        run.signal(libc::SIGCONT);
        helper.signal(libc::SIGCONT);
        server.wait_for_calls(2);
        wait_state(&run, "api", "passing");
    }
    assert_eq!(ends(&run), 0, "{}", run.said());
    assert!(helper.lives());
    stop(&run);
}

#[test]
fn without_a_helper_what_is_known_grows_old_and_is_never_failing() {
    let server = Server::start();
    let run = start(&server);
    // As soon as there is one, it is gone.
    let (began, mut killed) = (Instant::now(), 0);
    while shown(&run, "api")["stale"] != true {
        for helper in helpers(&run) {
            helper.kill();
            killed += 1;
        }
        assert_eq!(run.get("/healthz").0, 200, "{}", run.said());
        assert!(began.elapsed() < Duration::from_secs(30), "{}", run.said());
    }
    assert!(killed > 0);
    let (_, body) = run.get("/health");
    assert_eq!(body["status"], "warn", "{body}");
    let output = body["output"].as_str().expect("a reason");
    assert!(output.contains("api: stale: the helper that runs it"), "{output}");
    run.wait_for_event("check_stale", "api");
    wait_state(&run, "api", "passing");
    run.wait_for_event("check_current", "api");
    assert!(ends(&run) >= 1);
    stop(&run);
}

#[test]
fn stale_comes_after_interval_timeout_and_a_second() {
    let server = Server::start();
    let run = start(&server);
    let last = shown(&run, "api")["time"].clone();
    // It never comes back: each new one is stopped, and found out only after two seconds.
    let began = Instant::now();
    loop {
        helpers(&run)
            .iter()
            .for_each(|helper| helper.signal(libc::SIGSTOP));
        if shown(&run, "api")["stale"] == true {
            break;
        }
        assert!(
            began.elapsed() < Duration::from_millis(3000 + 1000 + 500),
            "not stale after {:?}; known at {last}",
            began.elapsed()
        );
    }
    assert_eq!(run.get("/healthz").0, 200);
    stop(&run);
}

#[test]
fn a_helper_that_cannot_be_started_is_one_warning_and_the_container_lives() {
    let server = Server::start();
    let kind = format!("http = \"{}\"", by_name(server.address));
    let config = process("app", "wait TERM", "") + &check("api", &kind, "");
    let mut setup = Setup::new(&config).with_health();
    // The app may be started, and nobody after it: strace lets the second fork fail, and all that follow.
    let dir = setup.dir().to_owned();
    let command = setup.command();
    *command = std::process::Command::new("strace");
    command.args(["-D", "-o", "/dev/null", "-e", "trace=clone,clone3,fork,vfork"]);
    command.args(["-e", "inject=clone:error=EAGAIN:when=2+"]);
    command.arg(env!("CARGO_BIN_EXE_runmate"));
    command.current_dir(dir).stdin(std::process::Stdio::null());
    command
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped());
    let run = setup.start();
    let line = run.wait_for_event("check_pending", "api");
    let why = line["why"].as_str().expect("why");
    assert!(why.contains("cannot be started"), "{line}");
    assert!(
        !run.lines().iter().any(|line| line["event"] == "check_stale"),
        "at once"
    );
    wait_stale(&run, "api");
    assert_eq!(run.get("/healthz").0, 200);
    run.wait_for_event("helper_failed", "checks");
    run.wait_for_event("ready", "app");
    // Several attempts were made by now: the pauses are half a second at first.
    let lines = run.lines();
    let warnings = lines
        .iter()
        .filter(|line| is_event(line, "helper_failed", "checks") || is_event(line, "check_pending", "api"));
    assert_eq!(warnings.count(), 2, "one of each\n{}", run.said());
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}

#[test]
fn without_a_check_that_needs_it_there_is_no_helper() {
    let server = Server::start();
    let kind = format!("tcp = \"{}\"", server.address);
    let config = process("app", "wait TERM", "")
        + &check("api", &kind, "")
        + &check("memory", "memory = { max_used = \"99%\" }", "")
        + &check("fds", "fds = {}", "")
        + &check("space", "disk = { path = \"/tmp\", min_free = \"1B\" }", "");
    let run = Setup::new(&config).with_health().start();
    for name in ["api", "memory", "fds", "space"] {
        wait_state(&run, name, "passing");
    }
    assert_eq!(helpers(&run), []);
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}
