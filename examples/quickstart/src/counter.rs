//! The counter: one row in a SQLite file of the working directory.

use std::path::Path;

use sqlx::ConnectOptions;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection, SqliteJournalMode};

use crate::Result;

const FILE: &str = "visits.db";

/// `quickstart prepare`: creates the file and its table. Doing it twice does no harm.
pub async fn create() -> Result<()> {
    let existed = Path::new(FILE).exists();
    // With a write-ahead log the ticker can read while the app writes.
    let options = SqliteConnectOptions::new()
        .filename(FILE)
        .create_if_missing(true)
        .journal_mode(SqliteJournalMode::Wal);
    let mut database = options
        .connect()
        .await
        .map_err(|error| format!("cannot create {FILE} in {}: {error}", cwd()))?;
    sqlx::query("create table if not exists counter (visits integer not null)")
        .execute(&mut database)
        .await?;
    sqlx::query("insert into counter select 0 where not exists (select * from counter)")
        .execute(&mut database)
        .await?;
    let visits = read(&mut database).await?;
    match existed {
        true => println!("{FILE} was there already, with {visits} visits"),
        false => println!("created {FILE} and its table"),
    }
    Ok(())
}

/// Opens the file that `create` made.
pub async fn open() -> Result<SqliteConnection> {
    SqliteConnectOptions::new()
        .filename(FILE)
        .connect()
        .await
        .map_err(|error| {
            format!(
                "cannot open {FILE} in {} (did `quickstart prepare` run?): {error}",
                cwd()
            )
            .into()
        })
}

/// The number of visits so far.
pub async fn read(database: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("select visits from counter")
        .fetch_one(database)
        .await
}

/// Counts one visit and returns the new number.
pub async fn increment(database: &mut SqliteConnection) -> sqlx::Result<i64> {
    sqlx::query_scalar("update counter set visits = visits + 1 returning visits")
        .fetch_one(database)
        .await
}

fn cwd() -> String {
    std::env::current_dir().map_or_else(
        |_| "the working directory".into(),
        |path| path.display().to_string(),
    )
}
