//! Health endpoints for a container: `/livez`, `/healthz`, `/readyz` and `/health`.
//!
//! One side of the program knows how things are and [publishes](Health::publish) a [`Snapshot`]
//! whenever that changes; the [router](Health::router) answers every request with bodies that were
//! built at that moment. A request therefore costs a lock for the time of one pointer copy, and no
//! work that a flood of requests could multiply.
//!
//! | path | answers | 200 | 503 |
//! |---|---|---|---|
//! | `/livez` | does the event loop turn? | always | never |
//! | `/healthz` | should the platform keep this container? | healthy | not healthy, or draining |
//! | `/readyz` | should it get traffic? | ready | not ready, or draining |
//! | `/health` | what is the matter? | pass and warn | fail: as `/healthz`, unless it is being mended |
//!
//! They answer GET and HEAD, are never cached (`Cache-Control: no-store`) and never redirect, because
//! several platforms count a redirect as healthy. `/health` follows
//! `draft-inadarei-api-health-check-06`. What is behind a bare status (reasons, processes, pids) is
//! for those with [`Access`] only.
//!
//! An axum app with health endpoints beside its own routes:
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use runmate_health::{Access, Health, Phase, Snapshot};
//!
//! # async fn serve() -> std::io::Result<()> {
//! let health = Health::new(Access::Token(std::env::var("HEALTH_TOKEN").ok()));
//! let app = Router::new().route("/", get(|| async { "hello" })).merge(health.router());
//! let listener = tokio::net::TcpListener::bind("0.0.0.0:8080").await?;
//! health.publish(Snapshot::new(Phase::Up));
//! axum::serve(listener, app).await
//! # }
//! ```

mod access;
mod body;
mod router;
mod snapshot;
mod time;

pub use access::Access;
pub use snapshot::{Component, Phase, Snapshot, Status};

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::SystemTime;

use axum::http::HeaderMap;
use body::Bodies;

/// A cloneable handle: one side publishes, the router serves.
///
/// It starts in [`Phase::Booting`]: alive and healthy, so that a platform waits for it, but not ready.
#[derive(Clone)]
pub struct Health {
    shared: Arc<Shared>,
    version: Option<Arc<str>>,
    release: Option<Arc<str>>,
}

struct Shared {
    access: RwLock<Access>,
    /// A plain lock: readers hold it for one pointer copy, the writer for one pointer swap. A
    /// lock-free pointer would cost a dependency and gain nothing at the rate of health requests.
    bodies: RwLock<Arc<Bodies>>,
}

impl Health {
    /// Endpoints that show their details to those whom `access` lets in.
    pub fn new(access: Access) -> Health {
        let bodies = Bodies::build(&Snapshot::new(Phase::Booting), None, None, SystemTime::now());
        let shared = Arc::new(Shared {
            access: RwLock::new(access),
            bodies: RwLock::new(Arc::new(bodies)),
        });
        Health {
            shared,
            version: None,
            release: None,
        }
    }

    /// Shows `version`, the public version of the service, in the details of `/health`.
    ///
    /// It appears from the next [`publish`](Health::publish) on, through this handle or one cloned from
    /// it. Without it the field is absent.
    pub fn with_version(mut self, version: impl Into<String>) -> Health {
        self.version = Some(version.into().into());
        self
    }

    /// Shows `releaseId`, which tells one build from another (a commit, an image digest), in the
    /// details of `/health`.
    ///
    /// It appears from the next [`publish`](Health::publish) on, through this handle or one cloned from
    /// it. Without it the field is absent.
    pub fn with_release_id(mut self, release: impl Into<String>) -> Health {
        self.release = Some(release.into().into());
        self
    }

    /// Replaces what the endpoints say.
    ///
    /// The bodies are built here, once, and stamped with the current time; durations in them stand
    /// still until the next call. It takes microseconds, never waits for a request and cannot fail.
    pub fn publish(&self, snapshot: Snapshot) {
        let bodies = Bodies::build(
            &snapshot,
            self.version.as_deref(),
            self.release.as_deref(),
            SystemTime::now(),
        );
        *self.shared.bodies.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(bodies);
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

impl Shared {
    fn allows(&self, headers: &HeaderMap) -> bool {
        self.access
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .allows(headers)
    }

    fn bodies(&self) -> Arc<Bodies> {
        Arc::clone(&self.bodies.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Health")
            .field("access", &self.shared.access)
            .finish_non_exhaustive()
    }
}
