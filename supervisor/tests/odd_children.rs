//! Children that do not behave.

mod support;

use std::fs::OpenOptions;
use std::io::Write;
use std::time::{Duration, Instant};

use support::proc::{self, Process};
use support::{PATIENCE, Runmate, Setup, eventually, process};

const SOON: Duration = Duration::from_secs(10);
const AMPLE: &str = "[run]\nstop_budget = \"25s\"\n";

/// The pid that a process said with the step `pid NAME`.
fn pid_of(run: &Runmate, name: &str) -> i32 {
    let line = run.wait_for(name, |line| line["name"] == name && line["own_pid"].is_i64());
    line["own_pid"].as_i64().unwrap() as i32
}

fn gone(pid: i32) -> bool {
    Process::look(pid).is_none()
}

#[test]
fn who_ignores_the_stop_signal_is_killed_after_its_grace() {
    let more = "stop = { grace = \"300ms\" }";
    let run = Setup::new(&(process("app", "ready deaf", more) + AMPLE)).start();
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < SOON);
    assert_eq!(exit.code, Some(137));
    assert!(exit.has("killing", "app"));
    // SIGCONT follows every stop signal, in case the process is stopped.
    assert_eq!(exit.messages("app"), ["ready", "got SIGTERM", "got SIGCONT"]);
}

#[test]
fn however_many_ignore_it_all_is_over_within_the_budget() {
    let grace = "stop = { grace = \"60s\" }";
    let config = process("a", "ready deaf", grace)
        + &process("b", "ready deaf", &format!("after = [\"a\"]\n{grace}"))
        + &process("app", "ready deaf", "after = [\"b\"]");
    let run = Setup::new(&(config + "[run]\nstop_budget = \"3s\"\n")).start();
    for name in ["a", "b", "app"] {
        run.wait_for_message(name, "ready");
    }
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let took = began.elapsed();
    assert!(took < Duration::from_millis(3500), "{took:?}");
    assert_eq!(exit.code, Some(137));
    let ends = ["app", "b", "a"].map(|name| exit.position("ended", name).unwrap());
    assert!(ends.is_sorted(), "the order is kept");
    for name in ["app", "b", "a"] {
        assert!(
            exit.messages(name).contains(&"got SIGTERM"),
            "{name} got its chance"
        );
    }
}

#[test]
fn a_daemon_in_a_session_of_its_own_is_swept() {
    let steps = "fork ( setsid fork ( pid daemon wait TERM touch swept ) ) reap ready wait TERM exit 5";
    let run = Setup::new(&(process("app", steps, "") + AMPLE)).start();
    let daemon = pid_of(&run, "daemon");
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(5));
    assert!(gone(daemon));
    assert!(run.dir().join("swept").exists(), "it was asked, and waited for");
}

#[test]
fn a_deaf_daemon_is_killed_within_the_budget() {
    let steps = "fork ( setsid fork ( pid daemon deaf ) ) reap ready wait TERM exit 5";
    let run = Setup::new(&(process("app", steps, "") + "[run]\nstop_budget = \"1s\"\n")).start();
    let daemon = pid_of(&run, "daemon");
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(5));
    assert!(began.elapsed() < Duration::from_millis(1500));
    // On a busy machine a killed process may take longer to go than the end of a short budget lasts.
    eventually("end of the daemon", || gone(daemon).then_some(()));
}

#[test]
fn who_closes_its_output_lives_on() {
    let run = Setup::new(&process("app", "pid app ready close-output wait USR1 exit 5", "")).start();
    let pid = pid_of(&run, "app");
    run.wait_for_message("app", "ready");
    eventually("closed stdout", || {
        (!std::fs::exists(format!("/proc/{pid}/fd/2")).unwrap()).then_some(())
    });
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    assert_eq!(exit.code, Some(5));
    assert_eq!(exit.line()["cause"], "main_ended");
}

#[test]
fn an_exit_does_not_wait_for_a_stranger_who_holds_the_pipe() {
    let run = Setup::new(&process("app", "pid app ready wait USR1 partial tail exit 4", "")).start();
    let pid = pid_of(&run, "app");
    run.wait_for_message("app", "ready");
    // This test is no descendant of runmate: nothing sweeps it.
    let held = OpenOptions::new()
        .write(true)
        .open(format!("/proc/{pid}/fd/1"))
        .unwrap();
    let began = Instant::now();
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    assert!(began.elapsed() < Duration::from_secs(3));
    assert_eq!(exit.code, Some(4));
    assert_eq!(
        exit.messages("app").last(),
        Some(&"tail"),
        "the unfinished line comes out"
    );
    drop(held);
}

#[test]
fn an_exit_does_not_wait_for_a_stranger_who_writes_on_and_on() {
    let more = "logs = { format = \"raw\" }\n[run]\nstop_budget = \"1s\"\n";
    let config = process("app", "ready wait USR1 exit 4", more);
    let run = Setup::new(&config).any_output().start();
    let started = run.wait_for_event("started", "app");
    run.wait_for("ready", |line| line == "ready");
    let pipe = format!("/proc/{}/fd/1", started["pid"]);
    let mut held = OpenOptions::new().write(true).open(pipe).unwrap();
    let flood = std::thread::spawn(move || {
        // Ends when runmate, the only reader, is gone.
        let lines = format!("{}\n", "x".repeat(1023)).repeat(64);
        while held.write_all(lines.as_bytes()).is_ok() {}
    });
    let began = Instant::now();
    run.signal(libc::SIGUSR1);
    assert_eq!(run.end().code, Some(4));
    assert!(began.elapsed() < SOON);
    flood.join().unwrap();
}

