//! A reader that stops, and perhaps goes on.

use std::os::fd::AsRawFd;
use std::time::{Duration, Instant};

use crate::bare::{Pace, Run, Tap, writer};
use crate::support::{eventually, fixture, free_address, http, proc};
use crate::tally::Tally;

/// How long the reader stops: a minute in `make test`, less where nobody wants to wait.
fn pause() -> Duration {
    let seconds = std::env::var("RUNMATE_TEST_BLOCKED_SECS");
    Duration::from_secs(seconds.map_or(2, |seconds| seconds.parse().expect("seconds")))
}

#[test]
fn what_a_stopped_reader_missed_is_counted_exactly() {
    const BLOCKED: Duration = Duration::from_millis(500);
    // 4 MB a stream, far more than all pipes and queues hold; the last ones in parts.
    let kinds = [
        ("small", 20_000, 200),
        ("middle", 4_000, 1_000),
        ("long", 100, 40_000),
    ];
    let tasks = kinds.map(|(name, lines, bytes)| {
        let command = writer(&format!(
            "lines out={lines} err={lines} bytes={bytes} tag={name} report={name}.report"
        ));
        format!("[process.{name}]\nkind = \"task\"\ncommand = {command}\n")
    });
    let config = format!(
        "[logs]\nblocked = \"500ms\"\n{}[process.app]\nafter = [\"small\", \"middle\", \"long\"]\ncommand = {}\n",
        tasks.concat(),
        fixture("touch started wait SIGTERM"),
    );
    let began = Instant::now();
    let (mut run, tap) = Tap::on(&config, Pace::Stopped);
    for (name, ..) in kinds {
        let held = run.report(&format!("{name}.report"));
        assert!(held >= BLOCKED * 8 / 10, "{name} was held back for {held:?} only");
        assert!(held <= BLOCKED * 4, "{name} was held back for {held:?}");
    }
    let started = run.path("started");
    eventually("start of the main process", || started.exists().then_some(()));
    let peak = run.peak_memory();
    assert!(peak < 64 << 10, "{peak} KiB of memory");
    // The pause is the scenario.
    std::thread::sleep(pause().saturating_sub(began.elapsed()));
    tap.pace(Pace::Full);
    // Nobody writes anything now, so the report has nothing to ride on.
    tap.wait_for("\"event\":\"dropped\"");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 0);

    let tally = Tally::of(&tap.finish());
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
    assert_eq!(
        tally.whole[&("app".to_owned(), "stdout".to_owned())],
        ["got SIGTERM"]
    );
    let in_all: u64 = kinds.iter().map(|(name, ..)| tally.dropped(name)).sum();
    assert_eq!(tally.dropped_in_all(), in_all, "nothing else was lost");
    assert_eq!(tally.events("dropped").len(), 1, "said once");
    assert_eq!(tally.events("ended").len(), 4);
    assert_eq!(tally.events("exit").len(), 1);
}

/// Empty lines grow a hundredfold in their envelopes.
#[test]
fn a_flood_of_newlines_is_counted_and_does_not_fill_the_memory() {
    const LINES: usize = 4_000_000;
    let config = format!(
        "[logs]\nblocked = \"300ms\"\n[process.flood]\nkind = \"task\"\n\
         command = \"yes '' | head -n {LINES}; touch over; while [ ! -e go ]; do sleep 0.01; done; echo end\"\n\
         [process.app]\nafter = [\"flood\"]\ncommand = {}\n",
        fixture("wait SIGTERM")
    );
    let (mut run, tap) = Tap::on(&config, Pace::Stopped);
    let over = run.path("over");
    eventually("end of the flood", || over.exists().then_some(()));
    let peak = run.peak_memory();
    assert!(peak < 100 << 10, "{peak} KiB of memory");
    tap.pace(Pace::Full);
    tap.wait_for("\"event\":\"dropped\"");
    std::fs::write(run.path("go"), "").expect("a file");
    tap.wait_for("\"message\":\"end\"");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 0);
    let output = tap.finish();
    let finder = memchr::memmem::Finder::new(b"\"message\":\"\",\"process\":\"flood\",\"stream\":\"stdout\"");
    let received = finder.find_iter(&output).count();
    let own = output
        .split(|byte| *byte == b'\n')
        .filter(|line| memchr::memmem::find(line, b"\"process\":\"runmate\"").is_some());
    let own: Vec<u8> = own.flat_map(|line| [line, b"\n"].concat()).collect();
    assert_eq!(received as u64 + Tally::of(&own).dropped("flood"), LINES as u64);
}

