use super::*;
use crate::db::Progress;

/// All rows of `_runmate_progress`, as a run sees them.
pub(super) async fn progress(session: &mut PgSession) -> Vec<Progress> {
    session.look(&a_key("v"), true).await.expect("looks").progress
}

fn statements_done(events: &[Event]) -> Vec<u32> {
    let number = |event: &Event| match event {
        Event::Statement { statement, .. } => Some(*statement),
        _ => None,
    };
    events.iter().filter_map(number).collect()
}

const FIVE: &str = "-- no-transaction\n\
    CREATE TABLE t (a int);\n\
    INSERT INTO t VALUES (1);\n\
    BEGIN; INSERT INTO t VALUES (2); INSERT INTO t VALUES (3); COMMIT;\n\
    VACUUM t;\n\
    CREATE INDEX CONCURRENTLY t_a ON t (a);\n\
    INSERT INTO t VALUES (4);\n";

#[tokio::test]
async fn statements_run_one_by_one_and_leave_no_progress() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let (result, events) = apply(&mut worker, &migration("1_a.sql", FIVE), Mode::Run).await;
    result.expect("applies");
    assert_eq!(statements_done(&events), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
    let seen = session.look(&a_key("v"), true).await.expect("looks");
    assert!(seen.progress.is_empty() && seen.applied[0].success);
    let mut client = database.client().await;
    assert_eq!(value::<i64>(&mut client, "SELECT sum(a) FROM t").await, 10);
    assert!(
        value::<bool>(
            &mut client,
            "SELECT indisvalid FROM pg_index WHERE indexrelid = 't_a'::regclass"
        )
        .await
    );
}

/// The connection is lost at each statement in turn; each time another run goes on where that one was.
#[tokio::test]
async fn a_file_is_taken_up_exactly_where_it_was_left() {
    // The session ends itself in the statement, whether it runs in a transaction or not.
    let kill = "SELECT pg_terminate_backend(pg_backend_pid())";
    let parts: Vec<&str> = FIVE.lines().skip(1).collect();
    for broken in 0..=parts.len() {
        let database = Database::new().await;
        let (session, mut worker) = working(&database).await;
        let mut sql = parts.clone();
        let end = format!("DO $$ BEGIN PERFORM pg_terminate_backend(pg_backend_pid()); END $$; {kill};");
        sql.insert(broken, &end);
        let first = format!("-- no-transaction\n{}", sql.join("\n"));
        let (result, _) = apply(&mut worker, &migration("1_a.sql", &first), Mode::Run).await;
        connection_ended(result);
        session.close().await;
        // What was done has not changed, what follows may.
        let (mut session, mut worker) = working(&database).await;
        let (result, _) = apply(&mut worker, &migration("1_a.sql", FIVE), Mode::Run).await;
        result.unwrap_or_else(|error| panic!("{broken}: {error:?}"));
        assert_eq!(progress(&mut session).await, []);
        let mut client = database.client().await;
        assert_eq!(
            value::<i64>(&mut client, "SELECT sum(a) FROM t").await,
            10,
            "{broken}"
        );
    }
}

#[tokio::test]
async fn a_failure_is_kept_and_the_next_run_goes_on() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let file = "-- no-transaction\nSET search_path = s;\nCREATE SCHEMA s;\nCREATE TABLE t (a int);\nBEGIN;\nINSERT INTO t VALUES (1);\nSELECT 1/0;\nCOMMIT;\n";
    let error = failed(apply(&mut worker, &migration("1_a.sql", file), Mode::Run).await.0);
    for part in [
        "1_a.sql, statement 6 of 7, line 7: SELECT 1/0",
        "division by zero (22012)",
        "statements 1 to 3 are applied",
    ] {
        assert!(error.to_string().contains(part), "{error}");
    }
    let kept = progress(&mut session).await;
    assert_eq!((kept[0].done, kept[0].in_doubt), (3, false));
    assert!(
        kept[0]
            .error
            .as_deref()
            .is_some_and(|error| error.contains("22012"))
    );
    // Dirty, for sqlx-cli.
    assert!(!session.look(&a_key("v"), true).await.expect("looks").applied[0].success);
    worker.close().await;

    // What was set for the session is set again.
    let mut worker = session.worker().await.expect("a worker");
    let mended = file.replace("1/0", "2/1");
    apply(&mut worker, &migration("1_a.sql", &mended), Mode::Run)
        .await
        .0
        .expect("applies");
    let mut client = database.client().await;
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM s.t").await, 1);
    let checksum: Vec<u8> = value(&mut client, "SELECT checksum FROM _sqlx_migrations").await;
    assert_eq!(checksum, migration("1_a.sql", &mended).checksum);
}

