//! What a role or a database may have been given as settings.

use super::*;

/// None of them may change what we read from our own tables.
#[tokio::test]
async fn settings_of_a_database_do_not_reach_what_we_ask() {
    let database = Database::new().await;
    let mut client = database.client().await;
    for setting in [
        "bytea_output = 'escape'",
        "datestyle = 'SQL, DMY'",
        "intervalstyle = 'sql_standard'",
        "timezone = 'Asia/Kolkata'",
        "standard_conforming_strings = off",
        "escape_string_warning = on",
        "backslash_quote = off",
        "client_encoding = 'LATIN1'",
        "search_path = 'Own Schema', public, pg_catalog",
        "extra_float_digits = -15",
        "quote_all_identifiers = on",
        "default_transaction_isolation = 'serializable'",
        "transform_null_equals = on",
    ] {
        let sql = format!("ALTER DATABASE {} SET {setting}", database.name);
        run_sql(&mut client, &sql).await;
    }
    run_sql(&mut client, "CREATE SCHEMA \"Own Schema\"").await;
    let whole = migration(
        "1_ä\\b'c.sql",
        "CREATE TABLE t (a text); INSERT INTO t VALUES ('ä');",
    );
    let steps = migration(
        "2_b.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);\nSELECT 1;",
    );
    let (mut session, mut worker) = working(&database).await;
    let key = a_key("v\\1 'ä'");
    session.begin(&key).await.expect("begins");
    for file in [&whole, &steps] {
        apply(&mut worker, file, Mode::Run).await.0.expect("applies");
    }
    let broken = migration("3_c.sql", "-- no-transaction\nSELECT 1;\nSELECT 1/0;");
    failed(apply(&mut worker, &broken, Mode::Run).await.0);
    let ending = crate::db::Ending::Failed {
        exit_code: 1,
        detail: "a\\b 'ä'",
    };
    session.finish(ending).await.expect("noted");
    worker.close().await;
    session.close().await;

    let mut session = PgSession::connect(&database.target(), &a_run("r2"))
        .await
        .expect("connects");
    let seen = session.look(&key, true).await.expect("looks");
    let applied: Vec<_> = seen
        .applied
        .iter()
        .map(|row| (row.version, &row.description, &row.checksum))
        .collect();
    assert_eq!(
        applied[..2],
        [
            (1, &whole.description, &whole.checksum),
            (2, &steps.description, &steps.checksum)
        ]
    );
    assert_eq!(seen.progress[0].done, 1);
    let failure = seen.failure.expect("it failed");
    assert_eq!(failure.detail, "a\\b 'ä'");
    assert!(
        (0..600_000_000).contains(&(seen.now - failure.ended)),
        "{failure:?}"
    );
    let releases = session.releases(5).await.expect("reads");
    assert_eq!(releases[0].release, "v\\1 'ä'");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
}
