//! Health endpoints for a container: `/livez`, `/healthz`, `/readyz`, `/health` and `/metrics`.
//!
//! One side of the program knows how things are: it [publishes](Health::publish) a [`Snapshot`] whenever that
//! changes, and [checks](Health::check) look at what the program depends on, in the background. The
//! [router](Health::router) answers every request with bodies that were built at the last change. A request
//! therefore costs a lock for the time of one pointer copy, no work that a flood of requests could multiply, and
//! no call to any dependency.
//!
//! | path | answers | 200 | 503 |
//! |---|---|---|---|
//! | `/livez` | does the event loop turn? | always | never |
//! | `/healthz` | should the platform keep this container? | healthy | not healthy, or draining |
//! | `/readyz` | should it get traffic? | ready | not ready, or draining |
//! | `/health` | what is the matter? | pass and warn | fail: as `/healthz`, unless it is being mended |
//! | `/metrics` | the same in numbers | always | never |
//!
//! They answer GET and HEAD, are never cached (`Cache-Control: no-store`) and never redirect, because
//! several platforms count a redirect as healthy. `/health` follows
//! `draft-inadarei-api-health-check-06`. What is behind a bare status (reasons, processes, checks, pids) is
//! for those with [`Access`] only.
//!
//! What a failing check does depends on its [`Level`], and by default it is a warning: a shared dependency that
//! is down must not make the platform replace the whole fleet.
//!
//! An axum app with health endpoints beside its own routes:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use runmate_health::{Access, Health, Level, Phase, Settings, Snapshot, checks};
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let health = Health::new(Access::Token(std::env::var("HEALTH_TOKEN").ok()));
//! health.check("search", checks::Tcp::new("search.example.com:9200")?, Settings {
//!     level: Level::Degraded,
//!     ..Settings::default()
//! });
//! let app = Router::new().route("/", get(|| async { "hello" })).merge(health.router());
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
//! health.publish(Snapshot::new(Phase::Up));
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```
//!
//! # Features
//! `postgres`, `mysql`, `redis`, `http` (with TLS), `certificate` and `exec` add the checks of these names; none
//! is on by default. `tcp`, `disk`, `memory` and `fds` are always there.

mod access;
mod board;
mod body;
mod check;
pub mod checks;
mod drain;
mod metrics;
mod router;
mod snapshot;
mod time;

pub use access::Access;
pub use check::{
    Change, Check, CheckState, ComponentType, Failure, FailureKind, Latency, Level, Look, Looked, Measured,
    Observation, Settings, from_fn,
};
pub use drain::Drain;
pub use snapshot::{Component, Phase, Snapshot, Status};

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock, Weak};
use std::time::{Duration, SystemTime};

use axum::http::HeaderMap;
use board::Board;
use body::{Answer, Bodies};
use check::{Moment, Track, look_forever};
use tokio::sync::Notify;
use tokio::task::AbortHandle;
use tokio::time::Instant;

/// A cloneable handle: one side publishes and adds checks, the router serves.
///
/// It starts in [`Phase::Booting`]: alive and healthy, so that a platform waits for it, but not ready.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

/// The result of one look, for who wants to hear of all of them.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Looking<'a> {
    /// The name of the check.
    pub name: &'a str,
    /// Its level.
    pub level: Level,
    /// Its state after this look.
    pub state: CheckState,
    /// The change that this look made, if it made one.
    pub change: Option<&'a Change>,
    /// Whether what is known is too old, and whether that is new.
    pub stale: bool,
    /// Whether `stale` is not what it was before this look.
    pub stale_changed: bool,
    /// Why the look did not pass, if it did not.
    pub failure: Option<&'a Failure>,
    /// How long it took.
    pub took: Duration,
}

type Observer = Box<dyn Fn(&Looking<'_>) + Send + Sync>;

pub(crate) struct Shared {
    zero: Instant,
    access: RwLock<Access>,
    board: Mutex<Board>,
    /// A plain lock: readers hold it for one pointer copy, the writer for one pointer swap. A
    /// lock-free pointer would cost a dependency and gain nothing at the rate of health requests.
    bodies: RwLock<Arc<Bodies>>,
    /// Beside the board, so that a drain is seen before bodies are built for it.
    pub(crate) draining: AtomicBool,
    pub(crate) begun: Notify,
    while_draining: Answer,
    observer: RwLock<Option<Observer>>,
    tasks: Mutex<Vec<AbortHandle>>,
}

impl Health {
    /// Endpoints that show their details to those whom `access` lets in.
    pub fn new(access: Access) -> Health {
        let zero = Instant::now();
        let mut board = Board::new(Snapshot::new(Phase::Booting));
        let bodies = Bodies::build(&mut board, moment(zero));
        let shared = Arc::new(Shared {
            zero,
            access: RwLock::new(access),
            board: Mutex::new(board),
            bodies: RwLock::new(Arc::new(bodies)),
            draining: AtomicBool::new(false),
            begun: Notify::new(),
            while_draining: body::draining(),
            observer: RwLock::new(None),
            tasks: Mutex::default(),
        });
        Health { shared }
    }

    /// Shows `version`, the public version of the service, in the details of `/health`. Without it the
    /// field is absent.
    pub fn with_version(self, version: impl Into<String>) -> Health {
        self.shared.change(|board| board.version = Some(version.into()));
        self
    }

    /// Shows `releaseId`, which tells one build from another (a commit, an image digest), in the
    /// details of `/health`. Without it the field is absent.
    pub fn with_release_id(self, release: impl Into<String>) -> Health {
        self.shared.change(|board| board.release = Some(release.into()));
        self
    }

    /// Calls `observer` after each look of each check, on the task of the check: it must not block. Replaces
    /// an earlier observer.
    pub fn observe(&self, observer: impl Fn(&Looking<'_>) + Send + Sync + 'static) {
        let mut place = self
            .shared
            .observer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Box::new(observer));
    }

    /// Adds a check and starts it on the current tokio runtime, in the background. It ends with the last
    /// handle and router, or at [`stop_checks`](Health::stop_checks).
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn check(&self, name: impl Into<String>, check: impl Check, settings: Settings) {
        let check: Arc<dyn Check> = Arc::new(check);
        let timeout = settings.timeout;
        let track = Track::new(&name.into(), check.component_type(), settings, self.shared.now());
        let place = self.shared.change(|board| {
            board.tracks.push(track);
            board.tracks.len() - 1
        });
        let shared = Arc::downgrade(&self.shared);
        let looking = look_forever(check, timeout, move |took, looked| {
            record(&shared, place, took, looked)
        });
        let task = tokio::spawn(looking).abort_handle();
        let mut tasks = self.shared.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        tasks.push(task);
    }

    /// Ends all checks. What they said last stands.
    pub fn stop_checks(&self) {
        self.shared.abort();
    }

    /// Replaces what the endpoints say about the container itself.
    ///
    /// The bodies are built here, once, and stamped with the current time; durations in them stand
    /// still until the next change. It takes microseconds, never waits for a request and cannot fail.
    pub fn publish(&self, snapshot: Snapshot) {
        let published = self.shared.now().monotonic;
        self.shared.change(|board| {
            board.snapshot = snapshot;
            board.published = published;
        });
    }

    /// The handle that begins a drain.
    pub fn drain(&self) -> Drain {
        Drain {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Changes who may see the details, for an app that learns its token only after it has begun to serve.
    pub fn set_access(&self, access: Access) {
        *self.shared.access.write().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// The routes, ready to serve on their own or to merge into an app.
    ///
    /// Any other path is 404 and any other method 405. No route has state or middleware of the app.
    pub fn router(&self) -> axum::Router {
        router::routes(Arc::clone(&self.shared))
    }
}

/// Takes the result of a look; gives the pace of the looks.
fn record(shared: &Weak<Shared>, place: usize, took: Duration, looked: Looked) -> Duration {
    // Whoever is gone stops the task with its next breath.
    let Some(shared) = shared.upgrade() else {
        return Duration::MAX / 4;
    };
    let failure = looked.as_ref().err().cloned();
    let now = shared.now();
    let (change, before, track) = shared.change(|board| {
        let track = &mut board.tracks[place];
        let before = track.stale;
        (track.record(now, took, looked), before, track.clone())
    });
    let observer = shared.observer.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(observer) = observer.as_ref() {
        observer(&Looking {
            name: &track.name,
            level: track.settings.level,
            state: track.state,
            change: change.as_ref(),
            stale: track.stale,
            stale_changed: track.stale != before,
            failure: failure.as_ref(),
            took,
        });
    }
    track.pace()
}

impl Shared {
    fn now(&self) -> Moment {
        moment(self.zero)
    }

    /// Changes what is known, and builds the bodies anew.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut Board) -> R) -> R {
        let now = self.now();
        let mut board = self.board.lock().unwrap_or_else(PoisonError::into_inner);
        let result = change(&mut board);
        let bodies = Arc::new(Bodies::build(&mut board, now));
        // Under the lock of the board, or an older state could overtake a newer one.
        *self.bodies.write().unwrap_or_else(PoisonError::into_inner) = bodies;
        result
    }

    fn allows(&self, headers: &HeaderMap) -> bool {
        self.access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .allows(headers)
    }

    fn bodies(&self) -> Arc<Bodies> {
        Arc::clone(&self.bodies.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Acquire)
    }

    fn abort(&self) {
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

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("access", &self.shared.access)
            .finish_non_exhaustive()
    }
}
