//! Against a real server: MariaDB.

use std::time::{Duration, Instant};

use super::names::text as literal;
use super::worker::MySqlWorker;
use super::*;
use crate::db::{ApplyError, Ended, Ending, Mode, Seen, Session, SessionError, Worker};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::testing::mariadb::{Database, Server, ask, execute};
use crate::testing::{key, migration, run, until};
use crate::url::Target;

mod applying;
mod connecting;
mod doubting;
mod locking;
mod repairing;
mod sqlx_cli;
mod stopping;
mod unanswered;

async fn database() -> Database {
    Server::shared().database().await
}

async fn session(target: &Target, id: &str) -> MySqlSession {
    MySqlSession::connect(target, &run(id)).await.expect("a session")
}

/// A session with the lock, after everything that comes before the work. Runs of other tests have other
/// databases, but the same server, so the run's name holds the database's.
async fn holder(database: &Database, id: &str) -> MySqlSession {
    let mut session = session(&database.target(), &unique(database, id)).await;
    assert!(session.try_lock().await.expect("an answer"));
    session.fence().await.expect("no obstacle");
    session.begin(&key("r1")).await.expect("the ledger");
    session
}

fn unique(database: &Database, id: &str) -> String {
    format!("{}{id}", database.name)
}

async fn working(database: &Database) -> (MySqlSession, MySqlWorker) {
    let mut session = holder(database, "one").await;
    let worker = session.worker().await.expect("a worker");
    (session, worker)
}

async fn look(session: &mut MySqlSession) -> Seen {
    session.look(&key("r1"), true).await.expect("a look")
}

fn failed(answer: Result<Duration, ApplyError>) -> Error {
    match answer {
        Err(ApplyError::Failed(error)) => error,
        other => panic!("it did not fail: {other:?}"),
    }
}

fn refused(answer: Result<MySqlSession, SessionError>) -> Error {
    match answer {
        Err(SessionError::Final(error)) => error,
        Err(SessionError::Transient(cause)) => panic!("it counts as passing: {cause}"),
        Ok(_) => panic!("it was let in"),
    }
}

async fn apply(
    worker: &mut MySqlWorker,
    migration: &Migration,
    mode: Mode,
) -> (Result<Duration, ApplyError>, Vec<Event>) {
    let mut events = Vec::new();
    let answer = worker
        .apply(migration, mode, &mut |event| events.push(event))
        .await;
    (answer, events)
}

/// Applies in the background, for those who want to disturb it.
fn spawn(
    mut worker: MySqlWorker,
    sql: &str,
) -> tokio::task::JoinHandle<(Result<Duration, ApplyError>, MySqlWorker)> {
    let file = migration(1, sql);
    tokio::spawn(async move {
        let answer = apply(&mut worker, &file, Mode::Run).await.0;
        (answer, worker)
    })
}

/// Waits until a connection of this database executes something like this.
async fn until_it_runs(database: &Database, like: &str) -> i64 {
    let mut other = database.connect().await;
    let sql = format!(
        "SELECT COALESCE(MAX(ID), 0) FROM information_schema.PROCESSLIST
            WHERE DB = '{}' AND ID <> CONNECTION_ID() AND INFO LIKE '{like}' AND STATE <> ''",
        database.name
    );
    let mut id = 0;
    until(&format!("{like} runs"), async || {
        id = ask(&mut other, &sql).await;
        id > 0
    })
    .await;
    id
}
