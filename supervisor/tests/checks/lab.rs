//! What the tests of checks share: configs, states, the helper, servers that count or hang.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::proc::{self, Process};
use crate::support::{PATIENCE, Runmate, eventually, free_address, http};

/// A check that looks each second and decides after two looks.
pub fn check(name: &str, kind: &str, more: &str) -> String {
    format!("[health.check.{name}]\n{kind}\ninterval = \"1s\"\ntimeout = \"1s\"\nfail_after = 2\n{more}\n")
}

/// A URL that only the helper can look at: its host is no address as far as PID 1 knows, and the resolver takes it
/// for one without asking anybody (inet_aton(3)).
pub fn by_name(address: SocketAddr) -> String {
    let SocketAddr::V4(address) = address else {
        panic!("{address} is no IPv4 address");
    };
    format!("http://{}:{}/", u32::from(*address.ip()), address.port())
}

/// What `/health` says about a check.
pub fn shown(run: &Runmate, name: &str) -> Value {
    let (_, body) = run.get("/health");
    let checks = body["checks"].as_object().expect("checks").clone();
    let prefix = format!("{name}:");
    let found = checks.into_iter().find(|(key, _)| key.starts_with(&prefix));
    found.map_or(Value::Null, |(_, entries)| entries[0].clone())
}

/// Waits until `/health` says that the check is in this state.
pub fn wait_state(run: &Runmate, name: &str, state: &str) {
    wait_shown(run, name, state, |shown| {
        shown["state"] == state && shown["stale"].is_null()
    });
}

pub fn wait_stale(run: &Runmate, name: &str) {
    wait_shown(run, name, "stale", |shown| shown["stale"] == true);
}

fn wait_shown(run: &Runmate, name: &str, what: &str, wanted: impl Fn(&Value) -> bool) {
    // By then somebody listens.
    run.wait_for_event("ready", "app");
    let deadline = Instant::now() + PATIENCE;
    loop {
        let shown = shown(run, name);
        if wanted(&shown) {
            return;
        }
        assert!(
            Instant::now() < deadline,
            "{name} is not {what}: {shown}\n{}",
            run.said()
        );
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// The helpers that run checks.
pub fn helpers(run: &Runmate) -> Vec<Process> {
    let is_helper = |process: &Process| {
        let words = std::fs::read(format!("/proc/{}/cmdline", process.pid)).unwrap_or_default();
        process.state != 'Z'
            && words
                .split(|byte| *byte == 0)
                .any(|word| word == b"helper-checks")
    };
    proc::children(run.pid).into_iter().filter(is_helper).collect()
}

/// The helper, as soon as there is one.
pub fn helper(run: &Runmate) -> Process {
    eventually("helper", || helpers(run).pop())
}

/// Asks two endpoints again and again, and remembers what they answered.
pub struct Probing {
    over: Arc<AtomicBool>,
    seen: Arc<Mutex<Vec<(u16, u16)>>>,
    thread: Option<JoinHandle<()>>,
}

impl Probing {
    pub fn start(run: &Runmate) -> Probing {
        // By then somebody listens.
        run.wait_for_event("ready", "app");
        let address = run.health_address();
        let over = Arc::new(AtomicBool::new(false));
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (ended, noted) = (Arc::clone(&over), Arc::clone(&seen));
        let thread = std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let ask = |path| http::get(address, path).expect("health answers").0;
                let both = (ask("/healthz"), ask("/readyz"));
                noted.lock().expect("no panic while it is held").push(both);
                std::thread::sleep(Duration::from_millis(20));
            }
        });
        Probing {
            over,
            seen,
            thread: Some(thread),
        }
    }

    /// Waits for answers to what is asked from now on.
    pub fn wait_for_answers(&self) {
        let count = || self.seen.lock().expect("no panic while it is held").len();
        let before = count();
        eventually("answers", || (count() >= before + 2).then_some(()));
    }

    /// All answers of `/healthz` and of `/readyz` until now, without repetitions.
    pub fn seen(&self) -> (Vec<u16>, Vec<u16>) {
        self.wait_for_answers();
        let seen = self.seen.lock().expect("no panic while it is held");
        let (mut healthz, mut readyz): (Vec<u16>, Vec<u16>) = seen.iter().copied().unzip();
        healthz.dedup();
        readyz.dedup();
        (healthz, readyz)
    }
}

impl Drop for Probing {
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        let ended = self.thread.take().map(JoinHandle::join);
        assert!(
            std::thread::panicking() || matches!(ended, Some(Ok(()))),
            "an endpoint did not answer"
        );
    }
}

/// What a [`Server`] does with a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Manner {
    Answers(&'static str),
    /// Accepts, and says nothing.
    Hangs,
}

/// An HTTP server on loopback that counts its connections and can be made to hang.
pub struct Server {
    pub address: SocketAddr,
    manner: Arc<Mutex<Manner>>,
    calls: Arc<AtomicUsize>,
}

impl Server {
    pub fn start() -> Server {
        // The listener lives as long as the test program, and so does its thread.
        let listener = TcpListener::bind(free_address()).expect("it was free");
        let address = listener.local_addr().expect("an address");
        let manner = Arc::new(Mutex::new(Manner::Answers("200 OK")));
        let calls = Arc::new(AtomicUsize::new(0));
        let (behaves, counts) = (Arc::clone(&manner), Arc::clone(&calls));
        std::thread::spawn(move || {
            let mut hung = Vec::new();
            for mut socket in listener.incoming().flatten() {
                counts.fetch_add(1, Ordering::SeqCst);
                let manner = *behaves.lock().expect("no panic while it is held");
                match manner {
                    Manner::Hangs => hung.push(socket),
                    Manner::Answers(status) => {
                        let _ = answer(&mut socket, status);
                    }
                }
            }
        });
        Server {
            address,
            manner,
            calls,
        }
    }

    pub fn behave(&self, manner: Manner) {
        *self.manner.lock().expect("no panic while it is held") = manner;
    }

    /// Connections so far.
    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    /// Waits for this many more.
    pub fn wait_for_calls(&self, more: usize) {
        let before = self.calls();
        eventually("more calls", || (self.calls() >= before + more).then_some(()));
    }
}

fn answer(socket: &mut TcpStream, status: &str) -> std::io::Result<()> {
    socket.set_read_timeout(Some(Duration::from_secs(1)))?;
    let mut request = Vec::new();
    let mut piece = [0; 1024];
    while !request.windows(4).any(|end| end == b"\r\n\r\n") {
        match socket.read(&mut piece)? {
            0 => return Ok(()),
            count => request.extend_from_slice(&piece[..count]),
        }
    }
    write!(
        socket,
        "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    )
}
