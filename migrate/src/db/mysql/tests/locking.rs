//! The lock, what the dead left behind, and the ledger.

use super::*;

#[tokio::test]
async fn the_lock_is_had_once_and_trying_does_not_wait() {
    let database = database().await;
    let mut first = holder(&database, "first").await;
    let mut second = session(&database.target(), "second").await;
    let start = Instant::now();
    for _ in 0..10 {
        assert!(!second.try_lock().await.expect("an answer"));
    }
    assert!(start.elapsed() < Duration::from_secs(1));
    let seen = second.look(&key("r1"), false).await.expect("a look");
    let who = seen.holder.expect("a holder");
    assert_eq!(
        (who.run, who.release.as_str()),
        (unique(&database, "first"), "r1")
    );
    assert!(who.held < Duration::from_secs(60));
    assert!(first.heartbeat().await.expect("an answer"));
    assert!(!second.heartbeat().await.expect("an answer"));
    assert!(first.try_lock().await.expect("an answer"), "it is still ours");

    first.close().await;
    assert!(second.try_lock().await.expect("an answer"));
    // Another database of the same server has another lock.
    holder(&super::database().await, "other").await;
}

#[tokio::test]
async fn sqlx_cli_is_kept_out_and_keeps_out() {
    let database = database().await;
    let mut other = database.connect().await;
    let name = names::sqlx_lock(&database.name);
    assert_eq!(ask(&mut other, &format!("GET_LOCK('{name}', 0)")).await, 1);
    let mut session = session(&database.target(), &unique(&database, "one")).await;
    assert!(!session.try_lock().await.expect("an answer"));
    let ours = names::lock(&database.name);
    let free = format!("IS_FREE_LOCK('{ours}')");
    assert_eq!(ask(&mut other, &free).await, 1, "the first was given back");
    assert_eq!(ask(&mut other, &format!("RELEASE_LOCK('{name}')")).await, 1);
    assert!(session.try_lock().await.expect("an answer"));
    assert_eq!(ask(&mut other, &format!("GET_LOCK('{name}', 0)")).await, 0);
    session.close().await;
    assert_eq!(ask(&mut other, &format!("GET_LOCK('{name}', 0)")).await, 1);
    assert_eq!(ask(&mut other, &free).await, 1);
}

#[tokio::test]
async fn a_lock_that_was_ended_is_lost() {
    let database = database().await;
    let mut holder = holder(&database, "one").await;
    let mut other = database.connect().await;
    let owner = format!("IS_USED_LOCK('{}')", names::lock(&database.name));
    let id = ask(&mut other, &owner).await;
    execute(&mut other, &format!("KILL {id}")).await;
    until("it is gone", async || {
        ask(&mut other, &format!("COALESCE({owner}, 0)")).await == 0
    })
    .await;
    assert!(!holder.heartbeat().await.expect("an answer"));
    assert!(holder.worker().await.is_err(), "no work without the lock");
}

/// The client is gone, and the server goes on with its statement, as after kill -9.
#[tokio::test]
async fn what_the_dead_left_running_is_ended_first() {
    for slow in [
        "DO SLEEP(60)",
        "INSERT INTO slow SELECT SLEEP(60)",
        "CREATE TABLE other AS SELECT SLEEP(60) AS s",
        "ALTER TABLE slow ADD c INT COMMENT 'SLEEP(60)'",
    ] {
        let database = database().await;
        let mut other = database.connect().await;
        execute(
            &mut other,
            "CREATE TABLE slow (b INT); INSERT INTO slow VALUES (1)",
        )
        .await;
        if slow.starts_with("ALTER") {
            // It waits for this.
            execute(&mut other, "START TRANSACTION; SELECT * FROM slow").await;
        }
        let (session, worker) = working(&database).await;
        let task = spawn(worker, slow);
        until_it_runs(&database, "%SLEEP(60)%").await;
        task.abort();
        assert!(task.await.is_err(), "nobody waits for it any more");
        drop(session);

        let start = Instant::now();
        let mut next = super::session(&database.target(), &unique(&database, "next")).await;
        until("the lock is free", async || {
            next.try_lock().await.expect("an answer")
        })
        .await;
        let ended = next.fence().await.expect("no obstacle");
        assert!(
            start.elapsed() < Duration::from_secs(2),
            "{slow}: {:?}",
            start.elapsed()
        );
        assert_eq!(ended.sessions, 1, "{slow}");
        assert_eq!(ended.runs, [unique(&database, "one")]);
        let running = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND INFO LIKE '%SLEEP(60)%'
                AND ID <> CONNECTION_ID()",
            database.name
        );
        assert_eq!(ask(&mut other, &running).await, 0, "{slow}");
        next.begin(&key("r1")).await.expect("the ledger");
        let releases = next.releases(10).await.expect("releases");
        assert_eq!(releases[1].state, "lost");
        assert_eq!(next.fence().await.expect("nobody left"), Ended::default());
    }
}

