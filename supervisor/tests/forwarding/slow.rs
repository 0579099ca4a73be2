//! A forwarder that does not take its lines, or too slowly.

use std::time::Duration;

use crate::bare::writer;
use crate::support::{Setup, eventually, process};
use crate::{collected, dropped, numbers};

/// About 14 MB of JSON: far more than pipe and queue hold.
const LINES: u64 = 60_000;

/// Runs a writer with this forwarder; gives the longest time that it waited, and what the forwarder got and lost.
fn run(blocked: &str, steps: &str) -> (Duration, u64, u64) {
    let run = Setup::new(&format!(
        "[logs]\nblocked = \"{blocked}\"\n[run]\nstop_budget = \"4s\"\n[process.task]\nkind = \"task\"\ncommand = {}\n{}{}",
        writer(&format!("lines out={LINES} bytes=100 tag=task report=waited")),
        process("app", "await waited wait SIGTERM", ""),
        process("shipper", steps, "stdin = { logs = [\"task\"] }"),
    ))
    .start();
    // Not by its log, which is long.
    let waited = eventually("the report of the writer", || {
        std::fs::read_to_string(run.dir().join("waited")).ok()
    });
    let waited = Duration::from_millis(waited.parse().expect("a number"));
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let out = exit.lines.iter().filter(|line| line["process"] == "task").count() as u64;
    assert_eq!(out, LINES, "stdout goes on");
    let (lines, _) = collected(&run.dir().join("lines"));
    let got = numbers(&lines).get("task").map_or(0, Vec::len) as u64;
    (waited, got, dropped(&exit.lines, "task", "shipper"))
}

#[test]
fn who_never_reads_holds_its_sources_back_once() {
    let (waited, got, lost) = run("1s", "deaf");
    // Of one write: others of it may have waited for a part of the time.
    let expected = Duration::from_millis(300)..Duration::from_millis(2500);
    assert!(expected.contains(&waited), "{waited:?}");
    assert_eq!((got, lost), (0, LINES));
}

#[test]
fn who_reads_far_too_slowly_gets_what_it_can_and_the_rest_is_counted() {
    let (waited, got, lost) = run("1s", "collect lines 1000 50");
    assert!(waited < Duration::from_millis(2500), "{waited:?}");
    assert!(got > 0 && lost > 0);
    // All but the one that it had begun to read at the end, if any.
    assert!(got + lost == LINES, "{got} + {lost}");
}

#[test]
fn who_is_a_little_slower_than_its_source_gets_everything() {
    let (_, got, lost) = run("2s", "collect lines 65536 5");
    assert_eq!((got, lost), (LINES, 0));
}
