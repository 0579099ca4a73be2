//! MySQL's ways, on a MariaDB: DDL commits by itself, so files are applied statement by statement.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::lab::{Ended, Lab, wait_until};
use crate::programs::find_program;

/// A MariaDB of a test's own, on 127.0.0.1; it ends, and its data with it, when dropped.
struct MariaDb {
    server: Child,
    port: u16,
    _dir: TempDir,
}

impl MariaDb {
    fn start() -> MariaDb {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let data = format!("--datadir={}", dir.path().join("data").display());
        let output = Command::new(find_program("mariadb-install-db"))
            .env("TMPDIR", dir.path())
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .args([&data, "--user=root"])
            .output()
            .expect("mariadb-install-db starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        // Somebody else may take the port in between.
        let started = (0..10).find_map(|_| {
            let port = crate::support::free_address().port();
            let mut server = Command::new(find_program("mariadbd"));
            server
                .args(["--no-defaults", "--user=root", "--bind-address=127.0.0.1", &data])
                .args([
                    format!("--port={port}"),
                    format!("--socket={}", dir.path().join("socket").display()),
                ])
                .args([
                    // A server that starts removes what it takes for its own old files, from the directory of all.
                    &format!("--tmpdir={}", dir.path().display()),
                    "--innodb-buffer-pool-size=32M",
                    "--innodb-flush-log-at-trx-commit=2",
                ])
                .args(["--max-connections=400"])
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::null());
            // SAFETY: the closure makes one system call.
            unsafe {
                server.pre_exec(|| {
                    libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                    Ok(())
                })
            };
            let mut server = server.spawn().expect("mariadbd starts");
            let listens = wait_until("MariaDB", || match server.try_wait().expect("wait") {
                Some(_) => Some(false),
                None => std::net::TcpStream::connect(("127.0.0.1", port))
                    .is_ok()
                    .then_some(true),
            });
            listens.then_some((server, port))
        });
        let (server, port) = started.expect("MariaDB starts on one of ten free ports");
        MariaDb {
            server,
            port,
            _dir: dir,
        }
    }

    fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    fn database(&self, name: &str) -> String {
        self.ask("mysql", &format!("CREATE DATABASE {name}"));
        self.url(name)
    }