#[test]
fn whom_a_task_leaves_in_its_group_costs_nothing() {
    let config = process("task", "fork ( wait TERM )", "kind = \"task\"")
        + &process("app", "ready wait TERM", "after = [\"task\"]");
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_message("app", "ready");
    let turns = || {
        let status = std::fs::read_to_string(format!("/proc/{}/status", run.pid)).expect("it runs");
        let line = status
            .lines()
            .find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"));
        line.expect("a count").trim().parse::<u32>().expect("a number")
    };
    let before = turns();
    // The time is what is measured.
    std::thread::sleep(Duration::from_secs(2));
    assert!(turns() - before < 15, "{} turns of the loop", turns() - before);
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn the_next_process_does_not_wait_for_a_daemon_that_holds_the_pipe_of_a_task() {
    let task = "fork ( setsid fork ( pid daemon wait TERM say late-words ) ) reap exit 0";
    let config = process("task", task, "kind = \"task\"")
        + &process("app", "ready wait USR1 exit 4", "after = [\"task\"]");
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_message("app", "ready");
    let daemon = pid_of(&run, "daemon");
    assert!(!gone(daemon), "a daemon of a task is left alone");
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    assert_eq!(exit.code, Some(4));
    assert!(gone(daemon));
    assert!(
        exit.messages("task").contains(&"late-words"),
        "its pipe is read to the last"
    );
}

#[test]
fn a_drain_waits_for_the_child_of_a_shell_that_died_at_once() {
    let fixture = support::fixture_path();
    let line = format!(
        "{} ready wait TERM sleep 300 touch done & wait",
        fixture.display()
    );
    let config = format!("[process.app]\ncommand = '{line}'\n{AMPLE}");
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(143), "the shell died of SIGTERM");
    assert!(run.dir().join("done").exists(), "its child could finish");
}

#[test]
fn a_process_that_is_stopped_is_continued_so_that_it_can_end() {
    let run = Setup::new(&(process("app", "pid app ready wait TERM exit 3", "") + AMPLE)).start();
    let app = Process::look(pid_of(&run, "app")).unwrap();
    run.wait_for_message("app", "ready");
    app.signal(libc::SIGSTOP);
    eventually("stop", || (Process::look(app.pid)?.state == 'T').then_some(()));
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(3));
    assert!(began.elapsed() < SOON);
}

#[test]
fn whom_main_leaves_behind_in_its_group_is_asked_to_stop() {
    let steps = "fork ( pid worker wait TERM sleep 100 touch done exit 9 ) ready wait USR1 exit 3";
    let run = Setup::new(&(process("app", steps, "") + AMPLE)).start();
    let worker = pid_of(&run, "worker");
    run.wait_for_message("app", "ready");
    assert_eq!(
        Process::look(worker).unwrap().group,
        Process::look(worker).unwrap().parent
    );
    run.signal(libc::SIGUSR1);
    let exit = run.exit();
    assert_eq!(exit.code, Some(3), "the code is main's");
    assert!(gone(worker));
    assert!(run.dir().join("done").exists());
}

#[test]
fn whom_main_leaves_behind_and_who_is_deaf_is_killed_after_the_grace() {
    let steps = "fork ( pid worker deaf ) ready wait TERM exit 3";
    let more = "stop = { grace = \"300ms\" }\n";
    let run = Setup::new(&(process("app", steps, more) + AMPLE)).start();
    let worker = pid_of(&run, "worker");
    run.wait_for_message("app", "ready");
    let began = Instant::now();
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(3));
    assert!(began.elapsed() >= Duration::from_millis(300));
    assert!(began.elapsed() < SOON);
    assert!(gone(worker));
}

#[test]
fn a_restart_first_clears_what_the_old_life_left() {
    let steps = "fork ( pid worker touch up deaf ) await up remove up exit 1";
    let more = "restart = \"always\"\nstop = { grace = \"50ms\" }\n\
                backoff = { min = \"0s\", max = \"0s\", restarts = 3 }";
    let exit = Setup::new(&process("app", steps, more)).start().exit();
    assert_eq!(exit.code, Some(1));
    let workers = exit.lines.iter().filter_map(|line| line["own_pid"].as_i64());
    let workers: Vec<i64> = workers.collect();
    assert_eq!(workers.len(), 4, "one in each life");
    assert!(workers.iter().all(|worker| gone(*worker as i32)));
}

#[test]
fn stdin_is_at_its_end_unless_inherited() {
    let exit = Setup::new("[process.app]\ncommand = \"cat && exit 7\"")
        .start()
        .exit();
    assert_eq!(exit.code, Some(7));
}

#[test]
fn a_process_that_daemonises_itself_has_ended() {
    // What `nginx` without `daemon off` does: the process that was started is gone, its work goes on.
    let steps = "fork ( setsid fork ( pid daemon wait TERM ) ) reap exit 0";
    let run = Setup::new(&(process("app", steps, "") + AMPLE)).start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(0));
    assert_eq!(exit.line()["cause"], "main_ended");
    assert_eq!(proc::children(run.pid).len(), 0);
}

#[test]
fn a_process_that_stops_itself_and_its_group_does_not_hold_up_the_rest() {
    let config = process("app", "ready wait USR1 exit 3", "") + &process("sidecar", "ready raise STOP", "");
    let run = Setup::new(&(config + AMPLE)).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("sidecar", "ready");
    let sidecar = run.wait_for_event("started", "sidecar")["pid"].as_i64().unwrap() as i32;
    eventually("stop", || (Process::look(sidecar)?.state == 'T').then_some(()));
    let began = Instant::now();
    run.signal(libc::SIGUSR1);
    assert_eq!(run.exit().code, Some(3));
    assert!(began.elapsed() < SOON.min(PATIENCE));
}
