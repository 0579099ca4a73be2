//! Migrations as a whole and in steps.

use super::*;

/// Endless, but for whoever ends it.
const SLOW: &str = "CREATE TABLE slow AS WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i FROM n WHERE i < 0";

#[tokio::test]
async fn a_file_is_applied_whole_or_not_at_all() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let good = migration(1, "CREATE TABLE a (b INT);\nINSERT INTO a VALUES (1), (2);");
    apply(&mut worker, &good, Mode::Run).await.0.expect("applied");
    let bad = migration(
        2,
        "INSERT INTO a VALUES (3);\n-- then\nINSERT INTO nowhere VALUES (1);\nSELECT 1",
    );
    let error = failed(apply(&mut worker, &bad, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(
        error.to_string(),
        "cannot apply 2_step_2.sql: statement 2 of 3 (line 3: INSERT INTO nowhere VALUES (1)) failed: no such \
         table: nowhere (code 1); nothing of the file is applied"
    );
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 2);

    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert_eq!(seen.applied.len(), 1);
    let row = &seen.applied[0];
    assert!(row.success && row.version == 1 && row.description == "step 1" && row.checksum == good.checksum);
    assert!(seen.progress.is_empty());
    let fixed = migration(2, "INSERT INTO a VALUES (3)");
    apply(&mut worker, &fixed, Mode::Run).await.0.expect("applied");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 3);
}

#[tokio::test]
async fn a_file_that_ends_the_transaction_is_recorded_all_the_same() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    for (version, sql, noted) in [
        (
            1,
            "CREATE TABLE a (b INT); COMMIT; INSERT INTO a VALUES (1)",
            true,
        ),
        (
            2,
            "INSERT INTO a VALUES (2); COMMIT; BEGIN; INSERT INTO a VALUES (3)",
            false,
        ),
        (3, "INSERT INTO a VALUES (4); END", true),
    ] {
        let (answer, events) = apply(&mut worker, &migration(version, sql), Mode::Run).await;
        answer.expect(sql);
        let notes = events.iter().filter(
            |event| matches!(event, Event::Note { message } if message.contains("ends the transaction")),
        );
        assert_eq!(notes.count() == 1, noted, "{sql}: {events:?}");
    }
    assert_eq!(place.ask("SELECT sum(b) FROM a").await, 10);
    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert!(seen.applied.len() == 3 && seen.applied.iter().all(|row| row.success));
}

/// Trying it again would do again what it has committed.
#[tokio::test]
async fn a_file_that_ends_the_transaction_and_meets_a_lock_is_not_tried_again() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let mut other = place.connect().await;
    sqlx::raw_sql("PRAGMA journal_mode = WAL; CREATE TABLE a (b INT); BEGIN; SELECT * FROM a")
        .execute(&mut other)
        .await
        .expect("a reader");
    let file = migration(
        1,
        "INSERT INTO a VALUES (1); COMMIT; PRAGMA wal_checkpoint(TRUNCATE); PRAGMA journal_mode = DELETE",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(
        error.to_string().contains("the file ends the transaction itself"),
        "{error}"
    );
    assert!(
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("undo by hand"))
    );
}

#[tokio::test]
async fn triggers_and_foreign_keys_are_as_sqlx_has_them() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let sql = "CREATE TABLE a (b INT PRIMARY KEY); CREATE TABLE log (b INT REFERENCES a);
        CREATE TRIGGER t AFTER INSERT ON a BEGIN INSERT INTO log VALUES (new.b); SELECT 1; END;
        INSERT INTO a VALUES (7);";
    apply(&mut worker, &migration(1, sql), Mode::Run)
        .await
        .0
        .expect("applied");
    assert_eq!(place.ask("SELECT b FROM log").await, 7);
    let error = failed(
        apply(&mut worker, &migration(2, "DELETE FROM a"), Mode::Run)
            .await
            .0,
    );
    assert!(
        error.to_string().contains("FOREIGN KEY constraint failed"),
        "{error}"
    );
}

