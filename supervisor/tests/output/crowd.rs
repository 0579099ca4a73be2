//! Many processes at once, long lines. Without one writer that owns stdout, nearly all of these come out
//! torn.

use std::collections::BTreeMap;
use std::os::fd::AsRawFd;

use crate::bare::{Pace, Run, Tap, writer};
use crate::tally::{Tally, check_line};

const PROCESSES: usize = 10;
const BYTES: usize = 10_000;

/// Ten tasks that write at the same time, and a main process that is over when they are.
fn config(format: &str, out: u64, err: u64) -> String {
    let names: Vec<String> = (0..PROCESSES).map(|number| format!("p{number}")).collect();
    let tasks = names.iter().map(|name| {
        let command = writer(&format!("lines out={out} err={err} bytes={BYTES} tag={name}"));
        format!("[process.{name}]\nkind = \"task\"\ncommand = {command}\n")
    });
    let after = serde_json::to_string(&names).expect("names serialise");
    format!(
        "[logs]\nformat = \"{format}\"\n{}[process.app]\ncommand = [\"true\"]\nafter = {after}\n",
        tasks.collect::<String>()
    )
}

#[test]
fn ten_processes_in_json() {
    let (out, err) = (400, 100);
    let (mut run, tap) = Tap::on(&config("json", out, err), Pace::Full);
    let tally = Tally::of(&tap.finish());
    assert_eq!(run.exit_code(), 0);
    assert_eq!((tally.gaps, tally.dropped_in_all()), (0, 0));
    for number in 0..PROCESSES {
        let name = format!("p{number}");
        assert_eq!(tally.check_lines(&name, "stdout", BYTES), out);
        assert_eq!(tally.check_lines(&name, "stderr", BYTES), err);
    }
}

#[test]
fn ten_processes_in_text() {
    in_lines_of("text", |line| {
        let (name, line) = line.split_once(" | ").expect("a prefix");
        (name != "runmate").then(|| (name.to_owned(), line.to_owned()))
    });
}

#[test]
fn ten_processes_in_raw() {
    in_lines_of("raw", |line| {
        // Runmate's own lines stay JSON, so that they can be told apart.
        let own = line.starts_with("{\"timestamp\"") && line.ends_with('}');
        (!own).then(|| (line.split(' ').next().expect("a tag").to_owned(), line.to_owned()))
    });
}

/// `process_and_line` takes a line apart; `None` for those of runmate's own.
fn in_lines_of(format: &str, process_and_line: impl Fn(&str) -> Option<(String, String)>) {
    let (out, err) = (150, 50);
    let (mut run, tap) = Tap::on(&config(format, out, err), Pace::Full);
    let output = String::from_utf8(tap.finish()).expect("UTF-8");
    assert_eq!(run.exit_code(), 0);
    let mut next = BTreeMap::<(String, String), u64>::new();
    for line in output.lines() {
        let Some((process, line)) = process_and_line(line) else {
            continue;
        };
        let stream = line.split(' ').nth(1).expect("a stream").to_owned();
        let number = check_line(&line, &process, &stream, BYTES);
        let next = next.entry((process, stream)).or_default();
        assert_eq!(number, *next, "lost, doubled or out of order");
        *next += 1;
    }
    let expected = (0..PROCESSES).flat_map(|number| {
        let name = format!("p{number}");
        [
            ((name.clone(), "err".to_owned()), err),
            ((name, "out".to_owned()), out),
        ]
    });
    assert_eq!(next, expected.collect());
}

#[test]
fn inherit_leaves_stdout_and_stderr_to_the_child() {
    let (read, write) = std::io::pipe().expect("a pipe");
    let ours = std::fs::read_link(format!("/proc/self/fd/{}", write.as_raw_fd())).expect("/proc");
    let config = "[logs]\nformat = \"inherit\"\n[process.app]\n\
                  command = [\"readlink\", \"/proc/self/fd/1\", \"/proc/self/fd/2\"]\n";
    let mut run = Run::start(config, write);
    let stderr = run.path("stderr");
    let output = Tap::new(read, Pace::Full).finish();
    assert_eq!(run.exit_code(), 0);
    let output = String::from_utf8(output).expect("UTF-8");
    let childs: Vec<&str> = output.lines().filter(|line| !line.starts_with('{')).collect();
    assert_eq!(
        childs,
        [&ours.display().to_string(), &stderr.display().to_string()]
    );
}

#[test]
fn each_stream_keeps_its_order_when_one_process_writes_to_both_in_turn() {
    let lines = 5_000;
    let command = writer(&format!(
        "lines out={lines} err={lines} bytes=80 tag=app alternate=1"
    ));
    let (mut run, tap) = Tap::on(&format!("[process.app]\ncommand = {command}\n"), Pace::Full);
    let tally = Tally::of(&tap.finish());
    assert_eq!(run.exit_code(), 0);
    assert_eq!(tally.check_lines("app", "stdout", 80), lines);
    assert_eq!(tally.check_lines("app", "stderr", 80), lines);
    assert_eq!((tally.gaps, tally.dropped_in_all()), (0, 0));
}