#[tokio::test]
async fn who_has_to_try_again_has_not_failed() {
    let database = Database::new().await;
    let mut target = database.target();
    target.lock_timeout = std::time::Duration::from_millis(100);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    let mut worker = session.worker().await.expect("a worker");
    let mut client = database.client().await;
    run_sql(&mut client, "CREATE TABLE t (a int)").await;
    run_sql(&mut client, "BEGIN; SELECT * FROM t").await;
    let file = migration(
        "1_a.sql",
        "-- no-transaction\nSELECT 1;\nALTER TABLE t ADD b int;",
    );
    let (result, _) = apply(&mut worker, &file, Mode::Run).await;
    assert!(matches!(result, Err(ApplyError::Locked(_))), "{result:?}");
    let kept = progress(&mut session).await;
    assert_eq!(
        (kept[0].done, kept[0].in_doubt, &kept[0].error),
        (1, false, &None)
    );
    run_sql(&mut client, "COMMIT").await;
    // There is nothing to be taken as applied.
    let (result, events) = apply(&mut worker, &file, Mode::Repair { applied: true }).await;
    result.expect("applies");
    assert_eq!(statements_done(&events), [2]);
    assert_eq!(value::<i64>(&mut client, "SELECT count(b) FROM t").await, 0);
}

#[tokio::test]
async fn what_is_applied_must_not_change() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let file = "-- no-transaction\nCREATE TABLE t (a int);\nSELECT 1/0;\n";
    failed(apply(&mut worker, &migration("1_a.sql", file), Mode::Run).await.0);
    for changed in [file.replace("a int", "b int"), "-- no-transaction\n".to_owned()] {
        let error = failed(
            apply(&mut worker, &migration("1_a.sql", &changed), Mode::Run)
                .await
                .0,
        );
        assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    }
    let (crlf, _) = apply(
        &mut worker,
        &migration("1_a.sql", &file.replace('\n', "\r\n").replace("1/0", "1")),
        Mode::Run,
    )
    .await;
    crlf.expect("line endings do not count");
}

#[tokio::test]
async fn a_file_that_was_begun_in_steps_goes_on_in_steps() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(&mut client, "CREATE TABLE t (a int)").await;
    let file = "-- no-transaction\nINSERT INTO t VALUES (1);\nSELECT 1/0;\n";
    failed(apply(&mut worker, &migration("1_a.sql", file), Mode::Run).await.0);
    let whole = "INSERT INTO t VALUES (1);\nSELECT 1;\n";
    let (result, events) = apply(&mut worker, &migration("1_a.sql", whole), Mode::Run).await;
    result.expect("applies");
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM t").await, 1);
    assert!(notes(&events)[0].contains("-- no-transaction"), "{events:?}");
    assert_eq!(progress(&mut session).await, []);

    // Where nothing is applied there is a choice.
    let file = "-- no-transaction\nSELECT 1/0;\n";
    failed(apply(&mut worker, &migration("2_a.sql", file), Mode::Run).await.0);
    assert_eq!(progress(&mut session).await.len(), 1);
    let (result, events) = apply(&mut worker, &migration("2_a.sql", whole), Mode::Run).await;
    result.expect("applies");
    assert_eq!(events, []);
    assert_eq!(progress(&mut session).await, []);
    let seen = session.look(&a_key("v"), true).await.expect("looks");
    assert!(seen.applied.iter().all(|applied| applied.success));
}

#[tokio::test]
async fn a_procedure_that_commits_runs_outside_and_is_in_doubt_if_it_dies() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE TABLE t (a int); CREATE TABLE armed (); CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; \
         IF to_regclass('armed') IS NOT NULL THEN PERFORM pg_terminate_backend(pg_backend_pid()); END IF; \
         INSERT INTO t VALUES (2); END $$",
    )
    .await;
    let file = migration(
        "1_a.sql",
        "-- no-transaction\nCALL p();\nINSERT INTO t VALUES (3);",
    );
    let (result, _) = apply(&mut worker, &file, Mode::Run).await;
    connection_ended(result);
    assert!(progress(&mut session).await[0].in_doubt);
    run_sql(&mut client, "DROP TABLE armed").await;

    let mut worker = session.worker().await.expect("a worker");
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty);
    assert!(
        error.to_string().contains("statement 1 of 2, line 2: CALL p()"),
        "{error}"
    );
    assert!(
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("runmate migrate repair"))
    );
    // Executed again.
    let again = Mode::Repair { applied: false };
    apply(&mut worker, &file, again).await.0.expect("applies");
    assert_eq!(
        value::<String>(&mut client, "SELECT string_agg(a::text, '' ORDER BY a) FROM t").await,
        "1123"
    );

    // Or taken as done.
    run_sql(&mut client, "CREATE TABLE armed ()").await;
    let file = migration(
        "2_a.sql",
        "-- no-transaction\nCALL p();\nINSERT INTO t VALUES (4);",
    );
    let (result, _) = apply(&mut worker, &file, Mode::Run).await;
    connection_ended(result);
    let mut worker = session.worker().await.expect("a worker");
    let (result, events) = apply(&mut worker, &file, Mode::Repair { applied: true }).await;
    result.expect("applies");
    assert!(notes(&events)[0].contains("taken as applied"));
    assert_eq!(
        value::<String>(&mut client, "SELECT string_agg(a::text, '' ORDER BY a) FROM t").await,
        "111234"
    );
}

