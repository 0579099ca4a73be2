//! What stops a statement that runs: SQLite asks every so often whether it may go on.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// How many instructions SQLite runs between two questions: well below a millisecond's worth.
pub(super) const EVERY: i32 = 1000;

/// Shared by the worker, its connection's thread, and whoever cancels.
#[derive(Debug, Clone)]
pub(crate) struct Brake(Arc<State>);

#[derive(Debug)]
struct State {
    pulled: AtomicBool,
    epoch: Instant,
    /// Nanoseconds after the epoch at which the statement's time is over. Zero: never.
    deadline: AtomicU64,
}

impl Brake {
    pub(super) fn new() -> Brake {
        Brake(Arc::new(State {
            pulled: AtomicBool::new(false),
            epoch: Instant::now(),
            deadline: AtomicU64::new(0),
        }))
    }

    /// Stops the statement that runs, and all after it.
    pub(super) fn pull(&self) {
        self.0.pulled.store(true, Ordering::Release);
    }

    pub(super) fn is_pulled(&self) -> bool {
        self.0.pulled.load(Ordering::Acquire)
    }

    /// Gives the next statement its time. Zero: as long as it takes.
    pub(super) fn set(&self, timeout: Duration) {
        let deadline = if timeout.is_zero() {
            0
        } else {
            nanos(self.0.epoch.elapsed() + timeout).max(1)
        };
        self.0.deadline.store(deadline, Ordering::Release);
    }

    /// The answer to SQLite's question.
    pub(super) fn may_go_on(&self) -> bool {
        let deadline = self.0.deadline.load(Ordering::Acquire);
        !self.is_pulled() && (deadline == 0 || nanos(self.0.epoch.elapsed()) < deadline)
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
