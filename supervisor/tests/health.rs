//! The health endpoints, asked from outside and by the children themselves.

mod support;

use std::io::Write;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::time::{Duration, Instant};

use runmate::process::listeners;
use serde_json::json;
use support::{Runmate, Setup, eventually, free_address, http, is_own, process};

/// The status of each endpoint.
fn statuses(run: &Runmate) -> [u16; 4] {
    ["/livez", "/healthz", "/readyz", "/health"].map(|path| run.get(path).0)
}

fn stop(run: &Runmate) -> support::Exit {
    run.signal(libc::SIGTERM);
    run.exit()
}

#[test]
fn while_starting_it_is_healthy_and_not_ready() {
    let config = process("app", "ready await gate notify 3 wait TERM", "ready = { fd = 3 }");
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    assert_eq!(statuses(&run), [200, 200, 503, 200]);
    assert_eq!(run.get("/healthz").1["phase"], "starting");
    let health = run.get("/health").1;
    assert_eq!(health["status"], "warn");
    assert_eq!(health["checks"]["app:state"][0]["observedValue"], "starting");

    std::fs::write(run.dir().join("gate"), "").unwrap();
    run.wait_for("up", |line| is_own(line, "up"));
    assert_eq!(statuses(&run), [200; 4]);
    assert_eq!(run.get("/healthz").1, json!({"status": "pass", "phase": "up"}));
    assert_eq!(run.get("/health").1["status"], "pass");
    stop(&run);
}

#[test]
fn while_a_task_runs_it_is_healthy_and_not_ready() {
    let config = process("app", "wait TERM", "after = [\"task\"]")
        + &process("task", "ready await gate", "kind = \"task\"");
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("task", "ready");
    assert_eq!(statuses(&run), [200, 200, 503, 200]);
    assert_eq!(
        run.get("/health").1["checks"]["task:state"][0]["observedValue"],
        "running"
    );
    std::fs::write(run.dir().join("gate"), "").unwrap();
    run.wait_for("up", |line| is_own(line, "up"));
    assert_eq!(statuses(&run), [200; 4]);
    assert_eq!(
        run.get("/health").1["checks"]["task:state"][0]["observedValue"],
        "done"
    );
    stop(&run);
}

#[test]
fn a_process_that_is_being_restarted_is_a_warning() {
    let more = "backoff = { min = \"60s\", max = \"60s\" }";
    let config = process("app", "ready wait TERM", "") + &process("sidecar", "exit 3", more);
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    run.wait_for_event("restarting", "sidecar");
    // Not up: a platform that asks /healthz sees it; who asks /health learns that it is being mended.
    assert_eq!(statuses(&run), [200, 503, 503, 200]);
    let health = run.get("/health").1;
    assert_eq!(health["status"], "warn");
    let state = &health["checks"]["sidecar:state"][0];
    assert_eq!(state["observedValue"], "restarting");
    assert_eq!(state["status"], "warn");
    assert_eq!(health["checks"]["sidecar:restarts"][0]["observedValue"], 1);
    stop(&run);
}

#[test]
fn the_end_of_an_ignored_sidecar_leaves_it_healthy_and_ready() {
    let config = process("app", "ready wait TERM", "") + &process("once", "exit 3", "restart = \"never\"");
    let run = Setup::new(&config).with_health().start();
    run.wait_for_event("ignored", "once");
    run.wait_for("up", |line| is_own(line, "up"));
    assert_eq!(statuses(&run), [200; 4]);
    stop(&run);
}

#[test]
fn durations_are_kept_up_to_date_though_a_task_left_somebody_in_its_group() {
    let config = process("app", "wait TERM", "after = [\"task\"]")
        + &process("task", "fork ( wait TERM )", "kind = \"task\"");
    let run = Setup::new(&config).with_health().start();
    run.wait_for("up", |line| is_own(line, "up"));
    let uptime = || run.get("/health").1["checks"]["uptime"][0]["observedValue"].as_f64();
    let first = uptime().unwrap();
    // Asking alone must not change it: bodies are made in advance.
    eventually("a later uptime", || uptime().filter(|now| *now > first + 4.0));
    stop(&run);
}

#[test]
fn health_says_503_before_the_first_child_gets_its_signal() {
    // Asked by the children themselves, first thing after SIGTERM.
    for _ in 0..5 {
        let address = free_address();
        let steps =
            format!("ready wait TERM get {address} /readyz get {address} /healthz get {address} /livez");
        let config = process("app", &steps, "")
            + &process("sidecar", &steps, "")
            + &format!("[health]\nlisten = \"{address}\"\n");
        let run = Setup::new(&config).start();
        run.wait_for_message("app", "ready");
        run.wait_for_message("sidecar", "ready");
        let exit = stop(&run);
        assert_eq!(exit.code, Some(0));
        for name in ["app", "sidecar"] {
            let asked = exit
                .lines
                .iter()
                .filter(|line| line["process"] == name && line["asked"].is_string());
            let asked: Vec<_> = asked
                .map(|line| (line["asked"].clone(), line["status"].clone()))
                .collect();
            let expected = [("/readyz", 503), ("/healthz", 503), ("/livez", 200)];
            assert_eq!(asked, expected.map(|(path, status)| (json!(path), json!(status))));
        }
    }
}

