//! Calls with all that surrounds them: a bound on how many run at once, a limit for each attempt, retries, the
//! deadline of the whole.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::time::{Instant, timeout_at};

use super::api::{Api, Call, CallError, Reply};
use super::retry;
use crate::{FailureKind, Problem};

/// How many calls one region gets at once.
const AT_ONCE: usize = 8;

/// What is known of a region, for as long as the source lives.
#[derive(Debug)]
pub(super) struct Gate {
    permits: Semaphore,
    batch_denied: AtomicBool,
}

impl Default for Gate {
    fn default() -> Gate {
        Gate {
            permits: Semaphore::new(AT_ONCE),
            batch_denied: AtomicBool::new(false),
        }
    }
}

/// Makes the calls to one region.
pub(super) struct Caller<'a, A> {
    pub api: &'a A,
    pub region: &'a str,
    pub gate: &'a Gate,
    pub deadline: Instant,
    /// How long one attempt may take.
    pub attempt: Duration,
}

impl<A: Api> Caller<'_, A> {
    /// Makes a call, again and again if its failures may pass.
    pub(super) async fn call(&self, call: &Call) -> Result<Reply, Problem> {
        retry::until(self.deadline, || self.attempt(call)).await
    }

    async fn attempt(&self, call: &Call) -> Result<Reply, CallError> {
        // A place is held for an attempt only, so that those who wait to try again are in nobody's way.
        let Ok(_permit) = timeout_at(self.deadline, self.gate.permits.acquire()).await else {
            return Err(timed_out(
                "it had to wait for other calls until the time was up".into(),
            ));
        };
        let limit = self.deadline.min(Instant::now() + self.attempt);
        match timeout_at(limit, self.api.call(self.region, call)).await {
            Ok(result) => result,
            Err(_) => Err(timed_out(format!(
                "{} in {} was not answered within {} ms",
                call.action(),
                self.region,
                self.attempt.as_millis()
            ))),
        }
    }

    /// Whether the batch action of Secrets Manager is known to be denied here.
    pub(super) fn batch_is_denied(&self) -> bool {
        self.gate.batch_denied.load(Ordering::Relaxed)
    }

    /// Remembers that it is.
    pub(super) fn remember_denied_batch(&self) {
        self.gate.batch_denied.store(true, Ordering::Relaxed);
    }
}

fn timed_out(detail: String) -> CallError {
    CallError {
        problem: Problem::of(FailureKind::TimedOut, detail),
        transient: true,
        wait: None,
    }
}

/// Whether a problem concerns all that is asked for and not only what was asked for here, so that asking for
/// each alone would give the same again.
pub(super) fn concerns_all(kind: &FailureKind) -> bool {
    matches!(
        kind,
        FailureKind::CredentialsRefused
            | FailureKind::NoCredentials
            | FailureKind::NoTrustRoots
            | FailureKind::Throttled
            | FailureKind::TimedOut
            | FailureKind::Unavailable
    )
}

/// The answer to a question that another was given for. Cannot happen; it would be the service's fault.
pub(super) fn wrong_reply() -> Problem {
    Problem::of(
        FailureKind::Unavailable,
        "the answer does not belong to the question",
    )
}
