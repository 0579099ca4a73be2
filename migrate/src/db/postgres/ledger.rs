//! Our tables: what they look like, what is asked of them, and how the answers are read. Pure.

use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgRow;

use super::text::quote;
use crate::db::{Applied, Ending, Failure, Key, Progress, Release, Run, Seen};
use crate::event::Holder;

/// How many runs are remembered.
const KEPT: u32 = 500;

/// Microseconds of an interval or a time since 1970.
fn microseconds(expression: &str) -> String {
    format!("(extract(epoch from {expression}) * 1000000)::bigint")
}

/// Which of the tables are there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Tables {
    pub releases: bool,
    pub migrations: bool,
    pub progress: bool,
}

impl Tables {
    /// Three columns, in the order of the fields.
    pub const COLUMNS: &str = "to_regclass('_runmate_releases') IS NOT NULL, \
        to_regclass('_sqlx_migrations') IS NOT NULL, to_regclass('_runmate_progress') IS NOT NULL";

    /// Reads those columns, from the given one on.
    pub fn read(row: &PgRow, from: usize) -> Result<Tables, sqlx::Error> {
        Ok(Tables {
            releases: row.try_get(from)?,
            migrations: row.try_get(from + 1)?,
            progress: row.try_get(from + 2)?,
        })
    }
}

pub(super) const CREATE_RELEASES: &str = "CREATE TABLE IF NOT EXISTS _runmate_releases (\
    run text PRIMARY KEY, \
    \"release\" text NOT NULL, \
    fingerprint text NOT NULL, \
    what text NOT NULL, \
    state text NOT NULL, \
    host text NOT NULL, \
    started_at timestamptz NOT NULL, \
    finished_at timestamptz, \
    exit_code integer, \
    detail text, \
    sessions text); \
    CREATE INDEX IF NOT EXISTS _runmate_releases_key ON _runmate_releases (fingerprint, \"release\", state)";

/// Column for column what sqlx creates.
pub(super) const CREATE_MIGRATIONS: &str = "CREATE TABLE IF NOT EXISTS _sqlx_migrations (\
    version bigint PRIMARY KEY, \
    description text NOT NULL, \
    installed_on timestamptz NOT NULL DEFAULT now(), \
    success boolean NOT NULL, \
    checksum bytea NOT NULL, \
    execution_time bigint NOT NULL)";

pub(super) const CREATE_PROGRESS: &str = "CREATE TABLE IF NOT EXISTS _runmate_progress (\
    version bigint PRIMARY KEY, \
    done integer NOT NULL, \
    prefix text NOT NULL, \
    in_doubt boolean NOT NULL, \
    error text)";

/// All of [`Session::look`](crate::db::Session::look) in one round trip. Each row says first what it is.
pub(super) fn look(tables: Tables, key: &Key, with_migrations: bool) -> String {
    let mut sql = format!("SELECT 'now'::text, {};", microseconds("clock_timestamp()"));
    if tables.releases {
        let key = format!(
            "fingerprint = {} AND \"release\" = {}",
            quote(&key.fingerprint),
            quote(&key.release)
        );
        sql.push_str(&format!(
            "SELECT 'done'::text FROM _runmate_releases WHERE {key} AND state = 'done' LIMIT 1;\
             SELECT 'failure'::text, run, {}, coalesce(exit_code, 1), coalesce(detail, '') \
             FROM _runmate_releases WHERE {key} AND state = 'failed' \
             ORDER BY finished_at DESC NULLS LAST LIMIT 1;\
             SELECT 'holder'::text, run, host, \"release\", {} \
             FROM _runmate_releases WHERE state = 'running' ORDER BY started_at DESC LIMIT 1;",
            microseconds("coalesce(finished_at, started_at)"),
            microseconds("clock_timestamp() - started_at"),
        ));
    }
    if with_migrations && tables.migrations {
        sql.push_str(
            // Not as it stands: how that is written down depends on bytea_output.
            "SELECT 'applied'::text, version, description, success, encode(checksum, 'hex') \
             FROM _sqlx_migrations ORDER BY version;",
        );
    }
    if with_migrations && tables.progress {
        sql.push_str(
            "SELECT 'progress'::text, version, done, prefix, in_doubt, error \
             FROM _runmate_progress ORDER BY version;",
        );
    }
    sql
}

/// Reads the rows of [`look`].
pub(super) fn read_look(rows: &[PgRow]) -> Result<Seen, sqlx::Error> {
    let mut seen = Seen::default();
    for row in rows {
        match row.try_get::<&str, _>(0)? {
            "now" => seen.now = row.try_get(1)?,
            "done" => seen.done = true,
            "failure" => {
                seen.failure = Some(Failure {
                    run: row.try_get(1)?,
                    ended: row.try_get(2)?,
                    exit_code: row.try_get(3)?,
                    detail: row.try_get(4)?,
                });
            }
            "holder" => {
                let held: i64 = row.try_get(4)?;
                seen.holder = Some(Holder {
                    run: row.try_get(1)?,
                    host: row.try_get(2)?,
                    release: row.try_get(3)?,
                    held: Duration::from_micros(u64::try_from(held).unwrap_or(0)),
                });
            }
            "applied" => seen.applied.push(Applied {
                version: row.try_get(1)?,
                description: row.try_get(2)?,
                success: row.try_get(3)?,
                checksum: unhex(row.try_get(4)?),
            }),
            _ => {
                let done: i32 = row.try_get(2)?;
                seen.progress.push(Progress {
                    version: row.try_get(1)?,
                    done: u32::try_from(done).unwrap_or(0),
                    prefix: row.try_get(3)?,
                    in_doubt: row.try_get(4)?,
                    error: row.try_get(5)?,
                });
            }
        }
    }
    Ok(seen)
}