#[test]
fn during_the_drain_delay_the_app_serves_and_health_says_503() {
    let app = free_address();
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let config = process("app", &format!("listen {app} ready wait TERM exit 7"), "") + delay;
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    run.wait_for("draining", |line| is_own(line, "draining"));
    assert_eq!(statuses(&run), [200, 503, 503, 503]);
    assert_eq!(run.get("/healthz").1["phase"], "draining");
    assert_eq!(http::get(app, "/").unwrap().0, 200);
    assert_eq!(stop(&run).code, Some(7));
}

#[test]
fn details_are_for_those_with_the_token() {
    let address = free_address();
    let config = process("app", "ready wait TERM", "");
    let health = format!("[health]\nlisten = \"{address}\"\ntoken = \"${{TOKEN}}\"\n");
    let run = Setup::new(&(config + &health))
        .env("TOKEN", "open-sesame")
        .start();
    run.wait_for("up", |line| is_own(line, "up"));
    let (status, body) = http::get(address, "/health").unwrap();
    assert_eq!((status, body.as_str()), (200, r#"{"status":"pass"}"#));
    let (status, body) = http::get_as(address, "/health", "open-sesame").unwrap();
    assert_eq!(status, 200);
    assert!(body.contains("app:state"), "{body}");
    let (_, body) = http::get_as(address, "/health", "open").unwrap();
    assert!(!body.contains("app:state"), "{body}");
    assert!(!run.said().contains("open-sesame"));
    stop(&run);
}

#[test]
fn off_means_that_nothing_is_listened_on() {
    let listening = |run: &Runmate| {
        let mut found = listeners().into_iter();
        found.any(|listener| listener.holder.is_some_and(|holder| holder.pid == run.pid))
    };
    let config = process("app", "ready wait TERM", "");
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    assert!(listening(&run), "or else this test sees nothing");
    stop(&run);
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    assert!(!listening(&run));
    stop(&run);
}

#[test]
fn a_busy_address_of_the_config_is_an_error_that_names_the_holder() {
    let holder = TcpListener::bind(free_address()).unwrap();
    let address = holder.local_addr().unwrap();
    let config = process("app", "touch started", "") + &format!("[health]\nlisten = \"{address}\"\n");
    let run = Setup::new(&config).start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    assert_eq!(exit.line()["cause"], "config");
    let error = exit
        .lines
        .iter()
        .find(|line| is_own(line, "config_error"))
        .unwrap();
    assert_eq!(error["key"], "health.listen");
    let message = error["message"].as_str().unwrap();
    for part in [address.to_string(), format!("(pid {})", std::process::id())] {
        assert!(message.contains(&part), "{message}");
    }
    assert!(!run.dir().join("started").exists());
}

#[test]
fn a_busy_default_port_is_a_warning_and_the_app_runs() {
    let default = SocketAddr::from(([0, 0, 0, 0], 9180));
    // Another run of these tests may have it for a moment.
    let holder = eventually("the default port", || TcpListener::bind(default).ok());
    let setup = Setup::without_config().args([
        "run",
        "--",
        support::fixture_path().to_str().unwrap(),
        "exit",
        "3",
    ]);
    let exit = setup.start().exit();
    drop(holder);
    assert_eq!(exit.code, Some(3));
    let warning = exit
        .lines
        .iter()
        .find(|line| is_own(line, "health_off"))
        .expect("a warning");
    assert_eq!(warning["level"], "WARN");
    let message = warning["message"].as_str().unwrap();
    assert!(message.contains("0.0.0.0:9180"), "{message}");
    assert!(
        message.contains(&format!("(pid {})", std::process::id())),
        "{message}"
    );
}

#[test]
fn connections_that_say_nothing_take_neither_descriptors_nor_the_answers_away() {
    let run = Setup::new(&process("app", "ready wait TERM", ""))
        .with_health()
        .start();
    run.wait_for_message("app", "ready");
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(run.health_address()).expect("a place in the queue"))
        .collect();
    // Long before those are given up that send nothing.
    for _ in 0..5 {
        assert!(answers_within(&run, Duration::from_secs(2)));
    }
    let descriptors = std::fs::read_dir(format!("/proc/{}/fd", run.pid)).expect("it runs");
    assert!(descriptors.count() < silent.len());
    run.wait_for("health_busy", |line| is_own(line, "health_busy"));
    stop(&run);
}

#[test]
fn connections_that_take_no_answer_neither_keep_others_out_nor_fill_the_memory() {
    let run = Setup::new(&process("app", "ready wait TERM", ""))
        .with_health()
        .start();
    run.wait_for_message("app", "ready");
    let before = anonymous_memory(run.pid);
    let deaf: Vec<TcpStream> = (0..64)
        .map(|_| {
            let mut stream = TcpStream::connect(run.health_address()).expect("a place in the queue");
            stream.set_nonblocking(true).expect("a socket");
            let requests = b"GET /metrics HTTP/1.1\r\nHost: health\r\n\r\n".repeat(20_000);
            // As much as goes; nobody reads the answers.
            let _ = stream.write(&requests);
            stream
        })
        .collect();
    for _ in 0..5 {
        assert!(answers_within(&run, Duration::from_secs(2)));
    }
    let grown = anonymous_memory(run.pid).saturating_sub(before);
    assert!(grown < 4 << 20, "{grown} bytes for {} connections", deaf.len());
    stop(&run);
}

fn answers_within(run: &Runmate, limit: Duration) -> bool {
    let since = Instant::now();
    run.get("/livez").0 == 200 && since.elapsed() < limit
}

/// Bytes.
fn anonymous_memory(pid: i32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"))
        .expect("RssAnon");
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse().expect("a number");
    kilobytes << 10
}
