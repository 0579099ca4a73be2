//! The end: everything, then the end of its stdin, then the stop signal.

use std::time::Duration;

use crate::support::{Exit, Setup, fixture, process};
use crate::{collected, dropped};

/// An app with 3,000 lines that end when it is stopped, and a shipper with these steps.
fn config(steps: &str, more: &str) -> String {
    format!(
        "[run]\nstop_budget = \"8s\"\ndrain_delay = \"0s\"\n[process.app]\ncommand = {}\n{}",
        fixture("say ready wait SIGTERM lines 3000 100"),
        process(
            "shipper",
            steps,
            &format!("stdin = {{ logs = [\"app\"] }}\n{more}")
        ),
    )
}

/// What the shipper has said, but for the SIGCONT that comes with every stop.
fn told(exit: &Exit) -> Vec<&str> {
    let mut told = exit.messages("shipper");
    told.retain(|message| *message != "got SIGCONT");
    told
}

#[test]
fn who_ends_at_the_end_of_its_stdin_needs_no_signal() {
    let run = Setup::new(&config("collect lines 65536 0 say over exit 0", "")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.messages("shipper"), ["eof", "over"]);
    assert_eq!(collected(&run.dir().join("lines")).0.len(), 3002);
    assert!(!exit.has("killing", "shipper"));
}

#[test]
fn the_signal_comes_after_the_last_line_and_the_end() {
    // As slow as a second for all of it.
    let run = Setup::new(&config("collect lines 8192 20 wait SIGTERM", "")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(told(&exit), ["eof", "got SIGTERM"]);
    assert_eq!(collected(&run.dir().join("lines")).0.len(), 3002);
    assert_eq!(dropped(&exit.lines, "app", "shipper"), 0);
}

#[test]
fn who_dies_of_the_signal_has_read_everything_before() {
    let run = Setup::new(&config("default collect lines 8192 20 deaf", "")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.messages("shipper"), ["eof"]);
    assert_eq!(collected(&run.dir().join("lines")).0.len(), 3002);
}

#[test]
fn who_never_reads_is_signalled_in_time_and_its_lines_are_counted() {
    let run = Setup::new(&config("wait SIGTERM", "stop = { grace = \"2s\" }")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(told(&exit), ["got SIGTERM"]);
    assert_eq!(exit.code, Some(0));
    assert_eq!(dropped(&exit.lines, "app", "shipper"), 3002);
    assert!(
        run.started.elapsed() < Duration::from_secs(6),
        "{:?}",
        run.started.elapsed()
    );
}

#[test]
fn a_second_signal_ends_the_waiting() {
    let run = Setup::new(&config("wait SIGTERM", "")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    run.wait_for_event("stopping", "shipper");
    let before = std::time::Instant::now();
    run.signal(libc::SIGTERM);
    run.exit();
    assert!(
        before.elapsed() < Duration::from_secs(2),
        "{:?}",
        before.elapsed()
    );
}
