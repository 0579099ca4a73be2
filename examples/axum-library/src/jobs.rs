//! What the app is about: jobs that are taken over HTTP and done one after the other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::{get, post};
use runmate_health::{Check, Failure, Measured, Observation, from_fn};
use tokio::sync::Notify;

/// More than this many that wait are a sign that the app does not keep up.
const MANY: usize = 100;
/// How long one takes.
const WORK: Duration = Duration::from_millis(100);

/// The jobs that wait.
#[derive(Clone, Default)]
pub struct Jobs(Arc<Queue>);

#[derive(Default)]
struct Queue {
    waiting: AtomicUsize,
    added: Notify,
}

impl Jobs {
    /// An empty queue, and the task that works it off.
    pub fn start() -> Jobs {
        let jobs = Jobs::default();
        let working = jobs.clone();
        tokio::spawn(async move {
            loop {
                while working.waiting() > 0 {
                    tokio::time::sleep(WORK).await;
                    working.0.waiting.fetch_sub(1, Ordering::Relaxed);
                }
                working.0.added.notified().await;
            }
        });
        jobs
    }

    fn add(&self) {
        self.0.waiting.fetch_add(1, Ordering::Relaxed);
        self.0.added.notify_one();
    }

    fn waiting(&self) -> usize {
        self.0.waiting.load(Ordering::Relaxed)
    }

    /// Fails when too many wait. A check of one's own is a function that looks once; how often, and what follows
    /// from it, is said where it is added.
    pub fn check(&self) -> impl Check {
        let jobs = self.clone();
        from_fn(move || {
            let waiting = jobs.waiting();
            let measured = Measured::new("waiting", waiting as f64, "jobs");
            std::future::ready(if waiting > MANY {
                Err(Failure::new(format!("{waiting} jobs wait, more than {MANY}")).with(measured))
            } else {
                Ok(Observation::of(measured))
            })
        })
    }
}

/// The app's own routes.
pub fn routes(jobs: Jobs) -> Router {
    Router::new()
        .route(
            "/",
            get(|| async { "POST /jobs to add one, GET /jobs to see how many wait\n" }),
        )
        .route("/jobs", post(add).get(count))
        .route("/slow", get(slow))
        .with_state(jobs)
}

async fn add(State(jobs): State<Jobs>) -> StatusCode {
    jobs.add();
    StatusCode::ACCEPTED
}

async fn count(State(jobs): State<Jobs>) -> String {
    format!("{} wait\n", jobs.waiting())
}

/// Long enough to be under way when somebody asks the app to stop.
async fn slow() -> &'static str {
    println!("a slow request has begun");
    tokio::time::sleep(Duration::from_secs(2)).await;
    "slow, but here\n"
}
