//! Many start at once: one migrates, all succeed.

use crate::lab::{Ended, Lab, Server, psql, wait_until};

/// How many containers start together.
const STARTS: usize = 16;

/// How often.
fn rounds() -> usize {
    let rounds = std::env::var("MIGRATE_ROUNDS")
        .ok()
        .and_then(|rounds| rounds.parse().ok());
    rounds.unwrap_or(20)
}

fn start_all(lab: &Lab, url: &str, count: usize, args: &[&str]) -> Vec<Ended> {
    let all: Vec<_> = (0..count).map(|_| lab.start(url, args)).collect();
    let all: Vec<Ended> = all.into_iter().map(|running| running.end()).collect();
    for ended in &all {
        assert_eq!(ended.code, Some(0), "{}", ended.said);
    }
    all
}

fn appliers(all: &[Ended]) -> usize {
    all.iter().filter(|ended| ended.said.contains("applied ")).count()
}

#[test]
fn sixteen_on_postgresql() {
    let (lab, server) = (Lab::new(), Server::start());
    lab.ten_migrations();
    for round in 0..rounds() {
        let url = server.database(&format!("round{round}"));
        let all = start_all(&lab, &url, STARTS, &[]);
        assert_eq!(appliers(&all), 1);
        assert_eq!(
            psql(&url, "SELECT count(*), count(DISTINCT version) FROM log"),
            "10|10"
        );
        assert_eq!(
            psql(&url, "SELECT count(*) FROM _sqlx_migrations WHERE success"),
            "10"
        );
        assert_eq!(
            psql(
                &url,
                "SELECT count(*) FROM _runmate_releases WHERE state = 'done'"
            ),
            "1"
        );
        // Nobody leaves anything behind, neither sessions nor locks.
        wait_until("no session left", || {
            let left = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runmate%'";
            (psql(&url, left) == "0").then_some(())
        });
        psql(&server.url("postgres"), &format!("DROP DATABASE round{round}"));
    }
}

#[test]
fn sixteen_with_an_index_built_concurrently() {
    let (lab, server) = (Lab::new(), Server::start());
    lab.ten_migrations();
    lab.write(
        "migrations/11_indexes.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY by_version ON log (version);\n\
         CREATE UNIQUE INDEX CONCURRENTLY once ON log (version);\n",
    );
    for round in 0..rounds() {
        let url = server.database(&format!("round{round}"));
        let all = start_all(&lab, &url, STARTS, &[]);
        assert_eq!(appliers(&all), 1);
        let valid = "SELECT count(*) FROM pg_index JOIN pg_class ON oid = indexrelid \
                     WHERE relname IN ('by_version', 'once') AND indisvalid";
        assert_eq!(psql(&url, valid), "2");
        assert_eq!(
            psql(&url, "SELECT count(*) FROM pg_index WHERE NOT indisvalid"),
            "0"
        );
        psql(&server.url("postgres"), &format!("DROP DATABASE round{round}"));
    }
}

#[test]
fn sixteen_on_sqlite() {
    let lab = Lab::new();
    lab.ten_migrations();
    for round in 0..rounds() {
        let url = format!("sqlite:round{round}.db");
        let all = start_all(&lab, &url, STARTS, &[]);
        assert_eq!(appliers(&all), 1);
        // Whatever was applied twice would have failed: the tables were there.
        let status = lab.migrated(&url, &["status"]);
        assert!(
            status.said.contains("applied   10, the newest is 10"),
            "{}",
            status.said
        );
    }
}

#[test]
fn sixty_four_on_postgresql() {
    let (lab, server) = (Lab::new(), Server::start());
    lab.ten_migrations();
    // Long enough that all of them are there while one works.
    lab.write("migrations/11_slow.sql", "SELECT pg_sleep(1.5);");
    let url = server.database("fleet");
    let all = start_all(&lab, &url, 64, &[]);
    assert_eq!(appliers(&all), 1);
    assert_eq!(
        psql(&url, "SELECT count(*), count(DISTINCT version) FROM log"),
        "10|10"
    );
}

#[test]
fn a_failure_is_shared_with_those_who_waited_and_a_later_start_tries_again() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("shared");
    lab.write(
        "migrations/1_a.sql",
        "SELECT pg_sleep(1.5);\nCREATE TABLE a (id int);\nSELECT 1/0;\n",
    );
    let all: Vec<_> = (0..4).map(|_| lab.start(&url, &[])).collect();
    let all: Vec<Ended> = all.into_iter().map(|running| running.end()).collect();
    let tried = |ended: &Ended| ended.said.contains("applying 1_a.sql");
    assert_eq!(all.iter().filter(|ended| tried(ended)).count(), 1);
    for ended in &all {
        assert_eq!(ended.code, Some(1), "{}", ended.said);
        assert!(ended.said.contains("division by zero"), "{}", ended.said);
        assert!(
            ended.said.contains("1_a.sql") && ended.said.contains("line 3"),
            "{}",
            ended.said
        );
    }
    assert_eq!(psql(&url, "SELECT to_regclass('a') IS NULL"), "t");
    let again = lab.migrate(&url, &[]);
    assert!(tried(&again), "{}", again.said);
    lab.write("migrations/1_a.sql", "CREATE TABLE a (id int);");
    lab.migrated(&url, &[]);
}
