//! sqlx's own migrator and we on the same database, one after the other.

use std::borrow::Cow;

use sqlx::Row;
use sqlx::migrate::{Migration as Theirs, MigrationType, Migrator};

use super::*;

const FILES: [(&str, &str); 3] = [
    (
        "1_first_steps.sql",
        "CREATE TABLE a (b int);\r\nINSERT INTO a VALUES (1);",
    ),
    (
        "2_an_index.sql",
        "-- no-transaction\nCREATE INDEX CONCURRENTLY a_b ON a (b);",
    ),
    (
        "20240101000000_größe.sql",
        "BEGIN; ALTER TABLE a ADD c text; COMMIT",
    ),
];

fn theirs() -> Migrator {
    let migrations = FILES.iter().map(|(name, sql)| {
        let (version, description) = name
            .trim_end_matches(".sql")
            .split_once('_')
            .expect("an underscore");
        Theirs::new(
            version.parse().expect("a number"),
            Cow::Owned(description.replace('_', " ")),
            MigrationType::Simple,
            sqlx::SqlStr::from_static(sql),
            sql.starts_with("-- no-transaction"),
        )
    });
    Migrator {
        migrations: migrations.collect(),
        ..Migrator::DEFAULT
    }
}

async fn rows(database: &Database) -> Vec<(i64, String, bool, Vec<u8>, bool)> {
    let mut client = database.client().await;
    let sql = "SELECT version, description, success, checksum, execution_time > 0 AND now() - installed_on < '1 minute' \
        FROM _sqlx_migrations ORDER BY version";
    let rows = sqlx::raw_sql(sql).fetch_all(&mut client).await.expect("rows");
    let read = |row: &sqlx::postgres::PgRow| (row.get(0), row.get(1), row.get(2), row.get(3), row.get(4));
    rows.iter().map(read).collect()
}

const COLUMNS: &str = "SELECT string_agg(column_name || data_type || is_nullable || coalesce(column_default, ''), ',' \
    ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = '_sqlx_migrations'";

#[tokio::test]
async fn both_write_the_same_and_find_nothing_to_do_after_the_other() {
    let ours = Database::new().await;
    let (mut session, mut worker) = working(&ours).await;
    for (name, sql) in FILES {
        apply(&mut worker, &migration(name, sql), Mode::Run)
            .await
            .0
            .expect("applies");
    }
    let other = Database::new().await;
    let mut client = other.client().await;
    theirs().run(&mut client).await.expect("sqlx applies");
    assert_eq!(rows(&ours).await, rows(&other).await);
    let mut our_client = ours.client().await;
    assert_eq!(
        value::<String>(&mut our_client, COLUMNS).await,
        value::<String>(&mut client, COLUMNS).await
    );

    // They, after us. The table would exist already.
    worker.close().await;
    let key = a_key("v1");
    let files: Vec<Migration> = FILES.iter().map(|(name, sql)| migration(name, sql)).collect();
    let nothing_left = |seen: crate::db::Seen| {
        let plan = crate::dir::plan(
            &files,
            &seen.applied,
            &seen.progress,
            crate::url::Kind::Postgres,
            Mode::Run,
        );
        assert_eq!(plan.expect("a plan").steps, []);
    };
    nothing_left(session.look(&key, true).await.expect("looks"));
    session.close().await;
    theirs().run(&mut our_client).await.expect("nothing to do");
    // We, after them.
    let mut session = holder(&other, "r2").await;
    nothing_left(session.look(&key, true).await.expect("looks"));
}
