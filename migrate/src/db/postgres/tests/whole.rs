use std::time::Duration;

use super::*;

const ROWS: &str = "SELECT count(*) FROM _sqlx_migrations";

#[tokio::test]
async fn a_file_is_applied_and_recorded() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let file = migration(
        "1_users.sql",
        "-- what it's for\nCREATE TABLE users (id int, name text DEFAULT 'a;b');\nINSERT INTO users VALUES (1);\n\
         CREATE FUNCTION f() RETURNS int LANGUAGE plpgsql AS $$ BEGIN RETURN 1; END $$;\nSELECT f();",
    );
    let (result, events) = apply(&mut worker, &file, Mode::Run).await;
    result.expect("applies");
    assert_eq!(events, []);
    let mut client = database.client().await;
    assert_eq!(
        value::<String>(&mut client, "SELECT name FROM users").await,
        "a;b"
    );
    let row = "SELECT version || description || success || encode(checksum, 'hex') FROM _sqlx_migrations";
    let checksum: String = file.checksum.iter().map(|byte| format!("{byte:02x}")).collect();
    assert_eq!(
        value::<String>(&mut client, row).await,
        format!("1userstrue{checksum}")
    );
    for empty in ["", "-- nothing\n", ";;"] {
        let file = migration(&format!("{}_empty.sql", empty.len() + 10), empty);
        apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    }
}

#[tokio::test]
async fn a_failure_names_file_statement_and_line_and_leaves_nothing() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    for (sql, place, said) in [
        (
            "CREATE TABLE t (a int);\n\nINSERT INTO t\n  VALUES ('ü', nope);\nSELECT 1;",
            "statement 2 of 3, line 4: INSERT INTO t VALUES ('ü', nope)",
            "column \"nope\" does not exist (42703)",
        ),
        (
            "SELECT 1;\nSELEC 2;",
            "statement 2 of 2, line 2: SELEC 2",
            "syntax error at or near \"SELEC\" (42601)",
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY);\nINSERT INTO t VALUES (1);\nINSERT INTO t VALUES (1);",
            "statement 3 of 3, line 3: INSERT",
            "Key (a)=(1) already exists. (23505)",
        ),
        (
            "CREATE TABLE t (a int);\nDO $$ BEGIN\n  PERFORM 1;\n  PERFORM nope();\nEND $$;",
            "statement 2 of 2, line 2: DO $$",
            "42883",
        ),
        (
            "CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t DEFERRABLE INITIALLY DEFERRED);\nINSERT INTO t VALUES (1, 2);",
            "1_a.sql, at the end of its transaction",
            "23503",
        ),
    ] {
        let (result, _) = apply(&mut worker, &migration("1_a.sql", sql), Mode::Run).await;
        let error = failed(result);
        assert_eq!(error.kind(), ErrorKind::Failed);
        for part in [
            "cannot apply 1_a.sql",
            place,
            said,
            "nothing of the file is applied",
        ] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        assert!(
            error
                .remedy()
                .is_some_and(|remedy| remedy.contains("correct 1_a.sql"))
        );
        assert_eq!(value::<i64>(&mut client, ROWS).await, 0);
        assert!(value::<bool>(&mut client, "SELECT to_regclass('t') IS NULL").await);
    }
    // The session is as good as before.
    apply(&mut worker, &migration("1_a.sql", "SELECT 1"), Mode::Run)
        .await
        .0
        .expect("applies");
}

#[tokio::test]
async fn what_cannot_run_in_a_transaction_says_what_to_write() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let file = migration(
        "1_a.sql",
        "CREATE TABLE t (a int); CREATE INDEX CONCURRENTLY i ON t (a);",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("-- no-transaction")),
        "{error}"
    );
    let copy = migration("2_a.sql", "CREATE TABLE t (a int);\nCOPY t FROM STDIN;");
    let error = failed(apply(&mut worker, &copy, Mode::Run).await.0);
    assert!(
        error.remedy().is_some_and(|remedy| remedy.contains("INSERT")),
        "{error} {:?}",
        error.remedy()
    );
}