#[tokio::test]
async fn without_a_transaction_each_statement_is_recorded_and_the_next_run_goes_on() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let sql = |last: &str| {
        format!(
            "-- no-transaction\nPRAGMA foreign_keys = OFF;\nCREATE TABLE p (id INT PRIMARY KEY);\n\
             CREATE TABLE c (p INT REFERENCES p);\nBEGIN;\nINSERT INTO c VALUES (1);\nINSERT INTO c VALUES (2);\n\
             COMMIT;\nVACUUM;\n{last}"
        )
    };
    let bad = migration(1, &sql("INSERT INTO nowhere VALUES (1)"));
    let (answer, events) = apply(&mut worker, &bad, Mode::Run).await;
    let error = failed(answer);
    assert!(
        error.to_string().contains("statement 9 of 9 (line 10: "),
        "{error}"
    );
    assert!(
        error
            .to_string()
            .ends_with("statements 1 to 8 are applied, the others are not"),
        "{error}"
    );
    let told: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::Statement { statement, of: 9, .. } => Some(*statement),
            _ => None,
        })
        .collect();
    assert_eq!(told, [1, 2, 3, 7, 8]);
    worker.close().await;
    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert!(!seen.applied[0].success);
    assert_eq!((seen.progress[0].done, seen.progress[0].in_doubt), (8, false));
    assert_eq!(
        seen.progress[0].error.as_deref(),
        Some(error.to_string().as_str())
    );

    let mut worker = session.worker().await.expect("a worker");
    let edited = migration(1, &sql("SELECT 1").replace("(2)", "(3)"));
    let error = failed(apply(&mut worker, &edited, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");

    // Foreign keys are off again, although that was statement 1.
    let fixed = migration(1, &sql("INSERT INTO c VALUES (99)"));
    apply(&mut worker, &fixed, Mode::Run).await.0.expect("applied");
    assert_eq!(place.ask("SELECT count(*) FROM c").await, 3);
    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert!(seen.applied[0].success && seen.progress.is_empty());
    assert_eq!(seen.applied[0].checksum, fixed.checksum);
}

#[tokio::test]
async fn a_transaction_of_the_files_own_is_done_or_not() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let sql = "-- no-transaction\nCREATE TABLE a (b INT);\nBEGIN;\nINSERT INTO a VALUES (1);\nINSERT INTO x VALUES (1);\nEND";
    let error = failed(apply(&mut worker, &migration(1, sql), Mode::Run).await.0);
    assert!(error.to_string().contains("statement 4 of 5"), "{error}");
    assert!(error.to_string().contains("statement 1 is applied"), "{error}");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 0);
    let open = migration(
        1,
        "-- no-transaction\nCREATE TABLE a (b INT);\nBEGIN;\nINSERT INTO a VALUES (1)",
    );
    let error = failed(apply(&mut worker, &open, Mode::Run).await.0);
    assert!(error.to_string().contains("does not end it"), "{error}");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 0);
    let repaired = migration(1, &sql.replace("INTO x", "INTO a"));
    apply(&mut worker, &repaired, Mode::Run).await.0.expect("applied");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 2);
}

#[tokio::test]
async fn a_file_of_which_nothing_is_done_leaves_nothing_behind() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let bad = migration(
        1,
        "-- no-transaction\nPRAGMA foreign_keys = OFF;\nINSERT INTO x VALUES (1);",
    );
    let error = failed(apply(&mut worker, &bad, Mode::Run).await.0);
    assert!(error.to_string().contains("statement 2 of 2"), "{error}");
    let seen = session.look(&key("r1"), true).await.expect("a look");
    assert!(seen.applied.is_empty() && seen.progress.is_empty());
}

#[tokio::test]
async fn what_a_person_says_is_applied_is_not_executed() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let file = migration(
        1,
        "-- no-transaction\nCREATE TABLE a (b INT);\nINSERT INTO x VALUES (1);\nINSERT INTO a VALUES (1)",
    );
    failed(apply(&mut worker, &file, Mode::Run).await.0);
    let (answer, events) = apply(&mut worker, &file, Mode::Repair { applied: true }).await;
    answer.expect("applied");
    assert!(
        matches!(&events[0], Event::Note { message } if message.contains("statement 2 of 3")),
        "{events:?}"
    );
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 1);
}

