//! A collector: `otlp_receiver.py`, which decodes what it gets with OpenTelemetry's own messages.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use serde_json::Value;

use super::PATIENCE;

/// A collector that listens by HTTP and by gRPC. It ends with the test.
pub struct Receiver {
    child: Child,
    orders: ChildStdin,
    heard: Arc<Heard>,
    scheme: &'static str,
}

#[derive(Default)]
struct Heard {
    lines: Mutex<Vec<Value>>,
    changed: Condvar,
}

impl Heard {
    fn lock(&self) -> MutexGuard<'_, Vec<Value>> {
        self.lines.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The Python that has OpenTelemetry.
pub fn python() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let cache =
        cache.unwrap_or_else(|| PathBuf::from(std::env::var_os("HOME").expect("HOME")).join(".cache"));
    let python = cache.join("runmate-tests/otel/bin/python");
    assert!(
        python.exists(),
        "there is no {}; run scripts/setup-tests.sh",
        python.display()
    );
    python
}

/// A file beside this one.
pub fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests/support")
        .join(name)
}

impl Receiver {
    /// One that takes everything.
    pub fn start() -> Receiver {
        Receiver::with(&[])
    }

    /// One with these options; see `otlp_receiver.py`.
    pub fn with(options: &[&str]) -> Receiver {
        let mut child = Command::new(python())
            // Handshakes that fail on purpose.
            .env("GRPC_VERBOSITY", "NONE")
            .arg(script("otlp_receiver.py"))
            .args(options)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("python starts");
        let orders = child.stdin.take().expect("piped");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let heard = Arc::new(Heard::default());
        let to = Arc::clone(&heard);
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let line = serde_json::from_str(&line).expect("the receiver prints JSON");
                to.lock().push(line);
                to.changed.notify_all();
            }
        });
        let receiver = Receiver {
            child,
            orders,
            heard,
            scheme: if options.contains(&"--cert") {
                "https"
            } else {
                "http"
            },
        };
        receiver.wait_until("start of the receiver", |lines| {
            lines
                .iter()
                .any(|line| line.get("listening").is_some())
                .then_some(())
        });
        receiver
    }

    /// Where it listens for OTLP/HTTP: what `OTEL_EXPORTER_OTLP_ENDPOINT` is set to.
    pub fn http(&self) -> String {
        self.url("http")
    }

    /// Where it listens for gRPC.
    pub fn grpc(&self) -> String {
        self.url("grpc")
    }

    /// Where it listens for `http` or `grpc`.
    pub fn port(&self, protocol: &str) -> u64 {
        self.wait_until("port", |lines| {
            lines.iter().find_map(|line| line["listening"][protocol].as_u64())
        })
    }

    fn url(&self, protocol: &str) -> String {
        let port = self.port(protocol);
        // A certificate for localhost is one for every test.
        format!("{}://localhost:{port}", self.scheme)
    }

    /// Changes what it does from now on: `ok`, `refuse`, `hang` and so on; see `otlp_receiver.py`.
    pub fn behave(&mut self, mode: &str) {
        writeln!(self.orders, "{mode}").expect("the receiver reads");
        self.wait_until("change of the receiver", |lines| {
            let last = lines.iter().rev().find_map(|line| line.get("mode"));
            last.is_some_and(|last| last == mode).then_some(())
        });
    }

    /// Waits until something can be found in all the lines together.
    pub fn wait_until<T>(&self, what: &str, look: impl Fn(&[Value]) -> Option<T>) -> T {
        let deadline = Instant::now() + PATIENCE;
        let mut lines = self.heard.lock();
        loop {
            if let Some(found) = look(&lines) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "no {what} within {PATIENCE:?}\n{lines:#?}");
            let waited = self.heard.changed.wait_timeout(lines, left);
            lines = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Waits for the first span of that name.
    pub fn wait_for_span(&self, name: &str) -> Value {
        self.wait_until(&format!("span {name:?}"), |lines| {
            spans(lines).into_iter().find(|span| span["name"] == name)
        })
    }

    /// Waits for so many spans of that name.
    pub fn wait_for_spans(&self, name: &str, count: usize) -> Vec<Value> {
        self.wait_until(&format!("{count} spans {name:?}"), |lines| {
            let mut found = spans(lines);
            found.retain(|span| span["name"] == name);
            (found.len() >= count).then_some(found)
        })
    }

    /// Waits until everything is heard that was got before.
    fn catch_up(&self) {
        let answers = |lines: &[Value]| lines.iter().filter(|line| line.get("mode").is_some()).count();
        let before = answers(&self.heard.lock());
        writeln!(&self.orders).expect("the receiver reads");
        self.wait_until("answer of the receiver", |lines| {
            (answers(lines) > before).then_some(())
        });
    }

    /// All spans so far.
    pub fn spans(&self) -> Vec<Value> {
        self.catch_up();
        spans(&self.heard.lock())
    }

    /// All requests so far: `protocol`, `headers` and, by HTTP, `method`, `path` and `version`.
    pub fn requests(&self) -> Vec<Value> {
        self.catch_up();
        let lines = self.heard.lock();
        let requests = lines.iter().filter_map(|line| line.get("request"));
        requests.cloned().collect()
    }
}

fn spans(lines: &[Value]) -> Vec<Value> {
    lines
        .iter()
        .filter_map(|line| line.get("span"))
        .cloned()
        .collect()
}

impl Drop for Receiver {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
