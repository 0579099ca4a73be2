//! A traceback is one event: of real programs, and of texts that such programs printed.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::{Exit, Setup};

fn tracebacks() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/output/tracebacks")
}

/// Runs a command in the directory of the tracebacks, to its end.
fn run(logs: &str, command: &Value) -> Exit {
    let cwd = json!(tracebacks());
    let config = format!("[logs]\n{logs}\n[process.app]\ncommand = {command}\ncwd = {cwd}\n");
    Setup::new(&config).any_output().start().exit()
}

fn of_stream<'a>(exit: &'a Exit, stream: &str) -> Vec<&'a str> {
    let lines = exit.lines.iter().filter(|line| line["stream"] == stream);
    lines.filter_map(|line| line["message"].as_str()).collect()
}

#[test]
fn real_programs() {
    for (program, argv, begins, ends) in [
        (
            "chained.py",
            vec!["python3"],
            "Traceback (most recent call last):",
            "the second",
        ),
        (
            "Chained.java",
            vec!["java"],
            "Exception in thread \"main\"",
            "more",
        ),
        ("error.js", vec!["node"], "", "Node.js v"),
    ] {
        let mut argv = argv;
        let path = format!("programs/{program}");
        argv.push(&path);
        let exit = run("", &json!(argv));
        let events = of_stream(&exit, "stderr");
        let [event] = events[..] else {
            panic!("{program}: one event, not {events:?}")
        };
        assert!(event.starts_with(begins), "{program}: {event}");
        let last = event.lines().last().unwrap_or_default();
        assert!(last.contains(ends), "{program}: {event}");
    }
}

#[test]
fn every_text_is_one_event_and_streams_do_not_mix() {
    let mut count = 0;
    for entry in std::fs::read_dir(tracebacks()).expect("the texts") {
        let path = entry.expect("an entry").path();
        if path.extension().is_none_or(|extension| extension != "txt") {
            continue;
        }
        count += 1;
        let text = std::fs::read_to_string(&path).expect("a text");
        // Each line at its own time, a line of the other stream after each.
        let script = format!(
            "while IFS= read -r line; do printf '%s\\n' \"$line\" >&2; echo between; done < {}; echo after >&2",
            path.display()
        );
        let exit = run("", &json!(script));
        assert_eq!(
            of_stream(&exit, "stderr"),
            [text.trim_end(), "after"],
            "{}",
            path.display()
        );
        let between = of_stream(&exit, "stdout");
        assert_eq!(between, vec!["between"; text.lines().count()]);
    }
    assert_eq!(count, 11);
}

#[test]
fn lines_stay_lines_where_they_are_wanted() {
    let cat = json!(["cat", "go-panic.txt"]);
    let text = std::fs::read_to_string(tracebacks().join("go-panic.txt")).expect("a text");
    let off = run("multiline = \"off\"", &cat);
    assert_eq!(of_stream(&off, "stdout").join("\n"), text.trim_end());
    let raw = run("format = \"raw\"", &cat);
    let lines: Vec<&str> = raw.lines.iter().filter_map(Value::as_str).collect();
    assert_eq!(lines.join("\n"), text.trim_end());
}

#[test]
fn what_nothing_follows_comes_out_while_the_program_goes_on() {
    let config = "[process.app]\ncommand = \"cat PATH; exec sleep 1000\"\n".replace(
        "PATH",
        &tracebacks().join("java-logged.txt").display().to_string(),
    );
    let run = Setup::new(&config).start();
    run.wait_for("the traceback", |line| {
        line["message"]
            .as_str()
            .is_some_and(|message| message.ends_with("... 8 more"))
    });
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn one_that_is_too_long_for_a_line_comes_in_parts() {
    let program = "def f(n):\n    x = 'y' * 30000\n    raise ValueError(x)\nf(1)";
    let exit = run("", &json!(["python3", "-c", program]));
    let parts: Vec<&Value> = exit
        .lines
        .iter()
        .filter(|line| line["stream"] == "stderr")
        .collect();
    assert!(parts.len() > 1 && parts.iter().all(|part| part.to_string().len() <= 15 << 10));
    assert!(parts.iter().enumerate().all(|(at, part)| part["part"] == at + 1));
    let whole = of_stream(&exit, "stderr").concat();
    assert!(whole.starts_with("Traceback") && whole.ends_with(&"y".repeat(30_000)));
}
