//! A stop while checks are at work: health says so first, nothing is in the way, nothing is left behind.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::lab::{Manner, Server, by_name, check, helper, helpers};
use crate::support::proc::Process;
use crate::support::{Runmate, Setup, eventually, free_address, process};

/// Long after a stop would be over, and long before the budget of nine seconds.
const SOON: Duration = Duration::from_secs(3);

fn stop(run: &Runmate) {
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert!(began.elapsed() < SOON, "{:?}\n{}", began.elapsed(), run.said());
    assert_eq!(exit.code, Some(0), "{}", run.said());
    let late = exit.lines.iter().filter(|line| {
        line["event"] == "helper_ended" || line["event"] == "check_stale" || line["event"] == "check_failing"
    });
    assert_eq!(late.collect::<Vec<_>>(), Vec::<&Value>::new(), "{}", run.said());
}

#[test]
fn health_says_draining_before_the_first_child_gets_its_signal() {
    let server = Server::start();
    let address = free_address();
    let steps = format!("ready wait TERM get {address} /healthz get {address} /readyz get {address} /health");
    let config = process("app", &steps, "")
        + &process("sidecar", &steps, "")
        + &check(
            "api",
            &format!("http = \"{}\"", by_name(server.address)),
            "level = \"critical\"",
        )
        + &format!("[health]\nlisten = \"{address}\"\n");
    for _ in 0..5 {
        let run = Setup::new(&config).start();
        run.wait_for_message("app", "ready");
        run.wait_for_message("sidecar", "ready");
        run.wait_for_event("check_passing", "api");
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        for name in ["app", "sidecar"] {
            let asked = exit
                .lines
                .iter()
                .filter(|line| line["process"] == name && line["asked"].is_string());
            let answers: Vec<(Value, Value, Value)> = asked
                .map(|line| {
                    let body: Value =
                        serde_json::from_str(line["body"].as_str().expect("a body")).expect("JSON");
                    (line["asked"].clone(), line["status"].clone(), body)
                })
                .collect();
            // Nobody has the token: a status, and for the two probes the phase.
            let draining = json!({"status": "fail", "phase": "draining"});
            let expected = [
                (json!("/healthz"), json!(503), draining.clone()),
                (json!("/readyz"), json!(503), draining),
                (json!("/health"), json!(503), json!({"status": "fail"})),
            ];
            assert_eq!(answers, expected, "{}", run.said());
        }
    }
}

#[test]
fn a_look_under_way_does_not_delay_a_stop() {
    let server = Server::start();
    server.behave(Manner::Hangs);
    let slow = |name, url: String| {
        format!("[health.check.{name}]\nhttp = \"{url}\"\ninterval = \"60s\"\ntimeout = \"60s\"\n")
    };
    let config = process("app", "ready wait TERM", "")
        + &slow("here", format!("http://{}/", server.address))
        + &slow("helped", by_name(server.address));
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    eventually("both looks", || (server.calls() == 2).then_some(()));
    let helper = helper(&run);
    stop(&run);
    helper.wait_gone();
}

#[test]
fn a_command_under_way_is_killed_with_all_it_has_started() {
    let command =
        "exec = \"trap '' TERM; echo $$ > pid; sleep 1000\"\ninterval = \"60s\"\ntimeout = \"60s\"\n";
    let config = process("app", "ready wait TERM", "") + "[health.check.slow]\n" + command;
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    let pid = eventually("the command", || {
        std::fs::read_to_string(run.dir().join("pid"))
            .ok()?
            .trim()
            .parse()
            .ok()
    });
    let command = Process::look(pid).expect("it runs");
    stop(&run);
    command.wait_gone();
}

#[test]
fn a_stop_at_any_moment_of_the_helper_s_start_ends_well() {
    let server = Server::start();
    let config = process("app", "wait TERM", "")
        + &check("api", &format!("http = \"{}\"", by_name(server.address)), "")
        + "[run]\nsuccess_codes = [143]\n";
    for step in 0..60 {
        let run = Setup::new(&config).with_health().start();
        // From before its start until after its first look.
        run.wait_for("the first line", |line| line["event"] == "boot");
        let moment = Instant::now() + Duration::from_micros(250) * step;
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        stop(&run);
    }
}

#[test]
fn checks_end_with_the_drain_s_beginning_not_with_its_end() {
    let server = Server::start();
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let config = process("app", "ready wait TERM", "")
        + &check("api", &format!("http = \"{}\"", by_name(server.address)), "")
        + delay;
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    run.wait_for_event("check_passing", "api");
    let helper = helper(&run);
    run.signal(libc::SIGTERM);
    helper.wait_gone();
    let calls = server.calls();
    assert_eq!(run.get("/healthz").0, 503);
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
    assert_eq!(server.calls(), calls);
    assert_eq!(helpers(&run), []);
}
