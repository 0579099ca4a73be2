//! What all handles, routers and tasks share, and the only place where it changes.

use std::panic::{AssertUnwindSafe, catch_unwind};
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
use crate::check::{Change, CheckState, Failure, Level, Looked, Moment, Track, is_late};
use crate::exposition::{Family, Format};
use crate::observer::{Observer, Outcome};
use crate::snapshot::{Phase, Snapshot};

/// Gives families whenever somebody asks for them.
pub(crate) type MoreMetrics = Arc<dyn Fn() -> Vec<Family<'static>> + Send + Sync>;

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
    /// Families of the program's own.
    pub more_metrics: RwLock<Option<MoreMetrics>>,
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
            more_metrics: RwLock::new(None),
            tasks: Mutex::default(),
        }
    }

    /// Changes what is known, and builds the bodies anew.
    pub fn change<R>(&self, change: impl FnOnce(&mut Board, Moment) -> R) -> R {
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        // Under the lock, or the time could go back from one change to the next.
        let now = moment(self.zero);
        board.draining = self.is_draining();
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

    /// What can be answered now. If a check has become stale since, or a drain has begun, this is when the bodies
    /// for that are built.
    pub fn bodies(&self) -> Arc<Bodies> {
        let bodies = self.built();
        let fresh = self.zero.elapsed() <= bodies.true_until;
        if fresh && (bodies.ending || !self.is_draining()) {
            return bodies;
        }
        self.change(|_, _| ());
        self.built()
    }

    /// What was built last.
    pub fn built(&self) -> Arc<Bodies> {
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

    /// The families of the program's own, as they are now.
    pub fn more_metrics(&self) -> Vec<Family<'static>> {
        let more = self
            .more_metrics
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        more.map(|more| more()).unwrap_or_default()
    }

    /// `change` gives the change that it made, and whether observers are to hear of staleness.
    fn update(
        &self,
        place: usize,
        change: impl FnOnce(&mut Track, Moment) -> (Option<Change>, bool),
    ) -> Seen {
        self.change(|board, now| {
            let track = &mut board.tracks[place];
            let (change, stale_changed) = change(track, now);
            Seen {
                stale_changed,
                name: track.name.clone(),
                level: track.settings.level,
                state: track.state,
                change,
                stale: track.stale,
                pace: track.pace(),
            }
        })
    }

    fn tell(&self, seen: &Seen, failure: Option<&Failure>, took: Duration) {
        // A copy, and no lock while it is called: it may publish, add checks, or replace itself.
        let observer = self
            .observer
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone();
        let outcome = Outcome {
            name: &seen.name,
            level: seen.level,
            state: seen.state,
            change: seen.change.as_ref(),
            stale: seen.stale,
            stale_changed: seen.stale_changed,
            failure,
            took,
        };
        if let Some(observer) = observer {
            // It runs on the task of the check, which must go on. The panic hook has told of it.
            let _ = catch_unwind(AssertUnwindSafe(|| observer(&outcome)));
        }
    }

    /// Tells the observer if what is known of a check has become too old; gives the time until that is to be looked
    /// at again. `frozen`: nobody ran until just now.
    fn grow_old(&self, place: usize, frozen: bool) -> Duration {
        let board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let track = &board.tracks[place];
        let (fresh_until, why, patience) = (track.fresh_until(), track.blind.clone(), track.patience());
        drop(board);
        let now = moment(self.zero).monotonic;
        if now <= fresh_until {
            // A little past it, when it is too old in any case.
            return fresh_until - now + Duration::from_millis(1);
        }
        if frozen {
            // Everything is old then, and worth a line only if the next look does not change that.
            return patience;
        }
        let seen = self.update(place, |track, now| {
            track.age(now);
            (None, track.tell_stale())
        });
        if seen.stale_changed {
            let why = Failure::unknown(why.unwrap_or_else(|| "nobody looked".to_owned()));
            self.tell(&seen, Some(&why), Duration::ZERO);
        }
        seen.pace
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

/// Has observers hear in time that what is known of a check is too old: no look comes to a result then.
pub(crate) async fn grow_old(shared: Weak<Shared>, place: usize) {
    let mut frozen = false;
    while let Some(wait) = shared.upgrade().map(|shared| shared.grow_old(place, frozen)) {
        let began = Instant::now();
        tokio::time::sleep(wait).await;
        frozen = is_late(began, wait);
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
    let failure = looked.as_ref().err().cloned();
    let seen = shared.update(place, |track, now| {
        let change = track.record(now, took, looked);
        // That it has become stale is told by `grow_old`, which knows of freezes.
        (change, !track.stale && track.tell_stale())
    });
    shared.tell(&seen, failure.as_ref(), took);
    Some(seen.pace)
}

/// A check after something became known of it, or nothing for too long.
struct Seen {
    name: String,
    level: Level,
    state: CheckState,
    change: Option<Change>,
    stale: bool,
    stale_changed: bool,
    pace: Duration,
}

#[cfg(test)]
mod tests;
