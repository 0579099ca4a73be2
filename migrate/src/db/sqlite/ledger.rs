//! The tables, and what is asked of them. Times are microseconds since 1970; the clock is the machine's.

use std::time::{SystemTime, UNIX_EPOCH};

use sqlx::Row;
use sqlx::sqlite::{SqliteConnection, SqliteRow};

use super::error::is_no_table;
use crate::db::words::cut;
use crate::db::{Applied, Ending, Failure, Key, Progress, Release, Run, Seen};

type Answer<T> = Result<T, sqlx::Error>;

/// How many rows of the ledger are kept.
const KEPT: u32 = 500;

/// How many characters of a failure are kept.
const DETAIL: usize = 16_000;

/// What every run is written down in.
pub(super) const RELEASES: &str = r#"
CREATE TABLE IF NOT EXISTS _runmate_releases (
    run TEXT PRIMARY KEY,
    "release" TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    what TEXT NOT NULL,
    state TEXT NOT NULL,
    host TEXT NOT NULL,
    started_at INTEGER NOT NULL,
    finished_at INTEGER,
    exit_code INTEGER,
    detail TEXT,
    sessions TEXT
);
CREATE INDEX IF NOT EXISTS _runmate_releases_key ON _runmate_releases (fingerprint, "release", state);
"#;

/// What files are recorded in.
pub(super) const MIGRATIONS: &str = r#"
CREATE TABLE IF NOT EXISTS _runmate_progress (
    version BIGINT PRIMARY KEY,
    done INTEGER NOT NULL,
    prefix TEXT NOT NULL,
    in_doubt BOOLEAN NOT NULL,
    error TEXT
);
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
);
"#;

/// Microseconds since 1970.
pub(super) fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// Makes the tables. Where they are there already, nothing is written and nobody waited for.
pub(super) async fn create(connection: &mut SqliteConnection, tables: &'static str) -> Answer<()> {
    sqlx::raw_sql(tables).execute(connection).await?;
    Ok(())
}

/// What there is to see.
pub(super) async fn look(
    connection: &mut SqliteConnection,
    key: &Key,
    with_migrations: bool,
) -> Answer<Seen> {
    let mut seen = Seen {
        now: now(),
        ..Seen::default()
    };
    let rows = empty_without_table(
        sqlx::query(
            r#"SELECT * FROM (
                SELECT run, state, finished_at, exit_code, detail FROM _runmate_releases
                WHERE fingerprint = ?1 AND "release" = ?2 AND state = 'done' LIMIT 1)
            UNION ALL SELECT * FROM (
                SELECT run, state, finished_at, exit_code, detail FROM _runmate_releases
                WHERE fingerprint = ?1 AND "release" = ?2 AND state = 'failed'
                ORDER BY finished_at DESC LIMIT 1)"#,
        )
        .bind(&key.fingerprint)
        .bind(&key.release)
        .fetch_all(&mut *connection)
        .await,
    )?;
    for row in rows {
        match row.try_get::<&str, _>("state")? {
            "done" => seen.done = true,
            _ => {
                seen.failure = Some(Failure {
                    run: row.try_get("run")?,
                    ended: row.try_get::<Option<i64>, _>("finished_at")?.unwrap_or(0),
                    exit_code: row.try_get::<Option<i32>, _>("exit_code")?.unwrap_or(1),
                    detail: row.try_get::<Option<String>, _>("detail")?.unwrap_or_default(),
                });
            }
        }
    }
    if with_migrations {
        let rows = empty_without_table(
            sqlx::query(
                "SELECT version, description, success, checksum FROM _sqlx_migrations ORDER BY version",
            )
            .fetch_all(&mut *connection)
            .await,
        )?;
        for row in rows {
            seen.applied.push(Applied {
                version: row.try_get("version")?,
                description: row.try_get("description")?,
                success: row.try_get("success")?,
                checksum: row.try_get("checksum")?,
            });
        }
        let rows = empty_without_table(
            sqlx::query("SELECT * FROM _runmate_progress ORDER BY version")
                .fetch_all(&mut *connection)
                .await,
        )?;
        for row in rows {
            seen.progress.push(progress_of(&row)?);
        }
    }
    Ok(seen)
}

fn empty_without_table(rows: Answer<Vec<SqliteRow>>) -> Answer<Vec<SqliteRow>> {
    match rows {
        Err(error) if is_no_table(&error) => Ok(Vec::new()),
        rows => rows,
    }
}

fn progress_of(row: &SqliteRow) -> Answer<Progress> {
    Ok(Progress {
        version: row.try_get("version")?,
        done: row.try_get("done")?,
        prefix: row.try_get("prefix")?,
        in_doubt: row.try_get("in_doubt")?,
        error: row.try_get("error")?,
    })
}

