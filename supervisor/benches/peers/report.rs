//! Markdown: the machine, the targets, and a table per scenario.

use std::fmt::Write;
use std::fs;

use crate::peers;

/// What a scenario brought.
pub struct Section {
    pub title: &'static str,
    /// How it was measured.
    pub how: String,
    pub header: Vec<&'static str>,
    pub rows: Vec<Vec<String>>,
    pub targets: Vec<Target>,
}

/// What runmate wants to reach, and whether it did.
pub struct Target {
    pub what: &'static str,
    pub wanted: String,
    pub measured: String,
    pub met: bool,
}

/// The whole document.
pub fn render(sections: &[Section]) -> String {
    let mut out = String::from(INTRODUCTION);
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let facts = [
        format!("{cores} cores, {}", processor()),
        format!("Linux {}", kernel()),
        format!("runmate {}", env!("CARGO_PKG_VERSION")),
        peers::versions(),
    ];
    for fact in facts {
        let _ = writeln!(out, "- {fact}");
    }
    out.push_str("\n## Targets\n\n");
    let targets = sections.iter().flat_map(|section| &section.targets);
    let rows: Vec<Vec<String>> = targets
        .map(|target| {
            vec![
                target.what.to_owned(),
                target.wanted.clone(),
                target.measured.clone(),
                if target.met { "yes" } else { "**no**" }.to_owned(),
            ]
        })
        .collect();
    table(&mut out, &["what", "target", "measured", "met"], &rows);
    for section in sections {
        let _ = write!(out, "\n## {}\n\n{}\n\n", section.title, section.how);
        table(&mut out, &section.header, &section.rows);
    }
    out
}

const INTRODUCTION: &str = "\
# Benchmarks

Written by `make bench BENCH_FLAGS=--write`; `make bench` alone prints the same. All contenders run
side by side on one machine, in turns, and every figure is the median of its rounds: compare within a
table, not with figures from elsewhere. The children are one small static program that reports
`CLOCK_MONOTONIC` as its first act. The source is `supervisor/benches/peers/`.

";

/// The first column is text, the others are figures.
fn table(out: &mut String, header: &[&str], rows: &[Vec<String>]) {
    let _ = writeln!(out, "| {} |", header.join(" | "));
    let _ = writeln!(out, "|---{}|", "|---:".repeat(header.len() - 1));
    for row in rows {
        let _ = writeln!(out, "| {} |", row.join(" | "));
    }
}

fn processor() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find(|line| line.starts_with("model name"));
    let name = model.and_then(|line| line.split(": ").nth(1));
    name.unwrap_or(std::env::consts::ARCH).to_owned()
}

/// The numbers of the kernel's version, without what its builder added.
fn kernel() -> String {
    let text = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    text.chars()
        .take_while(|c| c.is_ascii_digit() || *c == '.')
        .collect()
}

/// Milliseconds.
pub fn ms(value: f64) -> String {
    format!("{value:.2}")
}

/// A dash where nothing was measured.
pub fn or_dash(value: Option<String>) -> String {
    value.unwrap_or_else(|| "–".into())
}
