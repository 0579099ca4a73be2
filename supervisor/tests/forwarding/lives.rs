//! A forwarder that dies. The next life goes on where the last one stopped.

use std::time::Duration;

use crate::bare::writer;
use crate::support::{Setup, eventually, process};
use crate::{collected, dropped, metric, numbers};

const LINES: u64 = 30_000;
const SOON: &str = "backoff = { min = \"10ms\", max = \"10ms\", restarts = 1000 }";

/// These tests are about what dies with a life, not about patience with a slow one.
fn app(lines: u64) -> String {
    let command = writer(&format!("lines out={lines} bytes=100 tag=app stay=1"));
    format!("[logs]\nblocked = \"10m\"\n[process.app]\ncommand = {command}\nlogs = {{ stdout = false }}\n")
}

/// Each life reads some lines and a part of one, and is killed. Exactly that one line is lost.
#[test]
fn only_the_line_that_it_had_begun_to_read_is_lost() {
    let run = Setup::new(&format!(
        "{}{}",
        app(LINES),
        process(
            "shipper",
            "collect-some lines 3000 raise SIGKILL",
            &format!("stdin = {{ logs = [\"app\"] }}\n{SOON}"),
        ),
    ))
    .with_health()
    .start();
    let lost = "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}";
    eventually("all lines", || {
        let got = collected(&run.dir().join("lines")).0.len() as u64;
        (got + metric(&run, lost)? == LINES).then_some(())
    });
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    let (lines, torn) = collected(&run.dir().join("lines"));
    assert!(torn >= 5, "{torn} lives have ended in a line");
    assert_eq!(dropped(&exit.lines, "app", "shipper"), torn as u64);
    assert_eq!(numbers(&lines)["app"].len() as u64 + torn as u64, LINES);
}

/// Killed from outside, over and over: what it has read as a whole and what is counted as dropped are all.
#[test]
fn forwarded_and_dropped_are_all_whenever_it_is_killed() {
    let run = Setup::new(&format!(
        "{}{}",
        app(LINES),
        process(
            "shipper",
            "collect lines 1000 1",
            &format!("stdin = {{ logs = [\"app\"] }}\n{SOON}"),
        ),
    ))
    .with_health()
    .start();
    let path = run.dir().join("lines");
    for life in 0..10 {
        let started = run.wait_until("another life", |lines| {
            let mut lives = lines
                .iter()
                .filter(|line| line["event"] == "started" && line["name"] == "shipper");
            lives.nth(life).cloned()
        });
        let size = || path.metadata().map_or(0, |file| file.len());
        let before = size();
        eventually("a life that reads", || (size() > before + 10_000).then_some(()));
        let pid = started["pid"].as_i64().expect("a pid") as i32;
        // SAFETY: no memory is involved; it is not reaped before it is killed, as it does not end by itself.
        unsafe { libc::kill(pid, libc::SIGKILL) };
    }
    let forwarded = "runmate_process_forwarded_lines_total{process=\"app\",forwarder=\"shipper\"}";
    let lost = "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}";
    let (forwarded, lost) = eventually("all lines", || {
        let (forwarded, lost) = (metric(&run, forwarded)?, metric(&run, lost)?);
        (forwarded + lost == LINES).then_some((forwarded, lost))
    });
    assert!(lost <= 10, "{lost} lost by 10 deaths");
    let got = numbers(&collected(&path).0)["app"].len() as u64;
    // What it has read and not written down when it was killed is its own loss, at most a read each.
    assert!(
        got <= forwarded && got + 10 * 10 >= forwarded,
        "{got} of {forwarded}"
    );
}

#[test]
fn without_another_life_its_lines_are_counted_and_stdout_goes_on() {
    let run = Setup::new(&format!(
        "[process.app]\ncommand = {}\n{}",
        writer(&format!("lines out={LINES} bytes=100 tag=app stay=1")),
        process(
            "shipper",
            "exit 0",
            "stdin = { logs = [\"app\"] }\nrestart = \"never\""
        ),
    ))
    .start();
    run.wait_for("the last line", |line| {
        let last = format!("app out {} ", LINES - 1);
        line["message"]
            .as_str()
            .is_some_and(|text| text.starts_with(&last))
    });
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(dropped(&exit.lines, "app", "shipper"), LINES);
}

#[test]
fn without_another_life_and_with_stdout_off_its_lines_are_counted_too() {
    let run = Setup::new(&format!(
        "{}{}",
        app(LINES),
        process(
            "shipper",
            "exit 0",
            "stdin = { logs = [\"app\"] }\nrestart = \"never\""
        ),
    ))
    .with_health()
    .start();
    let lost = "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}";
    eventually("all lines", || (metric(&run, lost) == Some(LINES)).then_some(()));
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(dropped(&exit.lines, "app", "shipper"), LINES);
    assert!(exit.lines.iter().all(|line| line["process"] != "app"));
}

/// Stopped for long enough that pipe and queue are full, continued, killed, in turn and over and over: whenever there
/// is room again, the lines go on.
#[test]
fn no_pause_and_no_death_keeps_the_lines_from_going_on() {
    let run = Setup::new(&format!(
        "{}{}",
        app(5 * LINES),
        process(
            "shipper",
            "collect lines 65536 1",
            &format!("stdin = {{ logs = [\"app\"] }}\n{SOON}"),
        ),
    ))
    .with_health()
    .start();
    let path = run.dir().join("lines");
    let size = || path.metadata().map_or(0, |file| file.len());
    let bytes = "runmate_process_bytes_total{process=\"app\",stream=\"stdout\"}";
    let kill = |pid: i32, signal| {
        // SAFETY: no memory is involved; it is not reaped before it is killed, as it does not end by itself.
        unsafe { libc::kill(pid, signal) };
    };
    let mut deaths = 0;
    for life in 0..4 {
        let pid = run.wait_until("another life", |lines| {
            let mut lives = lines
                .iter()
                .filter(|line| line["event"] == "started" && line["name"] == "shipper");
            lives.nth(life)?["pid"].as_i64()
        }) as i32;
        for _ in 0..3 {
            kill(pid, libc::SIGSTOP);
            // Nothing is read from the app any more.
            let mut before = metric(&run, bytes);
            eventually("a full pipe", || {
                std::thread::sleep(Duration::from_millis(20));
                let now = metric(&run, bytes);
                (std::mem::replace(&mut before, now) == now).then_some(())
            });
            let stopped_at = size();
            kill(pid, libc::SIGCONT);
            eventually("more lines, or all", || {
                let all = metric(&run, bytes) == Some(5 * LINES * 100);
                (all || size() > stopped_at + (1 << 20)).then_some(())
            });
        }
        if life < 3 {
            kill(pid, libc::SIGKILL);
            deaths += 1;
        }
    }
    let forwarded = "runmate_process_forwarded_lines_total{process=\"app\",forwarder=\"shipper\"}";
    let lost = "runmate_process_dropped_lines_total{process=\"app\",destination=\"shipper\"}";
    let (forwarded, lost) = eventually("all lines", || {
        let (forwarded, lost) = (metric(&run, forwarded)?, metric(&run, lost)?);
        (forwarded + lost == 5 * LINES).then_some((forwarded, lost))
    });
    assert!(lost <= deaths, "{lost} lost by {deaths} deaths");
    run.signal(libc::SIGTERM);
    run.exit();
    // What it has read and not written down when it was killed is its own loss, at most a read each.
    let got = numbers(&collected(&path).0)["app"].len() as u64;
    assert!(
        got <= forwarded && got + deaths * (65536 / 200) >= forwarded,
        "{got} of {forwarded}"
    );
}
