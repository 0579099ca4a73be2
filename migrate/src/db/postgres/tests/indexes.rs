//! `CREATE INDEX CONCURRENTLY`, and what becomes of what it leaves behind.

use std::time::Duration;

use super::stepwise::progress;
use super::*;

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
    connection_ended(result);
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