/// What met a lock was not done, whatever is said.
#[tokio::test]
async fn only_what_failed_counts_as_applied() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let file = |sql| migration(1, &format!("-- no-transaction\nCREATE TABLE a (b INT);\n{sql}"));
    let slow = file(SLOW);
    let handle = worker.handle();
    let task = tokio::spawn(async move { apply(&mut worker, &slow, Mode::Run).await.0 });
    let mut other = place.connect().await;
    until("the first is done", async || {
        is_locked(&mut other).await
            && place
                .ask("SELECT count(*) FROM _runmate_progress WHERE done = 1")
                .await
                == 1
    })
    .await;
    session.cancel(&handle).await.expect("to cancel");
    let answer = task.await.expect("no panic");
    assert!(matches!(answer, Err(ApplyError::Cancelled(_))), "{answer:?}");

    let insert = file("INSERT INTO a VALUES (1)");
    let mut worker = session.worker().await.expect("a worker");
    sqlx::raw_sql("BEGIN IMMEDIATE")
        .execute(&mut other)
        .await
        .expect("a lock");
    let answer = apply(&mut worker, &insert, Mode::Run).await.0;
    assert!(matches!(answer, Err(ApplyError::Locked(_))), "{answer:?}");
    sqlx::raw_sql("ROLLBACK")
        .execute(&mut other)
        .await
        .expect("to let go");
    let progress = session.look(&key("r1"), true).await.expect("a look").progress;
    assert_eq!((progress[0].done, &progress[0].error), (1, &None));
    let answer = apply(&mut worker, &insert, Mode::Repair { applied: true })
        .await
        .0;
    answer.expect("repaired");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 1);
}

#[tokio::test]
async fn a_lock_that_is_not_had_in_time_can_be_tried_again() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let mut other = place.connect().await;
    for sql in [
        "CREATE TABLE a (b INT)",
        "-- no-transaction\nCREATE TABLE b (b INT)",
    ] {
        sqlx::raw_sql("BEGIN IMMEDIATE")
            .execute(&mut other)
            .await
            .expect("a lock");
        let file = migration(i64::try_from(sql.len()).expect("short"), sql);
        let answer = apply(&mut worker, &file, Mode::Run).await.0;
        assert!(matches!(answer, Err(ApplyError::Locked(_))), "{answer:?}");
        sqlx::raw_sql("ROLLBACK")
            .execute(&mut other)
            .await
            .expect("to let go");
        apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    }
}

#[tokio::test]
async fn a_statement_can_be_cancelled() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let handle = worker.handle();
    let slow = migration(1, &format!("CREATE TABLE a (b INT); {SLOW}"));
    let task = tokio::spawn(async move {
        let answer = apply(&mut worker, &slow, Mode::Run).await.0;
        (answer, worker)
    });
    let mut other = place.connect().await;
    until("the worker writes", async || is_locked(&mut other).await).await;
    session.cancel(&handle).await.expect("to cancel");
    let (answer, mut worker) = task.await.expect("no panic");
    assert!(matches!(answer, Err(ApplyError::Cancelled(_))), "{answer:?}");
    assert_eq!(
        place
            .ask("SELECT count(*) FROM sqlite_master WHERE name IN ('a', 'slow')")
            .await,
        0
    );
    let answer = apply(&mut worker, &migration(2, "SELECT 1"), Mode::Run).await.0;
    assert!(
        matches!(answer, Err(ApplyError::Cancelled(_))),
        "nothing after it: {answer:?}"
    );
}

/// True if somebody writes: then the worker is at its statement.
async fn is_locked(other: &mut SqliteConnection) -> bool {
    let mut try_it = async |sql| sqlx::raw_sql(sql).execute(&mut *other).await.is_ok();
    try_it("PRAGMA busy_timeout = 0").await;
    let locked = !try_it("BEGIN IMMEDIATE").await;
    try_it("ROLLBACK").await;
    locked
}

/// As when the lock is lost: the work is dropped in the middle.
#[tokio::test]
async fn a_worker_that_is_dropped_stops() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    let task = tokio::spawn(async move { apply(&mut worker, &migration(1, SLOW), Mode::Run).await.0 });
    let mut other = place.connect().await;
    until("the worker writes", async || is_locked(&mut other).await).await;
    task.abort();
    assert!(task.await.is_err(), "nobody waits for it any more");
    until("it has stopped", async || !is_locked(&mut other).await).await;
    assert_eq!(
        place
            .ask("SELECT count(*) FROM sqlite_master WHERE name = 'slow'")
            .await,
        0
    );
}

#[tokio::test]
async fn a_statement_has_its_time() {
    let place = Place::new();
    let mut target = place.target();
    target.statement_timeout = Duration::from_millis(100);
    let mut session = holder(&target, "one").await;
    let mut worker = session.worker().await.expect("a worker");
    for (version, head) in [(1, ""), (2, "-- no-transaction\n")] {
        let error = failed(
            apply(
                &mut worker,
                &migration(version, &format!("{head}{SLOW}")),
                Mode::Run,
            )
            .await
            .0,
        );
        assert!(
            error.to_string().contains("statement_timeout, which is 0.1 s"),
            "{error}"
        );
    }
    apply(&mut worker, &migration(1, "CREATE TABLE a (b INT)"), Mode::Run)
        .await
        .0
        .expect("applied");
}
