//! The session that holds the lock.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::mysql::MySqlConnection;
use tokio::time::{sleep, timeout};

use super::connect::{Facts, Place, execute, greet, last_row, number};
use super::names::{self, WORK_LOCKS, text as literal};
use super::worker::{Leash, MySqlWorker, Reins};
use super::{error, ledger};
use crate::db::{Ended, Ending, Key, Release, Run, Seen, Session, SessionError};
use crate::error::{Error, ErrorKind};
use crate::url::Target;

mod fence;

use fence::{GONE_WITHIN, Leftover};

/// How long the server keeps the lock of a session that says nothing. The flow's heartbeat says something
/// every second, so this is for holders that are frozen or cut off.
pub(super) const SILENCE: Duration = Duration::from_secs(30);

/// Every how many heartbeats it is looked whether the worker's connection is still there.
pub(super) const WORKER_EVERY: u32 = 10;

/// A connection that holds two locks: ours, and sqlx's so that sqlx-cli is kept out.
pub(crate) struct MySqlSession {
    place: Place,
    run: Run,
    connection: MySqlConnection,
    facts: Facts,
    lock: String,
    sqlx_lock: String,
    held: bool,
    gone_within: Duration,
    beats: u32,
    leash: Option<Leash>,
    target: Target,
}

impl MySqlSession {
    fn failed(&self, error: &sqlx::Error, what: &str) -> SessionError {
        error::session(error, &format!("{what} {}", self.place.name))
    }

    async fn execute(&mut self, sql: String, what: &str) -> Result<(), SessionError> {
        let answer = execute(&mut self.connection, sql).await;
        answer.map_err(|error| self.failed(&error, what))
    }

    #[cfg(test)]
    pub(super) fn connection(&mut self) -> &mut MySqlConnection {
        &mut self.connection
    }

    #[cfg(test)]
    pub(super) fn wait_for_nobody(&mut self) {
        self.gone_within = Duration::ZERO;
    }

    #[cfg(test)]
    pub(super) fn set_lock_timeout(&mut self, timeout: Duration) {
        self.target.lock_timeout = timeout;
    }

    /// The first column, named `answer`, of the only row.
    async fn ask(&mut self, sql: String, what: &str) -> Result<Option<u64>, SessionError> {
        match last_row(&mut self.connection, sql).await {
            Ok(row) => Ok(number(&row, "answer")),
            Err(error) => Err(self.failed(&error, what)),
        }
    }

    /// Which connection has a lock.
    async fn owner(&mut self, lock: &str) -> Result<Option<u64>, SessionError> {
        let sql = format!("SELECT IS_USED_LOCK({}) AS answer", literal(lock));
        self.ask(sql, "ask for a lock on").await
    }
    /// While a statement takes long nothing goes over the worker's connection, so that a network in between may
    /// forget it. The worker would wait for ever; the server knows that it is gone.
    async fn look_after_worker(&mut self) {
        let Some(reins) = self.leash.as_ref().and_then(Leash::reins).cloned() else {
            return;
        };
        let [lock, _] = names::work_locks(&self.run.id);
        // The file itself may have given up all locks, so those who are there are asked for as well.
        let sql = format!(
            "SELECT IS_USED_LOCK({}) IS NOT NULL
                OR EXISTS (SELECT 1 FROM information_schema.PROCESSLIST WHERE ID = {}) AS answer",
            literal(&lock),
            reins.id()
        );
        // Without an answer nothing is known of the worker; what it means for us, the heartbeat finds out.
        if let Ok(Some(0)) = self.ask(sql, "ask for a lock on").await {
            reins.cut();
        }
    }
}

impl Session for MySqlSession {
    type Worker = MySqlWorker;

    async fn connect(target: &Target, run: &Run) -> Result<Self, SessionError> {
        let place = Place::find(target)?;
        let mut connection = match target.create {
            true => place.connect_or_create().await?,
            false => place.connect().await?,
        };
        let facts = greet(&mut connection, SILENCE, &place.name).await?;
        Ok(MySqlSession {
            lock: names::lock(&facts.database),
            sqlx_lock: names::sqlx_lock(&facts.database),
            run: run.clone(),
            held: false,
            gone_within: GONE_WITHIN,
            beats: 0,
            leash: None,
            target: target.clone(),
            place,
            connection,
            facts,
        })
    }

    async fn look(&mut self, key: &Key, with_migrations: bool) -> Result<Seen, SessionError> {
        let seen = ledger::look(&mut self.connection, key, with_migrations).await;
        seen.map_err(|error| self.failed(&error, "read the ledger of"))
    }

    async fn try_lock(&mut self) -> Result<bool, SessionError> {
        // A session may take a lock again and again, and would have to give it back as often.
        if self.held {
            return Ok(true);
        }
        let (lock, sqlx_lock) = (literal(&self.lock), literal(&self.sqlx_lock));
        let sql = format!("SELECT IF(GET_LOCK({lock}, 0) = 1, GET_LOCK({sqlx_lock}, 0), 2) AS answer");
        match self.ask(sql, "take the lock of").await? {
            Some(1) => self.held = true,
            Some(2) => {}
            // sqlx-cli is at work, or the server did not want to: then the first goes back.
            _ => {
                self.execute(format!("DO RELEASE_LOCK({lock})"), "give back the lock of")
                    .await?
            }
        }
        Ok(self.held)
    }

