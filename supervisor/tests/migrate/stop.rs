//! SIGTERM in the middle.

use std::time::Duration;

use crate::lab::{Lab, Server, is_alive, psql, wait_until};

const SOON: Duration = Duration::from_secs(3);

fn sleeping(url: &str) -> bool {
    let count = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(30)%' \
                 AND pid <> pg_backend_pid()";
    psql(url, count) == "1"
}

#[test]
fn in_a_statement_it_is_cancelled_and_rolled_back() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("stop");
    lab.write(
        "migrations/1_a.sql",
        "CREATE TABLE a (id int);\nSELECT pg_sleep(30);\n",
    );
    for (signal, code) in [(libc::SIGTERM, 143), (libc::SIGINT, 130)] {
        let run = lab.start(&url, &[]);
        wait_until("the statement", || sleeping(&url).then_some(()));
        run.signal(signal);
        let sent = std::time::Instant::now();
        let ended = run.end();
        assert!(sent.elapsed() < SOON, "{:?}", sent.elapsed());
        assert_eq!(ended.code, Some(code), "{}", ended.said);
        assert!(!sleeping(&url), "the statement goes on");
        assert_eq!(psql(&url, "SELECT to_regclass('a') IS NULL"), "t");
        assert_eq!(
            psql(
                &url,
                "SELECT state FROM _runmate_releases ORDER BY started_at DESC LIMIT 1"
            ),
            "stopped"
        );
    }
    lab.write("migrations/1_a.sql", "CREATE TABLE a (id int);");
    let next = lab.migrated(&url, &[]);
    assert!(!next.said.contains("dead run"), "{}", next.said);
}

#[test]
fn while_waiting_for_the_lock_or_the_database() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("stop");
    lab.write("migrations/1_a.sql", "SELECT pg_sleep(30);");
    let holder = lab.start(&url, &[]);
    wait_until("the statement", || sleeping(&url).then_some(()));
    let waiter = lab.start(&url, &[]);
    waiter.wait_for("waiting for the lock");
    let alone = lab.start("postgres://app@127.0.0.1:1/app", &[]);
    alone.wait_for("waiting for the database");
    for run in [waiter, alone] {
        run.signal(libc::SIGTERM);
        let sent = std::time::Instant::now();
        let ended = run.end();
        assert_eq!(ended.code, Some(143), "{}", ended.said);
        assert!(sent.elapsed() < Duration::from_secs(1), "{:?}", sent.elapsed());
    }
    drop(holder);
}

#[test]
fn a_command_gets_it_and_then_its_grace() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("stop");
    let obeys = "trap 'echo bye >> words; exit 0' TERM; touch ready; while :; do sleep 0.05; done";
    let run = lab.start(&url, &["--", "/bin/sh", "-c", obeys]);
    wait_until("the command", || lab.path("ready").exists().then_some(()));
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert_eq!(ended.code, Some(143), "{}", ended.said);
    assert_eq!(lab.read("words"), "bye\n");

    std::fs::remove_file(lab.path("ready")).expect("remove");
    let defies = "trap '' TERM; echo $$ > pid; touch ready; while :; do sleep 0.05; done";
    let run = lab.start(&url, &["--", "/bin/sh", "-c", defies]);
    wait_until("the command", || lab.path("ready").exists().then_some(()));
    run.signal(libc::SIGTERM);
    let sent = std::time::Instant::now();
    let ended = run.end();
    assert_eq!(ended.code, Some(143), "{}", ended.said);
    // Eight seconds of grace, then no more.
    assert!(
        (7..12).contains(&sent.elapsed().as_secs()),
        "{:?}",
        sent.elapsed()
    );
    assert!(!is_alive(lab.read("pid").trim().parse().expect("a pid")));
}

#[test]
fn the_programs_of_a_line_for_the_shell_get_it_too() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("stop");
    // The shell itself dies of the signal at once; the program that does the work may not.
    let inner = "trap \"echo bye >> words; exit\" TERM; touch ready; while :; do sleep 0.05; done";
    let line = format!("/bin/sh -c '{inner}'; true");
    let run = lab.start(&url, &["--", "/bin/sh", "-c", &line]);
    wait_until("the command", || lab.path("ready").exists().then_some(()));
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert_eq!(ended.code, Some(143), "{}", ended.said);
    assert_eq!(lab.read("words"), "bye\n");
}

#[test]
fn it_ends_in_time_although_the_session_with_the_lock_does_not_answer() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("stop");
    lab.write("migrations/1_a.sql", "SELECT pg_sleep(30);\n");
    let run = lab.start(&url, &[]);
    wait_until("the statement", || sleeping(&url).then_some(()));
    let holder = psql(
        &url,
        "SELECT pid FROM pg_locks WHERE locktype = 'advisory' LIMIT 1",
    );
    let holder: i32 = holder.parse().expect("a pid");
    // SAFETY: no memory is involved; it is a process of this test's own server.
    unsafe { libc::kill(holder, libc::SIGSTOP) };
    run.signal(libc::SIGTERM);
    let sent = std::time::Instant::now();
    let ended = run.end();
    // SAFETY: as above.
    unsafe { libc::kill(holder, libc::SIGCONT) };
    assert!(sent.elapsed() < Duration::from_secs(9), "{:?}", sent.elapsed());
    assert!(matches!(ended.code, Some(143 | 76)), "{}", ended.said);
}
