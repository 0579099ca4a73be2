//! Collectors that fail: the container starts, runs and ends as it would without them, and one line tells.

use std::io::Write;
use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::otlp::Receiver;
use crate::support::{Exit, free_address, is_own, proc, process};
use crate::{section, start, to};

/// What an end may take longer, and what a busy machine makes of it.
const LONGER: Duration = Duration::from_millis(2000 + 1500);

/// Runs an app to its end by SIGTERM and checks what holds however the collector is; gives how long the end took.
fn run(section: &str, warns: bool) -> (Exit, Duration) {
    let run = start(&(process("app", "ready wait SIGTERM exit 7", "ready = { log = \"ready\" }") + section));
    run.wait_for("up", |line| is_own(line, "up"));
    if warns {
        run.wait_for("warning", |line| is_own(line, "trace_failed"));
    }
    let (exit, took) = stop(&run);
    assert_eq!(exit.code, Some(7));
    let position = |event: &str| exit.lines.iter().position(|line| is_own(line, event));
    assert!(position("trace_failed").is_none_or(|failed| position("up") < Some(failed)));
    (exit, took)
}

fn stop(run: &crate::support::Runmate) -> (Exit, Duration) {
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    (exit, began.elapsed())
}

fn warnings(exit: &Exit) -> Vec<&Value> {
    exit.lines
        .iter()
        .filter(|line| is_own(line, "trace_failed"))
        .collect()
}

#[test]
fn a_collector_that_is_not_there_is_one_warning() {
    for exporter in ["otlp-grpc", "otlp-http"] {
        let (exit, took) = run(&section(exporter, &format!("http://{}", free_address())), true);
        assert_eq!(warnings(&exit).len(), 1, "{exporter}");
        let lost = exit.lines.iter().find(|line| is_own(line, "trace_lost"));
        let lost = lost.expect("a line that says how many spans are gone");
        // Of the boot its root, the start of the app and ready, of the drain its root and the stop of the app.
        assert!(lost["lost"].as_u64() >= Some(4), "{exporter}: {lost}");
        assert!(took < LONGER, "{took:?}");
    }
}

/// A server that takes connections and answers so, or not at all.
fn server(answer: Option<&'static [u8]>) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    std::thread::spawn(move || {
        let mut kept = Vec::new();
        for stream in listener.incoming().map_while(Result::ok) {
            let mut stream = stream;
            if let Some(answer) = answer {
                let _ = stream.write_all(answer);
            }
            kept.push(stream);
        }
    });
    format!("http://{address}")
}

#[test]
fn a_collector_that_never_answers_costs_two_seconds_at_the_end() {
    for exporter in ["otlp-grpc", "otlp-http"] {
        let (exit, took) = run(&section(exporter, &server(None)), false);
        let warnings = warnings(&exit);
        assert_eq!(warnings.len(), 1, "{exporter}");
        assert_eq!(warnings[0]["waiting"], 0, "nobody waits any more");
        assert!(
            warnings[0]["lost"].as_u64() >= Some(4),
            "{exporter}: {}",
            warnings[0]
        );
        assert!(took < LONGER, "{exporter}: {took:?}");
    }
}

#[test]
fn garbage_for_an_answer_is_one_warning() {
    for exporter in ["otlp-grpc", "otlp-http"] {
        let garbage = server(Some(b"\x00\xffno such thing\r\n\r\n"));
        let (exit, took) = run(&section(exporter, &garbage), true);
        assert_eq!(warnings(&exit).len(), 1, "{exporter}");
        assert!(took < LONGER, "{exporter}: {took:?}");
    }
}

