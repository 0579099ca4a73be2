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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::db::{Applied, Key};
    use crate::dir::Migration;
    use crate::run::Work;
    use crate::url::Target;

    fn job(mode: Mode, skippable: bool) -> Job {
        let file = Migration::new("1_a.sql", "SELECT 1").expect("a migration");
        Job {
            target: Target::parse("postgres://db.example.com/app").expect("a URL"),
            work: Work::Files(vec![file]),
            key: Key {
                release: "a".to_owned(),
                fingerprint: "a".to_owned(),
                what: "dir migrations".to_owned(),
                skippable,
            },
            wait: Duration::from_secs(1),
            mode,
        }
    }

    fn applied(job: &Job) -> Vec<Applied> {
        let Work::Files(files) = &job.work else {
            return Vec::new();
        };
        let row = |file: &Migration| Applied {
            version: file.version,
            description: file.description.clone(),
            success: true,
            checksum: file.checksum.clone(),
        };
        files.iter().map(row).collect()
    }

    fn failed(ended: i64) -> Option<Failure> {
        Some(Failure {
            run: "abc".to_owned(),
            ended,
            exit_code: 79,
            detail: "half done".to_owned(),
        })
    }

    #[test]
    fn what_is_done_is_skipped_if_nothing_is_left_by_the_other_table_either() {
        let job = job(Mode::Run, true);
        let mut seen = Seen {
            done: true,
            applied: applied(&job),
            ..Seen::default()
        };
        assert_eq!(before(&job, &seen, 0), Verdict::Skip);
        // Somebody reverted it.
        seen.applied.clear();
        assert_eq!(before(&job, &seen, 0), Verdict::Go);
        // Applied by another tool: the release still is to be recorded.
        seen.applied = applied(&job);
        seen.done = false;
        assert_eq!(before(&job, &seen, 0), Verdict::Go);
    }

    #[test]
    fn a_failure_is_shared_by_those_who_waited_for_it() {
        let mut job = job(Mode::Run, true);
        let seen = Seen {
            failure: failed(100),
            ..Seen::default()
        };
        let Verdict::Share(failure) = before(&job, &seen, 50) else {
            panic!("not shared");
        };
        let error = shared(&failure);
        assert_eq!(
            (error.kind(), error.to_string().contains("half done")),
            (ErrorKind::Dirty, true)
        );
        assert_eq!(before(&job, &seen, 101), Verdict::Go);
        // Who repairs does not take over what it came to mend; what cannot be skipped is never shared.
        job.mode = Mode::Repair { applied: false };
        assert_eq!(before(&job, &seen, 50), Verdict::Go);
        job.mode = Mode::Run;
        job.key.skippable = false;
        assert_eq!(before(&job, &seen, 50), Verdict::Go);
    }

    #[test]
    fn durations_for_people() {
        let shown = [30, 7_000, 200_000, 7_500_000].map(|millis| for_people(Duration::from_millis(millis)));
        assert_eq!(shown, ["30ms", "7s", "3m 20s", "2h 5m"]);
    }
}
