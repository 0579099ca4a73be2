//! `exec` checks: commands, run by the one waiter.

use std::path::Path;
use std::time::Duration;

use crate::lab::{check, shown, wait_state};
use crate::support::proc::{self, Process};
use crate::support::{Runmate, Setup, eventually, process};

fn start(checks: &str) -> Runmate {
    let config = process("app", "wait TERM", "env = { MARK = \"of the app\" }") + checks;
    Setup::new(&config).with_health().start()
}

fn stop(run: &Runmate) {
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0), "{}", run.said());
}

/// The pids that commands have noted, the first ones first; as many as that at least.
fn noted(file: &Path, count: usize) -> Vec<i32> {
    eventually("notes of the command", || {
        let text = std::fs::read_to_string(file).ok()?;
        // The last line may not be complete.
        let whole = &text[..text.rfind('\n')?];
        let pids: Vec<i32> = whole.lines().map(|line| line.parse().expect("a pid")).collect();
        (pids.len() >= count).then_some(pids)
    })
}

#[test]
fn a_command_passes_by_its_exit_code_and_has_the_environment_of_main() {
    let run = start(
        &(check("good", "exec = \"test \\\"$MARK\\\" = 'of the app'\"", "")
            + &check("bad", "exec = \"exit 3\"", "")
            + &check("killed", "exec = \"kill -KILL $$\"", "")
            + &check("missing", "exec = [\"/nonexistent/program\"]", "")),
    );
    wait_state(&run, "good", "passing");
    for (name, why) in [
        ("bad", "its command exited with code 3"),
        ("killed", "its command was killed by SIGKILL"),
        ("missing", "cannot run its command: "),
    ] {
        wait_state(&run, name, "failing");
        let output = shown(&run, name)["output"].as_str().expect("why").to_owned();
        assert!(output.contains(why), "{output}");
    }
    stop(&run);
}

#[test]
fn a_command_that_hangs_is_killed_at_its_timeout_with_all_it_has_started() {
    let command = "exec = \"echo $$ >> pids; (sleep 1000; true) & echo $! >> pids; sleep 1000\"";
    let run = start(&check("hangs", command, ""));
    wait_state(&run, "hangs", "failing");
    let output = shown(&run, "hangs")["output"].as_str().expect("why").to_owned();
    assert!(output.contains("no answer within 1s"), "{output}");
    // Two pids a look. Of the first look nobody is left while the third is under way.
    let pids = noted(&run.dir().join("pids"), 5);
    let gone = |pid: i32| {
        Process::look(pid).is_none_or(|process| process.parent != run.pid && process.group != pids[0])
    };
    eventually("end of the first look", || {
        pids[..2].iter().all(|pid| gone(*pid)).then_some(())
    });
    let of_first = proc::descendants(run.pid).into_iter();
    assert_eq!(of_first.filter(|process| process.group == pids[0]).count(), 0);
    stop(&run);
}

#[test]
fn a_command_that_has_left_its_group_is_killed_at_its_timeout_too() {
    // A shell that waits for one in a session of its own, which waits for another such one.
    let command =
        "exec = \"setsid sh -c 'echo $$ >> pids; setsid sleep 1000 & echo $! >> pids; wait'; true\"";
    let run = start(&check("leaves", command, ""));
    wait_state(&run, "leaves", "failing");
    // Two pids a look. Of the first two looks nobody is left while the third is under way.
    let pids = noted(&run.dir().join("pids"), 5);
    eventually("end of the looks before", || {
        let lives = |pid: &i32| Process::look(*pid).is_some_and(|process| process.lives());
        (!pids[..4].iter().any(lives)).then_some(())
    });
    stop(&run);
    assert!(
        pids.iter().all(|pid| Process::look(*pid).is_none()),
        "a stop leaves nobody"
    );
}

#[test]
fn what_commands_leave_behind_does_not_pile_up() {
    // Orphans that end, and one in the same group that does not.
    let command = "exec = \"for n in 1 2 3 4 5; do true & done; sleep 1000 & echo $! >> pids\"";
    let run = start(&check("messy", command, ""));
    wait_state(&run, "messy", "passing");
    noted(&run.dir().join("pids"), 4);
    eventually("nobody but the app", || {
        (proc::descendants(run.pid).len() == 1).then_some(())
    });
    stop(&run);
}

#[test]
fn commands_look_once_at_a_time() {
    // Longer than the interval, were it not for the timeout.
    let checks = "[health.check.slow]\nexec = \"echo $$ >> pids; sleep 1000\"\ninterval = \"300ms\"\n\
                  timeout = \"300ms\"\n";
    let run = start(checks);
    let pids = run.dir().join("pids");
    for count in 1..8 {
        let seen = noted(&pids, count);
        let alive = seen
            .iter()
            .filter(|pid| Process::look(**pid).is_some_and(|process| process.lives()));
        assert!(alive.count() <= 1, "the one before is gone");
    }
    let began = std::time::Instant::now();
    stop(&run);
    assert!(began.elapsed() < Duration::from_secs(5));
}

/// Sets how many descriptors the process may have; gives how many it could have before.
fn limit_descriptors(pid: i32, limit: libc::rlim_t) -> libc::rlim_t {
    let mut old = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: both point to limits on our stack; null asks for no change.
    let got = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, std::ptr::null(), &mut old) };
    assert_eq!(got, 0, "{}", std::io::Error::last_os_error());
    let new = libc::rlimit {
        rlim_cur: limit,
        ..old
    };
    // SAFETY: as above.
    let set = unsafe { libc::prlimit(pid, libc::RLIMIT_NOFILE, &new, std::ptr::null_mut()) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
    old.rlim_cur
}

#[test]
fn a_command_that_cannot_start_for_want_of_descriptors_restarts_nothing() {
    let run = start(&check("fine", "exec = \"true\"", "restart = \"app\""));
    wait_state(&run, "fine", "passing");
    let before = limit_descriptors(run.pid, 3);
    let line = run.wait_for_event("check_stale", "fine");
    let why = line["why"].as_str().expect("why");
    assert!(why.contains("cannot run its command: "), "{line}");
    limit_descriptors(run.pid, before);
    run.wait_for_event("check_current", "fine");
    assert!(!run.said().contains("check_failing"), "{}", run.said());
    assert!(!run.said().contains("unhealthy"), "{}", run.said());
    stop(&run);
}
