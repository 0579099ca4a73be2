//! Exit codes and signals, as Docker sees them.

use std::time::Duration;

use serde_json::Value;

use crate::docker::{Container, Images};

/// Within the stop budget: Docker would kill after 10 s.
const BUDGET: Duration = Duration::from_secs(9);

#[test]
fn docker_stop_of_a_plain_main_is_143() {
    let container = Container::run(Images::debian(), &[], &["sleep", "1000"]);
    container.until("sleep runs", |c| {
        !c.shell("grep -lx sleep /proc/[0-9]*/comm").is_empty()
    });
    let took = container.stop();
    assert_eq!(container.exit_code(), 143);
    assert!(
        took < Duration::from_secs(3),
        "sleep ends at once, the stop took {took:?}"
    );
    let exit = container.exit_line();
    assert_eq!(exit["cause"], "signal", "{exit}");
    assert_eq!(exit["signal"], "SIGTERM", "{exit}");
}

#[test]
fn a_main_that_ignores_sigterm_is_killed_within_the_budget() {
    let script = "trap '' TERM; echo up; while :; do sleep 0.1; done";
    let container = Container::run(Images::debian(), &[], &["sh", "-c", script]);
    container.until_said("up");
    let took = container.stop();
    assert_eq!(container.exit_code(), 137);
    assert!(
        took < BUDGET + Duration::from_millis(800),
        "the stop took {took:?}"
    );
    // runmate killed it, and lived to say so: Docker did not have to.
    container.exit_line();
}

#[test]
fn the_exit_code_of_main_is_the_containers() {
    for (script, code) in [("exit 0", 0), ("exit 3", 3), ("kill -SEGV $$", 139)] {
        let container = Container::run(Images::debian(), &[], &["sh", "-c", script]);
        assert_eq!(container.wait(), code, "{script}");
        let exit = container.exit_line();
        assert_eq!(exit["process"], "runmate", "{exit}");
    }
}

#[test]
fn a_command_that_is_not_there_is_127() {
    let container = Container::run(Images::debian(), &[], &["/no/such/program"]);
    assert_eq!(container.wait(), 127);
    container.exit_line();
    let log = container.log();
    let named = |line: &Value| {
        line["message"]
            .as_str()
            .is_some_and(|m| m.contains("/no/such/program"))
    };
    assert!(log.iter().any(named), "the log says what was not found: {log:?}");
}

#[test]
fn no_room_for_another_process_is_75_and_named() {
    // runmate and its writer are all that the limit allows.
    let container = Container::run(Images::debian(), &["--pids-limit", "2"], &["sleep", "1"]);
    assert_eq!(container.wait(), 75);
    let named =
        |line: &Value| line["event"] == "cannot_start" && line["message"].to_string().contains("temporarily");
    let log = container.log();
    assert!(log.iter().any(named), "the log says why: {log:?}");
}

#[test]
fn a_command_that_is_no_program_is_126() {
    let container = Container::run(Images::debian(), &[], &["/etc/passwd"]);
    assert_eq!(container.wait(), 126);
    container.exit_line();
}

#[test]
fn a_success_code_turns_143_into_0() {
    let config = "RUNMATE_CONFIG_INLINE=[run]\nsuccess_codes = [143]\n";
    let container = Container::run(
        Images::debian(),
        &["-e", config],
        &["sh", "-c", "echo up; exec sleep 1000"],
    );
    container.until_said("up");
    container.stop();
    assert_eq!(container.exit_code(), 0);
}

#[test]
fn docker_kill_hup_reaches_main_and_ends_nothing() {
    let script = "trap 'echo reloaded' HUP; echo up; while :; do sleep 0.05; done";
    let container = Container::run(Images::debian(), &[], &["sh", "-c", script]);
    container.until_said("up");
    container.signal("HUP");
    container.until_said("reloaded");
    assert_eq!(container.inspect("{{.State.Status}}"), "running");
    container.stop();
    assert_eq!(container.exit_code(), 143);
}

#[test]
fn a_config_error_is_78_and_a_json_line() {
    let config = "RUNMATE_CONFIG_INLINE=[process.app]\ncomand = \"true\"\n";
    let container = Container::run(Images::scratch(), &["-e", config], &[]);
    assert_eq!(container.wait(), 78);
    let log = container.log();
    assert!(
        log.iter().any(|line| line.to_string().contains("comand")),
        "the wrong key is named: {log:?}"
    );
}

#[test]
fn a_stop_while_a_task_still_runs_is_143() {
    let config = "RUNMATE_CONFIG_INLINE=[process.prepare]\nkind = \"task\"\ncommand = \"echo preparing; sleep 1000\"\n\
                  [process.app]\ncommand = [\"echo\", \"never\"]\nafter = [\"prepare\"]\n";
    let container = Container::run(Images::debian(), &["-e", config], &[]);
    container.until_said("preparing");
    let took = container.stop();
    assert_eq!(container.exit_code(), 143);
    assert!(
        took < Duration::from_secs(3),
        "nothing holds it up, the stop took {took:?}"
    );
    assert!(!container.said("never"), "the app must not start any more");
    container.exit_line();
}
