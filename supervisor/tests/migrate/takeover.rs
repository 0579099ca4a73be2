//! The one who migrates dies, freezes or is cut off.

use std::process::Command;
use std::time::{Duration, Instant};

use crate::lab::{Lab, Server, is_alive, psql, wait_until};

/// A dead holder is followed within this time.
const SOON: Duration = Duration::from_secs(2);

/// Says who began and who ended, each in a transaction of its own; sleeps until `go_on` has a row.
const SLEEPER: &str = "-- no-transaction
CREATE TABLE IF NOT EXISTS who (backend int, what text, at timestamptz DEFAULT clock_timestamp());
INSERT INTO who VALUES (pg_backend_pid(), 'begins');
SELECT pg_sleep(20) WHERE NOT EXISTS (SELECT FROM go_on);
INSERT INTO who VALUES (pg_backend_pid(), 'ends');
";

fn sleeping(url: &str) -> String {
    psql(
        url,
        "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND query LIKE '%pg_sleep(20)%' \
         AND pid <> pg_backend_pid()",
    )
}

#[test]
fn after_kill_the_next_ends_what_is_left_and_takes_over() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("takeover");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let first = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    let next = lab.start(&url, &[]);
    next.wait_for("waiting for the lock");
    psql(&url, "INSERT INTO go_on VALUES (1)");
    first.signal(libc::SIGKILL);
    let killed = Instant::now();
    next.wait_for("has the lock");
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    let next = next.end();
    assert_eq!(next.code, Some(0), "{}", next.said);
    assert!(
        next.said
            .contains("ended 1 database sessions that a dead run had left behind"),
        "{}",
        next.said
    );
    assert_eq!(sleeping(&url), "0");
    // The first began and never ended; the second went on behind what was done, so it never began anew.
    let who = psql(&url, "SELECT what, count(*) FROM who GROUP BY what ORDER BY what");
    assert_eq!(who, "begins|1\nends|1");
    let releases = psql(&url, "SELECT state FROM _runmate_releases ORDER BY started_at");
    assert_eq!(releases, "lost\ndone");
}

#[test]
fn a_frozen_one_keeps_its_lock_until_it_is_unlocked() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("frozen");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    lab.write("runmate.toml", "[migrate]\nwait = \"3s\"\n");
    let first = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    first.signal(libc::SIGSTOP);
    let next = lab.migrate(&url, &[]);
    assert_eq!(next.code, Some(75), "{}", next.said);
    assert!(next.said.contains("has held it for"), "{}", next.said);
    assert!(next.said.contains("runmate migrate unlock"), "{}", next.said);
    assert_eq!(sleeping(&url), "1");
    let unlock = lab.migrated(&url, &["unlock"]);
    assert!(unlock.said.contains("sessions ended"), "{}", unlock.said);
    psql(&url, "INSERT INTO go_on VALUES (1)");
    lab.migrated(&url, &[]);
    // It finds out as soon as it can, and says so.
    first.signal(libc::SIGCONT);
    let first = first.end();
    assert_eq!(first.code, Some(76), "{}", first.said);
    assert_eq!(psql(&url, "SELECT count(*) FROM who WHERE what = 'ends'"), "1");
}

#[test]
fn a_living_one_that_is_unlocked_says_that_it_lost_the_lock() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("unlocked");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let first = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    // Whoever waits is not ended with it, but gets its turn.
    let waiting: Vec<_> = (0..8).map(|_| lab.start(&url, &[])).collect();
    waiting
        .iter()
        .for_each(|run| run.wait_for("waiting for the lock"));
    psql(&url, "INSERT INTO go_on VALUES (1)");
    lab.migrated(&url, &["unlock"]);
    let first = first.end();
    assert_eq!(first.code, Some(76), "{}", first.said);
    for run in waiting {
        let ended = run.end();
        assert_eq!(ended.code, Some(0), "{}", ended.said);
    }
    assert_eq!(psql(&url, "SELECT count(*) FROM who WHERE what = 'ends'"), "1");
}

#[test]
fn who_loses_the_lock_stops() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("lost");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let first = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    let holder = "SELECT pg_terminate_backend(pid) FROM pg_locks WHERE locktype = 'advisory' LIMIT 1";
    assert_eq!(psql(&url, holder), "t");
    let first = first.end();
    assert_eq!(first.code, Some(76), "{}", first.said);
    assert!(first.said.contains("lock was lost"), "{}", first.said);
    // The statement does not outlive the one who ran it for long either.
    wait_until("an end of the statement", || {
        (sleeping(&url) == "0").then_some(())
    });
}

/// Writes its pid, has a child in its own group and one in a session of its own, and waits for both.
const FAMILY: &str = "echo $$ >> pids; sleep 60 & echo $! >> pids; setsid sleep 60 & echo $! >> pids; \
                      touch started; wait";

fn pids(lab: &Lab) -> Vec<i32> {
    lab.read("pids")
        .lines()
        .map(|pid| pid.parse().expect("a pid"))
        .collect()
}

