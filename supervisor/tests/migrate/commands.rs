//! Any command instead of SQL files.

use crate::lab::{Ended, Lab, Server, psql};

/// Fails if another one runs at the same time; says that it ran.
const ALONE: &str = "mkdir busy || exit 9; echo ran >> ran; sleep 0.05; rmdir busy";

fn runs(lab: &Lab) -> usize {
    lab.read("ran").lines().count()
}

#[test]
fn without_release_or_inputs_every_start_runs_it_one_at_a_time() {
    let (lab, server) = (Lab::new(), Server::start());
    for url in [server.database("every"), "sqlite:every.db".to_owned()] {
        lab.write("ran", "");
        let all: Vec<_> = (0..8)
            .map(|_| lab.start(&url, &["--", "/bin/sh", "-c", ALONE]))
            .collect();
        let all: Vec<Ended> = all.into_iter().map(|running| running.end()).collect();
        for ended in &all {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
        assert_eq!(runs(&lab), 8);
    }
}

#[test]
fn with_a_release_it_runs_once_for_each() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("release");
    for release in ["a", "a", "b", "b", "a"] {
        let all: Vec<_> = (0..4)
            .map(|_| lab.start(&url, &["--release", release, "--", "/bin/sh", "-c", ALONE]))
            .collect();
        for running in all {
            let ended = running.end();
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
    }
    assert_eq!(runs(&lab), 2);
    assert_eq!(
        psql(&url, "SELECT release FROM _runmate_releases ORDER BY started_at"),
        "a\nb"
    );
}

#[test]
fn with_inputs_it_runs_when_they_change() {
    let lab = Lab::new();
    let args = ["--input", "db", "--", "/bin/sh", "-c", ALONE];
    for (text, expected) in [("one", 1), ("one", 1), ("two", 2), ("two", 2), ("one", 2)] {
        lab.write("db/migrate/1.rb", text);
        lab.migrated("sqlite:a.db", &args);
        assert_eq!(runs(&lab), expected, "{text}");
    }
    lab.write("db/migrate/2.rb", "");
    lab.migrated("sqlite:a.db", &args);
    assert_eq!(runs(&lab), 3);
}

#[test]
fn a_failure_names_the_command_and_its_code_and_the_next_start_runs_it_again() {
    let lab = Lab::new();
    let args = ["--release", "a", "--", "/bin/sh", "-c", "echo ran >> ran; exit 7"];
    for times in 1..=2 {
        let ended = lab.migrate("sqlite:a.db", &args);
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(
            ended.said.contains("/bin/sh exited with code 7"),
            "{}",
            ended.said
        );
        assert_eq!(runs(&lab), times);
    }
    let ended = lab.migrate("sqlite:a.db", &["--", "nosuchprogram"]);
    assert_eq!(ended.code, Some(1), "{}", ended.said);
    assert!(ended.said.contains("nosuchprogram"), "{}", ended.said);
    let ended = lab.migrate("sqlite:a.db", &["--", "/bin/sh", "-c", "kill -SEGV $$"]);
    assert!(ended.said.contains("died of signal 11"), "{}", ended.said);
}

#[test]
fn what_it_leaves_running_is_ended() {
    let lab = Lab::new();
    lab.migrated(
        "sqlite:a.db",
        &["--", "/bin/sh", "-c", "setsid sleep 60 & echo $! > pid"],
    );
    let pid = lab.read("pid").trim().parse().expect("a pid");
    assert!(!crate::lab::is_alive(pid));
}

#[test]
fn json_stays_json_whatever_the_command_prints() {
    let lab = Lab::new();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runmate"))
        .args([
            "migrate",
            "--json",
            "--database-url",
            "sqlite:a.db",
            "--",
            "/bin/sh",
            "-c",
            "printf 'no end'",
        ])
        .current_dir(lab.path(""))
        .output()
        .expect("runmate starts");
    assert!(output.status.success());
    let lines = String::from_utf8(output.stdout).expect("text");
    let events: Vec<_> = lines
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).expect(line)["event"].clone())
        .collect();
    assert_eq!(events, ["locked", "command_started", "done"]);
    assert_eq!(String::from_utf8_lossy(&output.stderr), "no end");
}
