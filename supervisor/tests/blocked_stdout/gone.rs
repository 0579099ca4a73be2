//! A reader that is gone: nobody hears a word, and everything else goes on.

use crate::bare::{Pace, Tap, writer};
use crate::support::{eventually, fixture, free_address, http};

#[test]
fn processes_and_runmate_go_on_without_a_reader() {
    let health = free_address();
    let config = format!(
        "[health]\nlisten = \"{health}\"\ndetails = \"public\"\n\
         [process.gate]\nkind = \"task\"\ncommand = {}\n\
         [process.task]\nkind = \"task\"\nafter = [\"gate\"]\ncommand = {}\n\
         [process.app]\nafter = [\"task\"]\ncommand = {}\n",
        fixture("say waiting await go"),
        writer("lines out=20000 err=20000 bytes=200 tag=task report=report"),
        fixture("say hello touch started wait SIGTERM exit 7"),
    );
    let (mut run, tap) = Tap::on(&config, Pace::Full);
    tap.wait_for("waiting");
    tap.pace(Pace::Closed);
    std::fs::write(run.path("go"), "").expect("a file");
    let held = run.report("report");
    assert!(held.as_secs() < 4, "held back for {held:?} by nobody");
    let started = run.path("started");
    eventually("start of the main process", || started.exists().then_some(()));
    // The pipe took some before its reader went.
    eventually("count of the lines that nobody read", || {
        let (_, body) = http::get(health, "/metrics").ok()?;
        let count = body
            .lines()
            .find_map(|line| line.strip_prefix("runmate_unwritten_lines_total "))?;
        (count.parse::<u64>().ok()? > 30_000).then_some(())
    });
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);
}
