//! `docker stop` of nginx and gunicorn under load: examples/nginx-gunicorn loses no accepted request.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::app;
use crate::docker::{Container, PATIENCE};
use crate::load::{Kind, Load, Tally};

const ROUNDS: usize = 20;

/// What runmate may take, and what Docker adds: tearing down the network and the file system.
const LONGEST_STOP: Duration = Duration::from_millis(9000 + 800);

/// The stop comes when this many requests were answered: a second or so after the start.
const BUSY: u64 = 1000;

const SLOW_CLIENTS: usize = 6;

const fn kind(name: &'static str, clients: usize, path: &'static str) -> Kind {
    Kind {
        name,
        clients,
        path,
        body: None,
        keep_alive: true,
        pause: Duration::from_millis(3),
    }
}

const LOAD: &[Kind] = &[
    kind("keep-alive", 8, "/?"),
    kind("keep-alive static", 6, "/static/hello.txt?"),
    // Many of these stand in nginx's accept queue at any time.
    Kind {
        keep_alive: false,
        ..kind("new connection", 6, "/?")
    },
    Kind {
        keep_alive: false,
        pause: Duration::ZERO,
        ..kind("new connection static", 8, "/static/hello.txt?")
    },
    Kind {
        body: Some(64 << 10),
        ..kind("post", 4, "/echo?")
    },
    Kind {
        body: Some(512 << 10),
        keep_alive: false,
        ..kind("new connection post", 2, "/echo?")
    },
    kind("slow", SLOW_CLIENTS, "/slow?seconds=1.5"),
];

#[test]
fn docker_stop_loses_no_accepted_request() {
    let began = Instant::now();
    let mut raced = 0;
    for round in 1..=ROUNDS {
        let (tally, took) = stop_under_load(round);
        raced += tally.raced.len();
        println!(
            "round {round:2}: {} answered, {} of them after the stop began; {} raced with the close of an \
             idle connection; stopped in {took:.2?}",
            tally.answered,
            tally.answered_late,
            tally.raced.len()
        );
    }
    println!(
        "{ROUNDS} stops, 0 requests lost, {raced} idle races, {:.0?}",
        began.elapsed()
    );
}

/// One container from start to stop; nothing lost is asserted here, while its log can still be shown.
fn stop_under_load(round: usize) -> (Tally, Duration) {
    let container = app::start(&[]);
    let target = app::target(&container);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (tally, took) = runtime.block_on(async {
        let load = Load::start(target, LOAD);
        let deadline = Instant::now() + PATIENCE;
        while load.answered() < BUSY {
            assert!(
                Instant::now() < deadline,
                "round {round}: only {} requests answered",
                load.answered()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        load.stop_begins();
        let stopper = container.stopper();
        let stop = tokio::task::spawn_blocking(stopper);
        let tally = load.finish().await;
        (tally, stop.await.expect("docker stop succeeds"))
    });

    assert!(
        tally.failures.is_empty(),
        "round {round}: {} of {} requests lost:\n{}",
        tally.failures.len(),
        tally.answered + tally.failures.len() as u64,
        tally.failures.join("\n")
    );
    assert!(
        tally.answered_late >= SLOW_CLIENTS as u64,
        "round {round}: the slow requests were in flight, yet only {} answers came after the stop began",
        tally.answered_late
    );
    assert_eq!(
        container.exit_code(),
        0,
        "round {round}: gunicorn, the main process, ends with 0 when told"
    );
    assert!(took <= LONGEST_STOP, "round {round}: the stop took {took:?}");
    check_access_log(&container, &tally, round);
    container.exit_line();
    (tally, took)
}

/// Polls until a condition holds, and lets the clients work in between.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(
            Instant::now() < deadline,
            "waited {PATIENCE:?} in vain until {what}"
        );
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// nginx's access log has a line for every answer: none is lost on its way through runmate, not even at
/// the very end. And it has none for a raced request: the server may close an idle connection and never
/// read what was just being sent on it, but it may not read it, act on it and then close.
fn check_access_log(container: &Container, tally: &Tally, round: usize) {
    let id = |line: &Value| -> Option<u64> {
        let (_, rest) = line["message"].as_str()?.split_once("&id=")?;
        rest.split(' ').next()?.parse().ok()
    };
    let read: HashSet<u64> = container.log().iter().filter_map(id).collect();
    let unanswered: Vec<_> = tally.raced.iter().filter(|id| read.contains(id)).collect();
    assert!(
        unanswered.is_empty(),
        "round {round}: read, and not answered: {unanswered:?}"
    );
    assert_eq!(
        read.len() as u64,
        tally.answered,
        "round {round}: a line for each answer"
    );
}

#[test]
fn a_request_longer_than_the_budget_is_cut_off_in_time() {
    let container = app::start(&[]);
    let target = app::target(&container);
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    let (tally, took) = runtime.block_on(async {
        let load = Load::start(target, &[kind("endless", 1, "/slow?seconds=25")]);
        // nginx has it when gunicorn has a connection of nginx's.
        until("gunicorn has the request", || container.shell(CONNECTED) == "1\n").await;
        load.stop_begins();
        let stopper = container.stopper();
        let stop = tokio::task::spawn_blocking(stopper);
        let tally = load.finish().await;
        (tally, stop.await.expect("docker stop succeeds"))
    });
    assert_eq!(tally.failures.len(), 1, "it cannot have been answered: {tally:?}");
    assert!(took <= LONGEST_STOP, "the stop took {took:?}");
    assert_eq!(container.exit_code(), 0);
    container.exit_line();
}

/// Prints 1 once a connection to port 8000 (1F40) is established (state 01).
const CONNECTED: &str = "awk '$2 ~ /:1F40$/ && $4 == \"01\" { found = 1 } END { print found }' /proc/net/tcp";
