//! The harness of the black-box tests: starts the binary in a clean place, reads its log as it comes,
//! and leaves nothing behind.
//!
//! Waiting is level-triggered: a wait looks at everything that was said so far, and then again at each
//! new line, until its deadline. No test sleeps to give something time to happen.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code)]

pub mod http;
pub mod otlp;
pub mod proc;
mod setup;

pub use setup::Setup;

use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

/// How long a test waits for what must happen. Generous: only a failing test waits that long.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// The fixture, as the value of `command`: `steps` are separated by spaces, see `fixture.rs`.
pub fn fixture(steps: &str) -> String {
    let mut argv = vec![fixture_path().display().to_string()];
    argv.extend(steps.split_ascii_whitespace().map(str::to_owned));
    // A JSON array of strings is a TOML array too.
    serde_json::to_string(&argv).expect("strings serialise")
}

/// A process of the config that runs the fixture; `more` are further keys, a line each.
pub fn process(name: &str, steps: &str, more: &str) -> String {
    format!("[process.{name}]\ncommand = {}\n{more}\n", fixture(steps))
}

/// Where the fixture is. Cargo builds it for `cargo test -p runmate`, but not for `--test NAME` alone.
pub fn fixture_path() -> PathBuf {
    let path = Path::new(env!("CARGO_BIN_EXE_runmate")).with_file_name("examples/fixture");
    assert!(
        path.exists(),
        "there is no {}; run cargo build -p runmate --example fixture",
        path.display()
    );
    path
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    lines: Vec<Value>,
    /// Lines that had to be JSON and were not.
    broken: Vec<String>,
    stdout_ended: bool,
    stderr: Option<String>,
    status: Option<ExitStatus>,
}

