//! Orphans and zombies: what PID 1 is for.

mod support;

use support::proc::{self, Process};
use support::{Setup, eventually, process};

/// Zombies among the children of runmate.
fn zombies(pid: i32) -> usize {
    let children = proc::children(pid);
    children.iter().filter(|child| child.state == 'Z').count()
}

#[test]
fn thousands_of_orphans_are_reaped() {
    // A batch of children that each leave a child of their own behind; those are the orphans.
    let steps = "repeat 60 ( repeat 50 ( fork ( fork ( ) ) ) reap ) ready wait TERM exit 6";
    let run = Setup::new(&process("app", steps, "")).start();
    run.wait_for_message("app", "ready");
    eventually("end of the zombies", || {
        (proc::children(run.pid).len() == 1 && zombies(run.pid) == 0).then_some(())
    });
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(6));
    let ended = exit.lines.iter().filter(|line| line["event"] == "ended");
    assert_eq!(ended.count(), 1, "the end of an orphan is no news");
}

#[test]
fn the_exit_code_is_that_of_main_whatever_else_ends_beside_it() {
    let steps = "repeat 40 ( fork ( fork ( exit 7 ) exit 8 ) ) exit 3";
    for _ in 0..10 {
        let exit = Setup::new(&process("app", steps, "")).start().exit();
        assert_eq!(exit.code, Some(3));
        assert_eq!(exit.line()["process_code"], 3);
    }
}

#[test]
fn an_orphan_is_adopted_and_reaped() {
    let steps = "fork ( fork ( pid orphan wait USR1 exit 9 ) ) reap ready wait TERM";
    let run = Setup::new(&process("app", steps, "")).start();
    let line = run.wait_for("orphan", |line| line["name"] == "orphan");
    let orphan = line["own_pid"].as_i64().unwrap() as i32;
    let adopted = eventually("adoption", || {
        Process::look(orphan).filter(|orphan| orphan.parent == run.pid)
    });
    adopted.signal(libc::SIGUSR1);
    eventually("end of the orphan", || {
        Process::look(orphan).is_none().then_some(())
    });
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn runmate_says_that_it_is_not_pid_1() {
    let exit = Setup::new(&process("app", "exit 0", "")).start().exit();
    let line = exit.lines.iter().find(|line| line["event"] == "not_pid_1");
    assert_eq!(line.expect("the line")["level"], "INFO");
}

#[test]
fn the_children_of_a_killed_runmate_die_with_it() {
    let config = process("app", "ready deaf", "") + &process("sidecar", "ready deaf", "");
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("sidecar", "ready");
    let children = proc::children(run.pid);
    assert_eq!(children.len(), 2);
    run.signal(libc::SIGKILL);
    assert_eq!(run.end().signal, Some(libc::SIGKILL));
    for child in children {
        child.wait_gone();
    }
}

/// The budget is far longer than the test may take: whoever waits it out fails.
#[test]
fn pid_1_without_a_proc_still_ends_the_orphans() {
    let steps = "fork ( setsid fork ( pid daemon wait TERM ) ) reap exit 4";
    let config = process(
        "app",
        steps,
        "[run]\nstop_budget = \"10m\"\n[health]\nlisten = \"off\"",
    );
    let status = std::process::Command::new("timeout")
        .args([
            "60",
            "unshare",
            "-mpf",
            "sh",
            "-c",
            "umount -l /proc && exec \"$0\" run",
        ])
        .arg(env!("CARGO_BIN_EXE_runmate"))
        .env("RUNMATE_CONFIG_INLINE", config)
        .stdout(std::process::Stdio::null())
        .status()
        .expect("unshare(1), of util-linux, can be started (as root)");
    assert_eq!(
        status.code(),
        Some(4),
        "124 is the time limit; 1 may mean that you are not root"
    );
}
