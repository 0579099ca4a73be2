//! The tables, and what is asked of them. Times are UTC by the server's clock, to the microsecond.

use std::time::Duration;

use sqlx::Row;
use sqlx::mysql::{MySqlConnection, MySqlRow};

use super::connect::{execute, fetch, last_row, number, text};
use super::error::is_no_table;
use super::names::text as literal;
use crate::db::words::cut;
use crate::db::{Applied, Ending, Failure, Key, Progress, Release, Run, Seen};
use crate::event::Holder;

type Answer<T> = Result<T, sqlx::Error>;

/// How many rows of the ledger are kept.
const KEPT: u32 = 500;

/// What the columns hold, in characters.
const SHORT: usize = 255;
const DETAIL: usize = 16_000;

const NOW: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', UTC_TIMESTAMP(6))";
const STARTED: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', started_at)";
const FINISHED: &str = "TIMESTAMPDIFF(MICROSECOND, '1970-01-01 00:00:00', finished_at)";

/// What every run is written down in. Texts are compared byte by byte: releases may differ in case alone.
pub(super) const RELEASES: &str = "
CREATE TABLE IF NOT EXISTS _runmate_releases (
    run VARCHAR(32) NOT NULL PRIMARY KEY,
    `release` VARCHAR(255) NOT NULL,
    fingerprint VARCHAR(64) NOT NULL,
    what VARCHAR(255) NOT NULL,
    state VARCHAR(16) NOT NULL,
    host VARCHAR(255) NOT NULL,
    started_at DATETIME(6) NOT NULL,
    finished_at DATETIME(6) NULL,
    exit_code INT NULL,
    detail TEXT NULL,
    sessions VARCHAR(255) NULL,
    KEY _runmate_releases_key (fingerprint, `release`(64), state)
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin";

/// What files are recorded in.
pub(super) const MIGRATIONS: &str = "
CREATE TABLE IF NOT EXISTS _runmate_progress (
    version BIGINT NOT NULL PRIMARY KEY,
    done INT NOT NULL,
    prefix VARCHAR(64) NOT NULL,
    in_doubt BOOLEAN NOT NULL,
    error TEXT NULL
) ENGINE = InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin;
CREATE TABLE IF NOT EXISTS _sqlx_migrations (
    version BIGINT PRIMARY KEY,
    description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP,
    success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL,
    execution_time BIGINT NOT NULL
)";

/// Makes the tables.
pub(super) async fn create(connection: &mut MySqlConnection, tables: &str) -> Answer<()> {
    // Each statement says so in a note if its table is there already; nobody reads it.
    execute(connection, tables.to_owned()).await
}

/// What there is to see: one round trip for the ledger, and one for each table of the migrations.
pub(super) async fn look(connection: &mut MySqlConnection, key: &Key, with_migrations: bool) -> Answer<Seen> {
    let (fingerprint, release) = (literal(&key.fingerprint), literal(cut(&key.release, SHORT)));
    let columns = format!(
        "run, state, host, `release`, {STARTED} AS started, {FINISHED} AS finished, exit_code, detail
        FROM _runmate_releases"
    );
    let of_key = format!("fingerprint = {fingerprint} AND `release` = {release}");
    let sql = format!(
        "SELECT clock.now, runs.* FROM (SELECT {NOW} AS now) AS clock LEFT JOIN (
            (SELECT {columns} WHERE {of_key} AND state = 'done' LIMIT 1)
            UNION ALL
            (SELECT {columns} WHERE {of_key} AND state = 'failed' ORDER BY finished_at DESC LIMIT 1)
            UNION ALL
            (SELECT {columns} WHERE state = 'running' ORDER BY started_at DESC LIMIT 1)
        ) AS runs ON TRUE"
    );
    let mut seen = Seen::default();
    match fetch(connection, sql).await {
        Err(error) if is_no_table(&error) => {
            let row = last_row(connection, format!("SELECT {NOW} AS now")).await?;
            seen.now = signed(&row, "now").unwrap_or(0);
        }
        Err(error) => return Err(error),
        Ok(rows) => {
            for row in rows {
                seen.now = signed(&row, "now").unwrap_or(0);
                notice(&mut seen, &row);
            }
        }
    }
    if with_migrations {
        seen.applied = applied(connection).await?;
        seen.progress = progress(connection).await?;
    }
    Ok(seen)
}

