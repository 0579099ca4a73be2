use std::time::Duration;

use super::*;
use crate::db::Progress;

/// All rows of `_runmate_progress`, as a run sees them.
async fn progress(session: &mut PgSession) -> Vec<Progress> {
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
        assert!(
            matches!(result, Err(ApplyError::Cancelled(_))),
            "{broken}: {result:?}"
        );
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
    assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
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
    assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
    let mut worker = session.worker().await.expect("a worker");
    let (result, events) = apply(&mut worker, &file, Mode::Repair { applied: true }).await;
    result.expect("applies");
    assert!(notes(&events)[0].contains("taken as applied"));
    assert_eq!(
        value::<String>(&mut client, "SELECT string_agg(a::text, '' ORDER BY a) FROM t").await,
        "111234"
    );
}

const INDEXES: &str = "SELECT coalesce(string_agg(relname || CASE WHEN indisvalid THEN ' valid' ELSE ' INVALID' END, ',' ORDER BY relname), '') \
    FROM pg_index JOIN pg_class ON oid = indexrelid WHERE indrelid = 't'::regclass";

#[tokio::test]
async fn an_index_that_failed_is_dropped_and_built_again() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)",
    )
    .await;
    for name in ["IF NOT EXISTS \"T_a\"", "t_b"] {
        let file = migration(
            "1_a.sql",
            &format!("-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY {name} ON public.t (a);"),
        );
        let (result, events) = apply(&mut worker, &file, Mode::Run).await;
        let error = failed(result);
        assert!(error.to_string().contains("23505"), "{error}");
        assert!(
            notes(&events)[0].contains("dropped the INVALID index public."),
            "{events:?}"
        );
        assert_eq!(value::<String>(&mut client, INDEXES).await, "");
        assert!(!progress(&mut session).await[0].in_doubt);
    }
    run_sql(&mut client, "DELETE FROM t").await;
    let file = migration(
        "1_a.sql",
        "-- no-transaction\nCREATE UNIQUE INDEX CONCURRENTLY t_b ON public.t (a);",
    );
    apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_b valid");
}

/// Ends the worker while it builds an index that has to wait for `client`'s transaction.
async fn die_in_an_index(database: &Database, file: &Migration) {
    let (session, mut worker) = working(database).await;
    let mut writer = database.client().await;
    run_sql(&mut writer, "BEGIN; INSERT INTO t VALUES (7)").await;
    let mut client = database.client().await;
    let of = file.clone();
    let work = tokio::spawn(async move { apply(&mut worker, &of, Mode::Run).await.0 });
    let waits = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'runmate/r1' AND wait_event = 'virtualxid'";
    until(&mut client, waits).await;
    run_sql(
        &mut client,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'runmate/r1' AND wait_event = 'virtualxid'",
    )
    .await;
    let result = work.await.expect("no panic");
    assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
    run_sql(&mut writer, "COMMIT").await;
    session.close().await;
}

#[tokio::test]
async fn an_index_in_which_a_run_died_is_looked_at() {
    let database = Database::new().await;
    let mut client = database.client().await;
    run_sql(&mut client, "CREATE TABLE t (a int)").await;
    let file = migration(
        "1_a.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY IF NOT EXISTS t_a ON t (a);",
    );
    die_in_an_index(&database, &file).await;
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a INVALID");
    let (mut session, mut worker) = working(&database).await;
    assert!(progress(&mut session).await[0].in_doubt);
    let (result, events) = apply(&mut worker, &file, Mode::Run).await;
    result.expect("applies");
    assert!(
        notes(&events)[0].contains("dropped the INVALID index public.t_a"),
        "{events:?}"
    );
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a valid");

    // It had come to its end, only nobody knew.
    let again = migration(
        "2_a.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY t_b ON t (a);\nDROP INDEX CONCURRENTLY t_b;",
    );
    session.close().await;
    die_in_an_index(&database, &again).await;
    run_sql(&mut client, "REINDEX INDEX t_b").await;
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a valid,t_b valid");
    let (session, mut worker) = working(&database).await;
    let (result, events) = apply(&mut worker, &again, Mode::Run).await;
    result.expect("applies");
    assert!(notes(&events)[0].contains("had come to its end"), "{events:?}");
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a valid");

    // Or it had not begun to.
    let third = migration(
        "3_a.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY t_c ON t (a);",
    );
    session.close().await;
    die_in_an_index(&database, &third).await;
    run_sql(&mut client, "DROP INDEX t_c").await;
    let (_session, mut worker) = working(&database).await;
    apply(&mut worker, &third, Mode::Run).await.0.expect("applies");
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a valid,t_c valid");
}

#[tokio::test]
async fn an_index_waits_for_others_longer_than_lock_timeout() {
    let database = Database::new().await;
    let mut target = database.target();
    target.lock_timeout = Duration::from_millis(50);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    let mut worker = session.worker().await.expect("a worker");
    let mut writer = database.client().await;
    run_sql(&mut writer, "CREATE TABLE t (a int)").await;
    run_sql(&mut writer, "BEGIN; INSERT INTO t VALUES (1)").await;
    // The file's own limit stays, and what it leaves behind is dropped.
    let own = migration(
        "1_a.sql",
        "-- no-transaction\nSET lock_timeout = '60ms';\nCREATE INDEX CONCURRENTLY t_a ON t (a);",
    );
    let (result, _) = apply(&mut worker, &own, Mode::Run).await;
    assert!(matches!(result, Err(ApplyError::Locked(_))), "{result:?}");
    let file = migration(
        "2_a.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY t_b ON t (a);\nCREATE TABLE u AS SELECT current_setting('lock_timeout') AS t;",
    );
    let work = tokio::spawn(async move { apply(&mut worker, &file, Mode::Run).await.0 });
    let mut client = database.client().await;
    until(
        &mut client,
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'runmate/r1' \
         AND wait_event = 'virtualxid' AND clock_timestamp() - query_start > '200ms'",
    )
    .await;
    run_sql(&mut writer, "COMMIT").await;
    work.await.expect("no panic").expect("applies");
    assert_eq!(value::<String>(&mut client, "SELECT t FROM u").await, "50ms");
}

#[tokio::test]
async fn an_index_that_is_not_ours_is_left_and_spoken_of_once() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (1)",
    )
    .await;
    let invalid = sqlx::raw_sql("CREATE UNIQUE INDEX CONCURRENTLY t_a ON t (a)")
        .execute(&mut client)
        .await;
    assert!(invalid.is_err());
    let taken = migration(
        "1_a.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY t_a ON t (a);",
    );
    let error = failed(apply(&mut worker, &taken, Mode::Run).await.0);
    assert!(error.to_string().contains("42P07"), "{error}");
    assert_eq!(value::<String>(&mut client, INDEXES).await, "t_a INVALID");
    for (version, said) in [(2, 1), (3, 0)] {
        let file = migration(&format!("{version}_b.sql"), "SELECT 1");
        let (result, events) = apply(&mut worker, &file, Mode::Run).await;
        result.expect("applies");
        assert_eq!(notes(&events).len(), said, "{events:?}");
        if said == 1 {
            assert!(
                notes(&events)[0].contains("index public.t_a on t is INVALID"),
                "{events:?}"
            );
        }
    }
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
