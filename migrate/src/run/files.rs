//! The work of a directory: one migration after the other, while the lock is watched.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::db::{ApplyError, Seen, Session, SessionError, Worker};
use crate::dir::{Migration, Plan};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::run::{HEARTBEAT, HEARTBEAT_TIMEOUT, Job, Runner, decide, wait};

/// How often a statement is cancelled again once a stop is wished for: the first may have come between two.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// How long a cancelled statement may take to end before its connection is dropped.
const CANCEL_PATIENCE: Duration = Duration::from_secs(5);

/// The first and the longest pause before a migration that met a lock is tried again.
const FIRST_RETRY: Duration = Duration::from_secs(1);
const LONGEST_RETRY: Duration = Duration::from_secs(30);

impl Runner<'_> {
    /// Gives the versions that were applied.
    pub(super) async fn files<S: Session>(
        &mut self,
        session: &mut S,
        files: &[Migration],
        seen: &Seen,
    ) -> Result<Vec<i64>, Error> {
        let plan = self.job.plan(seen)?;
        if plan.steps.is_empty() {
            return Ok(Vec::new());
        }
        let worker = self
            .unless_stopped(session.worker())
            .await
            .map_err(decide::lost)?;
        let handle = worker.handle();
        let (events, mut reported) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let mut work = std::pin::pin!(all(self.job, worker, files, &plan, events, stopped));
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut cancel = interval(CANCEL_AGAIN);
        let mut given_up = None;
        let result = loop {
            tokio::select! {
                biased;
                Some(event) = reported.recv() => (self.report)(event),
                result = &mut work => break result,
                () = self.stop.wished(), if given_up.is_none() => {
                    (self.report)(Event::Stopping);
                    let _ = stop.send(true);
                    given_up = Some(Instant::now() + CANCEL_PATIENCE);
                    cancel.reset_immediately();
                }
                _ = cancel.tick(), if given_up.is_some() => {
                    // Not done in time, or refused: the connection is dropped in the end.
                    let _ = timeout(CANCEL_AGAIN, session.cancel(&handle)).await;
                }
                () = sleep_until(given_up.unwrap_or_else(Instant::now)), if given_up.is_some() => {
                    break Err(wait::stopped());
                }
                _ = beat.tick() => {
                    if let Err(error) = held(session).await {
                        break Err(error);
                    }
                }
            }
        };
        // What was said before the end comes out before the end.
        while let Ok(event) = reported.try_recv() {
            (self.report)(event);
        }
        match result {
            // Whatever it looked like to the worker, it ended because we cancelled it.
            Err(error) if given_up.is_some() && error.kind() != ErrorKind::LockLost => Err(wait::stopped()),
            result => result,
        }
    }
}

/// An error if the lock is not ours any more.
pub(super) async fn held<S: Session>(session: &mut S) -> Result<(), Error> {
    let cause = match timeout(HEARTBEAT_TIMEOUT, session.heartbeat()).await {
        Ok(Ok(true)) => return Ok(()),
        Ok(Ok(false)) => "somebody took it away".to_owned(),
        Ok(Err(SessionError::Transient(cause))) => cause,
        Ok(Err(SessionError::Final(error))) => error.to_string(),
        Err(_) => format!("no answer within {}s", HEARTBEAT_TIMEOUT.as_secs()),
    };
    Err(decide::lost(SessionError::Transient(cause)))
}

async fn all<W: Worker>(
    job: &Job,
    mut worker: W,
    files: &[Migration],
    plan: &Plan,
    events: mpsc::UnboundedSender<Event>,
    mut stopped: watch::Receiver<bool>,
) -> Result<Vec<i64>, Error> {
    let mut report = |event| _ = events.send(event);
    let mut applied = Vec::new();
    for step in &plan.steps {
        let Some(migration) = files.get(step.index) else {
            return Err(Error::new(
                ErrorKind::Internal,
                "a planned migration is not among the files",
            ));
        };
        if *stopped.borrow() {
            return Err(wait::stopped());
        }
        report(Event::Applying {
            version: migration.version,
            file: migration.file.clone(),
            done: step.done,
        });
        let took = one(job, &mut worker, migration, &mut report, &mut stopped).await?;
        report(Event::Applied {
            version: migration.version,
            file: migration.file.clone(),
            took,
        });
        applied.push(migration.version);
    }
    worker.close().await;
    Ok(applied)
}

/// One migration, until it is done: locks that others hold are given time.
async fn one<W: Worker>(
    job: &Job,
    worker: &mut W,
    migration: &Migration,
    report: &mut (dyn FnMut(Event) + Send),
    stopped: &mut watch::Receiver<bool>,
) -> Result<Duration, Error> {
    let deadline = Instant::now() + job.wait;
    let mut pause = FIRST_RETRY;
    loop {
        let cause = match worker.apply(migration, job.mode, report).await {
            Ok(took) => return Ok(took),
            Err(ApplyError::Failed(error)) => return Err(error),
            Err(ApplyError::Cancelled(cause)) => return Err(cancelled(migration, &cause)),
            Err(ApplyError::Locked(cause)) => cause,
        };
        let after = wait::jittered(pause);
        if Instant::now() + after > deadline {
            return Err(Error::new(
                ErrorKind::LockTimeout,
                format!(
                    "migration {} could not get a lock within {}: {cause}",
                    migration.file,
                    decide::for_people(job.wait)
                ),
            )
            .with_remedy(
                "end the sessions that hold the lock, or migrate when there is less traffic; [migrate] \
                 lock_timeout is how long one attempt waits, wait how long attempts go on",
            ));
        }
        report(Event::Retrying {
            version: migration.version,
            cause,
            after,
        });
        tokio::select! {
            _ = stopped.wait_for(|stopped| *stopped) => return Err(wait::stopped()),
            () = tokio::time::sleep(after) => {}
        }
        pause = (pause * 2).min(LONGEST_RETRY);
    }
}

/// Somebody else ended the statement or its session: an operator, a failover, or another run.
fn cancelled(migration: &Migration, cause: &str) -> Error {
    Error::new(
        ErrorKind::Failed,
        format!("migration {} was ended from outside: {cause}", migration.file),
    )
    .with_remedy("find out who cancelled the statement or closed the connection; the next start tries again")
}