#[tokio::test]
async fn a_file_with_a_transaction_of_its_own_is_applied_with_a_note() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let own = migration("1_own.sql", "BEGIN;\nCREATE TABLE t (a int);\nCOMMIT;");
    let (result, events) = apply(&mut worker, &own, Mode::Run).await;
    result.expect("applies");
    assert!(
        notes(&events)[0].contains("1_own.sql ends the transaction itself"),
        "{events:?}"
    );
    let mut client = database.client().await;
    assert_eq!(value::<i64>(&mut client, ROWS).await, 1);

    let broken = migration("2_own.sql", "CREATE TABLE u (a int);\nCOMMIT;\nSELECT 1/0;");
    let error = failed(apply(&mut worker, &broken, Mode::Run).await.0);
    assert!(
        error
            .to_string()
            .contains("ends its transaction itself in line 2, and what stands before it is applied"),
        "{error}"
    );
    // A syntax error is found before anything runs.
    let broken = migration("3_own.sql", "CREATE TABLE v (a int);\nCOMMIT;\nSELEC 1;");
    let error = failed(apply(&mut worker, &broken, Mode::Run).await.0);
    assert!(
        error.to_string().contains("nothing of the file is applied"),
        "{error}"
    );
}

/// To apply it again would fail, or worse.
#[tokio::test]
async fn what_a_file_has_committed_is_recorded_even_if_that_is_cancelled() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    run_sql(
        &mut client,
        "CREATE SEQUENCE times; CREATE FUNCTION cancel() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('times') = 1 THEN RAISE 'cancelled' USING ERRCODE = '57014'; END IF; RETURN NEW; END $$; \
         CREATE TRIGGER cancel BEFORE INSERT ON _sqlx_migrations FOR EACH ROW EXECUTE FUNCTION cancel()",
    )
    .await;
    let own = migration("1_own.sql", "BEGIN; CREATE TABLE t (a int); COMMIT;");
    apply(&mut worker, &own, Mode::Run).await.0.expect("applies");
    assert_eq!(value::<i64>(&mut client, ROWS).await, 1);
    // A file that commits nothing itself is begun anew.
    run_sql(&mut client, "ALTER SEQUENCE times RESTART").await;
    let plain = migration("2_plain.sql", "CREATE TABLE u (a int);");
    let (result, _) = apply(&mut worker, &plain, Mode::Run).await;
    assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
    assert!(value::<bool>(&mut client, "SELECT to_regclass('u') IS NULL").await);
}

#[tokio::test]
async fn a_file_whose_last_part_was_rolled_back_is_not_recorded() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    let table = "CREATE TABLE t (a int PRIMARY KEY, b int REFERENCES t DEFERRABLE INITIALLY DEFERRED)";
    for between in ["COMMIT;\nBEGIN", "SELECT 1;\nCOMMIT AND CHAIN"] {
        let file = format!("{table};\n{between};\nINSERT INTO t VALUES (1, 2);");
        let error = failed(
            apply(&mut worker, &migration("1_a.sql", &file), Mode::Run)
                .await
                .0,
        );
        for part in [
            "at the end of its transaction",
            "23503",
            "and what stands before it is applied",
        ] {
            assert!(error.to_string().contains(part), "{error}");
        }
        assert_eq!(value::<i64>(&mut client, ROWS).await, 0);
        assert_eq!(value::<i64>(&mut client, "SELECT count(*) FROM t").await, 0);
        run_sql(&mut client, "DROP TABLE t").await;
    }
}

