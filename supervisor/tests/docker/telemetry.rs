//! examples/telemetry as its README runs it: what the app wrote is where the forwarder delivers it, and the traces
//! are at the collector.

use serde_json::Value;

use crate::docker::{Container, Images, docker, try_docker};
use crate::otlp::Receiver;

/// Where rsyslog.conf says.
const DELIVERED: &str = "/logs/shop.log";

/// So many lines are there before the stop.
const BEFORE_STOP: usize = 3000;

/// So many orders are handled after it.
const WAITING: u64 = 5000;

/// A collector that containers reach, and the options by which they do.
struct Collector {
    receiver: Receiver,
    options: Vec<String>,
}

impl Collector {
    fn start() -> Collector {
        let gateway = docker(&[
            "network",
            "inspect",
            "bridge",
            "-f",
            "{{(index .IPAM.Config 0).Gateway}}",
        ]);
        let receiver = Receiver::with(&["--listen", &gateway]);
        let port = receiver.port("http");
        // The port is any, so it does not tell the protocol as 4318 does.
        let options = [
            "--add-host",
            &format!("collector:{gateway}"),
            "-e",
            &format!("OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:{port}"),
            "-e",
            "OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf",
        ];
        let options = options.map(str::to_owned).into();
        Collector { receiver, options }
    }

    fn options<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let own = self.options.iter().map(String::as_str);
        own.chain(more.iter().copied()).collect()
    }

    /// The spans below this one, each with the process that it is about.
    fn parts(&self, root: &Value, name: &str) -> Vec<(String, Value)> {
        let spans = self.receiver.spans().into_iter();
        let parts = spans.filter(|span| span["parent"] == root["span"] && span["name"] == name);
        let named = parts.map(|span| {
            assert_eq!(span["trace"], root["trace"], "{span}");
            let process = span["attributes"]["runmate.process.name"].as_str();
            (process.expect("the name of a process").to_owned(), span)
        });
        named.collect()
    }
}

fn names(parts: &[(String, Value)]) -> Vec<&str> {
    parts.iter().map(|(name, _)| name.as_str()).collect()
}

fn message(line: &Value) -> &str {
    line["message"].as_str().expect("a message")
}

/// What the forwarder has delivered, from a container that has ended.
fn delivered(container: &Container) -> Vec<Value> {
    let dir = tempfile::tempdir().expect("a directory");
    let to = dir.path().join("shop.log");
    let from = format!("{}:{DELIVERED}", container.name());
    docker(&["cp", &from, to.to_str().expect("a plain path")]);
    let text = std::fs::read_to_string(to).expect("UTF-8");
    let lines = text.lines().map(|line| serde_json::from_str(line).expect(line));
    lines.collect()
}

/// The number of an order, if the line is about one.
fn order(line: &Value) -> Option<u64> {
    let mut words = message(line).split_ascii_whitespace().skip(1);
    if words.next() != Some("order") {
        return None;
    }
    words.next()?.trim_end_matches(':').parse().ok()
}

