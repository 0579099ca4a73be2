//! Connections: how they are opened, and the few ways in which they are asked.

use std::collections::BTreeSet;
use std::str::FromStr;
use std::time::Duration;

use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tokio::time::timeout;

use super::errors::{self, Verdict};
use super::text::identifier;
use crate::db::SessionError;
use crate::error::{Error, ErrorKind};
use crate::url::Target;

/// How long one attempt to connect may take.
const ATTEMPT: Duration = Duration::from_secs(5);

/// How long the server may take over one of our own small statements.
const ANSWER: Duration = Duration::from_secs(15);

/// How long a goodbye may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// What the URL says, for the driver. Nothing is sent at startup that PgBouncer refuses.
pub(super) fn options(target: &Target) -> Result<PgConnectOptions, SessionError> {
    let options =
        PgConnectOptions::from_str(&target.url).map_err(|error| errors::connecting(&error, &target.name))?;
    Ok(options
        .extra_float_digits(None)
        .statement_cache_capacity(0)
        .disable_statement_logging())
}

/// Opens a connection that calls itself `application`.
pub(super) async fn open(
    options: &PgConnectOptions,
    name: &str,
    application: &str,
) -> Result<PgConnection, SessionError> {
    attempt(options, application)
        .await
        .unwrap_or_else(|| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
        .map_err(|error| errors::connecting(&error, name))
}

/// Like [`open`], but creates the database if it is not there.
pub(super) async fn open_or_create(
    options: &PgConnectOptions,
    name: &str,
    application: &str,
) -> Result<PgConnection, SessionError> {
    match attempt(options, application).await {
        Some(Err(error)) if is_missing(&error) => {
            create(options, name, application).await?;
            open(options, name, application).await
        }
        Some(result) => result.map_err(|error| errors::connecting(&error, name)),
        None => open_timed_out(name),
    }
}

fn open_timed_out(name: &str) -> Result<PgConnection, SessionError> {
    Err(SessionError::Transient(format!(
        "cannot connect to {name}: no answer within {} s",
        ATTEMPT.as_secs()
    )))
}

async fn attempt(options: &PgConnectOptions, application: &str) -> Option<Result<PgConnection, sqlx::Error>> {
    let options = options.clone().application_name(application);
    timeout(ATTEMPT, options.connect()).await.ok()
}

fn is_missing(error: &sqlx::Error) -> bool {
    let (code, said) = errors::server(error);
    errors::refused(&code, &said) == Verdict::Missing
}

/// Creates the database, from the one that is there for that.
async fn create(options: &PgConnectOptions, name: &str, application: &str) -> Result<(), SessionError> {
    let database = options
        .get_database()
        .unwrap_or(options.get_username())
        .to_owned();
    let elsewhere = if database == "postgres" {
        "template1"
    } else {
        "postgres"
    };
    let mut connection = open(&options.clone().database(elsewhere), name, application).await?;
    let sql = format!("CREATE DATABASE {}", identifier(&database));
    // Copying the template takes a while on a slow disk.
    let result = timeout(Duration::from_secs(60), run(&mut connection, &sql)).await;
    close(connection).await;
    let error = match result {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(error)) => error,
        Err(_) => {
            return Err(SessionError::Transient(format!(
                "cannot create {name}: no answer within 60 s"
            )));
        }
    };
    match errors::code(&error).as_str() {
        // Another start was faster.
        "42P04" | "23505" => Ok(()),
        // Somebody is connected to the template at this moment.
        "55006" => Err(SessionError::Transient(format!(
            "cannot create {name}: {}",
            errors::server(&error).1
        ))),
        "42501" => Err(SessionError::Final(
            Error::new(
                ErrorKind::Denied,
                format!("cannot create {name}: {}", errors::server(&error).1),
            )
            .with_remedy("ALTER ROLE ... CREATEDB, or create the database by hand"),
        )),
        _ => Err(errors::asking(&error, "cannot create the database", name)),
    }
}

/// Runs statements whose answers nobody needs.
pub(super) async fn run(connection: &mut PgConnection, sql: &str) -> Result<(), sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).execute(connection).await?;
    Ok(())
}

/// Runs statements, and gives the rows of all of them.
pub(super) async fn rows(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    sqlx::raw_sql(AssertSqlSafe(sql)).fetch_all(connection).await
}

/// Like [`rows`], for small statements of our own that have no reason to take long. Characters that the database
/// has no room for become question marks: what is noted of a run is for people, and has to be noted.
pub(super) async fn ask(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    match answer(connection, sql).await {
        // Found out before any of it runs. In a transaction it is lost anyway.
        Err(error) if errors::code(&error) == NOT_ENCODABLE => match fit(connection, sql).await {
            Ok(fitted) if fitted != sql => answer(connection, &fitted).await,
            _ => Err(error),
        },
        result => result,
    }
}

async fn answer(connection: &mut PgConnection, sql: &str) -> Result<Vec<PgRow>, sqlx::Error> {
    timeout(ANSWER, rows(connection, sql))
        .await
        .unwrap_or_else(|_| Err(sqlx::Error::Io(std::io::ErrorKind::TimedOut.into())))
}

/// The server's code for a character that the encoding of the database does not have.
const NOT_ENCODABLE: &str = "22P05";

/// After so many different characters the rest is not asked for: it takes a round trip each.
const ASKED_FOR: usize = 50;

/// A text with a question mark for each character that the database cannot store. Not in a transaction.
pub(super) async fn fit(connection: &mut PgConnection, text: &str) -> Result<String, sqlx::Error> {
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary.
    let mut foreign = BTreeSet::new();
    foreign.extend(text.chars().filter(|c| !c.is_ascii()));
    let mut kept = BTreeSet::new();
    for c in foreign.into_iter().take(ASKED_FOR) {
        match answer(connection, &format!("SELECT '{c}'")).await {
            Ok(_) => kept.insert(c),
            Err(error) if errors::code(&error) == NOT_ENCODABLE => false,
            Err(error) => return Err(error),
        };
    }
    let fitting = |c: char| if c.is_ascii() || kept.contains(&c) { c } else { '?' };
    Ok(text.chars().map(fitting).collect())
}

/// Says goodbye, and does not wait long for it to be heard.
pub(super) async fn close(connection: PgConnection) {
    // It goes either way.
    let _ = timeout(GOODBYE, connection.close()).await;
}

/// Gives each setting of a session its value; those that the server does not know are left out.
pub(super) fn settings(values: &[(&str, &str)]) -> String {
    let values: Vec<String> = values
        .iter()
        .map(|(name, value)| format!("('{name}', {})", super::text::quote(value)))
        .collect();
    format!(
        "SELECT set_config(name, value, false) FROM (VALUES {}) AS settings(name, value) \
         WHERE current_setting(name, true) IS NOT NULL",
        values.join(", ")
    )
}

/// With these a session whose client is gone ends within 25 s: the kernel notices a dead network, and a
/// statement in progress notices that its client hung up.
pub(super) const NETWORK: [(&str, &str); 5] = [
    ("tcp_keepalives_idle", "10"),
    ("tcp_keepalives_interval", "5"),
    ("tcp_keepalives_count", "3"),
    ("tcp_user_timeout", "20000"),
    ("client_connection_check_interval", "5000"),
];
