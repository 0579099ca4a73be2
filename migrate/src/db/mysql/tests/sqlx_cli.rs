//! sqlx's own migrator and we on the same database, one after the other.

use std::borrow::Cow;

use sqlx::migrate::{Migration as Theirs, MigrationType, Migrator};

use super::*;

const FILES: [&str; 2] = [
    "CREATE TABLE a (b INT); INSERT INTO a VALUES (1 || 2);",
    "-- no-transaction\nINSERT INTO a VALUES (2);\nALTER TABLE a ADD c TIMESTAMP DEFAULT CURRENT_TIMESTAMP",
];

const ROWS: &str =
    "SELECT GROUP_CONCAT(CONCAT_WS('|', version, description, success, HEX(checksum), execution_time > 0)
    ORDER BY version) FROM _sqlx_migrations";

const COLUMNS: &str =
    "SELECT GROUP_CONCAT(CONCAT_WS('|', COLUMN_NAME, COLUMN_TYPE, IS_NULLABLE, COLUMN_DEFAULT, EXTRA,
    COLUMN_KEY) ORDER BY ORDINAL_POSITION) FROM information_schema.COLUMNS
    WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = '_sqlx_migrations'";

fn theirs() -> Migrator {
    let migrations = FILES.iter().zip(1..).map(|(sql, version)| {
        Theirs::new(
            version,
            Cow::Owned(format!("step {version}")),
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

async fn text(database: &Database, sql: &'static str) -> String {
    let mut other = database.connect().await;
    sqlx::query_scalar(sql)
        .fetch_one(&mut other)
        .await
        .expect("a text")
}

#[tokio::test]
async fn both_write_the_same_and_find_nothing_to_do_after_the_other() {
    let ours = database().await;
    let (session, mut worker) = working(&ours).await;
    let files: Vec<Migration> = FILES
        .iter()
        .zip(1..)
        .map(|(sql, version)| migration(version, sql))
        .collect();
    for file in &files {
        apply(&mut worker, file, Mode::Run).await.0.expect("applied");
    }
    worker.close().await;
    session.close().await;
    let other = database().await;
    theirs()
        .run_direct(None, &mut other.connect().await, false)
        .await
        .expect("sqlx applies");
    assert_eq!(text(&ours, ROWS).await, text(&other, ROWS).await);
    assert_eq!(text(&ours, COLUMNS).await, text(&other, COLUMNS).await);
    assert_eq!(
        ask(&mut ours.connect().await, "SELECT SUM(b) FROM a").await,
        14,
        "sql_mode is sqlx's"
    );

    theirs()
        .run_direct(None, &mut ours.connect().await, false)
        .await
        .expect("nothing to do");
    let (mut session, _worker) = working(&other).await;
    let seen = look(&mut session).await;
    let plan = crate::dir::plan(
        &files,
        &seen.applied,
        &seen.progress,
        crate::url::Kind::MySql,
        Mode::Run,
    );
    assert_eq!(plan.expect("a plan").steps, []);
}
