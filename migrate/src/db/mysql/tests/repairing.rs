//! How a half-done migration is taken up.

use super::*;

const FIRST: &str = "CREATE TABLE a (b INT)";

const REPAIR: Mode = Mode::Repair { applied: false };

/// A worker, after statement 2 of 3 has failed.
async fn half_done(database: &Database) -> (MySqlSession, MySqlWorker) {
    let (session, mut worker) = working(database).await;
    let file = migration(
        1,
        &format!("{FIRST};\nALTER TABLE a ADD b INT;\nINSERT INTO a (b) VALUES (1)"),
    );
    failed(apply(&mut worker, &file, Mode::Run).await.0);
    (session, worker)
}

/// A session, after the worker's connection ended while statement 2 ran, as after kill -9: nobody knows whether
/// that is done.
async fn in_doubt(database: &Database) -> MySqlSession {
    let mut other = database.connect().await;
    execute(
        &mut other,
        "CREATE TABLE items (b INT); INSERT INTO items VALUES (1); START TRANSACTION; SELECT * FROM items",
    )
    .await;
    let (mut session, worker) = working(database).await;
    let task = spawn(worker, &doubtful("ALTER TABLE items ADD c INT"));
    let id = until_it_runs(database, "ALTER%ADD c%").await;
    execute(&mut other, &format!("KILL {id}; COMMIT")).await;
    let (answer, _) = task.await.expect("no panic");
    assert!(matches!(answer, Err(ApplyError::Cancelled(_))), "{answer:?}");
    let seen = look(&mut session).await;
    assert_eq!((seen.progress[0].done, seen.progress[0].in_doubt), (1, true));
    assert_eq!(seen.progress[0].error, None);
    session
}

/// A worker that waits for a lock for a second.
async fn impatient(session: &mut MySqlSession) -> MySqlWorker {
    session.set_lock_timeout(Duration::from_secs(1));
    session.worker().await.expect("a worker")
}

fn doubtful(second: &str) -> String {
    format!("{FIRST};\n{second};\nINSERT INTO a VALUES (1)")
}

