//! The dedicated session: it holds the lock and keeps the ledger.

use sqlx::Row;
use sqlx::postgres::{PgConnectOptions, PgConnection, PgRow};

use super::fence::{GONE_WITHIN, Scope};
use super::ledger::{self, Tables};
use super::worker::{Handle, PgWorker};
use super::{LOCK, connect, errors, text};
use crate::db::{Ended, Ending, Key, Release, Run, Seen, Session, SessionError};
use crate::error::{Error, ErrorKind};
use crate::url::Target;
use std::sync::atomic::Ordering;

/// The session of one run.
pub(crate) struct PgSession {
    pub(super) connection: PgConnection,
    pub(super) options: PgConnectOptions,
    pub(super) target: Target,
    pub(super) run: Run,
    pub(super) tables: Tables,
    /// The key of sqlx's lock for this database.
    pub(super) sqlx_lock: i64,
    /// The server's process behind this session, once the lock is ours.
    pub(super) locked: Option<i32>,
}

/// What waits, or is about to end.
pub(super) fn waiting(run: &Run) -> String {
    format!("runmate-wait/{}", run.id)
}

/// What holds the lock, or works.
pub(super) fn holding(run: &Run) -> String {
    format!("runmate/{}", run.id)
}

/// An advisory lock in `pg_locks`, of this database.
pub(super) fn in_pg_locks(key: i64) -> String {
    let (high, low) = ((key >> 32) & 0xffff_ffff, key & 0xffff_ffff);
    format!(
        "locktype = 'advisory' AND granted AND objsubid = 1 AND classid::bigint = {high} AND objid::bigint = {low} \
         AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
    )
}

impl PgSession {
    /// Asks in one round trip. `doing`: "cannot read the ledger".
    pub(super) async fn ask(&mut self, sql: &str, doing: &str) -> Result<Vec<PgRow>, SessionError> {
        connect::ask(&mut self.connection, sql)
            .await
            .map_err(|error| errors::asking(&error, doing, &self.target.name))
    }

    /// The one row of an answer that has one.
    pub(super) async fn ask_one(&mut self, sql: &str, doing: &str) -> Result<PgRow, SessionError> {
        let mut rows = self.ask(sql, doing).await?;
        rows.pop().ok_or_else(|| {
            let message = format!("{doing} of {}: no answer", self.target.name);
            SessionError::Final(Error::new(ErrorKind::Internal, message))
        })
    }

    /// For answers that are not what was asked for.
    pub(super) fn unreadable(&self, doing: &str) -> impl Fn(sqlx::Error) -> SessionError + use<> {
        let (doing, name) = (doing.to_owned(), self.target.name.clone());
        move |error| errors::asking(&error, &doing, &name)
    }

    async fn find_tables(&mut self) -> Result<(), SessionError> {
        let doing = "cannot look for the ledger";
        let row = self
            .ask_one(&format!("SELECT {}", Tables::COLUMNS), doing)
            .await?;
        self.tables = Tables::read(&row, 0).map_err(self.unreadable(doing))?;
        Ok(())
    }

    /// True if the lock is still held by the session that took it.
    async fn still_locked(&mut self) -> Result<bool, SessionError> {
        let Some(pid) = self.locked else {
            return Ok(false);
        };
        let sql = format!(
            "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE pid = {pid} AND pid = pg_backend_pid() AND {})",
            in_pg_locks(LOCK)
        );
        let doing = "cannot look after the lock";
        let row = self.ask_one(&sql, doing).await?;
        row.try_get(0).map_err(self.unreadable(doing))
    }
}

impl Session for PgSession {
    type Worker = PgWorker;

    async fn connect(target: &Target, run: &Run) -> Result<PgSession, SessionError> {
        let options = connect::options(target)?;
        let connection = if target.create {
            connect::open_or_create(&options, &target.name, &waiting(run)).await?
        } else {
            connect::open(&options, &target.name, &waiting(run)).await?
        };
        let mut session = PgSession {
            connection,
            options,
            target: target.clone(),
            run: run.clone(),
            tables: Tables::default(),
            sqlx_lock: 0,
            locked: None,
        };
        // All that has to be known of a server, in one round trip.
        let doing = "cannot ask for the state";
        let sql = format!(
            "SELECT pg_is_in_recovery(), current_setting('transaction_read_only') = 'on', \
             current_database()::text, {}",
            Tables::COLUMNS
        );
        let row = session.ask_one(&sql, doing).await?;
        let unreadable = session.unreadable(doing);
        let (replica, read_only): (bool, bool) = (
            row.try_get(0).map_err(&unreadable)?,
            row.try_get(1).map_err(&unreadable)?,
        );
        if replica || read_only {
            let why = if replica {
                "it is a replica, which takes no writes"
            } else {
                "it is read-only (default_transaction_read_only is on)"
            };
            connect::close(session.connection).await;
            return Err(errors::read_only(&target.name, why).into());
        }
        let database: &str = row.try_get(2).map_err(&unreadable)?;
        session.sqlx_lock = text::sqlx_lock(database);
        session.tables = Tables::read(&row, 3).map_err(&unreadable)?;
        Ok(session)
    }

    async fn look(&mut self, key: &Key, with_migrations: bool) -> Result<Seen, SessionError> {
        let doing = "cannot read the ledger";
        // A table that was dropped is looked for once more; until one is there, others may create it.
        for last in [false, true] {
            let known =
                self.tables.releases && (!with_migrations || self.tables.migrations && self.tables.progress);
            if !known || last {
                self.find_tables().await?;
            }
            let sql = ledger::look(self.tables, key, with_migrations);
            match connect::ask(&mut self.connection, &sql).await {
                Ok(rows) => return ledger::read_look(&rows).map_err(self.unreadable(doing)),
                Err(error) if !last && errors::code(&error) == "42P01" => {}
                Err(error) => return Err(errors::asking(&error, doing, &self.target.name)),
            }
        }
        Ok(Seen::default())
    }