#[test]
fn what_a_collector_rejects_is_one_warning_and_not_sent_again() {
    let receiver = Receiver::with(&["--mode", "partial"]);
    let run = start(&(process("app", "wait SIGTERM exit 7", "") + &to(&receiver, "otlp-http")));
    let warning = run.wait_for("warning", |line| is_own(line, "trace_rejected"));
    assert_eq!(warning["lost"], 1, "{warning}");
    let why = warning["why"].as_str().expect("a reason");
    assert!(why.ends_with("one was too old"), "{warning}");
    let (exit, _) = stop(&run);
    assert_eq!(exit.code, Some(7));
    receiver.wait_for_span("drain");
    let count = |event: &str| exit.lines.iter().filter(|line| is_own(line, event)).count();
    assert_eq!((count("trace_rejected"), count("trace_failed")), (1, 0));
    let spans = receiver.spans();
    let boots = spans.iter().filter(|span| span["name"] == "boot");
    assert_eq!(boots.count(), 1);
}

#[test]
fn a_slow_collector_gets_everything() {
    for exporter in ["otlp-grpc", "otlp-http"] {
        let receiver = Receiver::with(&["--mode", "slow"]);
        let (exit, took) = run(&to(&receiver, exporter), false);
        assert!(warnings(&exit).is_empty(), "{exporter}");
        assert!(took < LONGER, "{exporter}: {took:?}");
        receiver.wait_for_span("boot");
        receiver.wait_for_span("drain");
    }
}

#[test]
fn an_export_under_way_does_not_hold_up_a_stop() {
    let receiver = Receiver::with(&["--mode", "hang"]);
    let run = start(&(process("app", "wait SIGTERM exit 7", "") + &to(&receiver, "otlp-http")));
    receiver.wait_until("an export under way", |lines| {
        lines
            .iter()
            .any(|line| line.get("request").is_some())
            .then_some(())
    });
    let (exit, took) = stop(&run);
    assert_eq!(exit.code, Some(7));
    assert!(took < LONGER, "{took:?}");
    assert_eq!(warnings(&exit).len(), 1, "of the last export alone");
    let line = exit.lines.iter().rev().nth(1).expect("a line before the last");
    assert!(is_own(line, "trace_failed"), "{line}");
}

/// The helper is the last child then. It is no orphan that could keep the container, and its end is nobody's exit code.
#[test]
fn an_app_that_ends_during_an_export_ends_the_container() {
    let receiver = Receiver::with(&["--mode", "hang"]);
    let run = start(&(process("app", "wait SIGUSR1 exit 3", "") + &to(&receiver, "otlp-grpc")));
    receiver.wait_until("an export under way", |lines| {
        lines
            .iter()
            .any(|line| line.get("request").is_some())
            .then_some(())
    });
    let helpers = proc::children(run.pid);
    assert_eq!(helpers.len(), 2, "the app and the helper");
    let began = Instant::now();
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    let took = began.elapsed();
    assert_eq!(exit.code, Some(3));
    assert!(took < LONGER, "{took:?}");
    let last = exit.line();
    assert_eq!(
        (&last["cause"], &last["process_code"]),
        (&"main_ended".into(), &3.into()),
        "{last}"
    );
    helpers.iter().for_each(proc::Process::wait_gone);
}

#[test]
fn a_short_budget_is_kept() {
    let budget = "[run]\nstop_budget = \"1s\"\n";
    let config = process("app", "ready wait SIGTERM exit 7", "ready = { log = \"ready\" }") + budget;
    let run = start(&(config + &section("otlp-http", &server(None))));
    run.wait_for("up", |line| is_own(line, "up"));
    let (exit, took) = stop(&run);
    assert_eq!(exit.code, Some(7));
    assert!(took < Duration::from_millis(1900), "{took:?}");
}

#[test]
fn turned_off_nothing_of_it_is_there() {
    let run = start(&process(
        "app",
        "env ready wait SIGTERM",
        "ready = { log = \"ready\" }",
    ));
    run.wait_for("up", |line| is_own(line, "up"));
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    for line in &exit.lines {
        for key in [
            "trace_id",
            "span_id",
            "xray_trace_id",
            "TRACEPARENT",
            "OTEL_SERVICE_NAME",
        ] {
            assert!(line.get(key).is_none(), "{line}");
        }
    }
}