    async fn fence(&mut self) -> Result<Ended, SessionError> {
        self.prove().await?;
        let created = ledger::create(&mut self.connection, ledger::RELEASES).await;
        created.map_err(|error| self.failed(&error, "make the tables in"))?;
        // Whatever their state: a run that could not end its worker has said how it ended all the same.
        let recent = ledger::recent(&mut self.connection, &self.run).await;
        let mut runs = recent.map_err(|error| self.failed(&error, "read the ledger of"))?;
        let ended = match self.end_owners(&Self::work_locks(&runs)).await {
            Ok(ended) => ended,
            Err(Leftover::Failed(error)) => return Err(error),
            // It will be gone one day, so whoever waits goes on waiting.
            Err(Leftover::Undoing(id)) => return Err(SessionError::Transient(self.still_there(id))),
        };
        let mut place = 0;
        runs.retain(|_| {
            let locks = place..place + WORK_LOCKS;
            place += WORK_LOCKS;
            ended.iter().any(|lock| locks.contains(lock))
        });
        Ok(Ended {
            sessions: u32::try_from(ended.len()).unwrap_or(u32::MAX),
            runs,
        })
    }

    async fn begin(&mut self, key: &Key) -> Result<(), SessionError> {
        let begun = ledger::begin(&mut self.connection, &self.run, key).await;
        begun.map_err(|error| self.failed(&error, "write the ledger of"))
    }

    async fn worker(&mut self) -> Result<MySqlWorker, SessionError> {
        let created = ledger::create(&mut self.connection, ledger::MIGRATIONS).await;
        created.map_err(|error| self.failed(&error, "make the tables in"))?;
        let worker = MySqlWorker::open(&self.place, &self.run, &self.target, &self.facts).await?;
        // From here on the next holder can find the worker. Were we frozen before, and the lock somebody
        // else's since, it is found out now, and before the worker has done anything.
        let ids = format!("{} {}", self.facts.id, worker.id());
        let noted = ledger::note_sessions(&mut self.connection, &self.run, &ids).await;
        noted.map_err(|error| self.failed(&error, "write the ledger of"))?;
        if !self.heartbeat().await? {
            let message = format!("the lock of {} was lost before the work began", self.place.name);
            return Err(Error::new(ErrorKind::LockLost, message)
                .with_remedy("start again")
                .into());
        }
        self.leash = Some(worker.leash());
        Ok(worker)
    }

    fn command_env(&self) -> Vec<(String, String)> {
        Vec::new()
    }

    async fn heartbeat(&mut self) -> Result<bool, SessionError> {
        self.beats = self.beats.wrapping_add(1);
        if self.beats.is_multiple_of(WORKER_EVERY) {
            self.look_after_worker().await;
        }
        let sql = format!(
            "SELECT IS_USED_LOCK({}) <=> CONNECTION_ID() AS answer",
            literal(&self.lock)
        );
        match last_row(&mut self.connection, sql).await {
            Ok(row) => Ok(number(&row, "answer") == Some(1)),
            // The lock went with the connection, or nobody knows.
            Err(error) if error::is_gone(&error) => Ok(false),
            Err(error) => Err(self.failed(&error, "ask for the lock of")),
        }
    }

    async fn cancel(&mut self, handle: &Reins) -> Result<(), SessionError> {
        // Once. A statement that was about to be sent may come after it; the caller cancels again until the
        // worker has ended.
        handle.pull();
        match execute(&mut self.connection, format!("KILL QUERY {}", handle.id())).await {
            // It has ended already.
            Err(error) if error::number(&error) == Some(1094) => Ok(()),
            Err(error) => Err(self.failed(&error, "cancel a statement on")),
            Ok(_) => Ok(()),
        }
    }

    async fn finish(&mut self, ending: Ending<'_>) -> Result<(), SessionError> {
        let finished = ledger::finish(&mut self.connection, &self.run, ending).await;
        finished.map_err(|error| self.failed(&error, "write the ledger of"))
    }

    async fn close(mut self) {
        // A server that does not answer shall not keep us: the lock ends with the connection.
        let _ = timeout(Duration::from_secs(2), async {
            if self.held {
                let sql = format!(
                    "DO RELEASE_LOCK({}), RELEASE_LOCK({})",
                    literal(&self.sqlx_lock),
                    literal(&self.lock)
                );
                let _ = self.execute(sql, "give back the lock of").await;
            }
            let _ = self.connection.close().await;
        })
        .await;
    }

    async fn end_holder(&mut self) -> Result<Ended, SessionError> {
        let held = self.owner(&self.lock.clone()).await?.is_some();
        let running = ledger::running(&mut self.connection, &self.run).await;
        let runs = running.map_err(|error| self.failed(&error, "read the ledger of"))?;
        // The worker first: without its lock the holder's end would be somebody else's beginning.
        let mut locks = Self::work_locks(&runs);
        locks.push(self.lock.clone());
        let ended = match self.end_owners(&locks).await {
            Ok(ended) => ended,
            Err(Leftover::Failed(error)) => return Err(error),
            Err(Leftover::Undoing(id)) => {
                return Err(Error::new(ErrorKind::LockTimeout, self.still_there(id))
                    .with_remedy("wait until it is gone from SHOW PROCESSLIST, then start again")
                    .into());
            }
        };
        let sessions = u32::try_from(ended.len()).unwrap_or(u32::MAX);
        let runs = if held || sessions > 0 { runs } else { Vec::new() };
        Ok(Ended { sessions, runs })
    }

    async fn releases(&mut self, limit: u32) -> Result<Vec<Release>, SessionError> {
        let releases = ledger::releases(&mut self.connection, limit).await;
        releases.map_err(|error| self.failed(&error, "read the ledger of"))
    }
}
