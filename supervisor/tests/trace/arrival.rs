//! What arrives at a collector.

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::support::otlp::Receiver;
use crate::support::{Exit, Setup, eventually, is_own, proc, process};
use crate::{attribute, carries, children, start, to};

fn own<'a>(exit: &'a Exit, event: &str) -> &'a Value {
    let mut lines = exit.lines.iter().filter(|line| is_own(line, event));
    lines.next().unwrap_or_else(|| panic!("no {event}"))
}

#[test]
fn boot_restart_and_drain_arrive_by_both_protocols() {
    for exporter in ["otlp-grpc", "otlp-http"] {
        let receiver = Receiver::start();
        let app = "restart = \"on-failure\"\nafter = [\"task\"]\nready = { log = \"ready\" }\n\
                   backoff = { min = \"100ms\", max = \"100ms\" }";
        let config = process("task", "exit 0", "kind = \"task\"")
            + &process("app", "default ready sleep 60000", app)
            + &to(&receiver, exporter);
        let before = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
        let run = start(&config);
        run.wait_for("up", |line| is_own(line, "up"));
        let boot = receiver.wait_for_span("boot");
        run.signal(libc::SIGUSR1);
        let restart = receiver.wait_for_span("restart");
        // A collector has the spans before we know: a helper that is stopped then sends them again.
        eventually("end of the helper", || {
            (proc::children(run.pid).len() == 1).then_some(())
        });
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        let drain = receiver.wait_for_span("drain");

        let spans = receiver.spans();
        let seconds = u64::from_str_radix(&boot["trace"].as_str().unwrap()[..8], 16).unwrap();
        assert!(
            (before..=before + 60).contains(&seconds),
            "the prefix that X-Ray reads"
        );
        for root in [&boot, &restart, &drain] {
            assert_eq!((&root["kind"], &root["parent"]), (&json!("SERVER"), &Value::Null));
            assert_eq!(root["status"]["code"], 0, "{root}");
            assert_eq!(root["resource"]["service.name"], "checkout");
        }
        assert_eq!(boot["links"], json!([]));
        let link = json!([{"trace": boot["trace"], "span": boot["span"], "sampled": true}]);
        assert_eq!((&restart["links"], &drain["links"]), (&link, &link));

        let of_boot = children(&spans, &boot);
        let names: Vec<_> = of_boot
            .iter()
            .map(|span| (&span["name"], attribute(span, "runmate.process.name")))
            .collect();
        let expected = [
            (&json!("start"), &json!("task")),
            (&json!("start"), &json!("app")),
            (&json!("ready"), &Value::Null),
        ];
        assert_eq!(names, expected);
        let first = exit
            .lines
            .iter()
            .find(|line| line["event"] == "started" && line["name"] == "app")
            .unwrap();
        assert_eq!(attribute(&of_boot[1], "process.pid"), &first["pid"]);

        for (key, value) in [
            ("runmate.process.name", json!("app")),
            ("runmate.process.signal", json!("SIGUSR1")),
            ("runmate.restart.attempt", json!(1)),
            ("runmate.restart.delay", json!(0.1)),
        ] {
            assert_eq!(attribute(&restart, key), &value, "{key}");
        }
        assert_eq!(children(&spans, &restart).len(), 1);

        let stops = children(&spans, &drain);
        assert_eq!(stops.len(), 1, "{stops:#?}");
        assert_eq!(attribute(&stops[0], "runmate.outcome"), "stopped");
        assert_eq!(attribute(&drain, "runmate.cause"), "signal");
        assert_eq!(
            attribute(&drain, "process.exit.code").as_i64(),
            exit.code.map(i64::from)
        );

        for event in ["boot", "up"] {
            carries(own(&exit, event), &boot);
        }
        carries(first, &of_boot[1]);
        carries(own(&exit, "restarting"), &restart);
        for event in ["draining", "exit"] {
            carries(own(&exit, event), &drain);
        }
        let ended = exit.lines.iter().rfind(|line| line["event"] == "ended").unwrap();
        for line in [own(&exit, "stopping"), ended] {
            carries(line, &stops[0]);
        }
        assert!(!exit.lines.iter().any(|line| is_own(line, "trace_failed")));
        let mut ids: Vec<_> = spans.iter().map(|span| span["span"].as_str().unwrap()).collect();
        let all = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), all, "no span twice");
    }
}

#[test]
fn a_boot_that_fails_is_sent_before_the_end() {
    let receiver = Receiver::start();
    let config = process("task", "exit 3", "kind = \"task\"")
        + &process("app", "wait SIGTERM", "after = [\"task\"]")
        + &to(&receiver, "otlp-http");
    let exit = start(&config).exit();
    assert_eq!(exit.code, Some(3));
    let boot = receiver.wait_for_span("boot");
    assert_eq!(
        boot["status"],
        json!({"code": 2, "message": "task task exited with code 3"})
    );
    assert_eq!(
        attribute(&receiver.wait_for_span("drain"), "process.exit.code"),
        3
    );
}

#[test]
fn what_keeps_anything_from_starting_is_sent_too() {
    let receiver = Receiver::start();
    let config = process("app", "exit 0", "")
        + "[secrets.KEY]\nfrom = \"file:absent\"\n"
        + &to(&receiver, "otlp-http");
    let exit = start(&config).exit();
    assert_eq!(exit.code, Some(78));
    let (boot, secrets) = (receiver.wait_for_span("boot"), receiver.wait_for_span("secrets"));
    assert_eq!(
        (&boot["status"]["code"], &secrets["status"]["code"]),
        (&json!(2), &json!(2))
    );
    assert_eq!(attribute(&secrets, "runmate.secrets.count"), 1);
    carries(exit.line(), &boot);
}

#[test]
fn what_nobody_took_goes_with_the_next() {
    let mut receiver = Receiver::with(&["--mode", "refuse"]);
    let config = process("app", "wait SIGTERM", "") + &to(&receiver, "otlp-http");
    let run = start(&config);
    run.wait_for("warning", |line| is_own(line, "trace_failed"));
    receiver.behave("ok");
    run.signal(libc::SIGTERM);
    run.exit();
    receiver.wait_for_span("boot");
    receiver.wait_for_span("drain");
}

#[test]
fn a_token_that_is_a_secret_reaches_the_exporter_and_no_line() {
    let receiver = Receiver::start();
    let config = process("app", "wait SIGTERM exit 0", "")
        + &to(&receiver, "otlp-http")
        + "[secrets.OTEL_EXPORTER_OTLP_HEADERS]\nfrom = \"file:token\"\n";
    let setup = Setup::new(&config);
    std::fs::write(setup.dir().join("token"), "authorization=hunter2").expect("write");
    let run = setup.start();
    receiver.wait_for_span("boot");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    receiver.wait_for_span("drain");
    for request in receiver.requests() {
        assert_eq!(request["headers"]["authorization"], "hunter2", "{request}");
    }
    assert!(
        exit.lines
            .iter()
            .all(|line| !line.to_string().contains("hunter2"))
    );
}

#[test]
fn the_end_of_an_outage_is_told() {
    let mut receiver = Receiver::with(&["--mode", "refuse"]);
    let run = start(&(process("app", "wait SIGTERM", "") + &to(&receiver, "otlp-http")));
    run.wait_for("warning", |line| is_own(line, "trace_failed"));
    receiver.behave("ok");
    run.wait_for("end of the outage", |line| is_own(line, "trace_recovered"));
    receiver.wait_for_span("boot");
    run.signal(libc::SIGTERM);
    run.exit();
}
