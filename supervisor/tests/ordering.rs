//! The order of starts and stops, and what an end on the way means.

mod support;

use serde_json::Value;
use support::{Exit, Setup, process};

fn exit_of(config: &str) -> Exit {
    Setup::new(config).start().exit()
}

/// Asserts that these events stand in the log in this order.
fn assert_order(exit: &Exit, events: &[(&str, &str)]) {
    let places = events.iter().map(|(event, name)| {
        let place = exit.position(event, name);
        place.unwrap_or_else(|| panic!("no {event} of {name}: {:?}", exit.lines))
    });
    let places: Vec<usize> = places.collect();
    assert!(places.is_sorted(), "{events:?} at {places:?}");
}

fn starts(exit: &Exit, name: &str) -> usize {
    let started = |line: &&Value| support::is_event(line, "started", name);
    exit.lines.iter().filter(started).count()
}

#[test]
fn processes_start_once_those_before_them_are_ready_and_stop_in_reverse() {
    let config = process("app", "ready wait TERM sleep 100 exit 2", "after = [\"proxy\"]")
        + &process(
            "database",
            "sleep 100 notify 3 ready wait TERM",
            "ready = { fd = 3 }",
        )
        + &process(
            "proxy",
            "sleep 100 say open ready wait TERM sleep 100",
            "after = [\"database\"]\nready = { log = \"^open$\" }",
        );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(2));
    assert_order(
        &exit,
        &[
            ("started", "database"),
            ("ready", "database"),
            ("started", "proxy"),
            ("ready", "proxy"),
            ("started", "app"),
            ("stopping", "app"),
            ("ended", "app"),
            ("stopping", "proxy"),
            ("ended", "proxy"),
            ("stopping", "database"),
            ("ended", "database"),
        ],
    );
}

#[test]
fn those_that_do_not_depend_on_each_other_start_and_stop_side_by_side() {
    // Each waits for the other, both ways: one after the other, neither would get on.
    let config = process(
        "a",
        "touch a-up await b-up notify 3 wait TERM touch a-down await b-down",
        "ready = { fd = 3 }",
    ) + &process(
        "b",
        "touch b-up await a-up notify 3 wait TERM touch b-down await a-down",
        "ready = { fd = 3 }",
    ) + &process("app", "ready wait TERM exit 1", "after = [\"a\", \"b\"]");
    let run = Setup::new(&(config + "[run]\nstop_budget = \"20s\"")).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(1));
    assert!(!exit.has("killing", "a") && !exit.has("killing", "b"));
}

#[test]
fn a_task_is_done_before_those_after_it_start() {
    let config = process("app", "exit 0", "after = [\"warmup\"]")
        + &process("warmup", "sleep 100 touch warm", "kind = \"task\"");
    let exit = exit_of(&config);
    assert_eq!(exit.code, Some(0));
    assert_order(
        &exit,
        &[("started", "warmup"), ("ended", "warmup"), ("started", "app")],
    );
}

#[test]
fn a_failed_task_ends_the_container_with_its_own_code() {
    for (steps, code) in [("exit 5", 5), ("raise SEGV", 139)] {
        let config =
            process("app", "exit 0", "after = [\"task\"]") + &process("task", steps, "kind = \"task\"");
        let exit = exit_of(&config);
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.line()["cause"], "task_failed");
        assert_eq!(exit.line()["name"], "task");
        assert!(!exit.has("started", "app"));
    }
}

#[test]
fn a_failed_task_stops_what_runs_already() {
    let config = process("app", "ready touch up wait TERM exit 0", "")
        + &process("task", "await up exit 5", "kind = \"task\"");
    let exit = exit_of(&config);
    assert_eq!(exit.code, Some(5));
    assert_eq!(exit.messages("app"), ["ready", "got SIGTERM"]);
}

#[test]
fn a_task_may_be_ignored_or_tried_again() {
    let config = process("app", "exit 3", "after = [\"task\"]")
        + &process("task", "exit 5", "kind = \"task\"\non_exit = \"ignore\"");
    let exit = exit_of(&config);
    assert_eq!(exit.code, Some(3));
    assert_order(
        &exit,
        &[("ended", "task"), ("ignored", "task"), ("started", "app")],
    );

    let third_time = "command = 'echo x >> tries; test $(wc -l < tries) = 3'\nkind = \"task\"";
    let again = "restart = \"on-failure\"\nbackoff = { min = \"0s\", max = \"0s\" }";
    let config = process("app", "exit 3", "after = [\"task\"]");
    let exit = exit_of(&format!("{config}[process.task]\n{third_time}\n{again}"));
    assert_eq!(exit.code, Some(3));
    assert_eq!(starts(&exit, "task"), 3);
}

