//! Connections, and what is asked at once when there is one.

use std::io;
use std::str::FromStr;
use std::time::Duration;

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection, Row};
use tokio::time::timeout;

use super::error::{self, WRITER};
use super::names;
use crate::db::SessionError;
use crate::error::{Error, ErrorKind};
use crate::url::Target;

/// How long one attempt may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long an answer to what we ask for ourselves may take. Well below [`SILENCE`](super::session::SILENCE), so
/// that whoever is cut off has stopped before somebody else begins.
pub(super) const ANSWER: Duration = Duration::from_secs(15);

/// As long as the server lets a session wait for a lock: a year.
const FOR_EVER: u64 = 31_536_000;

/// What the server's own settings (`SET GLOBAL`, `init_connect`) may not decide: that what we do stays done,
/// that we can write, that our statements mean what they say, and that only our timeouts count. To be executed
/// before anything else; what begins with `/*M!` is for MariaDB alone, and with `/*!507` for MySQL.
pub(super) const OUR_WAYS: &str = "ROLLBACK; SET SESSION TRANSACTION READ WRITE;
    SET SESSION autocommit = 1, SESSION completion_type = 0, SESSION sql_auto_is_null = 0,
        SESSION sql_safe_updates = 0, SESSION sql_big_selects = 1, SESSION sql_select_limit = 18446744073709551615
        /*M! , SESSION max_statement_time = 0 */ /*!50708 , SESSION max_execution_time = 0 */";

/// A server, a user, and a database that is named.
#[derive(Clone)]
pub(super) struct Place {
    options: MySqlConnectOptions,
    /// For people.
    pub name: String,
    /// The database as the URL has it.
    pub database: String,
}

/// What a session learns when it begins.
#[derive(Debug)]
pub(super) struct Facts {
    /// The connection's id.
    pub id: u64,
    /// The database as the server has it: it may have changed the case.
    pub database: String,
    /// MariaDB rather than MySQL.
    pub mariadb: bool,
}

impl Place {
    pub fn find(target: &Target) -> Result<Place, Error> {
        let bad = |message: String| {
            Error::new(ErrorKind::Config, message)
                .with_remedy("write mysql://USER:PASSWORD@HOST:PORT/DATABASE")
        };
        // All else that the driver sets by default (sql_mode, time zone, names) stays: the files were written
        // for what sqlx sets.
        let options = MySqlConnectOptions::from_str(&target.url)
            .map_err(|error| bad(format!("cannot understand the URL of {}: {error}", target.name)))?;
        let database = options
            .get_database()
            .map(str::to_owned)
            .ok_or_else(|| bad(format!("the URL of {} names no database", target.name)))?;
        Ok(Place {
            // Nothing is asked twice in the same words, so keeping prepared statements only costs memory.
            options: options.statement_cache_capacity(0).disable_statement_logging(),
            name: target.name.clone(),
            database,
        })
    }

    /// Connects once.
    pub async fn connect(&self) -> Result<MySqlConnection, SessionError> {
        self.attempt(&self.options)
            .await?
            .map_err(|error| error::session(&error, &format!("connect to {}", self.name)))
    }

    /// Connects once; makes the database if it is not there.
    pub async fn connect_or_create(&self) -> Result<MySqlConnection, SessionError> {
        match self.attempt(&self.options).await? {
            Err(error) if error::is_no_database(&error) => {}
            Err(error) => return Err(error::session(&error, &format!("connect to {}", self.name))),
            Ok(connection) => return Ok(connection),
        }
        let failed = |error| error::session(&error, &format!("create the database of {}", self.name));
        // There is no way to take the name out of the options again but to begin anew.
        let mut connection = self.attempt(&self.without_database()?).await?.map_err(failed)?;
        let sql = format!(
            "{OUR_WAYS}; CREATE DATABASE IF NOT EXISTS {}",
            names::quoted(&self.database)
        );
        execute(&mut connection, sql).await.map_err(failed)?;
        let _ = connection.close().await;
        self.connect().await
    }

    fn without_database(&self) -> Result<MySqlConnectOptions, Error> {
        let mut url = self.options.to_url_lossy();
        url.set_path("");
        MySqlConnectOptions::from_url(&url)
            .map(ConnectOptions::disable_statement_logging)
            .map_err(|_| {
                let message = format!("cannot leave the database out of the URL of {}", self.name);
                Error::new(ErrorKind::Internal, message)
            })
    }

    async fn attempt(
        &self,
        options: &MySqlConnectOptions,
    ) -> Result<Result<MySqlConnection, sqlx::Error>, SessionError> {
        match timeout(ATTEMPT, options.connect()).await {
            Ok(answer) => Ok(answer),
            Err(_) => {
                let message = format!("no answer within {} s", ATTEMPT.as_secs());
                Err(SessionError::Transient(message))
            }
        }
    }
}