/// Notes that a run begins, and that those before it are lost.
pub(super) async fn begin(connection: &mut SqliteConnection, run: &Run, key: &Key) -> Answer<()> {
    let now = now();
    // One statement each, in one transaction: a connection that fails in between rolls it back when closed.
    sqlx::query("BEGIN IMMEDIATE").execute(&mut *connection).await?;
    let noted = note_begin(connection, run, key, now).await;
    end(connection, noted).await
}

async fn note_begin(connection: &mut SqliteConnection, run: &Run, key: &Key, now: i64) -> Answer<()> {
    sqlx::query("UPDATE _runmate_releases SET state = 'lost', finished_at = ?1 WHERE state = 'running'")
        .bind(now)
        .execute(&mut *connection)
        .await?;
    sqlx::query(
        "DELETE FROM _runmate_releases WHERE run NOT IN
            (SELECT run FROM _runmate_releases ORDER BY started_at DESC LIMIT ?1)",
    )
    .bind(KEPT - 1)
    .execute(&mut *connection)
    .await?;
    sqlx::query(
        r#"INSERT INTO _runmate_releases (run, "release", fingerprint, what, state, host, started_at)
            VALUES (?1, ?2, ?3, ?4, 'running', ?5, ?6)"#,
    )
    .bind(&run.id)
    .bind(&key.release)
    .bind(&key.fingerprint)
    .bind(&key.what)
    .bind(&run.host)
    .bind(now)
    .execute(&mut *connection)
    .await?;
    Ok(())
}

/// Commits what went well, and rolls back what did not.
pub(super) async fn end(connection: &mut SqliteConnection, done: Answer<()>) -> Answer<()> {
    let done = match done {
        Ok(()) => sqlx::query("COMMIT").execute(&mut *connection).await.map(drop),
        error => error,
    };
    if done.is_err() {
        // SQLite has done so itself after some errors; then there is nothing to roll back.
        let _ = sqlx::query("ROLLBACK").execute(connection).await;
    }
    done
}

/// Notes how a run ended.
pub(super) async fn finish(connection: &mut SqliteConnection, run: &Run, ending: Ending<'_>) -> Answer<()> {
    let (state, exit_code, detail) = match ending {
        Ending::Done => ("done", None, None),
        Ending::Failed { exit_code, detail } => ("failed", Some(exit_code), Some(cut(detail, DETAIL))),
        Ending::Stopped => ("stopped", None, None),
    };
    sqlx::query("UPDATE _runmate_releases SET state = ?1, finished_at = ?2, exit_code = ?3, detail = ?4 WHERE run = ?5")
        .bind(state)
        .bind(now())
        .bind(exit_code)
        .bind(detail)
        .bind(&run.id)
        .execute(connection)
        .await?;
    Ok(())
}

/// The last runs, newest first.
pub(super) async fn releases(connection: &mut SqliteConnection, limit: u32) -> Answer<Vec<Release>> {
    let now = now();
    let rows = empty_without_table(
        sqlx::query("SELECT * FROM _runmate_releases ORDER BY started_at DESC, run LIMIT ?1")
            .bind(limit)
            .fetch_all(connection)
            .await,
    )?;
    rows.iter().map(|row| release_of(row, now)).collect()
}

fn release_of(row: &SqliteRow, now: i64) -> Answer<Release> {
    let started: i64 = row.try_get("started_at")?;
    let finished: Option<i64> = row.try_get("finished_at")?;
    let state: String = row.try_get("state")?;
    Ok(Release {
        run: row.try_get("run")?,
        release: row.try_get("release")?,
        what: row.try_get("what")?,
        host: row.try_get("host")?,
        age: u64::try_from((now - started) / 1_000_000).unwrap_or(0),
        took: finished
            .filter(|_| state != "lost")
            .map(|finished| (finished - started) as f64 / 1_000_000.0),
        detail: row.try_get("detail")?,
        state,
    })
}

/// How far a migration got that runs statement by statement.
pub(super) async fn progress(connection: &mut SqliteConnection, version: i64) -> Answer<Option<Progress>> {
    let row = sqlx::query("SELECT * FROM _runmate_progress WHERE version = ?1")
        .bind(version)
        .fetch_optional(connection)
        .await?;
    row.map(|row| progress_of(&row)).transpose()
}

/// True if sqlx's table has the migration as one that has failed.
pub(super) async fn is_half_done(connection: &mut SqliteConnection, version: i64) -> Answer<bool> {
    let row = sqlx::query("SELECT 1 FROM _sqlx_migrations WHERE version = ?1 AND success = FALSE")
        .bind(version)
        .fetch_optional(connection)
        .await?;
    Ok(row.is_some())
}