/// A run that gave up waiting for its worker, or whose worker's connection broke, says how it ended and gives the
/// lock back, while the server goes on with the statement.
#[tokio::test]
async fn what_a_run_that_has_ended_left_running_is_ended_first() {
    let failed = Ending::Failed {
        exit_code: 65,
        detail: "reset",
    };
    for ending in [Ending::Stopped, failed] {
        let database = database().await;
        let (mut session, worker) = working(&database).await;
        let task = spawn(worker, "CREATE TABLE other AS SELECT SLEEP(60) AS s");
        until_it_runs(&database, "%SLEEP(60)%").await;
        task.abort();
        assert!(task.await.is_err(), "nobody waits for it any more");
        session.finish(ending).await.expect("the ledger");
        session.close().await;

        let mut next = super::session(&database.target(), &unique(&database, "next")).await;
        assert!(next.try_lock().await.expect("an answer"));
        let ended = next.fence().await.expect("no obstacle");
        assert_eq!((ended.sessions, ended.runs), (1, vec![unique(&database, "one")]));
        let running = format!(
            "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE DB = '{}' AND INFO LIKE '%SLEEP(60)%'
                AND ID <> CONNECTION_ID()",
            database.name
        );
        assert_eq!(ask(&mut database.connect().await, &running).await, 0);
        assert_eq!(next.fence().await.expect("nobody left"), Ended::default());
    }
}

/// Undoing a large transaction takes as long as doing it: whoever waits for its turn goes on waiting.
#[tokio::test]
async fn what_takes_long_to_undo_is_waited_for() {
    let database = database().await;
    holder(&database, "one").await.close().await;
    let mut large = database.connect().await;
    let [lock, _] = names::work_locks(&unique(&database, "one"));
    assert_eq!(ask(&mut large, &format!("GET_LOCK('{lock}', 0)")).await, 1);
    let id = ask(&mut large, "CONNECTION_ID()").await;
    execute(
        &mut large,
        "CREATE TABLE a (b INT); START TRANSACTION; INSERT INTO a SELECT seq FROM seq_1_to_400000",
    )
    .await;
    let mut next = session(&database.target(), &unique(&database, "next")).await;
    assert!(next.try_lock().await.expect("an answer"));
    next.wait_for_nobody();
    match next.fence().await {
        Err(SessionError::Transient(cause)) => {
            assert!(
                cause.contains(&format!("connection {id} of another run")),
                "{cause}"
            );
        }
        other => panic!("it is not waited for: {other:?}"),
    }
    until("it is gone", async || next.fence().await.is_ok()).await;
}

#[tokio::test]
async fn the_holder_can_be_ended() {
    let database = database().await;
    let mut other = session(&database.target(), "other").await;
    assert_eq!(other.end_holder().await.expect("nobody"), Ended::default());
    let (mut session, worker) = working(&database).await;
    let ended = other.end_holder().await.expect("somebody");
    assert_eq!((ended.sessions, ended.runs), (2, vec![unique(&database, "one")]));
    assert!(!session.heartbeat().await.expect("an answer"));
    assert!(matches!(
        spawn(worker, "SELECT 1").await.expect("no panic").0,
        Err(ApplyError::Cancelled(_))
    ));
    assert!(other.try_lock().await.expect("an answer"));
}

