//! A forwarder gets what stdout would get: secrets masked, tracebacks joined, fields named. Its numbers are those of
//! the lines that the process has written.

use serde_json::json;

use crate::bare::writer;
use crate::support::{Runmate, Setup, eventually, process};
use crate::{collected, metric};

const KEY: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/key";
const SECRET: &str = "s3cret-value-0123456789";

/// Lines of app: written, forwarded, dropped on the way to the shipper.
fn counted(run: &Runmate) -> Option<[u64; 3]> {
    let written = ["stdout", "stderr"].map(|stream| {
        let name = format!("runmate_process_lines_total{{process=\"app\",stream=\"{stream}\"}}");
        metric(run, &name)
    });
    Some([
        written[0]? + written[1]?,
        metric(
            run,
            "runmate_process_forwarded_lines_total{process=\"app\",forwarder=\"shipper\"}",
        )?,
        metric(
            run,
            "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}",
        )?,
    ])
}

/// An app that prints a secret, in two writes too, and a traceback with it.
fn prints(logs: &str) -> (Vec<serde_json::Value>, [u64; 3]) {
    let program = "import os, sys, time\n\
                   key = os.environ['KEY']\n\
                   print('key', key, flush=True)\n\
                   os.write(1, b'half ' + key[:9].encode()); time.sleep(0.1); os.write(1, key[9:].encode() + b'\\n')\n\
                   sys.stderr.write('Traceback (most recent call last):\\n  File \"a.py\", line 1, in <module>\\n'\n\
                   '    check()\\nValueError: ' + key + '\\n'); sys.stderr.flush()\n\
                   time.sleep(600)";
    let setup = Setup::new(&format!(
        "[logs]\nfields = {{ level = \"severity\" }}\n[process.app]\ncommand = {}\nlogs = {{ {logs} }}\n{}",
        json!(["python3", "-c", program]),
        process("shipper", "collect lines 65536 0", "stdin = { logs = [\"app\"] }"),
    ))
    .any_output()
    .with_health();
    std::fs::write(
        setup.dir().join("secrets.json"),
        json!({(KEY): SECRET}).to_string(),
    )
    .expect("write");
    let run = setup
        .env("RUNMATE_SECRETS_FILE", "secrets.json")
        .env("KEY", KEY)
        .start();
    let counted = eventually("six lines", || {
        counted(&run).filter(|[written, forwarded, _]| *written == 6 && *forwarded == 6)
    });
    run.signal(libc::SIGTERM);
    run.end();
    let text = std::fs::read_to_string(run.dir().join("lines")).expect("what it got");
    assert!(!text.contains(SECRET) && !text.contains(&SECRET[9..]), "{text}");
    (collected(&run.dir().join("lines")).0, counted)
}

#[test]
fn secrets_are_masked_tracebacks_joined_and_fields_renamed() {
    let (lines, counted) = prints("stdout = false");
    let of = |stream: &str| {
        let lines = lines.iter().filter(|line| line["stream"] == stream);
        lines
            .map(|line| (line["severity"].clone(), line["message"].clone()))
            .collect::<Vec<_>>()
    };
    assert_eq!(
        of("stdout"),
        [
            (json!("INFO"), json!("key ***")),
            (json!("INFO"), json!("half ***"))
        ]
    );
    let traceback = "Traceback (most recent call last):\n  File \"a.py\", line 1, in <module>\n    check()\nValueError: ***";
    assert_eq!(of("stderr"), [(json!("ERROR"), json!(traceback))]);
    assert_eq!(counted, [6, 6, 0]);
}

#[test]
fn secrets_are_masked_where_stdout_is_text() {
    let (lines, counted) = prints("format = \"text\"");
    let messages: Vec<_> = lines.iter().map(|line| &line["message"]).collect();
    assert!(
        messages.contains(&&json!("key ***")) && messages.contains(&&json!("ValueError: ***")),
        "{messages:?}"
    );
    assert_eq!(counted, [6, 6, 0]);
}

/// Lines that come in parts count as the lines that they are, whether they are read or lost.
#[test]
fn parts_of_a_line_count_as_one() {
    for (logs, steps, more) in [
        ("stdout = false", "collect lines 65536 0", ""),
        ("format = \"raw\"", "collect lines 65536 0", ""),
        (
            "stdout = false",
            "collect-some lines 7 raise SIGKILL",
            "backoff = { min = \"10ms\", max = \"10ms\", restarts = 1000 }",
        ),
    ] {
        let run = Setup::new(&format!(
            "[process.app]\ncommand = {}\nlogs = {{ {logs} }}\n{}",
            writer("lines out=200 err=50 bytes=40000 tag=app stay=1"),
            process(
                "shipper",
                steps,
                &format!("stdin = {{ logs = [\"app\"] }}\n{more}")
            ),
        ))
        .any_output()
        .with_health()
        .start();
        eventually("all lines", || {
            let [written, forwarded, dropped] = counted(&run)?;
            (written == 250 && forwarded + dropped >= 250).then_some(())
        });
        let [_, forwarded, dropped] = counted(&run).expect("numbers");
        assert_eq!(forwarded + dropped, 250, "{logs} {steps}");
        assert_eq!(dropped == 0, more.is_empty(), "{dropped} dropped");
    }
}
