//! The output of those that end, and of those that outlive them.

use std::time::Instant;

use crate::bare::{Pace, Tap, writer};
use crate::tally::Tally;

#[test]
fn what_was_written_right_before_the_end_comes_before_the_line_that_tells_of_it() {
    // Less than the queue holds: whatever the reader does, there is room for it when the end is noticed.
    let lines = 500;
    let command = writer(&format!("lines out={lines} err={lines} bytes=200 tag=app exit=3"));
    let (mut run, tap) = Tap::on(&format!("[process.app]\ncommand = {command}\n"), Pace::Full);
    let output = tap.finish();
    assert_eq!(run.exit_code(), 3);
    let tally = Tally::of(&output);
    assert_eq!(tally.check_lines("app", "stdout", 200), lines);
    assert_eq!(tally.check_lines("app", "stderr", 200), lines);
    let text = String::from_utf8(output).expect("UTF-8");
    let last = text
        .rfind(&format!("app err {} ", lines - 1))
        .expect("the last line");
    assert!(text.find("\"event\":\"ended\"").expect("its end") > last);
}

/// A grandchild that never stops writing, and a reader that takes all of it: there is always more to
/// read, and nothing must wait for the end of it.
#[test]
fn a_flood_that_outlives_its_process_holds_nothing_up() {
    let flood = "head -c 199 /dev/zero | tr '\\0' x > line; yes \"$(cat line)\"";
    let config = format!(
        "[process.side]\ncommand = '{} & exit 1'\nrestart = \"never\"\n[process.app]\n\
         command = [\"sleep\", \"1000\"]\n[run]\nstop_budget = \"2s\"\n",
        flood.replace('\'', "\"")
    );
    let (mut run, tap) = Tap::on(&config, Pace::Full);
    tap.wait_for("\"event\":\"ended\"");
    let before = tap.count();
    crate::support::eventually("more of the flood", || {
        (tap.count() > before + (4 << 20)).then_some(())
    });
    let stopped = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 143);
    let took = stopped.elapsed();
    assert!(took.as_secs_f64() < 2.5, "{took:?} for a budget of 2 s");
    let output = tap.finish();
    assert!(output.ends_with(b"}\n"));
}