#[tokio::test]
async fn tables_for_files_are_made_only_for_files() {
    let database = database().await;
    let mut other = database.connect().await;
    let tables = "SELECT COUNT(*) FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()";
    let mut session = holder(&database, "one").await;
    assert_eq!(ask(&mut other, tables).await, 1);
    session.worker().await.expect("a worker").close().await;
    assert_eq!(ask(&mut other, tables).await, 3);
}

/// Whoever is frozen or cut off says nothing.
#[tokio::test]
async fn a_holder_that_says_nothing_loses_the_lock() {
    let database = database().await;
    let silence = Duration::from_secs(1);
    let mut silent = database.connect().await;
    connect::greet(&mut silent, silence, "it")
        .await
        .expect("an answer");
    let lock = literal(&names::lock(&database.name));
    assert_eq!(ask(&mut silent, &format!("GET_LOCK({lock}, 0)")).await, 1);
    let mut next = session(&database.target(), &unique(&database, "next")).await;
    assert!(!next.try_lock().await.expect("an answer"));
    until("the lock is free", async || {
        next.try_lock().await.expect("an answer")
    })
    .await;
    assert_eq!(session::SILENCE, Duration::from_secs(30));
}

#[tokio::test]
async fn the_ledger_tells_what_became_of_runs() {
    let database = database().await;
    let mut look = session(&database.target(), "look").await;
    let seen = look.look(&key("r1"), true).await.expect("no tables yet");
    assert!(seen.now > 1_700_000_000_000_000 && !seen.done && seen.holder.is_none());
    assert!(look.releases(10).await.expect("none").is_empty());

    let mut lost = holder(&database, "lost").await;
    lost.worker().await.expect("a worker").close().await;
    lost.close().await;
    let mut broken = holder(&database, "broken").await;
    let detail = "it isn't \\ 'ä' ".repeat(2000);
    let ending = Ending::Failed {
        exit_code: 65,
        detail: &detail,
    };
    broken.finish(ending).await.expect("the ledger");
    broken.close().await;
    let seen = look.look(&key("r1"), false).await.expect("a look");
    assert!(!seen.done && seen.holder.is_none());
    let failure = seen.failure.expect("a failure");
    assert_eq!(
        (failure.run, failure.exit_code),
        (unique(&database, "broken"), 65)
    );
    assert!(failure.ended <= seen.now && failure.ended > seen.now - 60_000_000);
    assert_eq!(failure.detail, detail.chars().take(16_000).collect::<String>());

    let mut done = holder(&database, "done").await;
    done.finish(Ending::Done).await.expect("the ledger");
    done.close().await;
    assert!(look.look(&key("r1"), false).await.expect("a look").done);
    assert!(
        !look.look(&key("R1"), false).await.expect("a look").done,
        "case counts"
    );
    let releases = look.releases(10).await.expect("releases");
    let states: Vec<_> = releases.iter().map(|release| release.state.as_str()).collect();
    assert_eq!(states, ["done", "failed", "lost"]);
    assert!(releases[0].took.is_some() && releases[2].took.is_none());
}

#[tokio::test]
async fn the_ledger_stays_small() {
    let database = database().await;
    holder(&database, "first").await.close().await;
    let mut other = database.connect().await;
    execute(
        &mut other,
        "INSERT INTO _runmate_releases (run, `release`, fingerprint, what, state, host, started_at)
            SELECT CONCAT('old', seq), 'r', 'f', 'w', 'done', 'h', FROM_UNIXTIME(seq) FROM seq_1_to_600",
    )
    .await;
    holder(&database, "second").await.close().await;
    assert_eq!(
        ask(&mut other, "SELECT COUNT(*) FROM _runmate_releases").await,
        500
    );
    let kept = "SELECT COUNT(*) FROM _runmate_releases WHERE run LIKE '%first' OR run LIKE '%second'";
    assert_eq!(ask(&mut other, kept).await, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn sixteen_starts_migrate_once() {
    let database = database().await;
    crate::testing::start_sixteen(&database.url).await;
    assert_eq!(
        ask(&mut database.connect().await, "SELECT COUNT(*) FROM ran").await,
        10
    );
}
