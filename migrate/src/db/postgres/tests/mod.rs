//! Against real servers.

mod blocks;
mod connecting;
mod encoding;
mod foreign;
mod indexes;
mod ledger;
mod locking;
mod pooler;
mod settings;
mod sqlx_cli;
mod stepwise;
mod whole;

use super::testing::*;
use super::worker::PgWorker;
use super::{LOCK, PgSession};
use crate::db::{ApplyError, Mode, Session, SessionError, Worker};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;

/// A session that holds the lock, fenced.
async fn holder(database: &Database, run: &str) -> PgSession {
    let mut session = PgSession::connect(&database.target(), &a_run(run))
        .await
        .expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    session
}

/// Two sessions of a run with the lock.
async fn working(database: &Database) -> (PgSession, PgWorker) {
    let mut session = holder(database, "r1").await;
    let worker = session.worker().await.expect("a worker");
    (session, worker)
}

fn migration(name: &str, sql: &str) -> Migration {
    Migration::new(name, sql).expect("a migration")
}

/// Applies one migration, and gives what was said.
async fn apply(
    worker: &mut PgWorker,
    migration: &Migration,
    mode: Mode,
) -> (Result<(), ApplyError>, Vec<Event>) {
    let mut events = Vec::new();
    let result = worker
        .apply(migration, mode, &mut |event| events.push(event))
        .await;
    (result.map(drop), events)
}

fn failed(result: Result<(), ApplyError>) -> Error {
    match result {
        Err(ApplyError::Failed(error)) => error,
        other => panic!("{other:?}"),
    }
}

/// For a worker whose session was ended: the failure says so, and not that somebody cancelled a statement.
fn connection_ended(result: Result<(), ApplyError>) -> Error {
    let error = failed(result);
    assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
    assert!(
        error.to_string().contains("the server ended the connection"),
        "{error}"
    );
    let remedy = error.remedy().unwrap_or_default();
    assert!(remedy.contains("log"), "{remedy}");
    error
}

fn final_error<T: std::fmt::Debug>(result: Result<T, SessionError>) -> Error {
    match result {
        Err(SessionError::Final(error)) => error,
        other => panic!("{other:?}"),
    }
}

fn notes(events: &[Event]) -> Vec<&str> {
    events
        .iter()
        .filter_map(|event| match event {
            Event::Note { message } => Some(message.as_str()),
            _ => None,
        })
        .collect()
}
