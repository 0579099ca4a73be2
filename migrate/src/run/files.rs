//! The work of a directory: one migration after the other, while the lock is watched.

use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::db::{ApplyError, Mode, Seen, Session, SessionError, Worker};
use crate::dir::{Migration, Plan, Step};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::run::{HEARTBEAT, HEARTBEAT_TIMEOUT, Job, Runner, decide, wait};

/// How often a statement is cancelled again once a stop is wished for: the first may have come between two.
const CANCEL_AGAIN: Duration = Duration::from_millis(500);

/// How long one cancellation may take.
const CANCEL_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a cancelled statement may take to end before its connection is dropped. With what comes after,
/// within the nine seconds that platforms grant.
const CANCEL_PATIENCE: Duration = Duration::from_secs(4);

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
        let result = {
            let mut work = std::pin::pin!(all(self.job, worker, files, &plan, events, stopped.clone()));
            let mut watch = std::pin::pin!(watch_over(session, &handle, stopped));
            let mut until = None;
            loop {
                tokio::select! {
                    biased;
                    Some(event) = reported.recv() => (self.report)(event),
                    result = &mut work => break result,
                    () = self.stop.wished(), if until.is_none() => {
                        (self.report)(Event::Stopping);
                        let _ = stop.send(true);
                        until = Some(Instant::now() + CANCEL_PATIENCE);
                    }
                    // The connection is dropped; the server ends the statement, or the next run does.
                    () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => {
                        break Err(wait::stopped());
                    }
                    lost = &mut watch => break Err(lost),
                }
            }
        };
        // What was said before the end comes out before the end.
        while let Ok(event) = reported.try_recv() {
            (self.report)(event);
        }
        match result {
            Err(error) if error.kind() == ErrorKind::LockLost => Err(error),
            // Whatever it looked like to the worker, it ended because we cancelled it.
            Err(_) if *stop.borrow() => Err(wait::stopped()),
            // Who ended the work may have ended the lock before: then that is what there is to say.
            Err(error) => Err(held(session).await.err().unwrap_or(error)),
            Ok(applied) => Ok(applied),
        }
    }
}

/// Asks each second whether the lock is still held, and gives the error once it is not. After a stop it cancels
/// whatever statement runs, again and again: one may come between two statements.
async fn watch_over<S: Session>(
    session: &mut S,
    handle: &<S::Worker as Worker>::Handle,
    mut stopped: watch::Receiver<bool>,
) -> Error {
    loop {
        let cancelling = *stopped.borrow();
        if cancelling {
            let _ = timeout(CANCEL_TIMEOUT, session.cancel(handle)).await;
            sleep(CANCEL_AGAIN).await;
            continue;
        }
        tokio::select! {
            biased;
            // In a block, so that what it borrows is gone before the other arm waits.
            () = async { drop(stopped.wait_for(|stopped| *stopped).await) } => continue,
            () = sleep(HEARTBEAT) => {}
        }
        if let Err(lost) = held(session).await {
            return lost;
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
        let took = if step.record_only {
            let message = format!("{} is taken as applied", migration.file);
            report(Event::Note { message });
            let recorded = worker.mark_applied(migration).await;
            recorded.map_err(|error| not_applied(migration, error))?;
            Duration::ZERO
        } else {
            one(job, step, &mut worker, migration, &mut report, &mut stopped).await?
        };
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
    step: &Step,
    worker: &mut W,
    migration: &Migration,
    report: &mut (dyn FnMut(Event) + Send),
    stopped: &mut watch::Receiver<bool>,
) -> Result<Duration, Error> {
    let deadline = Instant::now() + job.wait;
    let mut pause = FIRST_RETRY;
    // A person speaks of the one statement at which the file was left, and of it once.
    let mut mode = match job.mode {
        Mode::Repair { applied } => Mode::Repair {
            applied: applied && step.half_done,
        },
        Mode::Run => Mode::Run,
    };
    loop {
        let result = worker.apply(migration, mode, report).await;
        if mode != Mode::Run {
            mode = Mode::Repair { applied: false };
        }
        let cause = match result {
            Ok(took) => return Ok(took),
            Err(ApplyError::Locked(cause)) => cause,
            Err(error) => return Err(not_applied(migration, error)),
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

fn not_applied(migration: &Migration, error: ApplyError) -> Error {
    match error {
        ApplyError::Failed(error) => error,
        ApplyError::Locked(cause) => Error::new(
            ErrorKind::LockTimeout,
            format!("migration {} could not get a lock: {cause}", migration.file),
        ),
        // An operator, a failover, or another run.
        ApplyError::Cancelled(cause) => Error::new(
            ErrorKind::Failed,
            format!("migration {} was ended from outside: {cause}", migration.file),
        )
        .with_remedy(
            "find out who cancelled the statement or closed the connection; the next start tries again",
        ),
    }
}
