//! Who is not ready in time has failed to start, and the log says what can be seen of the reason.

use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use serde_json::Value;

use crate::bare::writer;
use crate::support::{Exit, Setup, eventually, fixture, free_address, proc, process};

/// A `side` that is never ready and may not be restarted; the `app` that needs it goes on without.
fn not_ready(command: &str, ready: &str) -> (Exit, Value) {
    let config = format!(
        "[process.side]\ncommand = {command}\nrestart = \"never\"\nready = {{ {ready}, timeout = \"400ms\" }}\n{}",
        process("app", "say up wait SIGTERM", "after = [\"side\"]")
    );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "up");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0));
    assert!(!exit.has("ready", "side"));
    let line = exit.lines[exit.position("not_ready", "side").expect("not ready")].clone();
    assert_eq!(line["level"], "ERROR");
    let message = line["message"].as_str().expect("a message");
    assert!(message.contains("400ms"), "{message}");
    (exit, line)
}

fn why(line: &Value) -> &str {
    line["why"].as_str().expect("a reason")
}

/// The pid in the line that tells of its start.
#[test]
fn another_port_is_named() {
    let (actual, expected) = (free_address(), free_address());
    for kind in [
        format!("tcp = \"{expected}\""),
        format!("http = \"http://{expected}/up\""),
    ] {
        let (_, line) = not_ready(&fixture(&format!("listen {actual} wait SIGTERM")), &kind);
        assert_eq!(
            why(&line),
            format!("side listens on {actual} only; expected {expected}")
        );
    }
}

#[test]
fn another_address_is_named() {
    let actual = free_address();
    let expected = SocketAddr::from(([127, 0, 0, 1], actual.port()));
    let (_, line) = not_ready(
        // Not the process itself: a child of it.
        &fixture(&format!("fork ( listen {actual} wait SIGTERM ) wait SIGTERM")),
        &format!("tcp = \"{expected}\""),
    );
    assert_eq!(
        why(&line),
        format!("side listens on {actual} only; expected {expected}")
    );
}

#[test]
fn a_bad_answer_is_told_from_none() {
    let address = free_address();
    let command = writer(&format!("serve address={address} fails=1000000"));
    let (_, line) = not_ready(&command, &format!("http = \"http://{address}/\""));
    let expected = format!("GET http://{address}/ was answered with 503; it takes 200 to 399");
    assert_eq!(why(&line), expected);
}

#[test]
fn the_end_of_a_command_is_named() {
    let (_, line) = not_ready(&fixture("wait SIGTERM"), "exec = \"exit 3\"");
    assert_eq!(why(&line), "its probe command exited with code 3");
}

#[test]
fn a_command_that_is_not_there_is_named() {
    let (_, line) = not_ready(&fixture("wait SIGTERM"), "exec = [\"/no/such/probe\"]");
    let expected = "cannot run its probe command: /no/such/probe does not exist; \
                    correct the path or COPY it into the image";
    assert_eq!(why(&line), expected);
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_not_waited_for() {
    let listener = TcpListener::bind(free_address()).expect("bind");
    let address = listener.local_addr().expect("an address");
    let (_, line) = not_ready(&fixture("wait SIGTERM"), &format!("http = \"http://{address}/\""));
    assert!(why(&line).contains("does not answer"), "{line}");
}

#[test]
fn a_descriptor_closed_without_a_newline_shows_nothing() {
    let (exit, _) = not_ready("\"echo -n almost >&4; exec 4>&-; exec sleep 1000\"", "fd = 4");
    // It is stopped like any other.
    assert!(exit.has("ended", "side"));
}

#[test]
fn a_line_that_does_not_match_shows_nothing() {
    not_ready(
        &fixture("say listening warn listening wait SIGTERM"),
        "log = '^Listening'",
    );
}

#[test]
fn a_command_that_hangs_is_killed_with_the_failed_start() {
    let config = process(
        "side",
        "wait SIGTERM",
        "restart = \"never\"\n\
         ready = { exec = \"sleep 1000 & echo $! > child; echo $$ > probe; wait\", timeout = \"1s\" }",
    ) + &process("app", "wait SIGTERM", "");
    let run = Setup::new(&config).start();
    let hanging = ["probe", "child"].map(|name| {
        let path = run.dir().join(name);
        let pid = eventually(name, || std::fs::read_to_string(&path).ok()?.trim().parse().ok());
        proc::Process::look(pid).expect("it hangs")
    });
    run.wait_for_event("not_ready", "side");
    for process in hanging {
        process.wait_gone();
    }
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}

/// Each failed start is one under the restart policy; when they are spent, the container ends.
#[test]
fn a_failed_start_is_restarted_and_counted() {
    let address = free_address();
    let config = process(
        "side",
        "wait SIGTERM",
        &format!(
            "restart = \"on-failure\"\nready = {{ tcp = \"{address}\", timeout = \"150ms\" }}\n\
             backoff = {{ min = \"10ms\", max = \"10ms\", reset = \"60s\", restarts = 2, within = \"5m\" }}"
        ),
    ) + &process("app", "wait SIGTERM", "after = [\"side\"]");
    let run = Setup::new(&config).start();
    let exit = run.exit();
    let count = |event: &str| exit.lines.iter().filter(|line| line["event"] == event).count();
    assert_eq!(
        (count("started"), count("not_ready"), count("restarting")),
        (3, 3, 2)
    );
    assert!(!exit.has("started", "app"));
    // It ends with 0 when it is told to stop, which is no success.
    assert_eq!(exit.code, Some(1));
    assert_eq!(exit.line()["name"], "side");
    assert_eq!(exit.line()["restarts"], 2);
}

/// Whatever the code is with which it obeys our own stop signal.
#[test]
fn a_failed_start_of_the_main_process_ends_the_container() {
    let address = free_address();
    let ready = format!("ready = {{ tcp = \"{address}\", timeout = \"150ms\" }}");
    let run = Setup::new(&process("app", "wait SIGTERM", &ready)).start();
    let exit = run.exit();
    assert!(exit.has("not_ready", "app"));
    assert_eq!(exit.code, Some(1));
    assert_eq!(exit.line()["cause"], "not_ready");
    assert_eq!(exit.line()["name"], "app");
    assert!(run.started.elapsed() >= Duration::from_millis(150));
}

/// It is ready at its third start only: the timeout of each start counts from that start.
#[test]
fn a_later_start_may_become_ready() {
    let config = format!(
        "[process.side]\nrestart = \"on-failure\"\nready = {{ log = \"^third$\", timeout = \"300ms\" }}\n\
         backoff = {{ min = \"10ms\", max = \"10ms\", reset = \"60s\", restarts = 9, within = \"5m\" }}\n\
         command = \"echo x >> starts; test $(wc -l < starts) -ge 3 && echo third; exec sleep 1000\"\n{}",
        process("app", "say up wait SIGTERM", "after = [\"side\"]")
    );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "up");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let not_ready = exit.lines.iter().filter(|line| line["event"] == "not_ready");
    assert_eq!(not_ready.count(), 2);
    assert_eq!(exit.code, Some(0));
}