/// The bytes of what `encode(.., 'hex')` gives.
fn unhex(hex: &str) -> Vec<u8> {
    let digits: Vec<u8> = hex
        .chars()
        .filter_map(|c| c.to_digit(16))
        .map(|digit| digit as u8)
        .collect();
    digits
        .chunks(2)
        .map(|pair| pair.iter().fold(0, |byte, digit| byte << 4 | digit))
        .collect()
}

/// Whoever is noted as running was lost, we begin, and the oldest are forgotten. The last run of each key
/// that was done is forgotten last, because a later start may skip for it. One transaction.
pub(super) fn begin(run: &Run, key: &Key) -> String {
    format!(
        "UPDATE _runmate_releases SET state = 'lost' WHERE state = 'running' AND run <> {run};\
         INSERT INTO _runmate_releases (run, \"release\", fingerprint, what, state, host, started_at) \
         VALUES ({run}, {release}, {fingerprint}, {what}, 'running', {host}, clock_timestamp()) \
         ON CONFLICT (run) DO UPDATE SET \"release\" = excluded.\"release\", \
         fingerprint = excluded.fingerprint, what = excluded.what, state = 'running', \
         started_at = excluded.started_at, finished_at = NULL, exit_code = NULL, detail = NULL, sessions = NULL;\
         DELETE FROM _runmate_releases WHERE run IN (SELECT run FROM (\
         SELECT run, started_at, state = 'done' AND row_number() OVER \
         (PARTITION BY fingerprint, \"release\", state ORDER BY started_at DESC) = 1 AS kept \
         FROM _runmate_releases) AS runs \
         WHERE run <> {run} ORDER BY kept DESC, started_at DESC OFFSET {others})",
        run = quote(&run.id),
        release = quote(&key.release),
        fingerprint = quote(&key.fingerprint),
        what = quote(&key.what),
        host = quote(&run.host),
        others = KEPT - 1,
    )
}

/// When a session of `pg_stat_activity` began, in microseconds; 0 if that may not be seen.
pub(super) const SINCE: &str = "coalesce((extract(epoch from backend_start) * 1000000)::bigint, 0)";

/// Notes which session does the work: a migration may give it any name.
pub(super) fn note_worker(run: &Run, pid: i32, since: i64) -> String {
    format!(
        "UPDATE _runmate_releases SET sessions = concat_ws(' ', sessions, '{pid}:{since}') WHERE run = {}",
        quote(&run.id)
    )
}

/// A condition on `pg_stat_activity`: the session does the work of another run, which was not ended properly. An idle
/// one does nothing, and behind a pooler it may be somebody else's by now.
pub(super) fn noted(run: &Run) -> String {
    format!(
        "state IS DISTINCT FROM 'idle' AND pid || ':' || {SINCE} IN (SELECT unnest(string_to_array(sessions, ' ')) FROM _runmate_releases \
         WHERE state = 'running' AND run <> {})",
        quote(&run.id)
    )
}

/// How it ended; unless another run has noted meanwhile that this one was lost.
pub(super) fn finish(run: &Run, ending: Ending<'_>) -> String {
    let (state, exit_code, detail) = match ending {
        Ending::Done => ("done", "0".to_owned(), "NULL".to_owned()),
        Ending::Failed { exit_code, detail } => ("failed", exit_code.to_string(), quote(detail)),
        Ending::Stopped => ("stopped", "NULL".to_owned(), "NULL".to_owned()),
    };
    format!(
        "UPDATE _runmate_releases SET state = '{state}', finished_at = clock_timestamp(), \
         exit_code = {exit_code}, detail = {detail} WHERE run = {} AND state = 'running'",
        quote(&run.id)
    )
}

/// The last runs, newest first.
pub(super) fn releases(limit: u32) -> String {
    format!(
        "SELECT run, \"release\", what, state, host, {}, {}, detail FROM _runmate_releases \
         ORDER BY started_at DESC LIMIT {limit}",
        microseconds("clock_timestamp() - started_at"),
        microseconds("finished_at - started_at"),
    )
}

/// Reads a row of [`releases`].
pub(super) fn read_release(row: &PgRow) -> Result<Release, sqlx::Error> {
    let (age, took): (i64, Option<i64>) = (row.try_get(5)?, row.try_get(6)?);
    Ok(Release {
        run: row.try_get(0)?,
        release: row.try_get(1)?,
        what: row.try_get(2)?,
        state: row.try_get(3)?,
        host: row.try_get(4)?,
        age: u64::try_from(age).unwrap_or(0) / 1_000_000,
        took: took.map(|took| took as f64 / 1e6),
        detail: row.try_get(7)?,
    })
}
