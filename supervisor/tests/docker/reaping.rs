//! PID 1's duty to the processes nobody else waits for.

use std::time::Duration;

use crate::docker::{Container, Images};

/// Prints the pid of each zombie in the container.
const ZOMBIES: &str = "grep -l '^State:.Z' /proc/[0-9]*/status 2>/dev/null || true";

#[test]
fn orphans_are_reaped() {
    // Each subshell leaves its sleep behind, an orphan that ends soon after.
    let script = "i=0; while [ $i -lt 200 ]; do (sleep 0.05 &); i=$((i+1)); done; echo left; exec sleep 1000";
    let container = Container::run(Images::debian(), &[], &["sh", "-c", script]);
    container.until_said("left");
    container.until("the orphans are gone, and no zombie is left", |c| {
        c.shell(ZOMBIES).is_empty() && sleepers(c) == 1
    });
    container.stop();
    assert_eq!(container.exit_code(), 143);
}

/// Processes called sleep, dead or alive.
fn sleepers(container: &Container) -> usize {
    container
        .shell("grep -lx sleep /proc/[0-9]*/comm")
        .lines()
        .count()
}

/// A main process that has left a daemon behind in a session of its own.
fn with_daemon(trap: &str) -> String {
    format!("setsid sh -c \"{trap}; echo daemon up; while :; do sleep 0.05; done\" & exec sleep 1000")
}

#[test]
fn a_daemon_in_its_own_session_is_asked_to_end_too() {
    let script = with_daemon("trap 'echo daemon told; exit 0' TERM");
    let container = Container::run(Images::debian(), &[], &["sh", "-c", &script]);
    container.until_said("daemon up");
    let took = container.stop();
    assert_eq!(container.exit_code(), 143);
    assert!(container.said("daemon told"), "the daemon got no SIGTERM");
    assert!(
        took < Duration::from_secs(3),
        "it ends when told, the stop took {took:?}"
    );
    container.exit_line();
}

#[test]
fn a_daemon_that_will_not_end_is_killed_within_the_budget() {
    let script = with_daemon("trap '' TERM");
    let container = Container::run(Images::debian(), &[], &["sh", "-c", &script]);
    container.until_said("daemon up");
    let took = container.stop();
    assert_eq!(
        container.exit_code(),
        143,
        "main's own code, though the daemon was killed"
    );
    assert!(took < Duration::from_millis(9800), "the stop took {took:?}");
    container.exit_line();
}

#[test]
fn below_another_init_it_adopts_orphans_all_the_same() {
    let script = with_daemon("trap 'echo daemon told; exit 0' TERM");
    let container = Container::run(Images::debian(), &["--init"], &["sh", "-c", &script]);
    container.until_said("daemon up");
    assert!(
        container.log().iter().any(|line| line["event"] == "not_pid_1"),
        "it says that it is not PID 1"
    );
    container.stop();
    assert_eq!(container.exit_code(), 143);
    assert!(container.said("daemon told"), "the daemon got no SIGTERM");
    container.exit_line();
}