#[test]
fn all_that_was_written_is_delivered_and_traced() {
    let collector = Collector::start();
    let waiting = format!("ORDERS_WAITING={WAITING}");
    let options = collector.options(&[
        "--read-only",
        "--cap-drop",
        "ALL",
        "--security-opt",
        "no-new-privileges",
        // A volume of its own, removed with the container.
        "-v",
        "/logs",
        "-e",
        "ORDERS_PER_SECOND=5000",
        "-e",
        &waiting,
    ]);
    let container = Container::run(Images::telemetry(), &options, &[]);
    container.until("lines are delivered", |c| {
        let count = c.shell(&format!("wc -l < {DELIVERED}"));
        count
            .trim()
            .parse()
            .is_ok_and(|count: usize| count >= BEFORE_STOP)
    });
    container.stop();
    let exit = container.exit_line();
    assert_eq!((&exit["code"], container.exit_code()), (&0.into(), 0), "{exit}");

    let lines = delivered(&container);
    every_order_is_there(&lines);
    // Whatever the app and the task wrote to stdout was forwarded, and nothing else.
    let mut said = container.log();
    said.retain(|line| ["app", "prices"].contains(&line["process"].as_str().expect("a process")));
    assert!(lines == said, "{} lines of {}", lines.len(), said.len());

    let boot = collector.receiver.wait_for_span("boot");
    let starts = collector.parts(&boot, "start");
    assert_eq!(names(&starts), ["forwarder", "prices", "app"]);
    let drain = collector.receiver.wait_for_span("drain");
    assert_eq!(names(&collector.parts(&drain, "stop")), ["app", "forwarder"]);
    assert_eq!(drain["links"][0]["trace"], boot["trace"], "{drain}");
    // The task went on with the trace of the boot.
    let task = collector.receiver.wait_for_span("load prices");
    let (_, start) = &starts[1];
    assert_eq!(
        (&task["trace"], &task["parent"]),
        (&boot["trace"], &start["span"])
    );
    assert_eq!(task["sampled"], true, "{task}");
    for span in collector.receiver.spans() {
        assert_eq!(span["resource"]["service.name"], "shop", "{span}");
    }
}

#[track_caller]
fn every_order_is_there(lines: &[Value]) {
    assert_eq!(message(&lines[0]), "3 prices loaded");
    let orders: Vec<u64> = lines.iter().filter_map(order).collect();
    let count = orders.len() as u64;
    assert!(orders.iter().copied().eq(1..=count), "in order: {orders:?}");
    let last = lines.last().expect("a line");
    assert_eq!(message(last), format!("INFO closed after {count} orders"));
    assert!(count > WAITING, "{count}");
    // Nobody has a price for soup.
    let soups = orders.iter().filter(|order| **order % 5 == 4).count();
    let errors = lines
        .iter()
        .filter(|line| message(line).ends_with("KeyError: 'soup'"));
    assert_eq!(errors.count(), soups);
}

/// `traced.py` alone, with this environment.
fn traced(options: &[&str], command: &str) -> (i32, String) {
    let run = ["run", "--rm", "--entrypoint", "python3"];
    let tail = [Images::telemetry(), "traced.py", "a step", "sh", "-c", command];
    let output = try_docker(&[&run[..], options, &tail].concat());
    let said = [output.stdout, output.stderr].concat();
    (
        output.status.code().expect("an exit code"),
        String::from_utf8_lossy(&said).into_owned(),
    )
}

#[test]
fn a_wrapped_command_finds_its_own_span_and_keeps_its_exit_code() {
    let collector = Collector::start();
    let (trace, parent) = ("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7");
    let carrier = format!("TRACEPARENT=00-{trace}-{parent}-01");
    let (code, said) = traced(&collector.options(&["-e", &carrier]), "echo $TRACEPARENT; exit 3");
    let span = collector.receiver.wait_for_span("a step");
    assert_eq!(code, 3, "{said}");
    let own = span["span"].as_str().expect("an id");
    assert_eq!(said, format!("00-{trace}-{own}-01\n"));
    assert_eq!((&span["trace"], &span["parent"]), (&trace.into(), &parent.into()));
    assert_eq!(span["status"]["code"], 2, "an error: {span}");

    // Nobody listens on port 1.
    let down = [
        "-e",
        &carrier,
        "-e",
        "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:1",
    ];
    let (code, said) = traced(&down, "kill -TERM $$");
    assert_eq!(code, 143);
    assert!(
        said.starts_with("WARNING the span 'a step' was not sent"),
        "{said}"
    );

    // Traces are off: nothing is there to go on with.
    let (code, said) = traced(&[], "echo \"${TRACEPARENT-none}\"; exit 4");
    assert_eq!((code, said.as_str()), (4, "none\n"));
}