#[test]
fn restarts_are_spent_in_the_end_and_the_last_code_remains() {
    let policy = "backoff = { min = \"0s\", max = \"0s\", restarts = 3 }";
    for (steps, code) in [("exit 7", 7), ("raise KILL", 137), ("exit 0", 1)] {
        let config = process("app", "ready wait TERM", "") + &process("sidecar", steps, policy);
        let exit = exit_of(&config);
        assert_eq!(exit.code, Some(code), "an end that nobody wanted is no success");
        assert_eq!(exit.line()["cause"], "restarts_spent");
        assert_eq!(exit.line()["restarts"], 3);
        assert_eq!(starts(&exit, "sidecar"), 4);
        assert_eq!(starts(&exit, "app"), 1);
    }
}

#[test]
fn main_is_restarted_only_if_the_config_says_so() {
    for (restart, steps, code, lives) in [
        ("never", "exit 4", 4, 1),
        ("on-failure", "exit 4", 4, 3),
        ("on-failure", "exit 0", 0, 1),
        ("always", "exit 0", 1, 3),
    ] {
        let more =
            format!("restart = \"{restart}\"\nbackoff = {{ min = \"0s\", max = \"0s\", restarts = 2 }}");
        let exit = exit_of(&process("app", steps, &more));
        assert_eq!(exit.code, Some(code), "{restart} {steps}");
        assert_eq!(starts(&exit, "app"), lives, "{restart} {steps}");
    }
}

#[test]
fn delays_double_up_to_the_maximum() {
    let more = "restart = \"always\"\nbackoff = { min = \"20ms\", max = \"80ms\", restarts = 5 }";
    let exit = exit_of(&process("app", "exit 1", more));
    let restarting = exit.lines.iter().filter(|line| line["event"] == "restarting");
    let delays: Vec<f64> = restarting.map(|line| line["delay"].as_f64().unwrap()).collect();
    let full = [0.020, 0.040, 0.080, 0.080, 0.080];
    assert_eq!(delays.len(), full.len());
    for (delay, full) in delays.iter().zip(full) {
        // Jitter takes a quarter at most; the log rounds to milliseconds.
        assert!((full * 0.75 - 0.001..=full).contains(delay), "{delays:?}");
    }
    let uptime = exit.line()["uptime"].as_f64().unwrap();
    assert!(uptime >= delays.iter().sum::<f64>(), "the delays were kept");
}

#[test]
fn an_end_that_is_to_be_ignored_changes_nothing_for_the_rest() {
    let config = process("app", "ready wait USR1 exit 6", "after = [\"once\"]")
        + &process("once", "exit 9", "restart = \"never\"")
        + &process(
            "spent",
            "exit 9",
            "on_exit = \"ignore\"\nbackoff = { min = \"0s\", max = \"0s\", restarts = 1 }",
        );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.wait_for_event("ignored", "once");
    let line = run.wait_for_event("ignored", "spent");
    assert_eq!(line["cause"], "restarts_spent", "{line}");
    let message = line["message"].as_str().expect("a message");
    assert!(message.contains("may not be restarted any more often"), "{line}");
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    assert_eq!(exit.code, Some(6));
    assert_eq!(exit.line()["cause"], "main_ended");
}

#[test]
fn a_sidecar_that_must_not_end_ends_the_container() {
    let more = "restart = \"never\"\non_exit = \"shutdown\"";
    for (steps, code) in [("exit 7", 7), ("exit 0", 1)] {
        let exit = exit_of(&(process("app", "ready wait TERM", "") + &process("sidecar", steps, more)));
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.line()["cause"], "sidecar_ended");
        assert_eq!(exit.line()["name"], "sidecar");
    }
}

#[test]
fn the_main_process_may_have_any_name() {
    let config = process("app", "ready wait TERM exit 1", "") + &process("web", "exit 5", "main = true");
    assert_eq!(exit_of(&config).code, Some(5));
    let config =
        process("web", "exit 5", "after = [\"task\"]") + &process("task", "exit 0", "kind = \"task\"");
    assert_eq!(exit_of(&config).code, Some(5), "the only service");
}

#[test]
fn who_is_not_ready_in_time_is_stopped_and_tried_again() {
    let ready = "ready = { log = \"never said\", timeout = \"100ms\" }\nrestart = \"on-failure\"\n\
                 backoff = { min = \"0s\", max = \"0s\", restarts = 1 }";
    let config = process("app", "wait TERM exit 0", ready) + &process("late", "exit 0", "after = [\"app\"]");
    let exit = exit_of(&config);
    assert_eq!(exit.code, Some(1), "its 0 is the answer to our own signal");
    assert_eq!(exit.line()["cause"], "restarts_spent");
    assert_eq!(starts(&exit, "app"), 2);
    assert!(!exit.has("started", "late"));
    assert_order(
        &exit,
        &[("not_ready", "app"), ("stopping", "app"), ("ended", "app")],
    );
}
