//! sqlx's own migrator and we on the same database, one after the other.

use std::borrow::Cow;

use sqlx::migrate::{Migration as Theirs, MigrationType, Migrator};

use super::*;

const FILES: [&str; 3] = [
    "CREATE TABLE a (b INT); INSERT INTO a VALUES (1);",
    "-- no-transaction\nPRAGMA foreign_keys = ON;\nINSERT INTO a VALUES (2);",
    "INSERT INTO a VALUES (3)",
];

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

fn ours() -> Vec<Migration> {
    FILES
        .iter()
        .zip(1..)
        .map(|(sql, version)| migration(version, sql))
        .collect()
}

#[tokio::test]
async fn sqlx_has_nothing_to_do_after_us() {
    let place = Place::new();
    let mut session = place.holder("one").await;
    let mut worker = session.worker().await.expect("a worker");
    for file in ours() {
        apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    }
    worker.close().await;
    session.close().await;
    theirs()
        .run_direct(None, &mut place.connect().await, false)
        .await
        .expect("sqlx is content");
    assert_eq!(place.ask("SELECT count(*) FROM a").await, 3);
    assert_eq!(
        place
            .ask("SELECT count(*) FROM _sqlx_migrations WHERE execution_time > 0")
            .await,
        3
    );
}

#[tokio::test]
async fn we_have_nothing_to_do_after_sqlx() {
    let place = Place::new();
    theirs()
        .run_direct(None, &mut place.connect().await, false)
        .await
        .expect("sqlx");
    let mut session = place.holder("one").await;
    let seen = session.look(&key("r1"), true).await.expect("a look");
    let (files, mode) = (ours(), Mode::Run);
    let plan = crate::dir::plan(
        &files,
        &seen.applied,
        &seen.progress,
        crate::url::Kind::Sqlite,
        mode,
    );
    assert_eq!(plan.expect("a plan").steps, []);
    // The table is the same, to the letter.
    let mut connection = place.connect().await;
    let sql = "SELECT sql FROM sqlite_master WHERE name = '_sqlx_migrations'";
    let made: String = sqlx::query_scalar(sql)
        .fetch_one(&mut connection)
        .await
        .expect("a table");
    let other = Place::new();
    other.holder("two").await.worker().await.expect("a worker");
    let ours: String = sqlx::query_scalar(sql)
        .fetch_one(&mut other.connect().await)
        .await
        .expect("a table");
    let words = |sql: &str| sql.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(words(&ours), words(&made));
}
