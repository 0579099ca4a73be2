//! The session that applies migrations.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use sqlx::mysql::MySqlConnection;
use sqlx::{AssertSqlSafe, Connection};
use tokio::sync::watch;
use tokio::time::sleep;

use super::connect::{Facts, OUR_WAYS, Place, last_row, number, whole_seconds};
use super::names::{self, quoted, text as literal};
use super::nature::{Nature, is_atomic, names_engine};
use super::{error, ledger};
use crate::db::words::{first, nanos, statement};
use crate::db::{ApplyError, Mode, Progress, Run, SessionError, Worker, not_recorded};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::sql::{Dialect, Statement, prefix_hash, split};
use crate::url::Target;

mod failure;
mod record;
mod steps;

/// What cancelling needs: which connection, and a flag for what the server cannot know.
#[derive(Debug, Clone)]
pub(crate) struct Reins(Arc<State>);

#[derive(Debug)]
struct State {
    id: u64,
    pulled: AtomicBool,
    /// The server does not know the connection any more.
    cut: watch::Sender<bool>,
}

impl Reins {
    pub(super) fn id(&self) -> u64 {
        self.0.id
    }

    /// No statement after the one that runs.
    pub(super) fn pull(&self) {
        self.0.pulled.store(true, Ordering::SeqCst);
    }

    /// No answer will come.
    pub(super) fn cut(&self) {
        self.0.cut.send_replace(true);
    }

    /// Does what it is given, unless no answer will come.
    async fn unless_cut<T>(
        &self,
        action: impl Future<Output = Result<T, ApplyError>>,
    ) -> Result<T, ApplyError> {
        let mut cut = self.0.cut.subscribe();
        tokio::select! {
            biased;
            answer = action => answer,
            // It lives as long as we do.
            _ = cut.wait_for(|cut| *cut) => {
                let message = format!("the server has lost the connection {}", self.id());
                Err(ApplyError::Cancelled(message))
            }
        }
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.pulled.load(Ordering::SeqCst)
    }
}

/// What the lock's session keeps of a worker, as long as that lives.
pub(super) struct Leash {
    alive: Weak<()>,
    reins: Reins,
}

impl Leash {
    pub(super) fn reins(&self) -> Option<&Reins> {
        (self.alive.strong_count() > 0).then_some(&self.reins)
    }
}

/// A connection of its own; a second one aside for what the first cannot do while it is busy.
pub(crate) struct MySqlWorker {
    connection: MySqlConnection,
    aside: Option<MySqlConnection>,
    reins: Reins,
    alive: Arc<()>,
    place: Place,
    run: Run,
    /// Our tables' database, quoted: a migration may `USE` another one.
    database: String,
    statement_timeout: Duration,
    /// The server ends statements whose time is over.
    server_times: bool,
    /// There are tables where what was done stays done when its transaction is rolled back; none: not known.
    loose: Option<bool>,
    /// The statement that failed last was ended because its time was over.
    timed_out: bool,
}

impl MySqlWorker {
    pub(super) async fn open(
        place: &Place,
        run: &Run,
        target: &Target,
        facts: &Facts,
    ) -> Result<MySqlWorker, SessionError> {
        let [lock, _] = names::work_locks(&run.id);
        let seconds = whole_seconds(target.lock_timeout);
        let mut settings = format!("lock_wait_timeout = {seconds}, innodb_lock_wait_timeout = {seconds}");
        let timed = !target.statement_timeout.is_zero();
        // MySQL's own limit is for SELECT only.
        let server_times = timed && facts.mariadb;
        if server_times {
            settings.push_str(&format!(
                ", max_statement_time = {:.3}",
                target.statement_timeout.as_secs_f64()
            ));
        }
        let (connection, id) = enter(place, &settings, &lock).await?;
        Ok(MySqlWorker {
            connection,
            aside: None,
            reins: Reins(Arc::new(State {
                id,
                pulled: AtomicBool::new(false),
                cut: watch::Sender::new(false),
            })),
            alive: Arc::new(()),
            place: place.clone(),
            run: run.clone(),
            database: quoted(&facts.database),
            statement_timeout: target.statement_timeout,
            server_times,
            loose: None,
            timed_out: false,
        })
    }

    pub(super) fn id(&self) -> u64 {
        self.reins.id()
    }

    pub(super) fn leash(&self) -> Leash {
        Leash {
            alive: Arc::downgrade(&self.alive),
            reins: self.reins.clone(),
        }
    }

    /// Executes a statement of a migration, and sees to it that it ends in time.
    async fn run(&mut self, text: &str) -> Result<(), sqlx::Error> {
        self.timed_out = false;
        if self.reins.is_pulled() {
            return Err(sqlx::Error::WorkerCrashed);
        }
        if !self.server_times && !self.statement_timeout.is_zero() {
            return self.run_timed(text).await;
        }
        let statement = sqlx::raw_sql(AssertSqlSafe(text));
        statement.execute(&mut self.connection).await.map(drop)
    }

