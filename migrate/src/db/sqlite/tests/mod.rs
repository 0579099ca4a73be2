//! Against real files.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{AssertSqlSafe, ConnectOptions};

use super::worker::SqliteWorker;
use tempfile::TempDir;

use super::*;
use crate::db::{ApplyError, Ended, Ending, Mode, Session, SessionError, Worker};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::testing::{key, migration, run, until};
use crate::url::Target;

mod applying;
mod large;
mod locking;
mod sqlx_cli;

/// A directory for a database.
struct Place {
    dir: TempDir,
}

impl Place {
    fn new() -> Place {
        Place {
            dir: TempDir::new().expect("a directory"),
        }
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("app.db")
    }

    fn lock_file(&self) -> PathBuf {
        self.dir.path().join("app.db.runmate-lock")
    }

    fn target(&self) -> Target {
        target(&self.file().display().to_string())
    }

    async fn session(&self, id: &str) -> SqliteSession {
        SqliteSession::connect(&self.target(), &run(id))
            .await
            .expect("a session")
    }

    /// A session with the lock, after everything that comes before the work.
    async fn holder(&self, id: &str) -> SqliteSession {
        holder(&self.target(), id).await
    }

    async fn connect(&self) -> SqliteConnection {
        let options = SqliteConnectOptions::new()
            .filename(self.file())
            .create_if_missing(true);
        options
            .disable_statement_logging()
            .connect()
            .await
            .expect("SQLite")
    }

    async fn ask(&self, sql: &str) -> i64 {
        let mut connection = self.connect().await;
        sqlx::query_scalar(AssertSqlSafe(sql))
            .fetch_one(&mut connection)
            .await
            .expect("a number")
    }
}

fn target(file: &str) -> Target {
    let mut target = Target::parse(&format!("sqlite:{file}")).expect("a URL");
    target.lock_timeout = Duration::from_millis(100);
    target
}

async fn holder(target: &Target, id: &str) -> SqliteSession {
    let mut session = SqliteSession::connect(target, &run(id)).await.expect("a session");
    assert!(session.try_lock().await.expect("an answer"));
    session.fence().await.expect("no obstacle");
    session.begin(&key("r1")).await.expect("the ledger");
    session
}

fn refused(answer: Result<SqliteSession, SessionError>) -> Error {
    match answer {
        Err(SessionError::Final(error)) => error,
        Err(SessionError::Transient(cause)) => panic!("it counts as passing: {cause}"),
        Ok(_) => panic!("it was let in"),
    }
}

fn failed(answer: Result<Duration, ApplyError>) -> Error {
    match answer {
        Err(ApplyError::Failed(error)) => error,
        other => panic!("it did not fail: {other:?}"),
    }
}

async fn apply(
    worker: &mut SqliteWorker,
    migration: &Migration,
    mode: Mode,
) -> (Result<Duration, ApplyError>, Vec<Event>) {
    let mut events = Vec::new();
    let answer = worker
        .apply(migration, mode, &mut |event| events.push(event))
        .await;
    (answer, events)
}
