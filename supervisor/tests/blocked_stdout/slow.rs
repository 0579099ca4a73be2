//! A reader that dawdles loses nothing, however short the patience, as long as it moves.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use crate::bare::{Pace, Run, Tap, shrink, writer};
use crate::support::fixture;
use crate::tally::Tally;

const LINES: u64 = 2_500;
const BYTES: usize = 100;

/// A writer that starts once there is a file `go`.
fn config(blocked: &str) -> String {
    format!(
        "[logs]\nblocked = \"{blocked}\"\n[process.gate]\nkind = \"task\"\ncommand = {}\n\
         [process.task]\nkind = \"task\"\nafter = [\"gate\"]\ncommand = {}\n\
         [process.app]\nafter = [\"task\"]\ncommand = {}\n",
        fixture("say waiting await go"),
        writer(&format!("lines out={LINES} err={LINES} bytes={BYTES} tag=task")),
        fixture("wait SIGTERM"),
    )
}

fn nothing_is_lost(mut run: Run, tap: Tap) {
    std::fs::write(run.path("go"), "").expect("a file");
    for stream in ["out", "err"] {
        tap.wait_for(&format!("task {stream} {} ", LINES - 1));
    }
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 0);
    let tally = Tally::of(&tap.finish());
    assert_eq!(tally.dropped_in_all(), 0);
    assert_eq!(tally.check_lines("task", "stdout", BYTES), LINES);
    assert_eq!(tally.check_lines("task", "stderr", BYTES), LINES);
}

#[test]
fn of_a_pipe() {
    let (read, write) = std::io::pipe().expect("a pipe");
    let pipe = read.try_clone().expect("a second descriptor");
    let run = Run::start(&config("300ms"), write);
    let tap = Tap::new(read, Pace::Full);
    tap.wait_for("waiting");
    shrink(&pipe);
    // One batch takes far longer than 300 ms.
    tap.pace(Pace::Slow(4096, Duration::from_millis(10)));
    nothing_is_lost(run, tap);
}

/// A socket of the kernel's usual size wakes a waiting writer when three quarters of it are free, so
/// that is how long it does not seem to move.
#[test]
fn of_a_socket() {
    let (read, write) = UnixStream::pair().expect("a pair of sockets");
    let run = Run::start(&config("2s"), std::os::fd::OwnedFd::from(write));
    let tap = Tap::new(read, Pace::Full);
    tap.wait_for("waiting");
    // The queue takes longer than 2 s, and a write of 64 KiB far less.
    tap.pace(Pace::Slow(4096, Duration::from_millis(12)));
    nothing_is_lost(run, tap);
}
