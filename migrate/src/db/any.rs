//! Whichever database the URL names, as one type: the flow is compiled once and not three times, which is a
//! hundred kilobytes less.

use std::os::fd::RawFd;
use std::time::Duration;

use super::mysql::MySqlSession;
use super::postgres::PgSession;
use super::sqlite::SqliteSession;
use super::{ApplyError, Ended, Ending, Key, Mode, Release, Run, Seen, Session, SessionError, Worker};
use crate::dir::Migration;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::url::{Kind, Target};

type WorkerOf<S> = <S as Session>::Worker;
type HandleOf<S> = <WorkerOf<S> as Worker>::Handle;

/// The dedicated session.
pub(crate) enum AnySession {
    Postgres(Box<PgSession>),
    MySql(Box<MySqlSession>),
    Sqlite(Box<SqliteSession>),
}

/// The session that does the work.
pub(crate) enum AnyWorker {
    Postgres(Box<WorkerOf<PgSession>>),
    MySql(Box<WorkerOf<MySqlSession>>),
    Sqlite(Box<WorkerOf<SqliteSession>>),
}

/// What cancels it.
pub(crate) enum AnyHandle {
    Postgres(HandleOf<PgSession>),
    MySql(HandleOf<MySqlSession>),
    Sqlite(HandleOf<SqliteSession>),
}

/// The same words for each of them.
macro_rules! each {
    ($any:ident, $self:expr, $one:ident => $words:expr) => {
        match $self {
            $any::Postgres($one) => $words,
            $any::MySql($one) => $words,
            $any::Sqlite($one) => $words,
        }
    };
}

impl Session for AnySession {
    type Worker = AnyWorker;

    async fn connect(target: &Target, run: &Run) -> Result<Self, SessionError> {
        Ok(match target.kind {
            Kind::Postgres => AnySession::Postgres(Box::new(PgSession::connect(target, run).await?)),
            Kind::MySql => AnySession::MySql(Box::new(MySqlSession::connect(target, run).await?)),
            Kind::Sqlite => AnySession::Sqlite(Box::new(SqliteSession::connect(target, run).await?)),
        })
    }

    async fn look(&mut self, key: &Key, with_migrations: bool) -> Result<Seen, SessionError> {
        each!(AnySession, self, session => session.look(key, with_migrations).await)
    }

    async fn try_lock(&mut self) -> Result<bool, SessionError> {
        each!(AnySession, self, session => session.try_lock().await)
    }

    async fn fence(&mut self) -> Result<Ended, SessionError> {
        each!(AnySession, self, session => session.fence().await)
    }

    async fn begin(&mut self, key: &Key) -> Result<(), SessionError> {
        each!(AnySession, self, session => session.begin(key).await)
    }

    async fn worker(&mut self) -> Result<AnyWorker, SessionError> {
        Ok(match self {
            AnySession::Postgres(session) => AnyWorker::Postgres(Box::new(session.worker().await?)),
            AnySession::MySql(session) => AnyWorker::MySql(Box::new(session.worker().await?)),
            AnySession::Sqlite(session) => AnyWorker::Sqlite(Box::new(session.worker().await?)),
        })
    }

    fn command_env(&self) -> Vec<(String, String)> {
        each!(AnySession, self, session => session.command_env())
    }

    fn lock_descriptor(&self) -> Option<RawFd> {
        each!(AnySession, self, session => session.lock_descriptor())
    }

    async fn heartbeat(&mut self) -> Result<bool, SessionError> {
        each!(AnySession, self, session => session.heartbeat().await)
    }

    async fn cancel(&mut self, handle: &AnyHandle) -> Result<(), SessionError> {
        match (self, handle) {
            (AnySession::Postgres(session), AnyHandle::Postgres(handle)) => session.cancel(handle).await,
            (AnySession::MySql(session), AnyHandle::MySql(handle)) => session.cancel(handle).await,
            (AnySession::Sqlite(session), AnyHandle::Sqlite(handle)) => session.cancel(handle).await,
            // A session makes workers of its own kind.
            _ => Err(Error::new(ErrorKind::Internal, "a worker of another kind of database").into()),
        }
    }

    async fn finish(&mut self, ending: Ending<'_>) -> Result<(), SessionError> {
        each!(AnySession, self, session => session.finish(ending).await)
    }

    async fn close(self) {
        each!(AnySession, self, session => session.close().await);
    }

    async fn end_holder(&mut self) -> Result<Ended, SessionError> {
        each!(AnySession, self, session => session.end_holder().await)
    }

    async fn releases(&mut self, limit: u32) -> Result<Vec<Release>, SessionError> {
        each!(AnySession, self, session => session.releases(limit).await)
    }
}

impl Worker for AnyWorker {
    type Handle = AnyHandle;

    fn handle(&self) -> AnyHandle {
        match self {
            AnyWorker::Postgres(worker) => AnyHandle::Postgres(worker.handle()),
            AnyWorker::MySql(worker) => AnyHandle::MySql(worker.handle()),
            AnyWorker::Sqlite(worker) => AnyHandle::Sqlite(worker.handle()),
        }
    }

    async fn apply(
        &mut self,
        migration: &Migration,
        mode: Mode,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<Duration, ApplyError> {
        each!(AnyWorker, self, worker => worker.apply(migration, mode, report).await)
    }

    async fn mark_applied(&mut self, migration: &Migration) -> Result<(), ApplyError> {
        each!(AnyWorker, self, worker => worker.mark_applied(migration).await)
    }

    async fn close(self) {
        each!(AnyWorker, self, worker => worker.close().await);
    }
}
