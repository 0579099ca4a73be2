//! Lines of processes on the stdin of others: whole, in order, and none lost in silence.

#[path = "../support/bare.rs"]
mod bare;
#[path = "../support/programs.rs"]
mod programs;
#[path = "../support/mod.rs"]
mod support;

mod drain;
mod lives;
mod rsyslog;
mod same;
mod slow;
mod whole;

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;
use support::Runmate;

/// The lines that a forwarder has got, of all its lives, and how many it got only the beginning of.
fn collected(path: &Path) -> (Vec<Value>, usize) {
    let text = std::fs::read_to_string(path).unwrap_or_default();
    let lines = text.lines().filter(|line| !line.is_empty());
    let lines: Vec<_> = lines.map(serde_json::from_str::<Value>).collect();
    let torn = lines.iter().filter(|line| line.is_err()).count();
    (lines.into_iter().flatten().collect(), torn)
}

/// The numbers of the lines of a `writer`, by process; each must be higher than the one before.
fn numbers(lines: &[Value]) -> BTreeMap<String, Vec<u64>> {
    let mut numbers: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for line in lines {
        let text = line["message"].as_str().expect("a message");
        let number = text.split(' ').nth(2).and_then(|number| number.parse().ok());
        let Some(number) = number else { continue };
        let before = numbers
            .entry(line["process"].as_str().expect("a process").to_owned())
            .or_default();
        assert!(
            before.last().is_none_or(|last| *last < number),
            "{number} in {line}"
        );
        before.push(number);
    }
    numbers
}

/// The lines of `process` that were lost on the way to `forwarder`, as the log tells.
fn dropped(lines: &[Value], process: &str, forwarder: &str) -> u64 {
    lines
        .iter()
        .filter(|line| line["event"] == "dropped" && line["forwarder"] == forwarder)
        .map(|line| line["by_process"][process].as_u64().unwrap_or(0))
        .sum()
}

/// A number of `/metrics`; `None` if it is not there yet.
fn metric(run: &Runmate, name: &str) -> Option<u64> {
    sample(run, name)?.parse().ok()
}

/// A time of `/metrics`; `None` if it is not there yet.
fn seconds(run: &Runmate, name: &str) -> Option<f64> {
    sample(run, name)?.parse().ok()
}

fn sample(run: &Runmate, name: &str) -> Option<String> {
    let (_, body) = support::http::get(run.health_address(), "/metrics").ok()?;
    let line = body.lines().find_map(|line| line.strip_prefix(name))?;
    Some(line.trim().to_owned())
}
