//! Each kind of probe holds a dependant back until it passes, and is not asked again.

use serde_json::json;

use crate::bare::writer;
use crate::support::{Exit, Runmate, Setup, eventually, free_address, process};

/// A `side` that does `steps` once there is a file `go`, and an `app` that needs it.
fn gated(steps: &str, ready: &str) -> Exit {
    let ready = format!("ready = {{ {ready}, interval = \"20ms\" }}");
    let config = process(
        "side",
        &format!("say waiting await go say going {steps} wait SIGTERM"),
        &ready,
    ) + &process("app", "say up wait SIGTERM", "after = [\"side\"]");
    let run = Setup::new(&config).start();
    run.wait_for_message("side", "waiting");
    assert!(!has(&run, "ready", "side"), "{}", run.said());
    std::fs::write(run.dir().join("go"), "").expect("a file");
    run.wait_for_message("app", "up");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let ready = exit.position("ready", "side").expect("ready");
    let going = json!("going");
    let went = exit.lines.iter().position(|line| line["message"] == going);
    assert!(went.expect("it went on") < ready, "{:#?}", exit.lines);
    assert!(ready < exit.position("started", "app").expect("started"));
    assert_eq!(exit.code, Some(0));
    exit
}

fn has(run: &Runmate, event: &str, name: &str) -> bool {
    let lines = run.lines();
    lines
        .iter()
        .any(|line| crate::support::is_event(line, event, name))
}

#[test]
fn http() {
    let address = free_address();
    gated(
        &format!("listen {address}"),
        &format!("http = \"http://{address}/up\""),
    );
}

#[test]
fn tcp() {
    let address = free_address();
    gated(&format!("listen {address}"), &format!("tcp = \"{address}\""));
}

#[test]
fn exec() {
    gated("touch served", "exec = [\"test\", \"-e\", \"served\"]");
}

#[test]
fn exec_in_a_shell_with_the_environment_of_the_process() {
    let config = process(
        "app",
        "wait SIGTERM",
        "env = { WORD = \"secret\" }\nready = { exec = \"test \\\"$WORD\\\" = secret && test $# = 0\" }",
    );
    let run = Setup::new(&config).start();
    run.wait_for_event("ready", "app");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}

#[test]
fn a_line_on_stdout() {
    gated("say Listening-on-80", "log = '^Listening-on-\\d+$'");
}

#[test]
fn a_line_on_stderr() {
    gated("warn Listening-on-80", "log = 'on-[0-9]+'");
}

#[test]
fn a_newline_on_a_descriptor() {
    gated("notify 5", "fd = 5");
}

#[test]
fn a_newline_that_comes_late_on_its_descriptor() {
    let config = "[process.app]\nready = { fd = 3 }\n\
                  command = \"printf starting >&3; while [ ! -e go ]; do sleep 0.01; done; echo now >&3; \
                  echo told; exec sleep 1000\"\n";
    let run = Setup::new(config).start();
    run.wait_for_event("started", "app");
    std::fs::write(run.dir().join("go"), "").expect("a file");
    run.wait_for_event("ready", "app");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(143));
}

/// The matching line comes once from each stream, and again and again after that.
#[test]
fn ready_is_said_once_however_often_the_line_comes() {
    let config = process(
        "app",
        "say ready warn ready repeat 100 ( say ready ) say end wait SIGTERM",
        "ready = { log = \"ready\" }",
    );
    let run = Setup::new(&config).start();
    // A stop right behind the first match would be told of first.
    run.wait_for_event("ready", "app");
    run.wait_for_message("app", "end");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let ready = exit.lines.iter().filter(|line| line["event"] == "ready");
    assert_eq!(ready.count(), 1);
    assert_eq!(exit.messages("app").len(), 104);
}

/// How often an HTTP server was asked until it counted as ready; it answers with `status` at first.
fn asked(fails: usize, status: u16) -> usize {
    let address = free_address();
    let command = writer(&format!("serve address={address} fails={fails} status={status}"));
    let config = format!(
        "[process.side]\ncommand = {command}\n\
         ready = {{ http = \"http://{address}/up?now\", interval = \"10ms\" }}\n{}",
        process("app", "say up wait SIGTERM", "after = [\"side\"]")
    );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "up");
    run.signal(libc::SIGTERM);
    run.exit().messages("side").len()
}

#[test]
fn http_is_asked_until_it_is_well_and_then_no_more() {
    for status in [503, 404, 400] {
        assert_eq!(asked(12, status), 13, "{status}");
    }
}

#[test]
fn a_redirect_is_good_enough() {
    assert_eq!(asked(5, 301), 1);
    assert_eq!(asked(5, 204), 1);
}

#[test]
fn a_command_is_run_until_it_succeeds_and_then_no_more() {
    let config = process(
        "side",
        "wait SIGTERM",
        "ready = { exec = \"echo x >> attempts; test $(wc -l < attempts) -ge 8\", interval = \"5ms\" }",
    ) + &process("app", "say up wait SIGTERM", "after = [\"side\"]");
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "up");
    let attempts = run.dir().join("attempts");
    run.signal(libc::SIGTERM);
    // The directory goes with the run.
    let exit = run.exit();
    assert_eq!(
        std::fs::read_to_string(attempts)
            .expect("attempts")
            .lines()
            .count(),
        8
    );
    assert_eq!(exit.code, Some(0));
}

/// A command that hangs is given up after five seconds, with everything it started; the next one counts.
#[test]
fn a_command_that_hangs_is_killed_and_tried_again() {
    let config = process(
        "app",
        "wait SIGTERM",
        "ready = { exec = \"test -e tried && exit 0; sleep 1000 & echo $! > child; echo $$ > tried; wait\" }",
    );
    let run = Setup::new(&config).start();
    let pid = |name: &str| {
        let path = run.dir().join(name);
        eventually(name, || {
            std::fs::read_to_string(&path).ok()?.trim().parse::<i32>().ok()
        })
    };
    let hanging =
        ["tried", "child"].map(|name| crate::support::proc::Process::look(pid(name)).expect("it hangs"));
    run.wait_for_event("ready", "app");
    for process in hanging {
        process.wait_gone();
    }
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}
