//! A stop in every phase of a container's life: it ends, in time, with the right code.

mod support;

use std::os::unix::process::CommandExt;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use support::{PATIENCE, Runmate, Setup, free_address, is_own, process};

/// A budget that a stop never needs to use up.
const AMPLE: &str = "[run]\nstop_budget = \"25s\"\n";

/// Long after any stop in order would be over, and long before [`AMPLE`].
const SOON: Duration = Duration::from_secs(10);

/// Waits until runmate has the signal under its control: `SigCgt` in proc_pid_status(5).
fn wait_for_handler(run: &Runmate, signal: i32) {
    let file = format!("/proc/{}/status", run.pid);
    let deadline = Instant::now() + PATIENCE;
    // Without a pause: the point is to be there at once.
    loop {
        let status = std::fs::read_to_string(&file).expect("runmate runs");
        let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
        let caught = u64::from_str_radix(caught.expect("SigCgt").trim(), 16).expect("hexadecimal");
        if caught & (1 << (signal - 1)) != 0 {
            return;
        }
        assert!(Instant::now() < deadline, "no handler");
    }
}

fn wait_for_own(run: &Runmate, event: &str) {
    run.wait_for(event, |line| is_own(line, event));
}

#[test]
fn a_stop_at_any_moment_after_the_start_ends_well() {
    // A task before, a sidecar beside: the signal may meet any of the three, before or after its start.
    let config = process("task", "sleep 2", "kind = \"task\"")
        + &process("app", "wait TERM exit 21", "after = [\"task\"]")
        + &process("sidecar", "wait TERM", "");
    let mut codes = Vec::new();
    for step in 0..150 {
        let run = Setup::new(&config).start();
        wait_for_handler(&run, libc::SIGTERM);
        let moment = Instant::now() + Duration::from_micros(100) * step;
        while Instant::now() < moment {
            std::hint::spin_loop();
        }
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        assert_eq!(exit.line()["cause"], "signal", "{}", run.said());
        codes.extend(exit.code);
    }
    codes.sort();
    codes.dedup();
    // 143 before main started, 21 after. That both are met shows that the range was wide enough.
    assert_eq!(codes, [21, 143]);
}

#[test]
fn a_stop_while_the_handlers_are_being_installed_is_not_lost() {
    // Each handler is in place 20 ms before the program goes on. With -D the traced program is our child.
    let mut setup = Setup::new(&process("app", "wait TERM exit 21", ""));
    let dir = setup.dir().to_owned();
    let command = setup.command();
    *command = Command::new("strace");
    command.args(["-D", "-o", "/dev/null", "-e", "trace=rt_sigaction"]);
    command.args([
        "-e",
        "inject=rt_sigaction:delay_exit=20000",
        env!("CARGO_BIN_EXE_runmate"),
    ]);
    command.current_dir(dir).stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let run = setup.start();
    wait_for_handler(&run, libc::SIGTERM);
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.line()["cause"], "signal");
    assert!(!exit.has("started", "app"));
}

#[test]
fn a_stop_that_came_before_everything_else_starts_nothing() {
    for _ in 0..10 {
        let mut setup = Setup::new(&process("app", "wait TERM exit 21", ""));
        support::start_with(&mut setup, &[], &[libc::SIGTERM]);
        // SAFETY: one system call. Blocked, it stays pending through the execve.
        unsafe {
            setup.command().pre_exec(|| {
                libc::kill(libc::getpid(), libc::SIGTERM);
                Ok(())
            })
        };
        let exit = setup.start().exit();
        assert_eq!(exit.code, Some(143));
        assert_eq!(exit.line()["cause"], "signal");
        assert!(!exit.has("started", "app"));
    }
}

#[test]
fn a_stop_during_a_task_stops_the_task_and_starts_nothing_more() {
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130), (libc::SIGQUIT, 131)] {
        let config = process("task", "ready wait TERM exit 4", "kind = \"task\"")
            + &process("app", "exit 0", "after = [\"task\"]");
        let run = Setup::new(&config).start();
        run.wait_for_message("task", "ready");
        run.signal(signal);
        let exit = run.exit();
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.messages("task"), ["ready", "got SIGTERM"]);
        assert!(!exit.has("started", "app"));
    }
}

#[test]
fn a_stop_between_readiness_probes_ends_well() {
    let nobody = free_address();
    for probe in [
        format!("tcp = \"{nobody}\""),
        format!("http = \"http://{nobody}/\""),
        "exec = \"exit 1\"".to_owned(),
        "log = \"never said\"".to_owned(),
        "fd = 3".to_owned(),
    ] {
        let ready = format!("ready = {{ {probe}, interval = \"20ms\", timeout = \"60s\" }}");
        let config = process("app", "ready wait TERM exit 7", &ready)
            + &process("nginx", "exit 0", "after = [\"app\"]");
        let run = Setup::new(&config).start();
        run.wait_for_message("app", "ready");
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        assert_eq!(exit.code, Some(7), "{probe}");
        assert!(!exit.has("started", "nginx"));
    }
}

#[test]
fn a_stop_during_a_backoff_does_not_wait_for_it() {
    let long = "backoff = { min = \"60s\", max = \"60s\" }\nrestart = \"always\"";
    let config = process("app", "ready wait TERM exit 5", "") + &process("sidecar", "exit 1", long);
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_event("restarting", "sidecar");
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(5));
    assert!(began.elapsed() < SOON);

    // Main itself: its last code is of another life.
    let run = Setup::new(&(process("app", "exit 9", long) + AMPLE)).start();
    run.wait_for_event("restarting", "app");
    let began = Instant::now();
    run.signal(libc::SIGINT);
    assert_eq!(run.exit().code, Some(130));
    assert!(began.elapsed() < SOON);
}

