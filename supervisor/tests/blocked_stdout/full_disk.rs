//! Stdout is a file on a disk that is full for a while.

use std::ffi::CString;
use std::path::Path;

use tempfile::TempDir;

use crate::bare::{Run, writer};
use crate::support::{eventually, fixture};
use crate::tally::Tally;

const SIZE: usize = 32 << 20;

/// A small disk of our own. Taken away when dropped.
struct Disk(TempDir);

impl Disk {
    fn new() -> Disk {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let path = text(dir.path());
        let options = CString::new(format!("size={SIZE}")).expect("no NUL");
        // SAFETY: all strings end in NUL.
        let result = unsafe {
            libc::mount(
                c"tmpfs".as_ptr(),
                path.as_ptr(),
                c"tmpfs".as_ptr(),
                0,
                options.as_ptr().cast(),
            )
        };
        let error = std::io::Error::last_os_error();
        assert_eq!(result, 0, "cannot mount a tmpfs: {error}; run the tests as root");
        Disk(dir)
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let path = text(self.0.path());
        // SAFETY: the string ends in NUL.
        unsafe { libc::umount2(path.as_ptr(), libc::MNT_DETACH) };
    }
}

fn text(path: &Path) -> CString {
    CString::new(path.as_os_str().as_encoded_bytes()).expect("no NUL")
}

#[test]
fn what_a_full_disk_did_not_take_is_counted_exactly() {
    let disk = Disk::new();
    let filler = disk.0.path().join("filler");
    let log = disk.0.path().join("log");
    // Not whole pages, so that the last line that fits is cut somewhere.
    std::fs::write(&filler, vec![0; SIZE - (300 << 10)]).expect("a filler");
    let kinds = [("small", 15_000, 200), ("long", 80, 40_000)];
    let tasks = kinds.map(|(name, lines, bytes)| {
        let command = writer(&format!(
            "lines out={lines} err={lines} bytes={bytes} tag={name} report={name}.report"
        ));
        format!("[process.{name}]\nkind = \"task\"\ncommand = {command}\n")
    });
    let config = format!(
        "[logs]\nblocked = \"500ms\"\n{}[process.app]\nafter = [\"small\", \"long\"]\ncommand = {}\n",
        tasks.concat(),
        fixture("touch started wait SIGTERM exit 7"),
    );
    let mut run = Run::start(&config, std::fs::File::create(&log).expect("a log"));
    for (name, ..) in kinds {
        let held = run.report(&format!("{name}.report"));
        assert!(held.as_millis() >= 400, "{name} was held back for {held:?} only");
    }
    let started = run.path("started");
    eventually("start of the main process", || started.exists().then_some(()));
    std::fs::remove_file(&filler).expect("room again");
    let read = || std::fs::read(&log).expect("the log");
    eventually("report of the dropped lines", || {
        memchr::memmem::find(&read(), b"\"event\":\"dropped\"").map(drop)
    });
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);

    let tally = Tally::of(&read());
    for (name, lines, bytes) in kinds {
        let received = ["stdout", "stderr"].map(|stream| tally.check_lines(name, stream, bytes));
        let dropped = tally.dropped(name);
        assert_eq!(
            received[0] + received[1] + dropped,
            2 * lines,
            "{name}: {dropped} dropped"
        );
        assert!(dropped > 0, "{name}");
    }
    let in_all: u64 = kinds.iter().map(|(name, ..)| tally.dropped(name)).sum();
    assert_eq!(tally.dropped_in_all(), in_all, "nothing else was lost");
    assert_eq!(tally.own.last().expect("a last line")["event"], "exit");
}