fn notice(seen: &mut Seen, row: &MySqlRow) {
    match text(row, "state").as_deref() {
        Some("done") => seen.done = true,
        Some("failed") => {
            seen.failure = Some(Failure {
                run: text(row, "run").unwrap_or_default(),
                ended: signed(row, "finished").unwrap_or(0),
                exit_code: signed(row, "exit_code")
                    .and_then(|code| i32::try_from(code).ok())
                    .unwrap_or(1),
                detail: text(row, "detail").unwrap_or_default(),
            });
        }
        Some("running") => {
            let held = seen.now - signed(row, "started").unwrap_or(seen.now);
            seen.holder = Some(Holder {
                run: text(row, "run").unwrap_or_default(),
                host: text(row, "host").unwrap_or_default(),
                release: text(row, "release").unwrap_or_default(),
                held: Duration::from_micros(u64::try_from(held).unwrap_or(0)),
            });
        }
        _ => {}
    }
}

async fn applied(connection: &mut MySqlConnection) -> Answer<Vec<Applied>> {
    let sql = "SELECT version, description, success, checksum FROM _sqlx_migrations ORDER BY version";
    let mut applied = Vec::new();
    for row in rows(connection, sql.to_owned()).await? {
        applied.push(Applied {
            version: row.try_get_unchecked("version")?,
            description: row.try_get_unchecked("description")?,
            success: row.try_get_unchecked("success")?,
            checksum: row.try_get_unchecked("checksum")?,
        });
    }
    Ok(applied)
}

async fn progress(connection: &mut MySqlConnection) -> Answer<Vec<Progress>> {
    let mut progress = Vec::new();
    for row in rows(
        connection,
        "SELECT * FROM _runmate_progress ORDER BY version".to_owned(),
    )
    .await?
    {
        progress.push(progress_of(&row)?);
    }
    Ok(progress)
}

/// A row of the progress table.
pub(super) fn progress_of(row: &MySqlRow) -> Answer<Progress> {
    Ok(Progress {
        version: row.try_get_unchecked("version")?,
        done: row.try_get_unchecked("done")?,
        prefix: row.try_get_unchecked("prefix")?,
        in_doubt: row.try_get_unchecked("in_doubt")?,
        error: row.try_get_unchecked("error")?,
    })
}

/// No table, no rows.
async fn rows(connection: &mut MySqlConnection, sql: String) -> Answer<Vec<MySqlRow>> {
    match fetch(connection, sql).await {
        Err(error) if is_no_table(&error) => Ok(Vec::new()),
        rows => rows,
    }
}

/// The runs that are noted as running, but for our own.
pub(super) async fn running(connection: &mut MySqlConnection, run: &Run) -> Answer<Vec<String>> {
    let sql = format!(
        "SELECT run FROM _runmate_releases WHERE state = 'running' AND run <> {}",
        literal(&run.id)
    );
    Ok(rows(connection, sql)
        .await?
        .iter()
        .filter_map(|row| text(row, "run"))
        .collect())
}

/// How many runs that have ended are looked at for what they left running.
const RECENT: u32 = 20;

/// The runs of which something may still run, but for our own: those that are noted as running, and the last.
pub(super) async fn recent(connection: &mut MySqlConnection, run: &Run) -> Answer<Vec<String>> {
    let others = format!(
        "SELECT run FROM _runmate_releases WHERE run <> {}",
        literal(&run.id)
    );
    let sql =
        format!("({others} AND state = 'running') UNION ({others} ORDER BY started_at DESC LIMIT {RECENT})");
    Ok(rows(connection, sql)
        .await?
        .iter()
        .filter_map(|row| text(row, "run"))
        .collect())
}