#[test]
fn a_stop_while_a_failed_start_is_being_stopped_ends_well() {
    let ready =
        "ready = { exec = \"exit 1\", interval = \"20ms\", timeout = \"50ms\" }\nrestart = \"always\"";
    let run = Setup::new(&(process("app", "wait TERM ready sleep 200 exit 8", ready) + AMPLE)).start();
    run.wait_for_event("not_ready", "app");
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(8));
    assert_eq!(
        exit.lines
            .iter()
            .filter(|line| line["event"] == "started")
            .count(),
        1
    );
}

/// `app` starts after `database` and does not stop; `database` would stop at once, were it its turn.
fn stuck() -> Runmate {
    let config = process("database", "ready wait TERM", "")
        + &process(
            "app",
            "ready wait TERM deaf",
            "after = [\"database\"]\nmain = true",
        );
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("database", "ready");
    run.signal(libc::SIGTERM);
    run.wait_for_message("app", "got SIGTERM");
    run
}

#[test]
fn a_second_stop_signals_everyone_at_once_and_a_third_one_kills() {
    let run = stuck();
    let began = Instant::now();
    assert!(
        run.lines()
            .iter()
            .all(|line| line["message"] != "database gets SIGTERM")
    );
    run.signal(libc::SIGINT);
    wait_for_own(&run, "hurry");
    run.wait_for_event("ended", "database");
    let app = run.lines();
    assert!(!app.iter().any(|line| is_own(line, "kill_all")), "graces stay");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(137), "main was killed");
    assert_eq!(exit.line()["cause"], "signal");
    assert!(began.elapsed() < SOON);
    let end = |name| exit.position("ended", name).expect("its end");
    assert!(end("database") < end("app"), "the order is given up");
}

#[test]
fn many_stop_signals_in_a_row_end_at_once() {
    let run = stuck();
    let began = Instant::now();
    while began.elapsed() < SOON && !run.lines().iter().any(|line| is_own(line, "exit")) {
        for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT] {
            run.signal(signal);
        }
        std::thread::yield_now();
    }
    assert_eq!(run.exit().code, Some(137));
    assert!(began.elapsed() < SOON);
}

#[test]
fn the_drain_delay_keeps_everything_running() {
    let config = process("app", "ready wait TERM exit 6", "") + &process("sidecar", "ready wait TERM", "");
    let delay = "[run]\ndrain_delay = \"700ms\"\nstop_budget = \"20s\"\n";
    let run = Setup::new(&(config + delay)).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("sidecar", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    run.wait_for_message("app", "got SIGTERM");
    assert!(began.elapsed() >= Duration::from_millis(700));
    assert_eq!(run.exit().code, Some(6));
}

#[test]
fn a_second_stop_ends_the_drain_delay() {
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let run = Setup::new(&(process("app", "ready wait TERM exit 6", "") + delay)).start();
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    wait_for_own(&run, "draining");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(6));
    assert!(began.elapsed() < SOON);
}

#[test]
fn a_third_stop_during_the_drain_delay_kills() {
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let run = Setup::new(&(process("app", "ready deaf", "") + delay)).start();
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    for event in ["draining", "hurry", "kill_all"] {
        run.signal(libc::SIGTERM);
        wait_for_own(&run, event);
    }
    assert_eq!(run.exit().code, Some(137));
    assert!(began.elapsed() < SOON);
}

#[test]
fn the_end_of_main_during_the_drain_delay_ends_the_delay() {
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let more = "signals = { SIGHUP = \"SIGHUP\" }\n";
    let run = Setup::new(&(process("app", "ready wait HUP exit 3", more) + delay)).start();
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    wait_for_own(&run, "draining");
    run.signal(libc::SIGHUP);
    assert_eq!(run.exit().code, Some(3), "signals are passed on during the delay");
    assert!(began.elapsed() < SOON);
}

#[test]
fn a_stop_after_main_ended_by_itself_is_no_hurry() {
    // Main ends at once: the sidecar must not be told to stop before it can hear it.
    let config = process("app", "exit 3", "after = [\"sidecar\"]")
        + &process("sidecar", "ready wait TERM deaf", "ready = { log = \"ready\" }");
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_message("sidecar", "got SIGTERM");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    run.signal(libc::SIGINT);
    wait_for_own(&run, "hurry");
    assert!(
        !run.lines().iter().any(|line| is_own(line, "kill_all")),
        "two signals are one hurry"
    );
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(3), "the first cause wins");
    assert_eq!(exit.line()["cause"], "main_ended");
    assert!(began.elapsed() < SOON);
}

#[test]
fn a_third_stop_kills_a_daemon_that_is_being_swept() {
    let steps = "fork ( setsid fork ( ready wait TERM deaf ) ) reap wait USR1 exit 2";
    let run = Setup::new(&(process("app", steps, "") + AMPLE)).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGUSR1);
    // The daemon's, for main is gone.
    run.wait_for_message("app", "got SIGTERM");
    let began = Instant::now();
    for _ in 0..3 {
        run.signal(libc::SIGTERM);
        run.signal(libc::SIGINT);
        run.signal(libc::SIGQUIT);
    }
    assert_eq!(run.exit().code, Some(2));
    assert!(began.elapsed() < SOON);
}
