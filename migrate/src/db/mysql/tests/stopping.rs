//! What ends a statement before its end: locks, time, and whoever asks for it.

use super::*;

#[tokio::test]
async fn a_lock_that_is_not_had_in_time_can_be_tried_again() {
    let database = database().await;
    let mut target = database.target();
    target.lock_timeout = Duration::from_secs(1);
    let mut session = session(&target, &unique(&database, "one")).await;
    assert!(session.try_lock().await.expect("an answer"));
    session.fence().await.expect("no obstacle");
    session.begin(&key("r1")).await.expect("the ledger");
    let mut worker = session.worker().await.expect("a worker");
    let mut other = database.connect().await;
    execute(
        &mut other,
        "CREATE TABLE a (b INT PRIMARY KEY); INSERT INTO a VALUES (1)",
    )
    .await;
    for (version, sql, done) in [
        (1, "ALTER TABLE a ADD c INT", None),
        (2, "CREATE TABLE d (b INT); ALTER TABLE a ADD d INT", Some(1)),
        (3, "UPDATE a SET b = b + 1", None),
    ] {
        execute(&mut other, "START TRANSACTION; SELECT * FROM a FOR UPDATE").await;
        let file = migration(version, sql);
        let start = Instant::now();
        let answer = apply(&mut worker, &file, Mode::Run).await.0;
        assert!(
            matches!(&answer, Err(ApplyError::Locked(said)) if said.contains("1205")),
            "{sql}: {answer:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
        let seen = look(&mut session).await;
        let progress = seen.progress.first();
        assert_eq!(
            progress.map(|progress| (progress.done, progress.in_doubt)),
            done.map(|done| (done, false))
        );
        execute(&mut other, "ROLLBACK").await;
        // The state is certain, so the same run goes on.
        apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_on_the_server() {
    for (sql, done) in [
        ("DO SLEEP(60)", None),
        (
            "CREATE TABLE d (b INT); CREATE TABLE e AS SELECT SLEEP(60) AS s",
            Some(1),
        ),
    ] {
        let database = database().await;
        let mut other = database.connect().await;
        execute(&mut other, "CREATE TABLE a (b INT); INSERT INTO a VALUES (1)").await;
        let (mut session, worker) = working(&database).await;
        let handle = worker.handle();
        let task = spawn(worker, sql);
        until_it_runs(&database, "%SLEEP(60)%").await;
        let start = Instant::now();
        session.cancel(&handle).await.expect("to cancel");
        let (answer, mut worker) = task.await.expect("no panic");
        assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
        assert!(
            matches!(answer, Err(ApplyError::Cancelled(_))),
            "{sql}: {answer:?}"
        );
        let seen = look(&mut session).await;
        let progress = seen.progress.first();
        assert_eq!(
            progress.map(|progress| (progress.done, progress.in_doubt)),
            done.map(|done| (done, false))
        );
        assert_eq!(seen.applied.is_empty(), done.is_none(), "the next start is clean");
        let answer = apply(&mut worker, &migration(2, "SELECT 1"), Mode::Run).await.0;
        assert!(
            matches!(answer, Err(ApplyError::Cancelled(_))),
            "nothing after it: {answer:?}"
        );
        assert!(session.heartbeat().await.expect("an answer"));
    }
}

#[tokio::test]
async fn a_statement_has_its_time() {
    let database = database().await;
    let mut target = database.target();
    target.statement_timeout = Duration::from_millis(300);
    let mut session = session(&target, &unique(&database, "one")).await;
    assert!(session.try_lock().await.expect("an answer"));
    session.fence().await.expect("no obstacle");
    session.begin(&key("r1")).await.expect("the ledger");
    let mut worker = session.worker().await.expect("a worker");
    // The server's own limit, and what is done where there is none (MySQL).
    for ours in [false, true] {
        if ours {
            worker.time_statements_here().await;
        }
        let start = Instant::now();
        let error = failed(
            apply(
                &mut worker,
                &migration(1, "CREATE TABLE t AS SELECT SLEEP(60) AS s"),
                Mode::Run,
            )
            .await
            .0,
        );
        assert!(
            error.to_string().contains("statement_timeout, which is 0.3 s"),
            "{error}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
        let seen = look(&mut session).await;
        assert!(seen.applied.is_empty() && seen.progress.is_empty());
    }
    apply(&mut worker, &migration(1, "CREATE TABLE a (b INT)"), Mode::Run)
        .await
        .0
        .expect("applied");
}