/// Notes that a run begins, and that those before it are lost.
pub(super) async fn begin(connection: &mut MySqlConnection, run: &Run, key: &Key) -> Answer<()> {
    let short = |value: &str| literal(cut(value, SHORT));
    let sql = format!(
        "START TRANSACTION;
        UPDATE _runmate_releases SET state = 'lost', finished_at = UTC_TIMESTAMP(6) WHERE state = 'running';
        DELETE FROM _runmate_releases WHERE started_at < (SELECT MIN(started_at) FROM
            (SELECT started_at FROM _runmate_releases ORDER BY started_at DESC LIMIT {kept}) AS kept);
        INSERT INTO _runmate_releases (run, `release`, fingerprint, what, state, host, started_at)
            VALUES ({run}, {release}, {fingerprint}, {what}, 'running', {host}, UTC_TIMESTAMP(6));
        COMMIT",
        kept = KEPT - 1,
        run = literal(&run.id),
        release = short(&key.release),
        fingerprint = literal(&key.fingerprint),
        what = short(&key.what),
        host = short(&run.host),
    );
    let begun = execute(connection, sql).await;
    if begun.is_err() {
        let _ = execute(connection, "ROLLBACK".to_owned()).await;
    }
    begun
}

/// Notes which connections a run has: for people who look at the process list.
pub(super) async fn note_sessions(connection: &mut MySqlConnection, run: &Run, ids: &str) -> Answer<()> {
    let (ids, run) = (literal(ids), literal(&run.id));
    execute(
        connection,
        format!("UPDATE _runmate_releases SET sessions = {ids} WHERE run = {run}"),
    )
    .await
}

/// Notes how a run ended.
pub(super) async fn finish(connection: &mut MySqlConnection, run: &Run, ending: Ending<'_>) -> Answer<()> {
    let (state, exit_code, detail) = match ending {
        Ending::Done => ("done", "NULL".to_owned(), "NULL".to_owned()),
        Ending::Failed { exit_code, detail } => {
            ("failed", exit_code.to_string(), literal(cut(detail, DETAIL)))
        }
        Ending::Stopped => ("stopped", "NULL".to_owned(), "NULL".to_owned()),
    };
    let run = literal(&run.id);
    let sql = format!(
        "UPDATE _runmate_releases SET state = '{state}', finished_at = UTC_TIMESTAMP(6), exit_code = {exit_code},
            detail = {detail} WHERE run = {run}"
    );
    execute(connection, sql).await
}

/// The last runs, newest first.
pub(super) async fn releases(connection: &mut MySqlConnection, limit: u32) -> Answer<Vec<Release>> {
    let sql = format!(
        "SELECT run, `release`, what, state, host, detail,
            TIMESTAMPDIFF(SECOND, started_at, UTC_TIMESTAMP(6)) AS age,
            IF(state = 'lost', NULL, TIMESTAMPDIFF(MICROSECOND, started_at, finished_at)) AS took
        FROM _runmate_releases ORDER BY started_at DESC, run LIMIT {limit}"
    );
    let mut releases = Vec::new();
    for row in rows(connection, sql).await? {
        releases.push(Release {
            run: row.try_get_unchecked("run")?,
            release: row.try_get_unchecked("release")?,
            what: row.try_get_unchecked("what")?,
            state: row.try_get_unchecked("state")?,
            host: row.try_get_unchecked("host")?,
            age: number(&row, "age").unwrap_or(0),
            took: signed(&row, "took").map(|took| took as f64 / 1_000_000.0),
            detail: text(&row, "detail"),
        });
    }
    Ok(releases)
}

fn signed(row: &MySqlRow, column: &str) -> Option<i64> {
    row.try_get_unchecked::<Option<i64>, _>(column).ok().flatten()
}