#[tokio::test]
async fn a_lock_that_is_not_to_be_had_can_be_waited_for_again() {
    let database = Database::new().await;
    let mut target = database.target();
    target.lock_timeout = Duration::from_millis(100);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    let mut worker = session.worker().await.expect("a worker");
    let mut client = database.client().await;
    run_sql(&mut client, "CREATE TABLE t (a int)").await;
    run_sql(&mut client, "BEGIN; SELECT * FROM t").await;
    for (name, sql) in [
        ("1_a.sql", "CREATE TABLE u (a int);\nALTER TABLE t ADD b int;"),
        (
            "2_a.sql",
            "-- no-transaction\nCREATE TABLE v (a int);\nALTER TABLE t ADD c int;",
        ),
    ] {
        let file = migration(name, sql);
        let (result, _) = apply(&mut worker, &file, Mode::Run).await;
        let Err(ApplyError::Locked(why)) = result else {
            panic!("{result:?}")
        };
        assert!(why.contains("statement 2 of 2") && why.contains("55P03"), "{why}");
    }
    // A file's own COMMIT makes it impossible to begin anew.
    let own = migration(
        "3_a.sql",
        "CREATE TABLE w (a int); COMMIT; ALTER TABLE t ADD d int;",
    );
    failed(apply(&mut worker, &own, Mode::Run).await.0);
    run_sql(&mut client, "COMMIT").await;
    for (name, sql) in [
        ("1_a.sql", "CREATE TABLE u (a int);\nALTER TABLE t ADD b int;"),
        (
            "2_a.sql",
            "-- no-transaction\nCREATE TABLE v (a int);\nALTER TABLE t ADD c int;",
        ),
    ] {
        apply(&mut worker, &migration(name, sql), Mode::Run)
            .await
            .0
            .expect("applies");
    }
}

#[tokio::test]
async fn a_statement_is_cancelled_on_the_server() {
    let database = Database::new().await;
    for sql in [
        "CREATE TABLE t (a int); SELECT pg_sleep(60)",
        "-- no-transaction\nSELECT pg_sleep(60)",
    ] {
        let mut session = holder(&database, "r1").await;
        let mut worker = session.worker().await.expect("a worker");
        let handle = worker.handle();
        let file = migration("1_a.sql", sql);
        let work = tokio::spawn(async move { apply(&mut worker, &file, Mode::Run).await.0 });
        let mut client = database.client().await;
        let sleeping = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event = 'PgSleep'";
        until(&mut client, sleeping).await;
        session.cancel(&handle).await.expect("cancels");
        let result = work.await.expect("no panic");
        assert!(matches!(result, Err(ApplyError::Cancelled(_))), "{result:?}");
        assert!(value::<bool>(&mut client, &sleeping.replace("= 1", "= 0")).await);
        assert!(value::<bool>(&mut client, "SELECT to_regclass('t') IS NULL").await);
        session.close().await;
    }
}

#[tokio::test]
async fn a_statement_that_takes_too_long_failed() {
    let database = Database::new().await;
    let mut target = database.target();
    target.statement_timeout = Duration::from_millis(200);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    let mut worker = session.worker().await.expect("a worker");
    for sql in [
        "SELECT 1; SELECT pg_sleep(60)",
        "-- no-transaction\nSELECT 1;\nSELECT pg_sleep(60);",
    ] {
        let error = failed(apply(&mut worker, &migration("1_a.sql", sql), Mode::Run).await.0);
        assert!(error.to_string().contains("statement 2 of 2"), "{error}");
        assert!(
            error
                .remedy()
                .is_some_and(|remedy| remedy.contains("statement_timeout")),
            "{error}"
        );
    }
}

#[tokio::test]
async fn what_a_file_sets_does_not_reach_our_tables_nor_the_next_file() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    let role = format!("role_{}", database.name);
    run_sql(
        &mut client,
        &format!("CREATE ROLE {role}; CREATE SCHEMA s AUTHORIZATION {role}"),
    )
    .await;
    for (version, first) in [(1, ""), (3, "-- no-transaction\n")] {
        let file = format!(
            "{first}SET ROLE {role};\nSELECT pg_catalog.set_config('search_path', '', false);\n\
             CREATE TABLE s.t{version} (a int);\nSET statement_timeout = '1h';"
        );
        let file = migration(&format!("{version}_a.sql"), &file);
        apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
        let next = migration(
            &format!("{}_b.sql", version + 1),
            &format!("CREATE TABLE plain{version} AS SELECT current_setting('statement_timeout') AS t"),
        );
        apply(&mut worker, &next, Mode::Run).await.0.expect("applies");
        let plain = format!(
            "SELECT t || ' ' || (SELECT tableowner FROM pg_tables WHERE tablename = 'plain{version}') FROM public.plain{version}"
        );
        assert_eq!(value::<String>(&mut client, &plain).await, "0 postgres");
    }
    assert_eq!(value::<i64>(&mut client, ROWS).await, 4);
    run_sql(&mut client, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
