//! Older images, other line endings, and sqlx itself.

use std::process::Command;

use crate::lab::{Lab, Server, psql};

#[test]
fn an_older_image_starts_on_a_newer_schema() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("newer");
    lab.ten_migrations();
    lab.migrated(&url, &[]);
    for newer in ["09_t9.sql", "10_t10.sql"] {
        std::fs::remove_file(lab.path("migrations").join(newer)).expect("remove");
    }
    let older = lab.migrated(&url, &[]);
    assert!(!older.said.contains("applying"), "{}", older.said);
    let again = lab.migrated(&url, &[]);
    assert!(again.said.contains("nothing to do"), "{}", again.said);
    // One from the middle is another matter.
    std::fs::remove_file(lab.path("migrations/04_t4.sql")).expect("remove");
    let missing = lab.migrate(&url, &[]);
    assert_eq!(missing.code, Some(65), "{}", missing.said);
    assert!(missing.said.contains('4'), "{}", missing.said);
}

#[test]
fn line_endings_are_no_drift() {
    let lab = Lab::new();
    lab.ten_migrations();
    lab.migrated("sqlite:a.db", &[]);
    for entry in std::fs::read_dir(lab.path("migrations")).expect("a directory") {
        let path = entry.expect("an entry").path();
        let text = std::fs::read_to_string(&path).expect("read");
        std::fs::write(&path, text.replace('\n', "\r\n")).expect("write");
    }
    let again = lab.migrated("sqlite:a.db", &[]);
    assert!(again.said.contains("nothing to do"), "{}", again.said);
    lab.write("migrations/11_new.sql", "CREATE TABLE new (id int);\r\n");
    lab.migrated("sqlite:a.db", &[]);
}

/// sqlx-cli, installed by scripts/setup-tests.sh.
fn sqlx(lab: &Lab, url: &str, args: &[&str]) -> String {
    let cache = std::env::var("XDG_CACHE_HOME").unwrap_or_else(|_| {
        let home = std::env::var("HOME").unwrap_or_else(|_| "/root".to_owned());
        format!("{home}/.cache")
    });
    let program = format!("{cache}/runmate-tests/sqlx-cli/bin/sqlx");
    let output = Command::new(&program)
        .args(args)
        .args(["--source", "migrations", "--database-url", url])
        .current_dir(lab.path(""))
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; run scripts/setup-tests.sh, which installs it"));
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "sqlx {args:?}: {said}");
    said
}

#[test]
fn sqlx_and_runmate_take_turns() {
    let (lab, server) = (Lab::new(), Server::start());
    let postgres = server.database("turns");
    let sqlite = format!("sqlite://{}?mode=rwc", lab.path("turns.db").display());
    for url in [postgres.as_str(), &sqlite] {
        let _ = std::fs::remove_dir_all(lab.path("migrations"));
        lab.write("migrations/1_a.up.sql", "CREATE TABLE a (id int);");
        lab.write("migrations/1_a.down.sql", "DROP TABLE a;");
        lab.migrated(url, &[]);
        assert!(!sqlx(&lab, url, &["migrate", "run"]).contains("Applied"));
        lab.write("migrations/2_b.up.sql", "CREATE TABLE b (id int);");
        lab.write("migrations/2_b.down.sql", "DROP TABLE b;");
        assert!(sqlx(&lab, url, &["migrate", "run"]).contains("Applied 2"));
        let ours = lab.migrated(url, &[]);
        assert!(!ours.said.contains("applying"), "{}", ours.said);
        // What sqlx takes back is pending again, although the release was done.
        sqlx(&lab, url, &["migrate", "revert"]);
        let ours = lab.migrated(url, &[]);
        assert!(ours.said.contains("applied 2_b.up.sql"), "{}", ours.said);
        assert!(sqlx(&lab, url, &["migrate", "info"]).matches("installed").count() == 2);
    }
    assert_eq!(psql(&postgres, "SELECT count(*) FROM _sqlx_migrations"), "2");
}