    /// As on MySQL.
    #[cfg(test)]
    pub(super) async fn time_statements_here(&mut self) {
        self.own("SET SESSION max_statement_time = 0".to_owned())
            .await
            .expect("a setting");
        self.server_times = false;
    }

    async fn run_timed(&mut self, text: &str) -> Result<(), sqlx::Error> {
        let statement = sqlx::raw_sql(AssertSqlSafe(text)).execute(&mut self.connection);
        let mut statement = std::pin::pin!(statement);
        tokio::select! {
            answer = &mut statement => return answer.map(drop),
            () = sleep(self.statement_timeout) => {}
        }
        self.timed_out = true;
        let mut killer = match self.place.connect().await {
            Ok(killer) => killer,
            Err(SessionError::Transient(cause)) => return Err(sqlx::Error::Protocol(cause)),
            Err(SessionError::Final(error)) => return Err(sqlx::Error::Protocol(error.to_string())),
        };
        let sql = format!("KILL QUERY {}", self.reins.0.id);
        sqlx::raw_sql(AssertSqlSafe(sql)).execute(&mut killer).await?;
        let _ = killer.close().await;
        statement.await.map(drop)
    }

    /// Executes statements of ours in one round trip.
    async fn own(&mut self, sql: String) -> Result<(), sqlx::Error> {
        let sql = sqlx::raw_sql(AssertSqlSafe(sql));
        sql.execute(&mut self.connection).await.map(drop)
    }

    /// The same for what is a transaction of its own: it can be tried once more if it was hit by what was
    /// meant for the statement before it.
    async fn own_again(&mut self, sql: String) -> Result<(), sqlx::Error> {
        match self.own(sql.clone()).await {
            Err(error) if error::is_interrupted(&error) => {
                self.own("ROLLBACK".to_owned()).await?;
                self.own(sql).await
            }
            answer => answer,
        }
    }

    /// The same, on the connection aside.
    async fn own_aside(&mut self, sql: String) -> Result<(), sqlx::Error> {
        if self.aside.is_none() {
            let [_, lock] = names::work_locks(&self.run.id);
            let entered = enter(
                &self.place,
                "lock_wait_timeout = 5, innodb_lock_wait_timeout = 5",
                &lock,
            )
            .await;
            self.aside = match entered {
                Ok((connection, _)) => Some(connection),
                Err(SessionError::Transient(cause)) => return Err(sqlx::Error::Protocol(cause)),
                Err(SessionError::Final(error)) => return Err(sqlx::Error::Protocol(error.to_string())),
            };
        }
        match &mut self.aside {
            Some(aside) => sqlx::raw_sql(AssertSqlSafe(sql)).execute(aside).await.map(drop),
            None => Err(sqlx::Error::WorkerCrashed),
        }
    }
}

/// Opens a connection that carries a lock by which others find it. The wait is for one of ours that the server
/// has not seen the end of yet.
async fn enter(place: &Place, settings: &str, lock: &str) -> Result<(MySqlConnection, u64), SessionError> {
    let mut connection = place.connect().await?;
    let sql = format!(
        "{OUR_WAYS};
        SET SESSION {};
        SELECT CAST(CONNECTION_ID() AS UNSIGNED) AS id, GET_LOCK({}, 5) AS got",
        settings.replace(", ", ", SESSION "),
        literal(lock)
    );
    let row = last_row(&mut connection, sql).await;
    let row = row.map_err(|error| error::session(&error, &format!("prepare a session on {}", place.name)))?;
    match (number(&row, "id"), number(&row, "got")) {
        (Some(id), Some(1)) => Ok((connection, id)),
        _ => {
            let message = format!("cannot mark a session on {} as this run's", place.name);
            Err(Error::new(ErrorKind::Internal, message).into())
        }
    }
}

impl Worker for MySqlWorker {
    type Handle = Reins;

    fn handle(&self) -> Reins {
        self.reins.clone()
    }

    /// Every file goes statement by statement: whatever the file says, MySQL has no transaction around DDL.
    async fn apply(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        let reins = self.reins.clone();
        reins.unless_cut(self.steps(migration, mode, report)).await
    }

    async fn mark_applied(&mut self, migration: &Migration) -> Result<(), ApplyError> {
        let reins = self.reins.clone();
        let recorded = async {
            let recorded = self.leave(migration, Duration::ZERO).await;
            recorded.map_err(|error| not_recorded(migration, &error))
        };
        reins.unless_cut(recorded).await
    }

    async fn close(self) {
        drop(self.alive);
        if let Some(aside) = self.aside {
            let _ = aside.close().await;
        }
        let _ = self.connection.close().await;
    }
}
