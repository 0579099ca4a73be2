//! The children that are supervised: this program itself, under another argument. They report to
//! the bench through a named pipe, which works the same from inside a PID namespace.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::os;

/// The first argument that makes a child of this program.
pub const WORD: &str = "child";

/// What a child does.
#[derive(Clone, Copy, Debug)]
pub enum Role {
    /// Waits for SIGTERM, as a group of so many processes.
    Wait(usize),
    /// Double-forks so many grandchildren, which end at once, and waits until none is left.
    Orphans(usize),
    /// Writes so many lines, of the kind named.
    Lines(usize, Text),
}

/// What the lines are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Text {
    /// Nothing that JSON must escape.
    Plain,
    /// As in an access log: six quotation marks.
    Quoted,
    /// As Python's logging writes it: the level behind time and name.
    Leveled,
    /// An object, as loggers of JSON write it: with a time and a level.
    Json,
}

/// The length of a line, newline included.
pub const LINE: usize = 200;
/// How much a producer writes at once: whole lines, and as much as the default pipe takes.
const WRITE: usize = 64_000;

impl Role {
    /// The arguments that make this program play the role.
    pub fn arguments(self, pipe: &Path) -> Vec<String> {
        let (word, count) = match self {
            Role::Wait(processes) => ("wait", processes),
            Role::Orphans(count) => ("orphans", count),
            Role::Lines(count, Text::Plain) => ("plain", count),
            Role::Lines(count, Text::Quoted) => ("quoted", count),
            Role::Lines(count, Text::Leveled) => ("leveled", count),
            Role::Lines(count, Text::Json) => ("json", count),
        };
        let program = std::env::current_exe().expect("/proc is mounted");
        [
            program.display().to_string(),
            WORD.into(),
            word.into(),
            count.to_string(),
            pipe.display().to_string(),
        ]
        .into()
    }
}

/// The life of a child. `started` was taken first of all.
pub fn main(started: u64, arguments: impl Iterator<Item = OsString>) -> Option<()> {
    let mut arguments = arguments.map(OsString::into_vec);
    let role = arguments.next()?;
    let count = String::from_utf8(arguments.next()?).ok()?.parse().ok()?;
    let pipe = OsString::from_vec(arguments.next()?);
    let mut reports = OpenOptions::new().write(true).open(pipe).ok()?;
    match role.as_slice() {
        b"wait" => wait(started, count, &mut reports),
        b"orphans" => orphans(count, &mut reports),
        b"plain" => lines(started, count, Text::Plain, &mut reports),
        b"quoted" => lines(started, count, Text::Quoted, &mut reports),
        b"leveled" => lines(started, count, Text::Leveled, &mut reports),
        b"json" => lines(started, count, Text::Json, &mut reports),
        _ => None,
    }
}

/// One write, short enough to be atomic on a pipe.
fn report(reports: &mut File, what: &str, value: u64) -> Option<()> {
    let line = format!("{what} {value} {}\n", std::process::id());
    reports.write_all(line.as_bytes()).ok()
}

fn wait(started: u64, processes: usize, reports: &mut File) -> Option<()> {
    os::block_sigterm();
    let members: Vec<i32> = (1..processes)
        .map(|_| {
            os::fork(|| {
                report(reports, "start", os::now());
                stop_when_told(reports, &[]);
            })
        })
        .collect();
    report(reports, "start", started)?;
    stop_when_told(reports, &members)
}

fn stop_when_told(reports: &mut File, members: &[i32]) -> Option<()> {
    os::wait_for_sigterm();
    report(reports, "term", os::now())?;
    for member in members {
        os::wait_for(*member);
    }
    report(reports, "end", os::now())
}

/// Reports how long it took until every grandchild was reaped, or how many were left [`PATIENCE`]
/// after the last of them was made.
fn orphans(count: usize, reports: &mut File) -> Option<()> {
    let began = os::now();
    let mut left = os::double_fork(count);
    let made = os::now();
    loop {
        // A grandchild that is gone needs no second look; most are gone at the first.
        left.retain(|pid| os::exists(*pid));
        if left.is_empty() {
            return report(reports, "reaped", os::now() - began);
        }
        if os::now() - made > PATIENCE {
            return report(reports, "left", left.len() as u64);
        }
        std::thread::yield_now();
    }
}

/// In nanoseconds. Those that reap as they should need a few milliseconds.
const PATIENCE: u64 = 2_000_000_000;

fn lines(started: u64, count: usize, text: Text, reports: &mut File) -> Option<()> {
    let per_write = WRITE / LINE;
    let block = line(text).repeat(per_write);
    report(reports, "start", started)?;
    let mut stdout = os::stdout();
    for _ in 0..count / per_write {
        stdout.write_all(&block).ok()?;
    }
    stdout.write_all(&block[..count % per_write * LINE]).ok()
}

fn line(text: Text) -> Vec<u8> {
    let start = match text {
        Text::Plain => "checkout: order 4711 paid after 182 ms by card, stock reserved in warehouse 3; ",
        Text::Quoted => {
            r#"198.51.100.7 - - [02/Jan/2026:03:04:05 +0000] "GET /up HTTP/1.1" 200 2 "-" "Mozilla/5.0" "#
        }
        Text::Leveled => "2026-01-02 03:04:05,678 - checkout - ERROR - order 4711 was not paid ",
        Text::Json => concat!(
            r#"{"time":"2026-01-02T03:04:05.678901Z","level":"info","msg":"order paid","order":4711,"#,
            r#""ms":182.5,"card":true,"warehouse":{"id":3},"note":""#
        ),
    };
    let end = if text == Text::Json { "\"}\n" } else { "\n" };
    let mut line = start.as_bytes().to_vec();
    line.resize(LINE - end.len(), b'x');
    line.extend_from_slice(end.as_bytes());
    line
}
