//! While secrets are being resolved: signals are heard, health answers, and the time is limited.

use std::time::{Duration, Instant};

use super::fault::{ConnectionFault, Fault, FaultServer};
use super::support::{eventually, proc, process};
use super::{parameter, secret, with_server};

fn config(timeout: &str) -> String {
    process("app", "touch started wait TERM", "") + &format!("[secrets]\ntimeout = {timeout:?}\n")
}

#[test]
fn a_server_that_hangs_is_left_within_the_timeout() {
    for fault in [Fault::Hang, Fault::HangInBody] {
        let server = FaultServer::start();
        server
            .secret(&secret("db"), "value")
            .parameter(&parameter("/key"), "value");
        server.fault("*", fault, usize::MAX);
        let run = with_server(&config("2s"), &server)
            .env("DB", &secret("db"))
            .env("KEY", &parameter("/key"))
            .start();
        let exit = run.exit();
        let took = run.started.elapsed();
        assert_eq!(exit.code, Some(69));
        assert!(took < Duration::from_millis(2500), "{took:?}");
        let timed_out = exit.lines.iter().filter(|line| line["reason"] == "timed_out");
        assert_eq!(timed_out.count(), 2, "{:?}", exit.lines);
        assert!(!run.dir().join("started").exists());
    }
}

#[test]
fn a_connection_that_hangs_is_left_within_the_timeout() {
    let server = FaultServer::start();
    server.connection_fault(ConnectionFault::Hang, usize::MAX);
    let run = with_server(&config("1s"), &server)
        .env("DB", &secret("db"))
        .start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(69));
    assert!(run.started.elapsed() < Duration::from_millis(1600));
}

#[test]
fn a_stop_while_resolving_ends_it_at_once() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let server = FaultServer::start();
        server.fault("*", Fault::Hang, usize::MAX);
        let run = with_server(&config("30s"), &server)
            .env("DB", &secret("db"))
            .start();
        server.wait_for_calls(1);
        let helpers = proc::descendants(run.pid);
        assert!(!helpers.is_empty(), "somebody is asking");
        let since = Instant::now();
        run.signal(signal);
        let exit = run.exit();
        assert!(since.elapsed() < Duration::from_secs(1), "{:?}", since.elapsed());
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.line()["cause"], "signal");
        assert!(!run.dir().join("started").exists());
        for helper in helpers {
            helper.wait_gone();
        }
    }
}

#[test]
fn health_answers_while_resolving() {
    let server = FaultServer::start();
    server.fault("*", Fault::Hang, usize::MAX);
    let run = with_server(&config("30s"), &server)
        .env("DB", &secret("db"))
        .with_health()
        .start();
    server.wait_for_calls(1);
    assert_eq!(run.get("/livez").0, 200);
    assert_eq!(run.get("/readyz").0, 503);
    let (status, body) = run.get("/healthz");
    assert_eq!(status, 200, "the platform must not give up on us: {body}");
    assert!(body["phase"].is_string(), "{body}");
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn what_is_slow_is_waited_for() {
    let server = FaultServer::start();
    server
        .secret(&secret("db"), "value")
        .delay(Duration::from_millis(700));
    let run = with_server(&super::app(""), &server)
        .env("DB", &secret("db"))
        .start();
    assert_eq!(super::env_of(&run, "app")["DB"], "value");
    super::stop(&run);
}

#[test]
fn nothing_of_the_helper_is_left() {
    let server = FaultServer::start();
    server.secret(&secret("db"), "value");
    let run = with_server(&super::app(""), &server)
        .env("DB", &secret("db"))
        .start();
    super::env_of(&run, "app");
    eventually("a single child", || {
        (proc::children(run.pid).len() == 1).then_some(())
    });
    super::stop(&run);
}

#[test]
fn a_helper_that_dies_is_no_success() {
    let server = FaultServer::start();
    server.fault("*", Fault::Hang, usize::MAX);
    let run = with_server(&config("30s"), &server)
        .env("DB", &secret("db"))
        .start();
    server.wait_for_calls(1);
    for helper in proc::children(run.pid) {
        helper.kill();
    }
    let exit = run.exit();
    assert_eq!(exit.code, Some(70));
    assert!(!run.dir().join("started").exists());
}
