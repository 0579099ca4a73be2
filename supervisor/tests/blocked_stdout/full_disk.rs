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

/// Sets how large files may become that the process writes.
fn limit_files(pid: i32, size: libc::rlim_t) {
    let limit = libc::rlimit {
        rlim_cur: size,
        rlim_max: libc::RLIM_INFINITY,
    };
    // SAFETY: the limit is on our stack; null asks for no old one.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_FSIZE, &limit, std::ptr::null_mut()) };
    let error = std::io::Error::last_os_error();
    assert_eq!(set, 0, "cannot limit its files: {error}; run the tests as root");
}

#[test]
fn a_file_that_may_not_grow_is_a_full_disk() {
    const LINES: u64 = 15_000;
    let config = format!(
        "[logs]\nblocked = \"300ms\"\n\
         [process.gate]\nkind = \"task\"\ncommand = {}\n\
         [process.task]\nkind = \"task\"\nafter = [\"gate\"]\ncommand = {}\n\
         [process.app]\nafter = [\"task\"]\ncommand = {}\n",
        fixture("say waiting await go"),
        writer(&format!(
            "lines out={LINES} err={LINES} bytes=200 tag=task report=report"
        )),
        fixture("touch started wait SIGTERM exit 7"),
    );
    let dir = tempfile::tempdir().expect("a temporary directory");
    let log = dir.path().join("log");
    let mut run = Run::start(&config, std::fs::File::create(&log).expect("a log"));
    let read = || std::fs::read(&log).expect("the log");
    let wait_for = |text: &str| {
        eventually(text, || memchr::memmem::find(&read(), text.as_bytes()).map(drop));
    };
    wait_for("waiting");
    limit_files(run.pid(), 100_000);
    std::fs::write(run.path("go"), "").expect("a file");
    run.report("report");
    let started = run.path("started");
    eventually("start of the main process", || started.exists().then_some(()));
    limit_files(run.pid(), libc::RLIM_INFINITY);
    wait_for("\"event\":\"dropped\"");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);

    let tally = Tally::of(&read());
    let received = ["stdout", "stderr"].map(|stream| tally.check_lines("task", stream, 200));
    let dropped = tally.dropped("task");
    assert!(dropped > 0);
    assert_eq!(received[0] + received[1] + dropped, 2 * LINES);
    assert_eq!(tally.own.last().expect("a last line")["event"], "exit");
}
