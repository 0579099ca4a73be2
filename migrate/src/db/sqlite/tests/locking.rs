//! Who gets in, who has the lock, and what the ledger says.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

#[tokio::test]
async fn the_lock_is_had_once_and_trying_does_not_wait() {
    let place = Place::new();
    let mut first = place.holder("first").await;
    // Another name for the same file.
    let link = place.dir.path().join("link.db");
    std::os::unix::fs::symlink(place.file(), &link).expect("a link");
    let other = target(&link.display().to_string());
    let mut second = SqliteSession::connect(&other, &run("second"))
        .await
        .expect("a session");

    let start = Instant::now();
    assert!(!second.try_lock().await.expect("an answer"));
    assert!(start.elapsed() < Duration::from_secs(1));
    let holder = second
        .look(&key("r1"), false)
        .await
        .expect("a look")
        .holder
        .expect("a holder");
    assert_eq!((holder.run.as_str(), holder.release.as_str()), ("first", "r1"));
    assert_eq!(holder.host, "host of first");
    assert!(first.heartbeat().await.expect("an answer"));
    assert!(!second.heartbeat().await.expect("an answer"));

    first.close().await;
    assert!(place.lock_file().exists(), "a lock that is deleted is none");
    assert!(
        second
            .look(&key("r1"), false)
            .await
            .expect("a look")
            .holder
            .is_none()
    );
    assert!(second.try_lock().await.expect("an answer"));
    assert!(second.try_lock().await.expect("an answer"), "it is still ours");
}

#[tokio::test]
async fn a_lock_file_that_is_replaced_is_a_lock_that_is_lost() {
    let place = Place::new();
    let mut holder = place.holder("holder").await;
    fs::remove_file(place.lock_file()).expect("to remove it");
    assert!(!holder.heartbeat().await.expect("an answer"));
    let mut next = place.session("next").await;
    assert!(next.try_lock().await.expect("an answer"));
    assert!(!holder.heartbeat().await.expect("an answer"));
    assert!(next.heartbeat().await.expect("an answer"));
}

#[tokio::test]
async fn nobody_can_be_ended_so_the_process_is_named() {
    let place = Place::new();
    let holder = place.holder("holder").await;
    let mut other = place.session("other").await;
    let Err(SessionError::Final(error)) = other.end_holder().await else {
        panic!("it was ended");
    };
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("run holder of host of holder"),
        "{error}"
    );
    holder.close().await;
    assert_eq!(other.end_holder().await.expect("nobody"), Ended::default());
    assert!(other.try_lock().await.expect("it was given back"));
}

#[tokio::test]
async fn the_file_is_made_and_its_directory_is_not() {
    let place = Place::new();
    let mut session = place.session("one").await;
    assert!(place.file().exists());
    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert!(seen.applied.is_empty() && seen.progress.is_empty() && !seen.done && seen.now > 0);
    assert!(session.releases(10).await.expect("none").is_empty());

    let missing = target(&place.dir.path().join("no/such/app.db").display().to_string());
    let error = refused(SqliteSession::connect(&missing, &run("one")).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("/no/such of the SQLite database"),
        "{error}"
    );
    assert!(error.to_string().ends_with("does not exist"), "{error}");

    let dir = target(&place.dir.path().display().to_string());
    assert_eq!(
        refused(SqliteSession::connect(&dir, &run("one")).await).kind(),
        ErrorKind::Config
    );
    let only = target(&format!("{}?mode=ro", place.file().display()));
    let error = refused(SqliteSession::connect(&only, &run("one")).await);
    assert!(error.to_string().contains("says read-only"), "{error}");
    fs::write(
        place.file(),
        "this is no database at all, but long enough to be looked at as one".repeat(20),
    )
    .expect("to write");
    let error = refused(SqliteSession::connect(&place.target(), &run("one")).await);
    assert_eq!(error.kind(), ErrorKind::Config, "{error}");
}

/// Root may write everywhere, so the tests for what is not writable run as nobody, in a process of their own.
#[tokio::test]
async fn what_is_not_writable_is_denied() {
    const AS_NOBODY: &str = "RUNMATE_TEST_AS_NOBODY";
    // SAFETY: no arguments, no memory.
    let root = unsafe { libc::geteuid() } == 0;
    if root {
        use std::os::unix::process::CommandExt;
        let dir = TempDir::new().expect("a directory");
        fs::set_permissions(dir.path(), fs::Permissions::from_mode(0o755)).expect("to open it");
        // The test program may lie where nobody may go.
        let program = dir.path().join("test");
        fs::copy(std::env::current_exe().expect("a path"), &program).expect("to copy");
        let own = dir.path().join("own");
        fs::create_dir(&own).expect("a directory");
        std::os::unix::fs::chown(&own, Some(65534), Some(65534)).expect("to give it away");
        let name = "db::sqlite::tests::locking::what_is_not_writable_is_denied";
        let output = std::process::Command::new(&program)
            .args(["--exact", name, "--nocapture"])
            .env(AS_NOBODY, "1")
            .env("TMPDIR", &own)
            .current_dir(&own)
            .gid(65534)
            .uid(65534)
            .output()
            .expect("to start");
        let text = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success() && text.contains("1 passed"), "{text}");
        return;
    }
    let place = Place::new();
    place.holder("one").await.close().await;
    let allow =
        |path: PathBuf, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("to set it");
    for (path, closed, open) in [
        (place.file(), 0o444, 0o644),
        (place.dir.path().to_owned(), 0o555, 0o755),
    ] {
        allow(path.clone(), closed);
        let error = refused(SqliteSession::connect(&place.target(), &run("one")).await);
        assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
        assert!(error.to_string().contains(&path.display().to_string()), "{error}");
        assert!(error.remedy().is_some());
        can_be_asked(&place).await;
        allow(path, open);
    }
    // With a write-ahead log SQLite wants to make files beside it even to read.
    let mut writer = place.connect().await;
    sqlx::raw_sql("PRAGMA journal_mode = WAL")
        .execute(&mut writer)
        .await
        .expect("a setting");
    sqlx::Connection::close(writer).await.expect("to close");
    allow(place.dir.path().to_owned(), 0o555);
    can_be_asked(&place).await;
    allow(place.dir.path().to_owned(), 0o755);
}

