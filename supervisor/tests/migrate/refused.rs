//! Databases that cannot be migrated safely, and mistakes.

use crate::lab::{Lab, Server, psql};

#[test]
fn a_session_that_is_read_only() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("replica");
    psql(
        &url,
        "ALTER DATABASE replica SET default_transaction_read_only = on",
    );
    lab.ten_migrations();
    let ended = lab.migrate(&url, &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(ended.said.contains("read-only"), "{}", ended.said);
    assert!(ended.said.contains("MIGRATE_DATABASE_URL"), "{}", ended.said);
}

#[test]
fn passwords_and_databases_that_are_wrong_are_named_and_not_waited_for() {
    let (lab, server) = (Lab::new(), Server::start());
    lab.ten_migrations();
    let wrong = server.url("postgres").replace("p%40ss", "wrongpass");
    let ended = lab.migrate(&wrong, &[]);
    assert_eq!(ended.code, Some(77), "{}", ended.said);
    assert!(!ended.said.contains("wrongpass"), "{}", ended.said);
    let ended = lab.migrate(&server.url("nosuch"), &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(ended.said.contains("nosuch"), "{}", ended.said);
    lab.write("runmate.toml", "[migrate]\ncreate = true\n");
    lab.migrated(&server.url("nosuch"), &[]);
    assert_eq!(psql(&server.url("nosuch"), "SELECT count(*) FROM log"), "10");
}

#[test]
fn directories_and_urls_that_are_wrong() {
    let lab = Lab::new();
    let ended = lab.migrate("sqlite:a.db", &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(
        ended.said.contains("migrations") && ended.said.contains("--dir"),
        "{}",
        ended.said
    );
    lab.ten_migrations();
    let ended = lab.migrate("oracle://app:hunter2@db.example.com/app", &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(!ended.said.contains("hunter2"), "{}", ended.said);
    let ended = lab.migrate("", &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(ended.said.contains("DATABASE_URL"), "{}", ended.said);
    let ended = lab.migrate("sqlite:a.db", &["--dir", "migrations", "--", "true"]);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    let ended = lab.migrate("sqlite:a.db", &["run", "--applied"]);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
    let ended = lab.migrate("postgres://app:hunter/2@db.example.com/app", &[]);
    assert_eq!(ended.code, Some(78), "{}", ended.said);
    assert!(
        !ended.said.contains("hunter") && ended.said.contains("percent-encoded"),
        "{}",
        ended.said
    );
    let ended = lab.migrate("sqlite:a.db", &["forward"]);
    assert_eq!(ended.code, Some(64), "{}", ended.said);
}

#[test]
fn drift_is_told_and_nothing_is_done() {
    let lab = Lab::new();
    lab.ten_migrations();
    lab.migrated("sqlite:a.db", &[]);
    lab.write("migrations/03_t3.sql", "CREATE TABLE changed (id int);");
    lab.write("migrations/11_new.sql", "CREATE TABLE new (id int);");
    for word in ["run", "plan"] {
        let ended = lab.migrate("sqlite:a.db", &[word]);
        assert_eq!(ended.code, Some(65), "{}", ended.said);
        assert!(ended.said.contains("03_t3.sql"), "{}", ended.said);
        assert!(!ended.said.contains("applying"), "{}", ended.said);
    }
    let status = lab.migrated("sqlite:a.db", &["status"]);
    assert!(status.said.contains("drift"), "{}", status.said);
}
