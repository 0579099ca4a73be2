//! The drain handle.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::shared::Shared;

/// Begins a drain, and lets others wait for it.
///
/// From [`begin`](Drain::begin) on, `/healthz` and `/readyz` answer 503 with `"phase":"draining"`, so that a load
/// balancer lets go while the app still serves.
///
/// ```no_run
/// use std::time::Duration;
///
/// # async fn serve(app: axum::Router, listener: tokio::net::TcpListener, health: runmate_health::Health) {
/// let drain = health.drain();
/// tokio::spawn({
///     let drain = drain.clone();
///     async move {
///         // tokio::signal::ctrl_c().await, SIGTERM, …
///         drain.begin();
///     }
/// });
/// let stop = async move {
///     drain.begun().await;
///     tokio::time::sleep(Duration::from_secs(5)).await; // the load balancer lets go
/// };
/// axum::serve(listener, app).with_graceful_shutdown(stop).await.unwrap();
/// # }
/// ```
#[derive(Clone)]
pub struct Drain {
    pub(crate) shared: Arc<Shared>,
}

impl Drain {
    /// Begins the drain. It cannot be undone. Takes effect for the very next request, and costs no more than
    /// setting a flag: what has to be built for it is built by who asks.
    pub fn begin(&self) {
        self.shared.draining.store(true, Ordering::Release);
        self.shared.begun.notify_waiters();
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.shared.draining.load(Ordering::Acquire)
    }

    /// Ends once it has begun.
    pub fn begun(&self) -> impl Future<Output = ()> + Send + 'static {
        let shared = Arc::clone(&self.shared);
        async move {
            let notified = shared.begun.notified();
            let mut notified = std::pin::pin!(notified);
            // Registered before the look, or a begin in between would be missed.
            notified.as_mut().enable();
            if !shared.draining.load(Ordering::Acquire) {
                notified.await;
            }
        }
    }
}
