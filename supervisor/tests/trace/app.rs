//! An app that is instrumented with OpenTelemetry's SDK for Python, as a task: it continues the trace of the boot.

use serde_json::json;

use crate::support::otlp::{Receiver, python, script};
use crate::support::{Setup, process};

#[test]
fn a_task_continues_the_trace_of_the_boot_by_both_protocols() {
    for protocol in ["grpc", "http/protobuf"] {
        let receiver = Receiver::start();
        let task = [python(), script("otel_task.py"), "seed the shop".into()];
        let task = task.map(|word| word.to_str().expect("a plain path").to_owned());
        let config = process("app", "wait TERM", "after = [\"seed\"]")
            + &format!("[process.seed]\nkind = \"task\"\ncommand = {}\n", json!(task))
            + "[trace]\nservice = \"checkout\"\n";
        let endpoint = match protocol {
            "grpc" => receiver.grpc(),
            _ => receiver.http(),
        };
        let run = Setup::new(&config)
            .env("OTEL_EXPORTER_OTLP_ENDPOINT", &endpoint)
            .env("OTEL_EXPORTER_OTLP_PROTOCOL", protocol)
            .start();
        let seed = receiver.wait_for_span("seed the shop");
        let boot = receiver.wait_for_span("boot");
        let parent = receiver.wait_until(&format!("parent of {seed:#}"), |lines| {
            let mut spans = lines.iter().filter_map(|line| line.get("span"));
            spans.find(|span| span["span"] == seed["parent"]).cloned()
        });
        assert_eq!(parent["attributes"]["runmate.process.name"], "seed", "{parent:#}");
        assert_eq!(
            (&seed["trace"], &parent["trace"]),
            (&boot["trace"], &boot["trace"])
        );
        assert_eq!(parent["parent"], boot["span"], "{parent:#}");
        // Both forms in its environment name the same span.
        let line = run.wait_for("what the task found", |line| line.get("w3c").is_some());
        let found = json!({"trace": boot["trace"], "span": parent["span"], "sampled": true});
        assert_eq!((&line["w3c"], &line["xray"]), (&found, &found), "{line}");
        for span in [&seed, &boot] {
            assert_eq!(span["resource"]["service.name"], "checkout", "{span:#}");
        }
        run.signal(libc::SIGTERM);
        run.exit();
    }
}