impl State {
    fn take_line(&mut self, line: &[u8], any_output: bool) {
        let text = String::from_utf8_lossy(line).into_owned();
        match serde_json::from_slice(line) {
            Ok(value) => self.lines.push(value),
            Err(_) if any_output => self.lines.push(Value::String(text)),
            Err(_) => self.broken.push(text),
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `look` finds something; `None` at the deadline.
    fn wait<T>(&self, within: Duration, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + within;
        let mut state = self.lock();
        loop {
            assert!(
                state.broken.is_empty(),
                "lines that are not JSON: {:?}",
                state.broken
            );
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }
}

/// A running runmate. When dropped, it is killed with everything below it.
pub struct Runmate {
    pub pid: i32,
    pub started: Instant,
    shared: Arc<Shared>,
    health: Option<SocketAddr>,
    dir: TempDir,
}

/// How a run ended.
pub struct Exit {
    /// The exit code; `None` if a signal ended it.
    pub code: Option<i32>,
    pub signal: Option<i32>,
    /// Everything it said.
    pub lines: Vec<Value>,
}

impl Runmate {
    /// The working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Waits for a line, those that came already included.
    pub fn wait_for(&self, what: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        self.wait_until(what, |lines| lines.iter().find(|line| wanted(line)).cloned())
    }

    /// Waits until something can be found in all the lines together.
    pub fn wait_until<T>(&self, what: &str, look: impl Fn(&[Value]) -> Option<T>) -> T {
        let found = self.shared.wait(PATIENCE, |state| match look(&state.lines) {
            Some(found) => Some(Ok(found)),
            None if state.stdout_ended => Some(Err("its log ended")),
            None => None,
        });
        match found {
            Some(Ok(found)) => found,
            Some(Err(why)) => panic!("no {what}: {why}\n{}", self.said()),
            None => panic!("no {what} within {PATIENCE:?}\n{}", self.said()),
        }
    }

    /// Waits for an event of runmate's about a process.
    pub fn wait_for_event(&self, event: &str, name: &str) -> Value {
        self.wait_for(&format!("{event} of {name}"), |line| is_event(line, event, name))
    }

    /// Waits for a line that a process wrote.
    pub fn wait_for_message(&self, process: &str, message: &str) -> Value {
        self.wait_for(&format!("{message:?} from {process}"), |line| {
            line["process"] == process && line["message"] == message
        })
    }

    /// All lines so far.
    pub fn lines(&self) -> Vec<Value> {
        self.shared.lock().lines.clone()
    }

    /// Sends a signal to runmate; none if it is gone.
    pub fn signal(&self, signal: i32) {
        let state = self.shared.lock();
        if state.status.is_none() {
            // SAFETY: no memory is involved; the pid is not reaped while the lock is held.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// GET from the health endpoints: status and body.
    pub fn get(&self, path: &str) -> (u16, Value) {
        let address = self.health_address();
        let (status, body) = http::get(address, path).expect("health answers");
        (status, serde_json::from_str(&body).unwrap_or(Value::String(body)))
    }

    /// Where health listens; only after [`Setup::with_health`].
    pub fn health_address(&self) -> SocketAddr {
        self.health.expect("started with_health()")
    }

    /// Waits for the end, and checks what holds at every end: nothing on stderr, the exit line once and
    /// last, with the code.
    pub fn exit(&self) -> Exit {
        let exit = self.end();
        let stderr = self.shared.lock().stderr.clone().unwrap_or_default();
        assert_eq!(stderr, "", "run writes to stdout only\n{}", self.said());
        let ends = exit.lines.iter().filter(|line| is_own(line, "exit"));
        assert_eq!(ends.count(), 1, "one exit line\n{}", self.said());
        let last = exit.lines.last().expect("a last line");
        assert!(is_own(last, "exit"), "the exit line comes last\n{}", self.said());
        assert_eq!(last["code"].as_i64(), exit.code.map(i64::from), "{}", self.said());
        exit
    }

    /// Waits for the end, whatever it is: of the program, and of all that was written.
    pub fn end(&self) -> Exit {
        let ended = self.shared.wait(PATIENCE, |state| {
            let over = state.stdout_ended && state.stderr.is_some();
            state.status.filter(|_| over)
        });
        let Some(status) = ended else {
            panic!("no end within {PATIENCE:?}\n{}", self.said())
        };
        Exit {
            code: status.code(),
            signal: status.signal(),
            lines: self.lines(),
        }
    }

    /// Everything it said, for the message of a failing test.
    pub fn said(&self) -> String {
        let state = self.shared.lock();
        let lines: Vec<String> = state.lines.iter().map(Value::to_string).collect();
        let stderr = state.stderr.as_deref().unwrap_or_default();
        format!("{}\nstderr: {stderr}", lines.join("\n"))
    }
}

impl Drop for Runmate {
    fn drop(&mut self) {
        let below = proc::descendants(self.pid);
        self.signal(libc::SIGKILL);
        for process in below {
            process.kill();
        }
    }
}

impl Exit {
    /// The last line.
    pub fn line(&self) -> &Value {
        self.lines.last().expect("a last line")
    }

    /// Whether some line is this event about this process.
    pub fn has(&self, event: &str, name: &str) -> bool {
        self.position(event, name).is_some()
    }

    /// Where in the log the event stands first.
    pub fn position(&self, event: &str, name: &str) -> Option<usize> {
        self.lines.iter().position(|line| is_event(line, event, name))
    }

    /// All messages that a process wrote.
    pub fn messages(&self, process: &str) -> Vec<&str> {
        let lines = self.lines.iter().filter(|line| line["process"] == process);
        lines.filter_map(|line| line["message"].as_str()).collect()
    }
}

/// Whether it is a line of runmate's own with this event.
pub fn is_own(line: &Value, event: &str) -> bool {
    line["process"] == "runmate" && line["event"] == event
}

/// As [`is_own`], about this process.
pub fn is_event(line: &Value, event: &str, name: &str) -> bool {
    is_own(line, event) && line["name"] == name
}

/// Has the run started with these signals ignored and blocked, as some container runtimes and shells do.
pub fn start_with(setup: &mut Setup, ignored: &'static [i32], blocked: &'static [i32]) {
    use std::os::unix::process::CommandExt;
    // SAFETY: the closure makes only system calls, on memory that lives for ever or is its own.
    unsafe {
        setup.command().pre_exec(move || {
            ignored
                .iter()
                .for_each(|signal| _ = libc::signal(*signal, libc::SIG_IGN));
            let mut set = std::mem::zeroed();
            libc::sigemptyset(&mut set);
            blocked
                .iter()
                .for_each(|signal| _ = libc::sigaddset(&mut set, *signal));
            libc::sigprocmask(libc::SIG_SETMASK, &set, std::ptr::null_mut());
            Ok(())
        })
    };
}

/// Copies a program to where a test needs it. Another process does it: were the copy open for writing in
/// this one, what other tests start meanwhile would inherit that, and the kernel runs no file that
/// somebody may write to (ETXTBSY).
pub fn install(from: &Path, to: &Path, mode: u32) {
    let mode = format!("{mode:o}");
    let output = std::process::Command::new("install")
        .arg("-Dm")
        .arg(mode)
        .args([from, to])
        .output();
    let output = output.expect("install(1) starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A loopback address that nobody listens on, a new one at each call. Each test program has an IP address of its own,
/// so that others that look for free ports at the same time never get the same.
///
/// Ports come from a counter, below those that the kernel gives to whoever asks for any (32768 and up, ip(7)): it could
/// give one that was named here before and is not yet in use.
pub fn free_address() -> SocketAddr {
    const PORTS: std::ops::Range<u32> = 10_000..32_000;
    static CALLS: AtomicU32 = AtomicU32::new(0);
    let pid = std::process::id();
    let [_, a, b, c] = pid.to_be_bytes();
    let ip = [127, 64 + (a % 64), b, c.max(1)];
    let count = PORTS.end - PORTS.start;
    for _ in PORTS {
        // From another one on in each program: some tests take the port for another address.
        let step = CALLS.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + pid.wrapping_mul(331).wrapping_add(step) % count;
        let address = SocketAddr::from((ip, port as u16));
        if TcpListener::bind(address).is_ok() {
            return address;
        }
    }
    panic!("no free port on {ip:?}")
}

/// Looks again and again until `look` finds something. For what nobody tells us of, such as `/proc`.
pub fn eventually<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "no {what} within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(2));
    }
}
