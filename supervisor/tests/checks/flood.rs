//! Requests cost no call to what is looked at.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::lab::{Server, by_name, check, wait_state};
use crate::support::{Setup, http, process};

const PATHS: [&str; 5] = ["/livez", "/healthz", "/readyz", "/health", "/metrics"];

/// Asks all endpoints as fast as it can.
fn flood(address: SocketAddr, over: &AtomicBool, asked: &AtomicUsize) {
    while !over.load(Ordering::Relaxed) {
        for path in PATHS {
            http::get(address, path).expect("health answers");
            asked.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Sets it when it is dropped: a failed assertion must end the threads too, or their scope would never end.
struct AtEnd<'a>(&'a AtomicBool);

impl Drop for AtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[test]
fn dependencies_are_called_once_an_interval_however_many_ask() {
    let (here, helped) = (Server::start(), Server::start());
    let config = process("app", "wait TERM", "")
        + &check("here", &format!("http = \"http://{}/\"", here.address), "")
        + &check("helped", &format!("http = \"{}\"", by_name(helped.address)), "");
    let run = Setup::new(&config).with_health().start();
    wait_state(&run, "here", "passing");
    wait_state(&run, "helped", "passing");
    let (over, asked) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        let _over = AtEnd(&over);
        for _ in 0..4 {
            scope.spawn(|| flood(run.health_address(), &over, &asked));
        }
        // From one look to the next after five more: no more than that many fit in.
        for server in [&here, &helped] {
            server.wait_for_calls(1);
            let (first, began) = (server.calls(), Instant::now());
            server.wait_for_calls(5);
            let calls = server.calls() - first;
            // The grid has steps of exactly a second; only how long a look takes varies.
            assert!(
                began.elapsed() + Duration::from_millis(900) > Duration::from_secs(calls as u64),
                "{calls} calls in {:?}",
                began.elapsed()
            );
        }
    });
    let asked = asked.load(Ordering::Relaxed);
    assert!(asked > 1000, "a flood of {asked} shows nothing");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}