#[tokio::test]
async fn what_commits_in_parts_and_fails_is_not_executed_again_unasked() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE TABLE t (a int); CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; \
         IF (SELECT count(*) FROM t) < 3 THEN RAISE 'no' USING ERRCODE = '55P03'; END IF; END $$",
    )
    .await;
    for (version, part, rows) in [
        (1, "CALL p();", 1),
        (
            2,
            "BEGIN; INSERT INTO t VALUES (2); COMMIT AND CHAIN; SELECT 1/0; COMMIT;",
            2,
        ),
    ] {
        let file = migration(
            &format!("{version}_a.sql"),
            &format!("-- no-transaction\nSELECT 1;\n{part}\n"),
        );
        let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
        assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
        for said in ["may have committed a part", "statement 1 is applied"] {
            assert!(error.to_string().contains(said), "{error}");
        }
        let kept = progress(&mut session).await;
        assert!(kept[version - 1].in_doubt, "{kept:?}");
        let again = failed(apply(&mut worker, &file, Mode::Run).await.0);
        assert_eq!(again.kind(), ErrorKind::Dirty, "{again}");
        assert!(again.remedy().is_some_and(|remedy| remedy.contains("--applied")));
        assert_eq!(
            value::<i64>(&mut client, "SELECT count(*) FROM t").await,
            rows,
            "{part}"
        );
    }
    // A person decides.
    let file = migration("1_a.sql", "-- no-transaction\nSELECT 1;\nCALL p();\n");
    let (result, _) = apply(&mut worker, &file, Mode::Repair { applied: false }).await;
    result.expect("applies");
    // Without a commit before the error it is certain that nothing is applied.
    let file = migration(
        "3_a.sql",
        "-- no-transaction\nBEGIN; SELECT 1/0; COMMIT AND CHAIN; COMMIT;",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
}

/// A cancellation that comes after the statement must not make it run twice.
#[tokio::test]
async fn what_was_executed_is_noted_even_if_that_is_cancelled() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE TABLE t (a int); CREATE SEQUENCE times; CREATE TABLE most AS SELECT 1 AS n; \
         CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('times') <= (SELECT n FROM most) THEN RAISE 'cancelled' USING ERRCODE = '57014'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER cancel BEFORE UPDATE ON _runmate_progress FOR EACH ROW WHEN (NEW.done > OLD.done) \
         EXECUTE FUNCTION cancel(); \
         CREATE PROCEDURE p() LANGUAGE plpgsql AS $$ BEGIN INSERT INTO t VALUES (1); COMMIT; END $$",
    )
    .await;
    let file = migration("1_a.sql", "-- no-transaction\nCALL p();");
    apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM t").await, 1);

    run_sql(&mut client, "UPDATE most SET n = 1000").await;
    let file = migration("2_a.sql", "-- no-transaction\nCALL p();");
    let (result, _) = apply(&mut worker, &file, Mode::Run).await;
    assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
    assert!(progress(&mut session).await[0].in_doubt);
    assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM t").await, 2);
}

#[tokio::test]
async fn a_file_that_cannot_be_cut_is_not_begun() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    for sql in [
        "-- no-transaction\nSELECT 1;\nSELECT 'open;",
        "-- no-transaction\nBEGIN;\nSELECT 1;",
    ] {
        let error = failed(apply(&mut worker, &migration("1_a.sql", sql), Mode::Run).await.0);
        assert_eq!(error.kind(), ErrorKind::Failed);
        assert!(error.to_string().contains("line "), "{error}");
    }
    assert!(
        progress(&mut session)
            .await
            .iter()
            .all(|progress| progress.done == 0)
    );
}
