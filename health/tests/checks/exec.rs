//! Commands as checks.

use std::time::Duration;

use runmate_health::checks::Exec;

use crate::support::daemon::Dir;
use crate::support::{look_for, passes, until, why};

fn sh(script: &str) -> Exec {
    Exec::new(["sh", "-c", script]).unwrap()
}

#[tokio::test]
async fn the_exit_status_decides_and_the_output_is_thrown_away() {
    passes(&sh("head -c 1000000 /dev/zero; read line; test -z \"$line\"")).await;
    assert_eq!(why(&sh("echo topsecret >&2; exit 3")).await, "sh exited with 3");
    assert_eq!(why(&sh("kill -9 $$")).await, "sh was ended by signal 9");
    let missing = Exec::new(["/nowhere/tool", "--password=topsecret"]).unwrap();
    assert_eq!(
        why(&missing).await,
        "cannot run tool: No such file or directory (os error 2)"
    );
    assert!(!format!("{missing:?}").contains("topsecret"));
    Exec::new(Vec::<String>::new()).expect_err("no command");
    Exec::new([""]).expect_err("an empty one");
}

#[tokio::test]
async fn at_the_timeout_the_whole_process_group_is_killed() {
    let dir = Dir::new("runmate-exec-");
    let pids = dir.file("pids");
    // The child of the shell is not one that the check knows.
    let check = sh(&format!(
        "sleep 600 & echo $$ $! >{0}.new; mv {0}.new {0}; wait",
        pids.display()
    ));
    // Given up as at a timeout, but not before there is somebody to kill.
    let look = look_for(&check, Duration::from_secs(600));
    let started = until("both run", async || pids.exists());
    tokio::select! {
        looked = look => panic!("it does not end: {looked:?}"),
        () = started => {}
    }
    let pids = std::fs::read_to_string(&pids).unwrap();
    let pids: Vec<&str> = pids.split_whitespace().collect();
    assert_eq!(pids.len(), 2);
    for pid in pids {
        let is_gone = async || match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
            Ok(stat) => stat.contains(") Z "),
            Err(_) => true,
        };
        until("it is killed", is_gone).await;
    }
}