#[tokio::test]
async fn a_run_does_not_go_on_by_itself_and_repair_does() {
    let database = database().await;
    let (mut session, mut worker) = half_done(&database).await;
    let fixed = migration(
        1,
        &format!("{FIRST};\r\nALTER TABLE a ADD c INT;\nINSERT INTO a (b) VALUES (1)"),
    );
    let error = failed(apply(&mut worker, &fixed, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");

    let edited = migration(1, &fixed.sql.replace("(b INT)", "(b BIGINT)"));
    let error = failed(apply(&mut worker, &edited, REPAIR).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty);
    assert!(
        error.to_string().contains("its first 1 statements are applied"),
        "{error}"
    );

    apply(&mut worker, &fixed, REPAIR).await.0.expect("repaired");
    let seen = look(&mut session).await;
    assert!(seen.applied[0].success && seen.progress.is_empty());
    assert_eq!(seen.applied[0].checksum, fixed.checksum, "the file as it is now");
    assert_eq!(
        ask(&mut database.connect().await, "SELECT COUNT(c IS NULL) FROM a").await,
        1
    );
}

#[tokio::test]
async fn what_a_person_says_is_applied_is_not_executed() {
    let database = database().await;
    let (mut session, mut worker) = half_done(&database).await;
    let file = migration(
        1,
        &format!("{FIRST};\nALTER TABLE a ADD b INT;\nINSERT INTO a (b) VALUES (1)"),
    );
    let (answer, events) = apply(&mut worker, &file, Mode::Repair { applied: true }).await;
    answer.expect("repaired");
    assert!(
        matches!(&events[0], Event::Note { message } if message.contains("statement 2 of 3")),
        "{events:?}"
    );
    assert!(look(&mut session).await.applied[0].success);
    assert_eq!(
        ask(&mut database.connect().await, "SELECT COUNT(*) FROM a").await,
        1
    );
}

#[tokio::test]
async fn a_statement_in_doubt_that_was_not_done_is_done_now() {
    let database = database().await;
    let mut session = in_doubt(&database).await;
    let mut worker = session.worker().await.expect("a worker");
    let file = migration(1, &doubtful("ALTER TABLE items ADD c INT"));
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    let (answer, events) = apply(&mut worker, &file, REPAIR).await;
    answer.expect("repaired");
    assert!(
        !events.iter().any(|event| matches!(event, Event::Note { .. })),
        "{events:?}"
    );
    assert!(look(&mut session).await.applied[0].success);
}

#[tokio::test]
async fn a_statement_in_doubt_that_was_done_counts_as_done() {
    let database = database().await;
    let mut session = in_doubt(&database).await;
    execute(&mut database.connect().await, "ALTER TABLE items ADD c INT").await;
    let mut worker = session.worker().await.expect("a worker");
    // Only the statement in doubt is excused.
    let again = migration(
        1,
        &format!("{};\n{FIRST}", doubtful("ALTER TABLE items ADD c INT")),
    );
    let (answer, events) = apply(&mut worker, &again, REPAIR).await;
    let error = failed(answer);
    assert!(
        error
            .to_string()
            .contains("Table 'a' already exists (1050 42S01)"),
        "{error}"
    );
    let note = events.iter().find_map(|event| match event {
        Event::Note { message } => Some(message.as_str()),
        _ => None,
    });
    let note = note.expect("a note");
    assert!(
        note.contains("statement 2 of 4") && note.contains("Duplicate column name 'c'"),
        "{note}"
    );
    let file = migration(1, &doubtful("ALTER TABLE items ADD c INT"));
    apply(&mut worker, &file, REPAIR).await.0.expect("repaired");
    let seen = look(&mut session).await;
    assert!(seen.applied[0].success && seen.progress.is_empty());
    assert_eq!(
        ask(&mut database.connect().await, "SELECT COUNT(*) FROM a").await,
        1
    );
}

/// An attempt that ends before the statement in doubt was executed again has learned nothing about it.
#[tokio::test]
async fn a_doubt_outlives_attempts_that_do_not_settle_it() {
    let sql = "SET @n = (SELECT MAX(b) FROM one); ALTER TABLE items ADD c INT";
    let file = migration(1, sql);
    let done_already = "Duplicate column name 'c'";
    for what in ["a lock", "a setting", "a stop"] {
        let database = database().await;
        let mut other = database.connect().await;
        execute(
            &mut other,
            "CREATE TABLE one (b INT); CREATE TABLE items (b INT); INSERT INTO items VALUES (1);
            START TRANSACTION; SELECT * FROM items",
        )
        .await;
        let (mut session, worker) = working(&database).await;
        let task = spawn(worker, sql);
        let id = until_it_runs(&database, "ALTER%ADD c%").await;
        execute(
            &mut other,
            &format!("KILL {id}; COMMIT; ALTER TABLE items ADD c INT"),
        )
        .await;
        let (answer, _) = task.await.expect("no panic");
        assert!(matches!(answer, Err(ApplyError::Cancelled(_))), "{answer:?}");

        let mut worker = impatient(&mut session).await;
        let answer = match what {
            "a lock" => {
                execute(&mut other, "LOCK TABLES items WRITE").await;
                let answer = apply(&mut worker, &file, REPAIR).await.0;
                execute(&mut other, "UNLOCK TABLES").await;
                assert!(matches!(answer, Err(ApplyError::Locked(_))), "{answer:?}");
                answer
            }
            "a setting" => {
                execute(&mut other, "RENAME TABLE one TO two").await;
                let error = failed(apply(&mut worker, &file, REPAIR).await.0);
                let text = error.to_string();
                assert!(
                    text.contains("statement 1 of 2") && text.contains("still not known"),
                    "{text}"
                );
                execute(&mut other, "RENAME TABLE two TO one").await;
                Err(ApplyError::Failed(error))
            }
            _ => {
                worker.handle().pull();
                let answer = apply(&mut worker, &file, REPAIR).await.0;
                assert!(matches!(answer, Err(ApplyError::Cancelled(_))), "{answer:?}");
                answer
            }
        };
        worker.close().await;
        let seen = look(&mut session).await;
        let progress = seen
            .progress
            .first()
            .unwrap_or_else(|| panic!("{what}: forgotten"));
        assert!(progress.in_doubt, "{what}: {progress:?}");
        let failed = matches!(answer, Err(ApplyError::Failed(_)));
        assert_eq!(progress.error.is_some(), failed, "{what}: {progress:?}");

        let mut worker = session.worker().await.expect("a worker");
        let (answer, events) = apply(&mut worker, &file, REPAIR).await;
        answer.expect("repaired");
        assert!(
            matches!(&events[0], Event::Note { message } if message.contains(done_already)),
            "{what}: {events:?}"
        );
    }
}

/// What was cancelled or met a lock was not done, whatever is said.
#[tokio::test]
async fn only_what_failed_or_is_in_doubt_counts_as_applied() {
    let database = database().await;
    let mut other = database.connect().await;
    execute(
        &mut other,
        "CREATE TABLE items (b INT); INSERT INTO items VALUES (1)",
    )
    .await;
    let (mut session, worker) = working(&database).await;
    worker.close().await;
    let mut worker = impatient(&mut session).await;
    let file = migration(1, &doubtful("ALTER TABLE items ADD c INT"));
    execute(&mut other, "LOCK TABLES items WRITE").await;
    let answer = apply(&mut worker, &file, Mode::Run).await.0;
    assert!(matches!(answer, Err(ApplyError::Locked(_))), "{answer:?}");
    execute(&mut other, "UNLOCK TABLES").await;
    let progress = look(&mut session).await.progress;
    assert_eq!((progress[0].in_doubt, &progress[0].error), (false, &None));
    let answer = apply(&mut worker, &file, Mode::Repair { applied: true }).await.0;
    answer.expect("repaired");
    assert_eq!(
        ask(&mut other, "SELECT COUNT(*) FROM items WHERE c IS NULL").await,
        1
    );
}

#[tokio::test]
async fn settings_are_made_again_and_tables_locked_again() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let sql = |last: &str| {
        format!(
            "SET @n = 5; CREATE TABLE a (b INT); CREATE TABLE c (b INT); LOCK TABLES a WRITE;
            INSERT INTO a VALUES (@n); {last}; UNLOCK TABLES; INSERT INTO c VALUES (@n)"
        )
    };
    // What is not locked cannot be used.
    let error = failed(
        apply(
            &mut worker,
            &migration(1, &sql("INSERT INTO c VALUES (1)")),
            Mode::Run,
        )
        .await
        .0,
    );
    assert!(
        error
            .to_string()
            .contains("Table 'c' was not locked with LOCK TABLES (1100 HY000)"),
        "{error}"
    );
    assert!(
        error.to_string().contains("statements 1 to 5 are applied"),
        "{error}"
    );
    worker.close().await;
    let (_session, mut worker) = {
        drop(_session);
        let mut session = session(&database.target(), &unique(&database, "two")).await;
        until("the lock is free", async || {
            session.try_lock().await.expect("an answer")
        })
        .await;
        session.fence().await.expect("no obstacle");
        session.begin(&key("r1")).await.expect("the ledger");
        let worker = session.worker().await.expect("a worker");
        (session, worker)
    };
    let file = migration(1, &sql("INSERT INTO a VALUES (@n + 1)"));
    apply(&mut worker, &file, REPAIR).await.0.expect("repaired");
    let mut other = database.connect().await;
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM a").await, 11);
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM c").await, 5);
}

/// sqlx-cli records that it began, and nothing more.
#[tokio::test]
async fn what_another_program_left_is_for_a_person_to_judge() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let mut other = database.connect().await;
    let file = migration(1, "CREATE TABLE a (b INT); CREATE TABLE c (b INT)");
    let begun = "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
        VALUES (1, 'step 1', FALSE, 'x', -1)";
    execute(&mut other, begun).await;
    execute(&mut other, "CREATE TABLE a (b INT)").await;
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    let error = failed(apply(&mut worker, &file, REPAIR).await.0);
    assert!(
        error
            .to_string()
            .contains("this run has applied nothing of the file"),
        "{error}"
    );
    assert!(
        !look(&mut session).await.applied[0].success,
        "what is not known is not forgotten"
    );
    // What is not known before a repair that fails is not known after it.
    let seen = look(&mut session).await;
    let files = std::slice::from_ref(&file);
    let plan = crate::dir::plan(
        files,
        &seen.applied,
        &seen.progress,
        crate::url::Kind::MySql,
        Mode::Run,
    );
    let error = plan.expect_err("dirty").to_string();
    assert!(error.contains("begun by another program"), "{error}");
    assert!(!error.contains("nothing of it"), "{error}");
    execute(&mut other, "DROP TABLE a").await;
    apply(&mut worker, &file, REPAIR).await.0.expect("repaired");
    assert!(look(&mut session).await.applied[0].success);

    execute(&mut other, &begun.replace("(1,", "(3,")).await;
    let file = migration(
        3,
        "CREATE TABLE a (b INT); INSERT INTO a VALUES (1); INSERT INTO a VALUES (2)",
    );
    failed(apply(&mut worker, &file, REPAIR).await.0);
    let applied = Mode::Repair { applied: true };
    apply(&mut worker, &file, applied)
        .await
        .0
        .expect("taken as applied");
    assert_eq!(
        ask(&mut other, "SELECT COUNT(*) FROM a").await,
        0,
        "all of it is meant"
    );

    execute(&mut other, &begun.replace("(1,", "(2,")).await;
    let file = migration(2, "CREATE TABLE a (b INT); CREATE TABLE c (b INT)");
    apply(&mut worker, &file, Mode::Repair { applied: true })
        .await
        .0
        .expect("taken as applied");
    assert_eq!(look(&mut session).await.applied[1].checksum, file.checksum);
}
