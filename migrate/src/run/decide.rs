//! What follows from what is seen. Nothing here waits or asks.

use std::time::Duration;

use tokio::time::error::Elapsed;

use crate::db::{Failure, Mode, Seen, SessionError};
use crate::error::{Error, ErrorKind};
use crate::event::Holder;
use crate::run::Job;

/// What to do next, before any work.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It has been done.
    Skip,
    /// It failed while we were waiting for it.
    Share(Failure),
    /// It is to be done.
    Go,
}

/// `since`: when this run first looked, by the database's clock.
pub(super) fn before(job: &Job, seen: &Seen, since: i64) -> Verdict {
    if !job.key.skippable {
        return Verdict::Go;
    }
    // The ledger alone does not decide about files: another tool may have reverted one since.
    let nothing_left = || job.plan(seen).is_ok_and(|plan| plan.steps.is_empty());
    if seen.done && nothing_left() {
        return Verdict::Skip;
    }
    match &seen.failure {
        // Who repairs does what the run that failed could not.
        Some(failure) if failure.ended >= since && job.mode == Mode::Run => Verdict::Share(failure.clone()),
        _ => Verdict::Go,
    }
}

/// The failure of the run that we were waiting for, as our own.
pub(super) fn shared(failure: &Failure) -> Error {
    let kind = match failure.exit_code {
        65 => ErrorKind::Drift,
        79 => ErrorKind::Dirty,
        75 => ErrorKind::LockTimeout,
        78 => ErrorKind::Config,
        77 => ErrorKind::Denied,
        _ => ErrorKind::Failed,
    };
    Error::new(
        kind,
        format!(
            "run {}, which this one waited for, failed: {}",
            failure.run, failure.detail
        ),
    )
    .with_remedy("a later start tries again")
}

pub(super) fn lock_timeout(job: &Job, holder: Option<&Holder>) -> Error {
    let wait = job.wait.as_secs_f64();
    let who = match holder {
        Some(holder) => format!(
            "run {} on {} has held it for {}",
            holder.run,
            holder.host,
            for_people(holder.held)
        ),
        None => "who holds it is not recorded".to_owned(),
    };
    Error::new(
        ErrorKind::LockTimeout,
        format!("the migration lock was not free within {wait:.0}s: {who}"),
    )
    .with_remedy(
        "if that run still works, give [migrate] wait more time; if it hangs, `runmate migrate unlock` ends it",
    )
}

/// A session that fails once it holds the lock has lost it.
pub(super) fn lost(error: SessionError) -> Error {
    match error {
        SessionError::Transient(cause) => Error::new(
            ErrorKind::LockLost,
            format!("the connection that held the migration lock was lost, so the work was stopped: {cause}"),
        )
        .with_remedy("the next start goes on from what is recorded; look for a failover or a cut connection"),
        SessionError::Final(error) => error,
    }
}

/// Work that could not be written down: whoever waits does not know of it.
pub(super) fn noted(noted: Result<Result<(), SessionError>, Elapsed>) -> Result<(), Error> {
    let cause = match noted {
        Ok(Ok(())) => return Ok(()),
        Ok(Err(SessionError::Transient(cause))) => cause,
        Ok(Err(SessionError::Final(error))) => error.to_string(),
        Err(_) => "no answer".to_owned(),
    };
    Err(Error::new(
        ErrorKind::LockLost,
        format!("all of it is done, but that could not be recorded in _runmate_releases: {cause}"),
    )
    .with_remedy("start again: what is applied is not applied twice; a command runs once more"))
}

/// `7s`, `3m 20s`, `2h 5m`.
pub(crate) fn for_people(duration: Duration) -> String {
    match duration.as_secs() {
        0 => format!("{}ms", duration.as_millis()),
        seconds @ 1..60 => format!("{seconds}s"),
        seconds @ 60..3600 => format!("{}m {}s", seconds / 60, seconds % 60),
        seconds => format!("{}h {}m", seconds / 3600, seconds % 3600 / 60),
    }
}