    /// Runs SQL and gives what it answers, fields separated by a tab.
    fn ask(&self, database: &str, sql: &str) -> String {
        let output = Command::new(find_program("mariadb"))
            .args([
                "--no-defaults",
                "-u",
                "root",
                "-h",
                "127.0.0.1",
                "-P",
                &self.port.to_string(),
            ])
            .args(["-N", "-B", "-e", sql, database])
            .output()
            .expect("mariadb starts");
        assert!(
            output.status.success(),
            "{sql}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

#[test]
fn sixteen_on_mariadb() {
    let (lab, server) = (Lab::new(), MariaDb::start());
    lab.ten_migrations();
    for round in 0..crate::fleet::rounds() {
        let name = format!("round{round}");
        let url = server.database(&name);
        let all: Vec<_> = (0..16).map(|_| lab.start(&url, &[])).collect();
        let all: Vec<Ended> = all.into_iter().map(|running| running.end()).collect();
        for ended in &all {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
        assert_eq!(
            all.iter().filter(|ended| ended.said.contains("applied ")).count(),
            1
        );
        assert_eq!(
            server.ask(&name, "SELECT count(*), count(DISTINCT version) FROM log"),
            "10\t10"
        );
        assert_eq!(
            server.ask(&name, "SELECT count(*) FROM _sqlx_migrations WHERE success"),
            "10"
        );
        server.ask("mysql", &format!("DROP DATABASE {name}"));
    }
}

#[test]
fn the_second_of_two_statements_fails_and_repair_goes_on_there() {
    let (lab, server) = (Lab::new(), MariaDb::start());
    let url = server.database("dirty");
    lab.write(
        "migrations/1_a.sql",
        "CREATE TABLE a (id int);\n\nALTER TABLE aa ADD COLUMN b int;\n",
    );
    lab.write("migrations/2_b.sql", "CREATE TABLE b (id int);\n");
    let failed = lab.migrate(&url, &[]);
    assert_eq!(failed.code, Some(1), "{}", failed.said);
    for words in [
        "1_a.sql",
        "statement 2 of 2",
        "line 3",
        "ALTER TABLE aa",
        "1146",
        "migrate repair",
    ] {
        assert!(failed.said.contains(words), "{words} in {}", failed.said);
    }
    // Again it is refused, and says how to go on.
    let dirty = lab.migrate(&url, &[]);
    assert_eq!(dirty.code, Some(79), "{}", dirty.said);
    assert!(
        dirty.said.contains("1_a.sql") && dirty.said.contains("repair"),
        "{}",
        dirty.said
    );
    let status = lab.migrated(&url, &["status"]);
    assert!(
        status.said.contains("dirty") && status.said.contains("1_a.sql"),
        "{}",
        status.said
    );
    // As it is, it fails again; once the file is mended, the rest follows.
    let failed = lab.migrate(&url, &["repair"]);
    assert_eq!(failed.code, Some(1), "{}", failed.said);
    lab.write(
        "migrations/1_a.sql",
        "CREATE TABLE a (id int);\n\nALTER TABLE a ADD COLUMN b int;\n",
    );
    let repaired = lab.migrated(&url, &["repair"]);
    assert!(repaired.said.contains("applied 1_a.sql"), "{}", repaired.said);
    assert!(repaired.said.contains("applied 2_b.sql"), "{}", repaired.said);
    assert_eq!(server.ask("dirty", "SELECT count(*) FROM a WHERE b = 1"), "0");
    let again = lab.migrated(&url, &[]);
    assert!(again.said.contains("nothing to do"), "{}", again.said);
}

#[test]
fn after_kill_the_next_ends_what_is_left_and_says_what_is_in_doubt() {
    let (lab, server) = (Lab::new(), MariaDb::start());
    let url = server.database("killed");
    lab.write(
        "migrations/1_slow.sql",
        "CREATE TABLE a (id int);\nCREATE TABLE b AS SELECT SLEEP(30) AS slept;\n",
    );
    let first = lab.start(&url, &[]);
    let busy = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(30)%' \
                AND ID <> CONNECTION_ID()";
    wait_until("the statement", || {
        (server.ask("killed", busy) == "1").then_some(())
    });
    let next = lab.start(&url, &[]);
    next.wait_for("waiting for the lock");
    first.signal(libc::SIGKILL);
    let killed = Instant::now();
    let next = next.end();
    assert!(
        killed.elapsed() < Duration::from_secs(3),
        "{:?} {}",
        killed.elapsed(),
        next.said
    );
    assert_eq!(server.ask("killed", busy), "0");
    assert_eq!(next.code, Some(79), "{}", next.said);
    assert!(next.said.contains("statement 2"), "{}", next.said);
    lab.write(
        "migrations/1_slow.sql",
        "CREATE TABLE a (id int);\nCREATE TABLE b AS SELECT 1 AS slept;\n",
    );
    lab.migrated(&url, &["repair"]);
    assert_eq!(server.ask("killed", "SELECT slept FROM b"), "1");
}

#[test]
fn a_stop_cancels_the_statement_on_the_server() {
    let (lab, server) = (Lab::new(), MariaDb::start());
    let url = server.database("stop");
    lab.write(
        "migrations/1_slow.sql",
        "CREATE TABLE b AS SELECT COUNT(*) FROM seq_1_to_1000000 x, seq_1_to_1000000 y;\n",
    );
    let run = lab.start(&url, &[]);
    let busy = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%seq_1_to_1000000 y%' \
                AND ID <> CONNECTION_ID()";
    wait_until("the statement", || {
        (server.ask("stop", busy) == "1").then_some(())
    });
    run.signal(libc::SIGTERM);
    let ended = run.end();
    assert_eq!(ended.code, Some(143), "{}", ended.said);
    assert_eq!(server.ask("stop", busy), "0");
}

#[test]
fn one_whose_database_goes_down_says_that_it_lost_the_lock() {
    let (lab, server) = (Lab::new(), MariaDb::start());
    let url = server.database("down");
    lab.write(
        "migrations/1_slow.sql",
        "CREATE TABLE b AS SELECT SLEEP(30) AS slept;\n",
    );
    let run = lab.start(&url, &[]);
    let busy = "SELECT count(*) FROM information_schema.PROCESSLIST WHERE INFO LIKE '%SLEEP(30)%' \
                AND ID <> CONNECTION_ID()";
    wait_until("the statement", || {
        (server.ask("down", busy) == "1").then_some(())
    });
    drop(server);
    let ended = run.end();
    assert_eq!(ended.code, Some(76), "{}", ended.said);
}
