//! The session that holds the lock.

use std::os::fd::RawFd;
use std::time::Duration;

use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use sqlx::{ConnectOptions, Connection};

use super::brake::Brake;
use super::lock::{self, Lock};
use super::place::Place;
use super::worker::SqliteWorker;
use super::{error, ledger};
use crate::db::{Ended, Ending, Key, Release, Run, Seen, Session, SessionError};
use crate::error::{Error, ErrorKind};
use crate::url::Target;

/// How long whoever only looks waits for somebody else's write: not as long as until it looks again.
const GLANCE: Duration = Duration::from_millis(100);

/// How long the holder of the lock waits for somebody else's write, in milliseconds, when it writes the ledger.
const PATIENCE: &str = "PRAGMA busy_timeout = 5000";

/// A connection for the ledger, and the file that is locked.
pub(crate) struct SqliteSession {
    place: Place,
    run: Run,
    connection: SqliteConnection,
    lock: Option<Lock>,
    read_only: bool,
    lock_timeout: Duration,
    statement_timeout: Duration,
}

impl SqliteSession {
    fn failed(&self, error: sqlx::Error, what: &str) -> SessionError {
        error::session(error, what, &self.place.name)
    }
}

/// Opens a database. The driver opens the file only when it is asked for something; whether it is a database at
/// all, is better known now. Who writes right now keeps nobody from waiting for the lock.
async fn open(options: SqliteConnectOptions) -> Result<SqliteConnection, sqlx::Error> {
    let mut connection = options.connect().await?;
    match sqlx::query("SELECT count(*) FROM sqlite_master")
        .execute(&mut connection)
        .await
    {
        Err(error) if !error::is_busy(&error) => Err(error),
        _ => Ok(connection),
    }
}

/// Opens a database for questions only. A file that is not there is as an empty one.
async fn read(place: &Place) -> Result<SqliteConnection, sqlx::Error> {
    if !place.exists {
        let empty = SqliteConnectOptions::new().in_memory(true);
        return empty.disable_statement_logging().connect().await;
    }
    match open(place.options(GLANCE)).await {
        Err(error) if error::is_not_openable(&error) => match place.unchanging() {
            Some(options) => open(options).await,
            None => Err(error),
        },
        answer => answer,
    }
}

impl Session for SqliteSession {
    type Worker = SqliteWorker;

    async fn connect(target: &Target, run: &Run) -> Result<Self, SessionError> {
        let place = Place::find(target)?;
        let connection = match target.read_only {
            true => read(&place).await,
            false => open(place.options(GLANCE)).await,
        };
        let connection = connection.map_err(|error| error::session(error, "open", &place.name))?;
        Ok(SqliteSession {
            place,
            run: run.clone(),
            connection,
            lock: None,
            read_only: target.read_only,
            lock_timeout: target.lock_timeout,
            statement_timeout: target.statement_timeout,
        })
    }

    async fn look(&mut self, key: &Key, with_migrations: bool) -> Result<Seen, SessionError> {
        let mut seen = match ledger::look(&mut self.connection, key, with_migrations).await {
            Ok(seen) => seen,
            // A large transaction keeps readers out. Whoever waits for the lock only wants to know whether there
            // is something left to do; what that is, it asks again when it has the lock.
            Err(error) if error::is_busy(&error) && self.lock.is_none() && !self.read_only => Seen {
                now: ledger::now(),
                ..Seen::default()
            },
            Err(error) => return Err(self.failed(error, "read")),
        };
        seen.holder = lock::holder(&self.place.lock, seen.now);
        Ok(seen)
    }

    async fn try_lock(&mut self) -> Result<bool, SessionError> {
        if self.lock.is_none() {
            self.lock = Lock::try_take(&self.place.lock)?;
            if let Some(lock) = &self.lock {
                lock.sign(&self.run.id, &self.run.host, "", ledger::now());
            }
        }
        Ok(self.lock.is_some())
    }

    /// Nothing is left behind by the dead: the system took their lock with their process, and SQLite rolls
    /// back what they had begun.
    async fn fence(&mut self) -> Result<Ended, SessionError> {
        let set = sqlx::query(PATIENCE).execute(&mut self.connection).await;
        set.map_err(|error| self.failed(error, "open"))?;
        let created = ledger::create(&mut self.connection, ledger::RELEASES).await;
        created.map_err(|error| self.failed(error, "make tables in"))?;
        Ok(Ended::default())
    }

    async fn begin(&mut self, key: &Key) -> Result<(), SessionError> {
        if let Some(lock) = &self.lock {
            lock.sign(&self.run.id, &self.run.host, &key.release, ledger::now());
        }
        let begun = ledger::begin(&mut self.connection, &self.run, key).await;
        begun.map_err(|error| self.failed(error, "write the ledger in"))
    }

    async fn worker(&mut self) -> Result<SqliteWorker, SessionError> {
        let created = ledger::create(&mut self.connection, ledger::MIGRATIONS).await;
        created.map_err(|error| self.failed(error, "make tables in"))?;
        SqliteWorker::open(&self.place, self.lock_timeout, self.statement_timeout)
            .await
            .map_err(|error| self.failed(error, "open"))
    }

    fn command_env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    fn lock_descriptor(&self) -> Option<RawFd> {
        self.lock.as_ref().map(Lock::descriptor)
    }

    async fn heartbeat(&mut self) -> Result<bool, SessionError> {
        Ok(self
            .lock
            .as_ref()
            .is_some_and(|lock| lock.is_at(&self.place.lock)))
    }

    async fn cancel(&mut self, handle: &Brake) -> Result<(), SessionError> {
        handle.pull();
        Ok(())
    }

    async fn finish(&mut self, ending: Ending<'_>) -> Result<(), SessionError> {
        let finished = ledger::finish(&mut self.connection, &self.run, ending).await;
        finished.map_err(|error| self.failed(error, "write the ledger in"))
    }

    async fn close(self) {
        let _ = self.connection.close().await;
        if let Some(lock) = self.lock {
            lock.release();
        }
    }

    async fn end_holder(&mut self) -> Result<Ended, SessionError> {
        match Lock::try_take(&self.place.lock)? {
            Some(lock) => {
                lock.release();
                Ok(Ended::default())
            }
            None => {
                let file = self.place.lock.display();
                let who = lock::holder(&self.place.lock, ledger::now()).map_or_else(String::new, |holder| {
                    format!(" (run {} of {})", holder.run, holder.host)
                });
                let message = format!("the lock {file} belongs to a process that runs{who}");
                let remedy = "end that process; its lock ends with it. Do not delete the file: a deleted lock \
                              locks nobody out";
                Err(Error::new(ErrorKind::Config, message).with_remedy(remedy).into())
            }
        }
    }

    async fn releases(&mut self, limit: u32) -> Result<Vec<Release>, SessionError> {
        let releases = ledger::releases(&mut self.connection, limit).await;
        releases.map_err(|error| self.failed(error, "read"))
    }
}
