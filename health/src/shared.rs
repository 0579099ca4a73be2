//! What all handles, routers and tasks share, and the only place where it changes.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::access::Access;
use crate::board::Board;
use crate::body::{self, Answer, Bodies};
use crate::check::{Looked, Moment};
use crate::exposition::Format;
use crate::observer::{Observer, Outcome};
use crate::snapshot::{Phase, Snapshot};

pub(crate) struct Shared {
    zero: Instant,
    pub access: RwLock<Access>,
    board: Mutex<Board>,
    /// A plain lock: readers hold it for one pointer copy, the writer for one pointer swap. A
    /// lock-free pointer would cost a dependency and gain nothing at the rate of health requests.
    bodies: RwLock<Arc<Bodies>>,
    /// Beside the board, so that a drain is seen before bodies are built for it.
    pub draining: AtomicBool,
    pub begun: Notify,
    pub while_draining: Answer,
    pub observer: RwLock<Option<Observer>>,
    pub tasks: Mutex<Vec<AbortHandle>>,
}

impl Shared {
    pub fn new(access: Access) -> Shared {
        let zero = Instant::now();
        let mut board = Board::new(Snapshot::new(Phase::Booting));
        let bodies = Bodies::build(&mut board, moment(zero));
        Shared {
            zero,
            access: RwLock::new(access),
            board: Mutex::new(board),
            bodies: RwLock::new(Arc::new(bodies)),
            draining: AtomicBool::new(false),
            begun: Notify::new(),
            while_draining: body::draining(),
            observer: RwLock::new(None),
            tasks: Mutex::default(),
        }
    }

    /// Changes what is known, and builds the bodies anew.
    pub fn change<R>(&self, change: impl FnOnce(&mut Board, Moment) -> R) -> R {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, or the time could go back from one change to the next.
        let now = moment(self.zero);
        let result = change(&mut board, now);
        let bodies = Arc::new(Bodies::build(&mut board, now));
        // Under the lock of the board, or an older state could overtake a newer one.
        *self.bodies.write().unwrap_or_else(PoisonError::into_inner) = bodies;
        result
    }

    pub fn allows(&self, headers: &HeaderMap) -> bool {
        self.access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .allows(headers)
    }

    /// What can be answered now. If a check has become stale unnoticed (the container was frozen, or the check
    /// holds its thread), this is the one time that it is said.
    pub fn bodies(&self) -> Arc<Bodies> {
        let bodies = self.built();
        if self.zero.elapsed() <= bodies.true_until {
            return bodies;
        }
        self.change(|_, _| ());
        self.built()
    }

    fn built(&self) -> Arc<Bodies> {
        Arc::clone(&self.bodies.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// The answer of `/metrics`.
    pub fn metrics(&self, format: Format) -> Answer {
        let build = || {
            let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
            body::metrics(&board, moment(self.zero), format)
        };
        self.bodies().metrics(format, build).clone()
    }

    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    /// Ends the tasks of all checks.
    pub fn abort(&self) {
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.drain(..).for_each(|task| task.abort());
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.abort();
    }
}

fn moment(zero: Instant) -> Moment {
    Moment {
        wall: SystemTime::now(),
        monotonic: zero.elapsed(),
    }
}

/// Takes the result of a look; gives the pace of the looks, or `None` if nobody is left to know.
pub(crate) fn record(
    shared: &Weak<Shared>,
    place: usize,
    took: Duration,
    looked: Looked,
) -> Option<Duration> {
    let shared = shared.upgrade()?;
    // A copy, and no lock while it is called: it may publish, add checks, or replace itself.
    let observer = shared
        .observer
        .read()
        .unwrap_or_else(PoisonError::into_inner)
        .clone();
    let failure = looked.as_ref().err().cloned();
    let (pace, change, seen) = shared.change(|board, now| {
        let track = &mut board.tracks[place];
        let change = track.record(now, took, looked);
        let stale_changed = track.tell_stale();
        // Only for who wants to know.
        let seen = observer.as_ref().map(|_| {
            (
                track.name.clone(),
                track.settings.level,
                track.state,
                track.stale,
                stale_changed,
            )
        });
        (track.pace(), change, seen)
    });
    if let (Some(observer), Some((name, level, state, stale, stale_changed))) = (observer, seen) {
        observer(&Outcome {
            name: &name,
            level,
            state,
            change: change.as_ref(),
            stale,
            stale_changed,
            failure: failure.as_ref(),
            took,
        });
    }
    Some(pace)
}

#[cfg(test)]
mod tests;