#[test]
fn a_killed_ones_command_dies_with_all_it_started_before_the_next_begins() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("family");
    let first = lab.start(&url, &["--", "/bin/sh", "-c", FAMILY]);
    wait_until("the family", || lab.path("started").exists().then_some(()));
    let family = pids(&lab);
    assert_eq!(family.len(), 3);
    assert!(family.iter().all(|pid| is_alive(*pid)));
    let next = "for pid in $(cat pids); do kill -0 $pid 2>/dev/null && echo $pid >> alive; done; true";
    let next = lab.start(&url, &["--", "/bin/sh", "-c", next]);
    next.wait_for("waiting for the lock");
    first.signal(libc::SIGKILL);
    let killed = Instant::now();
    let next = next.end();
    assert!(killed.elapsed() < SOON, "{:?}", killed.elapsed());
    assert_eq!(next.code, Some(0), "{}", next.said);
    assert_eq!(lab.read("alive"), "");
    assert!(family.iter().all(|pid| !is_alive(*pid)));
}

#[test]
fn a_killed_ones_command_loses_its_database_sessions() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("sessions");
    let sleeper = "exec psql \"$DATABASE_URL\" -c 'SELECT pg_sleep(20)'";
    let first = lab.start(&url, &["--", "/bin/sh", "-c", sleeper]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    let named = psql(
        &url,
        "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND application_name LIKE 'runmate/%'",
    );
    assert_eq!(named, "1");
    first.signal(libc::SIGKILL);
    let killed = Instant::now();
    let next = lab.migrated(&url, &["--", "true"]);
    assert!(killed.elapsed() < SOON, "{:?} {}", killed.elapsed(), next.said);
    assert_eq!(sleeping(&url), "0");
}

#[test]
fn a_frozen_ones_command_is_ended_by_its_guard() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("guard");
    let first = lab.start(&url, &["--", "/bin/sh", "-c", FAMILY]);
    wait_until("the family", || lab.path("started").exists().then_some(()));
    let family = pids(&lab);
    first.signal(libc::SIGSTOP);
    // 15 s without a sign of life.
    wait_until("the end of the family", || {
        family.iter().all(|pid| !is_alive(*pid)).then_some(())
    });
    first.signal(libc::SIGCONT);
    let first = first.end();
    assert_eq!(first.code, Some(1), "{}", first.said);
    assert!(first.said.contains("no sign of life"), "{}", first.said);
}

/// A network namespace with one cable to this one.
struct Island {
    name: String,
    /// Our end of the cable.
    cable: String,
    /// The address of our end.
    address: String,
}

impl Island {
    fn new() -> Island {
        let id = std::process::id();
        let island = Island {
            name: format!("runmate-{id}"),
            cable: format!("rm{id}"),
            address: "10.213.77.1".to_owned(),
        };
        let (name, cable) = (&island.name, &island.cable);
        for words in [
            format!("netns add {name}"),
            format!("link add {cable} type veth peer name far netns {name}"),
            format!("addr add {}/30 dev {cable}", island.address),
            format!("link set {cable} up"),
            format!("-n {name} addr add 10.213.77.2/30 dev far"),
            format!("-n {name} link set far up"),
        ] {
            island.ip(&words);
        }
        island
    }

    fn ip(&self, words: &str) {
        let output = Command::new("ip")
            .args(words.split(' '))
            .output()
            .expect("ip(8) starts (as root)");
        assert!(
            output.status.success(),
            "ip {words}: {}",
            String::from_utf8_lossy(&output.stderr)
        );
    }

    fn cut(&self) {
        self.ip(&format!("link set {} down", self.cable));
    }
}

impl Drop for Island {
    fn drop(&mut self) {
        // The cable goes with it.
        let _ = Command::new("ip").args(["netns", "delete", &self.name]).status();
    }
}

#[test]
fn one_that_is_cut_off_stops_and_the_server_lets_the_next_in() {
    let (lab, island) = (Lab::new(), Island::new());
    let server = Server::start_on(&["127.0.0.1", &island.address]);
    let url = server.database("cut");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let far = url.replace("127.0.0.1", &island.address);
    let first = lab.start_in(&["ip", "netns", "exec", &island.name], &far, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    let next = lab.start(&url, &[]);
    next.wait_for("waiting for the lock");
    psql(&url, "INSERT INTO go_on VALUES (1)");
    island.cut();
    let cut = Instant::now();
    let first = first.end();
    assert_eq!(first.code, Some(76), "{}", first.said);
    let stopped = cut.elapsed();
    assert!(stopped < Duration::from_secs(10), "{stopped:?}");
    // The lock is given up by the server, and later than the first has stopped: never two at once.
    next.wait_for("has the lock");
    assert!(cut.elapsed() > stopped);
    assert!(cut.elapsed() < Duration::from_secs(40), "{:?}", cut.elapsed());
    let next = next.end();
    assert_eq!(next.code, Some(0), "{}", next.said);
    assert_eq!(sleeping(&url), "0");
}

#[test]
fn a_dead_one_is_not_shown_as_running() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("dead");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let run = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    let status = lab.migrated(&url, &["status"]);
    assert!(status.said.contains("\nrunning   run "), "{}", status.said);
    run.signal(libc::SIGKILL);
    assert_eq!(run.end().code, None);
    wait_until("a status that knows", || {
        let status = lab.migrated(&url, &["status"]);
        (!status.said.contains("running") && status.said.contains("\nlost ")).then_some(())
    });
}

#[test]
fn one_whose_database_goes_down_says_that_it_lost_the_lock() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("down");
    psql(&url, "CREATE TABLE go_on (id int)");
    lab.write("migrations/1_sleeper.sql", SLEEPER);
    let run = lab.start(&url, &[]);
    wait_until("the statement", || (sleeping(&url) == "1").then_some(()));
    drop(server);
    let ended = run.end();
    assert_eq!(ended.code, Some(76), "{}", ended.said);
}
