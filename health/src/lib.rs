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
//! let search = checks::Tcp::new("search.example.com:9200")?;
//! health.check("search", search, Settings::default().level(Level::Degraded));
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
mod exposition;
mod metrics;
mod observer;
mod router;
mod shared;
mod snapshot;
mod time;

pub use access::Access;
#[cfg(feature = "peer")]
pub use check::Step;
pub use check::{
    Change, Check, CheckState, ComponentType, Failure, FailureKind, Level, Look, Looked, Measured,
    Observation, Settings, from_fn, look_once,
};
pub use drain::Drain;
pub use exposition::{Family, Kind, Labels};
pub use observer::Outcome;
pub use snapshot::{Component, Phase, Snapshot, Status};

use std::borrow::Cow;
use std::fmt;
use std::sync::{Arc, PoisonError};

use check::{Track, look_forever};
use shared::{Shared, grow_old, record};

/// A cloneable handle: one side publishes and adds checks, the router serves.
///
/// It starts in [`Phase::Booting`]: alive and healthy, so that a platform waits for it, but not ready.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
}

impl Health {
    /// Endpoints that show their details to those whom `access` lets in.
    pub fn new(access: Access) -> Health {
        let shared = Arc::new(Shared::new(access));
        Health { shared }
    }

    /// Shows `version`, the public version of the service, in the details of `/health`. Without it the
    /// field is absent.
    pub fn with_version(self, version: impl Into<String>) -> Health {
        self.shared
            .change(|board, _| board.version = Some(version.into()));
        self
    }

    /// Shows `releaseId`, which tells one build from another (a commit, an image digest), in the
    /// details of `/health`. Without it the field is absent.
    pub fn with_release_id(self, release: impl Into<String>) -> Health {
        self.shared
            .change(|board, _| board.release = Some(release.into()));
        self
    }

    /// Calls `observer` after each look of each check, and when a check becomes stale, on the task of the check: it
    /// must not block. By then the endpoints say what it is told, and it may call anything of this handle. A panic of it
    /// is caught: the check goes on. Replaces an earlier observer.
    pub fn observe(&self, observer: impl Fn(&Outcome<'_>) + Send + Sync + 'static) {
        let mut place = self
            .shared
            .observer
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(observer));
    }

    /// Adds families to those of `/metrics`, for those who see details: `source` is called at each scrape, and must not
    /// block. Their names must not be taken. Replaces an earlier source.
    pub fn add_metrics(&self, source: impl Fn() -> Vec<Family<'static>> + Send + Sync + 'static) {
        let mut place = self
            .shared
            .more_metrics
            .write()
            .unwrap_or_else(PoisonError::into_inner);
        *place = Some(Arc::new(source));
    }

    /// Adds a check and starts it on the current tokio runtime, in the background. It ends with the last
    /// handle and router, or at [`stop_checks`](Health::stop_checks). If the name is taken, it gets a number.
    ///
    /// # Panics
    /// Outside of a tokio runtime.
    pub fn check(&self, name: impl Into<String>, check: impl Check, settings: Settings) {
        // First, because of the panic: nothing is to be left of a check that nobody runs.
        let runtime = tokio::runtime::Handle::current();
        let (name, check): (String, Arc<dyn Check>) = (name.into(), Arc::new(check));
        let settings = settings.bounded();
        let timeout = settings.timeout.saturating_add(check.overtime());
        // Not under the lock of the board: it is the check's own code, which may publish.
        let component_type = check.component_type();
        let measures = check.measures().map(|what| Cow::Owned(what.to_owned()));
        let new = |name, now| {
            let mut track = Track::new(name, component_type, settings, now);
            track.measures = measures;
            track
        };
        let place = self
            .shared
            .change(|board, now| board.add(&name, |name| new(name, now)));
        let shared = Arc::downgrade(&self.shared);
        let growing_old = grow_old(shared.clone(), place);
        let looking = look_forever(check, timeout, move |took, looked| {
            record(&shared, place, took, looked)
        });
        let task = runtime.spawn(async {
            tokio::select! {
                () = looking => {}
                () = growing_old => {}
            }
        });
        let task = task.abort_handle();
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
        self.shared.change(|board, now| {
            board.snapshot = snapshot;
            board.published = now.monotonic;
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

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("access", &self.shared.access)
            .finish_non_exhaustive()
    }
}
