//! A reader that is gone: nobody hears a word, and everything else goes on.

use crate::bare::{Pace, Tap, writer};
use crate::support::{eventually, fixture};

#[test]
fn processes_and_runmate_go_on_without_a_reader() {
    let config = format!(
        "[process.gate]\nkind = \"task\"\ncommand = {}\n\
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
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);
}