async fn can_be_asked(place: &Place) {
    let mut target = place.target();
    target.read_only = true;
    let mut session = SqliteSession::connect(&target, &run("status"))
        .await
        .expect("a session");
    session.look(&key("r1"), true).await.expect("a look");
    assert_eq!(session.releases(10).await.expect("releases").len(), 1);
    session.close().await;
}

#[tokio::test]
async fn the_ledger_tells_what_became_of_runs() {
    let place = Place::new();
    place.holder("lost").await.close().await;
    let mut failed = place.holder("failed").await;
    let detail = "x".repeat(20_000);
    let ending = Ending::Failed {
        exit_code: 65,
        detail: &detail,
    };
    failed.finish(ending).await.expect("the ledger");
    failed.close().await;

    let mut session = place.session("look").await;
    let seen = session.look(&key("r1"), false).await.expect("a look");
    assert!(!seen.done);
    let failure = seen.failure.expect("a failure");
    assert_eq!((failure.run.as_str(), failure.exit_code), ("failed", 65));
    assert!(failure.ended <= seen.now && failure.ended > seen.now - 60_000_000);
    assert_eq!(failure.detail.len(), 16_000);

    let mut done = place.holder("done").await;
    done.finish(Ending::Done).await.expect("the ledger");
    done.close().await;
    assert!(session.look(&key("r1"), false).await.expect("a look").done);
    let mut other = key("r1");
    other.fingerprint = "other".to_owned();
    assert!(!session.look(&other, false).await.expect("a look").done);
    let releases = session.releases(10).await.expect("releases");
    let states: Vec<_> = releases
        .iter()
        .map(|release| (release.run.as_str(), release.state.as_str()))
        .collect();
    assert_eq!(states, [("done", "done"), ("failed", "failed"), ("lost", "lost")]);
    assert!(releases[0].took.is_some() && releases[2].took.is_none());
}

#[tokio::test]
async fn the_ledger_stays_small() {
    let place = Place::new();
    place.holder("first").await.close().await;
    let mut connection = place.connect().await;
    sqlx::raw_sql(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 600)
        INSERT INTO _runmate_releases (run, \"release\", fingerprint, what, state, host, started_at)
            SELECT 'old' || i, 'r', 'f', 'w', 'done', 'h', i FROM n",
    )
    .execute(&mut connection)
    .await
    .expect("rows");
    place.holder("second").await.close().await;
    assert_eq!(place.ask("SELECT count(*) FROM _runmate_releases").await, 500);
    assert_eq!(
        place
            .ask("SELECT count(*) FROM _runmate_releases WHERE run IN ('first', 'second')")
            .await,
        2
    );
}

#[tokio::test]
async fn a_question_makes_no_file() {
    let place = Place::new();
    for options in ["", "?mode=rwc", "?mode=ro"] {
        let mut target = target(&format!("{}{options}", place.file().display()));
        target.read_only = true;
        let mut session = SqliteSession::connect(&target, &run("status"))
            .await
            .expect("a session");
        let seen = session.look(&key("r1"), true).await.expect("a look");
        assert!(seen.applied.is_empty() && seen.progress.is_empty() && seen.holder.is_none());
        assert!(session.releases(10).await.expect("none").is_empty());
        session.close().await;
        let entries = fs::read_dir(place.dir.path()).expect("the directory");
        assert_eq!(entries.count(), 0, "{options}");
    }
}

#[tokio::test]
async fn tables_for_files_are_made_only_for_files() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let tables = "SELECT count(*) FROM sqlite_master WHERE type = 'table'";
    assert_eq!(place.ask(tables).await, 1);
    session.worker().await.expect("a worker").close().await;
    assert_eq!(place.ask(tables).await, 3);
}

/// A waiter is not kept waiting by a large transaction of the holder.
#[tokio::test]
async fn whoever_waits_can_look_while_the_database_is_locked() {
    let place = Place::new();
    let mut holder = place.holder("holder").await;
    let mut other = place.connect().await;
    sqlx::raw_sql("BEGIN EXCLUSIVE")
        .execute(&mut other)
        .await
        .expect("a lock");
    let mut waiter = place.session("waiter").await;
    let seen = waiter.look(&key("r1"), false).await.expect("a look");
    assert_eq!(seen.holder.expect("a holder").run, "holder");
    assert!(!waiter.try_lock().await.expect("an answer"));
    let seen = waiter.look(&key("r1"), true).await.expect("a look");
    assert!(seen.applied.is_empty() && seen.now > 0);
    assert_eq!(seen.holder.expect("a holder").run, "holder");
    // Whoever decides something by it, or shows it to people, does not take that for the truth.
    let mut target = place.target();
    target.read_only = true;
    let mut status = SqliteSession::connect(&target, &run("status"))
        .await
        .expect("a session");
    for session in [&mut status, &mut holder] {
        let answer = session.look(&key("r1"), true).await;
        assert!(matches!(answer, Err(SessionError::Transient(_))), "{answer:?}");
    }
    holder.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_starts_migrate_once() {
    let place = Place::new();
    crate::testing::start_sixteen(&place.target().url).await;
    assert_eq!(place.ask("SELECT count(*) FROM ran").await, 10);
}