/// Each stopped forwarder has lines of its own in front of it, beside those of stdout.
#[test]
fn a_flood_of_newlines_to_forwarders_does_not_fill_the_memory() {
    let forwarder = |name: &str| {
        format!("[process.{name}]\ncommand = [\"sleep\", \"1000\"]\nstdin = {{ logs = [\"flood\"] }}\n")
    };
    let config = format!(
        "[logs]\nblocked = \"300ms\"\nstyle = \"otel\"\n\
         [process.flood]\nkind = \"task\"\ncommand = \"yes '' | head -n 4000000\"\nlogs = {{ format = \"text\" }}\n\
         {}[process.app]\nafter = [\"flood\"]\ncommand = {}\n",
        ["one", "two", "three", "four"].map(forwarder).concat(),
        fixture("touch over wait SIGTERM exit 7"),
    );
    let mut run = Run::start(&config, std::process::Stdio::null());
    let over = run.path("over");
    eventually("end of the flood", || over.exists().then_some(()));
    let peak = run.peak_memory();
    assert!(peak < 40 << 10, "{peak} KiB of memory");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);
}

/// A run in which a sidecar floods and the reader has stopped; returns once stdout is full. The main
/// process has exit code 7.
fn flooded(blocked: &str, health: &str) -> (Run, Tap) {
    let config = format!(
        "[run]\nstop_budget = \"2s\"\n[logs]\nblocked = \"{blocked}\"\n{health}\n\
         [process.flood]\ncommand = {}\n[process.app]\ncommand = {}\n",
        writer("lines out=1000000000 err=1000000000 bytes=200 tag=flood"),
        fixture("wait SIGTERM exit 7"),
    );
    let (read, write) = std::io::pipe().expect("a pipe");
    let ours = write.try_clone().expect("a second descriptor");
    let run = Run::start(&config, write);
    let tap = Tap::new(read, Pace::Stopped);
    eventually("full stdout", || is_full(&ours).then_some(()));
    (run, tap)
}

/// Waits until no child writes any more.
fn wait_until_held_back(run: &Run) {
    let mut before = String::new();
    let mut still = 0;
    eventually("flood that is held back", || {
        let children = proc::children(run.pid());
        let written = children
            .iter()
            .filter_map(|child| std::fs::read_to_string(format!("/proc/{}/io", child.pid)).ok());
        let written = written.collect::<String>();
        still = if written == before { still + 1 } else { 0 };
        before = written;
        (still == 25).then_some(())
    });
}

/// Whether a write would have to wait.
fn is_full(pipe: &impl AsRawFd) -> bool {
    let mut poll = libc::pollfd {
        fd: pipe.as_raw_fd(),
        events: libc::POLLOUT,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, 0) == 0 }
}

#[test]
fn a_stop_and_health_do_not_wait_for_stdout() {
    let address = free_address();
    let health = format!("[health]\nlisten = \"{address}\"\n");
    let (mut run, _tap) = flooded("60s", &health);
    wait_until_held_back(&run);
    let (status, _) = http::get(address, "/healthz").expect("health answers");
    assert_eq!(status, 200);
    let (status, _) = http::get(address, "/readyz").expect("health answers");
    assert_eq!(status, 200);
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?} for a budget of 2 s");
}

#[test]
fn a_stop_is_as_quick_while_lines_are_dropped() {
    let (mut run, _tap) = flooded("100ms", "");
    // Far more than a process can write without being read.
    eventually("flood that goes on", || {
        let children = proc::children(run.pid());
        let written = children.iter().filter_map(|child| {
            let io = std::fs::read_to_string(format!("/proc/{}/io", child.pid)).ok()?;
            let written = io.lines().find_map(|line| line.strip_prefix("wchar: "))?;
            written.parse::<u64>().ok()
        });
        (written.max()? > 20 << 20).then_some(())
    });
    let asked = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit_code(), 7);
    let took = asked.elapsed();
    assert!(took < Duration::from_millis(2500), "{took:?} for a budget of 2 s");
}

/// The reader comes back while runmate waits for it with its last words.
#[test]
fn the_last_words_wait_for_a_reader_that_comes_back() {
    let lines = 10_000;
    let config = format!(
        "[logs]\nblocked = \"20s\"\n[process.app]\ncommand = {}\n",
        writer(&format!("lines out={lines} err={lines} bytes=200 tag=app exit=7"))
    );
    let (mut run, tap) = Tap::on(&config, Pace::Stopped);
    wait_until_held_back(&run);
    tap.pace(Pace::Full);
    assert_eq!(run.exit_code(), 7);
    let tally = Tally::of(&tap.finish());
    assert_eq!(tally.check_lines("app", "stdout", 200), lines);
    assert_eq!(tally.check_lines("app", "stderr", 200), lines);
    assert_eq!(tally.dropped_in_all(), 0);
    assert_eq!(tally.own.last().expect("a last line")["event"], "exit");
}
