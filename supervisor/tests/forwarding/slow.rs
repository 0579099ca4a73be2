//! A forwarder that does not take its lines, or too slowly.

use std::time::Duration;

use crate::bare::writer;
use crate::support::{Setup, eventually, process};
use crate::{collected, dropped, numbers};

/// About 14 MB of JSON: far more than pipe and queue hold.
const LINES: u64 = 60_000;

/// What became of the lines of a writer.
struct Outcome {
    /// The longest time that it waited in one write, and how long it took in all.
    waited: Duration,
    took: Duration,
    /// What the forwarder got and lost.
    got: u64,
    lost: u64,
}

fn run(blocked: &str, steps: &str) -> Outcome {
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
    let took = run.started.elapsed();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let out = exit.lines.iter().filter(|line| line["process"] == "task").count() as u64;
    assert_eq!(out, LINES, "stdout goes on");
    let (lines, _) = collected(&run.dir().join("lines"));
    Outcome {
        waited,
        took,
        got: numbers(&lines).get("task").map_or(0, Vec::len) as u64,
        lost: dropped(&exit.lines, "task", "shipper"),
    }
}

#[test]
fn who_never_reads_holds_its_sources_back_once() {
    let Outcome {
        waited, got, lost, ..
    } = run("1s", "deaf");
    // Of one write: others of it may have waited for a part of the time.
    let expected = Duration::from_millis(300)..Duration::from_millis(2500);
    assert!(expected.contains(&waited), "{waited:?}");
    assert_eq!((got, lost), (0, LINES));
}

#[test]
fn who_reads_far_too_slowly_gets_what_it_can_and_the_rest_is_counted() {
    let Outcome {
        waited, got, lost, ..
    } = run("1s", "collect lines 1000 50");
    assert!(waited < Duration::from_millis(2500), "{waited:?}");
    assert!(got > 0 && lost > 0);
    // All but the one that it had begun to read at the end, if any.
    assert!(got + lost == LINES, "{got} + {lost}");
}

/// It would take minutes for all of it. No write waits for long, but many do.
#[test]
fn who_is_slow_but_steady_holds_its_sources_back_no_longer_in_all() {
    let Outcome { took, got, lost, .. } = run("1s", "collect lines 4096 100");
    assert!(took < Duration::from_secs(8), "{took:?}");
    assert!(got > 0 && lost > 0);
    assert!(got + lost == LINES, "{got} + {lost}");
}

#[test]
fn who_is_a_little_slower_than_its_source_gets_everything() {
    let Outcome { got, lost, .. } = run("5s", "collect lines 65536 5");
    assert_eq!((got, lost), (LINES, 0));
}