/// Sets what the lock's session needs and learns what has to be known, in one round trip. A server that does
/// not write is refused, even if this user could write to it: what is written to a replica breaks it.
pub(super) async fn greet(
    connection: &mut MySqlConnection,
    silence: Duration,
    name: &str,
) -> Result<Facts, SessionError> {
    let sql = format!(
        "{OUR_WAYS};
        SET SESSION wait_timeout = {silence}, SESSION lock_wait_timeout = 5, SESSION innodb_lock_wait_timeout = 5;
        SELECT CAST(CONNECTION_ID() AS UNSIGNED) AS id, CAST(VERSION() AS CHAR) AS version,
            CAST(DATABASE() AS CHAR) AS base,
            CAST(@@global.read_only AS CHAR) AS read_only, CAST(@@global.innodb_read_only AS CHAR) AS no_writes",
        silence = silence.as_secs(),
    );
    let failed = |error| error::session(&error, &format!("ask {name} what it is"));
    let row = last_row(connection, sql).await.map_err(failed)?;
    let answers = (number(&row, "id"), text(&row, "version"), text(&row, "base"));
    let (Some(id), Some(version), Some(database)) = answers else {
        let message = format!("{name} does not say which connection this is");
        return Err(Error::new(ErrorKind::Internal, message).into());
    };
    for variable in ["read_only", "no_writes"] {
        // Newer versions of MariaDB have more values than two.
        let value = text(&row, variable).unwrap_or_default();
        if !matches!(value.as_str(), "" | "0" | "OFF") {
            let message = format!("{name} is read-only: a replica, most likely");
            return Err(Error::new(ErrorKind::Config, message).with_remedy(WRITER).into());
        }
    }
    let mariadb = version.to_ascii_lowercase().contains("mariadb");
    if !mariadb && too_old(&version) {
        let message = format!("{name} is MySQL {version}, where a session can hold only one lock");
        return Err(Error::new(ErrorKind::Config, message)
            .with_remedy("use MySQL 5.7 or later, or MariaDB 10.2 or later")
            .into());
    }
    Ok(Facts {
        id,
        database,
        mariadb,
    })
}

fn too_old(version: &str) -> bool {
    let mut parts = version
        .split('.')
        .map(|part| part.parse::<u32>().unwrap_or(u32::MAX));
    let version = (parts.next().unwrap_or(0), parts.next().unwrap_or(0));
    version < (5, 7)
}

/// A timeout in the server's whole seconds. Zero means for ever here, and an error there.
pub(super) fn whole_seconds(timeout: Duration) -> u64 {
    if timeout.is_zero() {
        return FOR_EVER;
    }
    (timeout.as_secs() + u64::from(timeout.subsec_nanos() > 0)).min(FOR_EVER)
}

/// Waits for an answer, and not for ever: a network that lost the connection may never say so.
pub(super) async fn in_time<T>(
    answer: impl Future<Output = Result<T, sqlx::Error>>,
) -> Result<T, sqlx::Error> {
    timeout(ANSWER, answer).await.unwrap_or_else(|_| {
        let message = format!("no answer within {} s", ANSWER.as_secs());
        Err(io::Error::new(io::ErrorKind::TimedOut, message).into())
    })
}

/// Executes statements of ours in one round trip.
pub(super) async fn execute(connection: &mut MySqlConnection, sql: String) -> Result<(), sqlx::Error> {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    in_time(sql.execute(connection)).await.map(drop)
}

/// The same, and gives the rows of all.
pub(super) async fn fetch(
    connection: &mut MySqlConnection,
    sql: String,
) -> Result<Vec<MySqlRow>, sqlx::Error> {
    in_time(sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection)).await
}

/// The same, and gives the last row of all.
pub(super) async fn last_row(connection: &mut MySqlConnection, sql: String) -> Result<MySqlRow, sqlx::Error> {
    let rows = fetch(connection, sql).await?;
    rows.into_iter().next_back().ok_or(sqlx::Error::RowNotFound)
}

/// A whole number, whatever type the server has for it.
pub(super) fn number(row: &MySqlRow, column: &str) -> Option<u64> {
    row.try_get_unchecked::<Option<u64>, _>(column).ok().flatten()
}

pub(super) fn text(row: &MySqlRow, column: &str) -> Option<String> {
    row.try_get_unchecked::<Option<String>, _>(column).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_become_whole_seconds() {
        assert_eq!(whole_seconds(Duration::from_millis(1)), 1);
        assert_eq!(whole_seconds(Duration::from_millis(5000)), 5);
        assert_eq!(whole_seconds(Duration::from_millis(5001)), 6);
        assert_eq!(whole_seconds(Duration::ZERO), FOR_EVER);
    }

    #[test]
    fn versions_are_read() {
        assert!(too_old("5.6.51-log"));
        assert!(!too_old("5.7.44"));
        assert!(!too_old("8.0.36-28"));
    }
}
