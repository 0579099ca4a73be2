//! A person says how a half-done migration goes on.

use crate::lab::{Lab, Server, psql, wait_until};

#[test]
fn what_is_taken_as_applied_is_the_statement_in_question_and_no_other() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("repair");
    lab.write("runmate.toml", "[migrate]\nlock_timeout = \"300ms\"\n");
    psql(&url, "CREATE TABLE busy (id int)");
    lab.write(
        "migrations/1_a.sql",
        "-- no-transaction\nCREATE TABLE a (id int);\nALTER TABLE nowhere ADD COLUMN b int;\n\
         ALTER TABLE busy ADD COLUMN c int;\n",
    );
    let failed = lab.migrate(&url, &[]);
    assert_eq!(failed.code, Some(1), "{}", failed.said);
    assert!(failed.said.contains("statement 2 of 3"), "{}", failed.said);
    // The next one meets a lock, and is tried again until it is applied: it is not what the person spoke of.
    let script = "BEGIN; LOCK TABLE busy; SELECT pg_sleep(2); COMMIT";
    let mut locker = std::process::Command::new(crate::programs::find_program("psql"))
        .args(["--no-psqlrc", "-qAtX", "-c", script, &url])
        .stdout(std::process::Stdio::null())
        .spawn()
        .expect("psql starts");
    let locked = "SELECT count(*) FROM pg_locks WHERE relation = 'busy'::regclass AND mode = 'AccessExclusiveLock' \
                  AND granted";
    wait_until("the lock", || (psql(&url, locked) == "1").then_some(()));
    let repaired = lab.migrated(&url, &["repair", "--applied"]);
    assert!(repaired.said.contains("trying again"), "{}", repaired.said);
    locker.wait().expect("psql ends");
    let column =
        "SELECT count(*) FROM information_schema.columns WHERE table_name = 'busy' AND column_name = 'c'";
    assert_eq!(psql(&url, column), "1");
}