    async fn try_lock(&mut self) -> Result<bool, SessionError> {
        // A session may take its own lock a second time, and would have to give it back twice.
        if self.locked.is_some() {
            return self.still_locked().await;
        }
        let sql = format!(
            "SELECT CASE WHEN NOT pg_try_advisory_lock({LOCK}) THEN false \
             WHEN pg_try_advisory_lock({sqlx}) THEN true \
             ELSE NOT pg_advisory_unlock({LOCK}) END, pg_backend_pid()",
            sqlx = self.sqlx_lock
        );
        let doing = "cannot try the lock";
        let row = self.ask_one(&sql, doing).await?;
        let unreadable = self.unreadable(doing);
        let locked: bool = row.try_get(0).map_err(&unreadable)?;
        if locked {
            self.locked = Some(row.try_get(1).map_err(&unreadable)?);
        }
        Ok(locked)
    }

    async fn fence(&mut self) -> Result<Ended, SessionError> {
        self.prove_exclusive().await?;
        self.find_tables().await?;
        let ended = self.end_leftovers(GONE_WITHIN).await?;
        let name = holding(&self.run);
        let mine = [("application_name", name.as_str()), ("idle_session_timeout", "0")];
        self.ask(&connect::settings(&mine), "cannot set up the session")
            .await?;
        // Not every platform's server can do all of it; it is only a help.
        let network = connect::settings(&connect::NETWORK);
        if let Err(SessionError::Transient(error)) = self.ask(&network, "cannot set up the session").await {
            return Err(SessionError::Transient(error));
        }
        // Where they exist, no right to create them is needed.
        if !self.tables.releases {
            self.ask(ledger::CREATE_RELEASES, "cannot create the ledger")
                .await?;
            self.tables.releases = true;
        }
        Ok(ended)
    }

    async fn begin(&mut self, key: &Key) -> Result<(), SessionError> {
        let sql = ledger::begin(&self.run, key);
        self.ask(&sql, "cannot write the ledger").await?;
        Ok(())
    }

    async fn worker(&mut self) -> Result<PgWorker, SessionError> {
        // Here and not at the fence: who runs a command has no use for them, and frameworks that write the
        // schema to a file would find them in it.
        if !self.tables.migrations {
            self.ask(ledger::CREATE_MIGRATIONS, "cannot create _sqlx_migrations")
                .await?;
            self.tables.migrations = true;
        }
        if !self.tables.progress {
            self.ask(ledger::CREATE_PROGRESS, "cannot create _runmate_progress")
                .await?;
            self.tables.progress = true;
        }
        let worker = PgWorker::open(&self.options, &self.target, &holding(&self.run)).await?;
        let sql = ledger::note_worker(&self.run, worker.pid, worker.since);
        self.ask(&sql, "cannot write the ledger").await?;
        Ok(worker)
    }

    fn command_env(&self) -> Vec<(String, String)> {
        vec![("PGAPPNAME".to_owned(), holding(&self.run))]
    }

    async fn heartbeat(&mut self) -> Result<bool, SessionError> {
        match self.still_locked().await {
            Ok(true) => {
                self.end_latecomers().await;
                Ok(true)
            }
            // Whoever cannot be asked cannot be relied on.
            Err(SessionError::Transient(_)) => Ok(false),
            result => result,
        }
    }

    async fn cancel(&mut self, handle: &Handle) -> Result<(), SessionError> {
        handle.cancelled.store(true, Ordering::SeqCst);
        let sql = format!("SELECT pg_cancel_backend({})", handle.pid);
        self.ask(&sql, "cannot cancel the statement").await?;
        Ok(())
    }

    async fn finish(&mut self, ending: Ending<'_>) -> Result<(), SessionError> {
        let sql = ledger::finish(&self.run, ending);
        self.ask(&sql, "cannot write the ledger").await?;
        Ok(())
    }

    async fn close(mut self) {
        if self.locked.is_some() {
            // First the name: the next holder must not take this session for a leftover.
            let sql = format!(
                "SET application_name = {}; SELECT pg_advisory_unlock({}), pg_advisory_unlock({LOCK})",
                text::quote(&waiting(&self.run)),
                self.sqlx_lock
            );
            // If it fails, the end of the session gives the lock back.
            let _ = self.ask(&sql, "cannot give the lock back").await;
        }
        connect::close(self.connection).await;
    }

    async fn end_holder(&mut self) -> Result<Ended, SessionError> {
        let mut condition = format!(
            "application_name LIKE 'runmate/%' OR pid IN (SELECT pid FROM pg_locks WHERE {})",
            in_pg_locks(LOCK)
        );
        if self.tables.releases {
            condition = format!("{condition} OR {}", ledger::noted(&self.run));
        }
        // Not who gets the lock because of it.
        self.end_sessions(&condition, Scope::AtFirst, GONE_WITHIN).await
    }

    async fn releases(&mut self, limit: u32) -> Result<Vec<Release>, SessionError> {
        let doing = "cannot read the ledger";
        if !self.tables.releases {
            self.find_tables().await?;
        }
        if !self.tables.releases {
            return Ok(Vec::new());
        }
        let rows = self.ask(&ledger::releases(limit), doing).await?;
        let releases: Result<Vec<Release>, sqlx::Error> = rows.iter().map(ledger::read_release).collect();
        releases.map_err(self.unreadable(doing))
    }
}
