//! rsyslog from Debian as the forwarder. It has no input by the name of stdin, but imklog reads lines from any path.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use crate::bare::writer;
use crate::programs::find_program;
use crate::support::{Runmate, Setup, eventually};
use crate::{metric, numbers};

/// Of each of the two sources.
const LINES: u64 = 500_000;

fn forwarded(run: &Runmate, source: &str) -> u64 {
    let labels = format!("{{process=\"{source}\",forwarder=\"rsyslog\"}}");
    metric(run, &format!("runmate_process_forwarded_lines_total{labels}")).unwrap_or(0)
}

fn lost(run: &Runmate, source: &str) -> u64 {
    let labels = format!("{{process=\"{source}\",destination=\"rsyslog\"}}");
    metric(run, &format!("runmate_process_dropped_lines_total{labels}")).unwrap_or(0)
}

/// A million lines of two processes into rsyslog, and from there into a file.
fn start() -> Runmate {
    let source = |name: &str| {
        let command = writer(&format!("lines out={LINES} bytes=100 tag={name} stay=1"));
        format!("[process.{name}]\ncommand = {command}\nlogs = {{ stdout = false }}\n")
    };
    let setup = Setup::new(&format!(
        "[logs]\nblocked = \"10m\"\n{}{}[process.rsyslog]\ncommand = [{:?}, \"-n\", \"-f\", \"rsyslog.conf\", \"-i\", \"rsyslog.pid\"]\n\
         stdin = {{ logs = [\"app\", \"other\"] }}\nbackoff = {{ min = \"100ms\", max = \"100ms\", restarts = 100 }}\n",
        source("app"),
        source("other"),
        find_program("rsyslogd"),
    ));
    let dir = setup.dir().display().to_string();
    // Its own queue has two workers, which change the order, and drops what does not fit.
    let conf = format!(
        "global(workDirectory={dir:?} maxMessageSize=\"64k\")\n\
         main_queue(queue.type=\"direct\")\n\
         module(load=\"imklog\" logpath=\"/dev/stdin\" permitnonkernelfacility=\"on\")\n\
         template(name=\"line\" type=\"string\" string=\"%rawmsg%\\n\")\n\
         if $rawmsg startswith \"{{\" then action(type=\"omfile\" file=\"{dir}/lines\" template=\"line\")\n"
    );
    std::fs::write(setup.dir().join("rsyslog.conf"), conf).expect("write");
    setup.with_health().start()
}

/// Waits until it is so much. It may take long, on a busy machine; only without any progress the test fails.
fn wait_for_progress(what: &str, enough: u64, now: impl Fn() -> u64) {
    let mut before = now();
    while before < enough {
        before = eventually(&format!("{what} after {before} of {enough}"), || {
            Some(now()).filter(|now| *now > before)
        });
    }
}

/// Waits until all lines have been forwarded or dropped.
fn wait_for_all(run: &Runmate) {
    wait_for_progress("line", 2 * LINES, || {
        let sources = ["app", "other"];
        sources
            .map(|source| forwarded(run, source) + lost(run, source))
            .iter()
            .sum()
    });
}

fn written(path: &Path) -> BTreeMap<String, Vec<u64>> {
    let text = std::fs::read_to_string(path).expect("what rsyslog wrote");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect(line))
        .collect();
    numbers(&lines)
}

#[test]
fn a_million_lines_arrive_complete_and_in_order() {
    let run = start();
    wait_for_all(&run);
    run.signal(libc::SIGTERM);
    run.exit();
    let written = written(&run.dir().join("lines"));
    for source in ["app", "other"] {
        assert!(written[source].iter().copied().eq(0..LINES), "{source}");
    }
}

#[test]
fn killed_midway_it_goes_on_and_what_it_got_and_what_was_dropped_are_all() {
    let run = start();
    let path = run.dir().join("lines");
    let mut got = 0;
    for life in 0..3 {
        let started = run.wait_until("another life", |lines| {
            let mut lives = lines
                .iter()
                .filter(|line| line["event"] == "started" && line["name"] == "rsyslog");
            lives.nth(life).cloned()
        });
        let size = || path.metadata().map_or(0, |file| file.len());
        wait_for_progress("byte", got + 5_000_000, size);
        got = size();
        // SAFETY: no memory is involved; it does not end by itself.
        unsafe { libc::kill(started["pid"].as_i64().expect("a pid") as i32, libc::SIGKILL) };
    }
    wait_for_all(&run);
    for source in ["app", "other"] {
        assert_eq!(forwarded(&run, source) + lost(&run, source), LINES, "{source}");
    }
    let dropped = lost(&run, "app") + lost(&run, "other");
    assert!(dropped <= 3, "{dropped} lines dropped by three deaths");
    run.signal(libc::SIGTERM);
    run.exit();
}
