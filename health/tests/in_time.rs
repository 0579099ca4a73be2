//! What the endpoints say without any look having come to a result: that it is too long ago, and that a drain
//! has begun.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::body::Body;
use axum::http::Request;
use http_body_util::BodyExt;
use runmate_health::{
    Access, Check, Failure, FailureKind, Health, Look, Observation, Phase, Settings, Snapshot, from_fn,
    look_once,
};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::{advance, sleep};
use tower::ServiceExt;

async fn get(health: &Health, path: &str) -> (u16, Value) {
    let request = Request::get(path).body(Body::empty()).expect("a valid request");
    let response = health
        .router()
        .oneshot(request)
        .await
        .expect("a router never fails");
    let status = response.status().as_u16();
    let body = response.into_body().collect().await.expect("a whole body");
    (
        status,
        serde_json::from_slice(&body.to_bytes()).expect("valid JSON"),
    )
}

#[tokio::test(start_paused = true)]
async fn a_check_is_stale_in_time_though_nobody_looks_and_nothing_is_published() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    let settings = Settings::default()
        .interval(Duration::from_secs(10))
        .timeout(Duration::from_secs(2));
    let first = AtomicBool::new(true);
    let once = from_fn(move || {
        let first = first.swap(false, Ordering::Relaxed);
        let looked = first.then(Observation::default);
        async { looked.ok_or_else(|| Failure::unknown("nobody is there to look")) }
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    health.observe(move |outcome| {
        let why = outcome.failure.map(|failure| failure.why.clone());
        if outcome.stale_changed {
            hears.lock().expect("no panic").push((outcome.stale, why));
        }
    });
    health.check("db", once, settings);
    sleep(Duration::from_millis(1)).await;
    let stale = |body: &Value| body["checks"]["db:responseTime"][0]["stale"].clone();
    assert_eq!(get(&health, "/health").await.1["status"], "pass");
    // Interval, timeout and a second; the result came in the first millisecond.
    sleep(Duration::from_millis(12_990)).await;
    assert_eq!(stale(&get(&health, "/health").await.1), Value::Null);
    sleep(Duration::from_millis(20)).await;
    let (status, body) = get(&health, "/health").await;
    assert_eq!((status, stale(&body)), (200, Value::Bool(true)), "{body}");
    assert_eq!(body["status"], "warn");
    let why = Some("nobody is there to look".to_owned());
    assert_eq!(*heard.lock().expect("no panic"), [(true, why)]);
}

#[tokio::test]
async fn a_drain_is_told_everywhere_though_nothing_is_published() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    health.drain().begin();
    for path in ["/healthz", "/readyz", "/health"] {
        let (status, body) = get(&health, path).await;
        assert_eq!(
            (status, body["phase"].as_str()),
            (503, Some("draining")),
            "{path}"
        );
    }
    // One that was taken before.
    health.publish(Snapshot::new(Phase::Up));
    assert_eq!(get(&health, "/health").await.0, 503);
}

#[tokio::test(start_paused = true)]
async fn a_single_look_ends_at_its_timeout_and_survives_a_panic() {
    let hanging = from_fn(std::future::pending);
    let limit = Duration::from_secs(2);
    let looked = tokio::spawn(async move { look_once(&hanging, limit).await });
    advance(limit).await;
    let failure = looked.await.expect("no panic").expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Failed);
    let panicking = from_fn(|| async { panic!("a fault") });
    let failure = look_once(&panicking, limit).await.expect_err("a failure");
    assert_eq!(failure.kind, FailureKind::Unknown);
}

/// A check that answers after a moment, or not at all.
struct Slow {
    hangs: AtomicBool,
    began: Notify,
}

impl Check for Slow {
    fn look(&self) -> Look<'_> {
        self.began.notify_one();
        Box::pin(async {
            if self.hangs.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            sleep(Duration::from_millis(100)).await;
            Ok(Observation::default())
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_freeze_alone_is_not_told_as_staleness() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    health.observe(move |outcome| {
        let failed = outcome.failure.map(|failure| failure.kind);
        hears
            .lock()
            .expect("no panic")
            .push((outcome.stale_changed, failed));
    });
    let slow = Arc::new(Slow {
        hangs: AtomicBool::new(false),
        began: Notify::new(),
    });
    health.check("db", Arc::clone(&slow), Settings::default());
    let minute = Duration::from_secs(60);
    sleep(minute).await;
    // Between two looks, or in the middle of one that ends well.
    advance(minute).await;
    sleep(minute).await;
    let told = std::mem::take(&mut *heard.lock().expect("no panic"));
    assert!(told.iter().all(|told| *told == (false, None)), "{told:?}");
    // In the middle of one that would have been answered.
    slow.hangs.store(true, Ordering::Relaxed);
    slow.began.notified().await;
    slow.began.notified().await;
    advance(minute).await;
    slow.hangs.store(false, Ordering::Relaxed);
    sleep(minute).await;
    let told = std::mem::take(&mut *heard.lock().expect("no panic"));
    assert!(told.contains(&(false, Some(FailureKind::Unknown))), "{told:?}");
    assert!(told.iter().all(|(stale_changed, _)| !stale_changed), "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn staleness_is_told_a_little_later_if_a_freeze_was_not_the_reason() {
    let health = Health::new(Access::Public);
    let first = AtomicBool::new(true);
    let once = from_fn(move || {
        let looked = first.swap(false, Ordering::Relaxed).then(Observation::default);
        async { looked.ok_or_else(|| Failure::unknown("nobody is there to look")) }
    });
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    health.observe(move |outcome| {
        if outcome.stale_changed {
            hears.lock().expect("no panic").push(outcome.stale);
        }
    });
    health.check("db", once, Settings::default());
    sleep(Duration::from_millis(1)).await;
    advance(Duration::from_secs(60)).await;
    sleep(Duration::from_secs(12)).await;
    assert!(heard.lock().expect("no panic").is_empty());
    sleep(Duration::from_secs(2)).await;
    assert_eq!(*heard.lock().expect("no panic"), [true]);
}
