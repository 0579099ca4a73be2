use std::sync::atomic::AtomicUsize;
use std::sync::mpsc;

use axum::http::StatusCode;

use super::*;
use crate::check::{Check, ComponentType, Failure, Look, Observation, Settings, from_fn};
use crate::{Component, Health, Status};

const SOON: Duration = Duration::from_secs(20);

/// The restarts that `/health` and `/metrics` tell of.
fn told(shared: &Shared) -> (u64, u64) {
    let report: serde_json::Value = serde_json::from_slice(&shared.bodies().health.detailed).expect("JSON");
    let text = shared.metrics(Format::Prometheus).detailed;
    let text = std::str::from_utf8(&text).expect("UTF-8");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("runmate_process_restarts_total{process=\"app\"} "))
        .expect("a line");
    let restarts = &report["checks"]["app:restarts"][0]["observedValue"];
    (
        restarts.as_u64().expect("a number"),
        line.parse().expect("a number"),
    )
}

#[test]
fn nobody_who_changes_something_is_overtaken_by_an_older_state() {
    const WRITERS: u32 = 4;
    const CHANGES: u32 = 200;
    let shared = Shared::new(Access::Public);
    shared.change(|board, _| {
        board.snapshot.components = vec![Component::new("app", "ready", Status::Pass)];
    });
    let writing = AtomicUsize::new(WRITERS as usize);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(|| {
                for _ in 0..CHANGES {
                    let made = shared.change(|board, _| {
                        board.snapshot.components[0].restarts += 1;
                        u64::from(board.snapshot.components[0].restarts)
                    });
                    let told = told(&shared);
                    assert!(told.0 >= made && told.1 >= made, "{told:?} {made}");
                }
                writing.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let mut last = (0, 0);
        while writing.load(Ordering::SeqCst) > 0 {
            let now = told(&shared);
            assert!(now.0 >= last.0 && now.1 >= last.1, "{now:?} after {last:?}");
            last = now;
        }
    });
    let all = u64::from(WRITERS * CHANGES);
    assert_eq!(told(&shared), (all, all));
}

#[test]
fn a_drain_is_told_before_bodies_are_built_for_it() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    let shared = Arc::clone(&health.shared);
    std::thread::scope(|scope| {
        let board = shared.board.lock().expect("nobody panicked");
        let begin = scope.spawn(|| health.drain().begin());
        let deadline = std::time::Instant::now() + SOON;
        while !shared.is_draining() {
            assert!(
                std::time::Instant::now() < deadline,
                "it begins without the board"
            );
            std::thread::yield_now();
        }
        let (code, body) = crate::router::tests::get(&health, "/healthz");
        assert_eq!(
            (code, body.as_str()),
            (
                StatusCode::SERVICE_UNAVAILABLE,
                r#"{"status":"fail","phase":"draining","output":"the container is draining"}"#
            )
        );
        drop(board);
        begin.join().expect("it ends");
    });
    health.publish(Snapshot::new(Phase::Up));
    for path in ["/healthz", "/readyz", "/health"] {
        let (code, body) = crate::router::tests::get(&health, path);
        assert_eq!(code, StatusCode::SERVICE_UNAVAILABLE, "{path}");
        assert!(body.contains(r#""phase":"draining""#), "{path}: {body}");
    }
    health.publish(Snapshot::new(Phase::Exiting));
    let (_, body) = crate::router::tests::get(&health, "/healthz");
    assert!(body.contains(r#""phase":"exiting""#), "{body}");
}

#[test]
fn an_observer_may_call_everything_of_the_handle() {
    nobody_waits_for_itself(|| async {
        let health = Health::new(Access::Public);
        let (handle, heard) = (health.clone(), Arc::new(Notify::new()));
        let hears = Arc::clone(&heard);
        health.observe(move |outcome| {
            assert_eq!((outcome.name, outcome.state.name()), ("first", "passing"));
            handle.publish(Snapshot::new(Phase::Up));
            handle.check("second", from_fn(passing), Settings::default());
            handle.set_access(Access::Public);
            handle.stop_checks();
            handle.observe(|_| {});
            handle.drain().begin();
            hears.notify_one();
        });
        health.check("first", from_fn(passing), Settings::default());
        heard.notified().await;
    });
}

#[test]
fn a_check_that_is_asked_about_itself_may_call_everything_of_the_handle() {
    struct Calls(Health);
    impl Check for Calls {
        fn look(&self) -> Look<'_> {
            Box::pin(passing())
        }

        fn component_type(&self) -> ComponentType {
            self.0.publish(Snapshot::new(Phase::Up));
            ComponentType::System
        }

        fn overtime(&self) -> Duration {
            self.0.publish(Snapshot::new(Phase::Up));
            Duration::MAX
        }
    }
    nobody_waits_for_itself(|| async {
        let health = Health::new(Access::Public);
        let looked = Arc::new(Notify::new());
        let looks = Arc::clone(&looked);
        health.observe(move |_| looks.notify_one());
        health.check("own", Calls(health.clone()), Settings::default());
        looked.notified().await;
    });
}

#[tokio::test(start_paused = true)]
async fn an_observer_that_panics_ends_no_check() {
    let health = Health::new(Access::Public);
    let heard = Arc::new(AtomicUsize::new(0));
    let hears = Arc::clone(&heard);
    health.observe(move |_| {
        hears.fetch_add(1, Ordering::SeqCst);
        panic!("on purpose");
    });
    let blind = || async { Err(Failure::unknown("nobody to ask")) };
    health.check("db", from_fn(passing), Settings::default());
    health.check("queue", from_fn(blind), Settings::default());
    tokio::time::sleep(Duration::from_secs(100)).await;
    let report: serde_json::Value =
        serde_json::from_slice(&health.shared.bodies().health.detailed).expect("JSON");
    let db = &report["checks"]["db:responseTime"][0];
    assert!(db["latency"]["looks"].as_u64() > Some(9), "{db}");
    assert_eq!(db["stale"], serde_json::Value::Null);
    assert!(
        heard.load(Ordering::SeqCst) > 100,
        "the one that knows nothing looks each second"
    );
}

/// Runs `test` in a runtime on a thread of its own: whoever waits for itself must not hold the tests up.
fn nobody_waits_for_itself<F: Future<Output = ()>>(test: impl FnOnce() -> F + Send + 'static) {
    let (done, finished) = mpsc::channel();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(test());
        done.send(()).expect("the test waits");
    });
    finished.recv_timeout(SOON).expect("nobody waits for itself");
}

#[test]
fn a_change_that_panics_leaves_everything_usable() {
    let health = Health::new(Access::Public);
    let shared = Arc::clone(&health.shared);
    let panicked = std::thread::spawn(move || shared.change(|_, _| panic!("on purpose"))).join();
    assert!(panicked.is_err());
    health.publish(Snapshot::new(Phase::Up));
    let (code, _) = crate::router::tests::get(&health, "/readyz");
    assert_eq!(code, StatusCode::OK);
}

#[tokio::test(start_paused = true)]
async fn staleness_is_told_even_if_nobody_looks() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    health.check("db", from_fn(passing), Settings::default());
    tokio::time::sleep(Duration::from_secs(1)).await;
    health.stop_checks();
    let status = || {
        let bodies = health.shared.bodies();
        let report: serde_json::Value = serde_json::from_slice(&bodies.health.detailed).expect("JSON");
        (report["status"].clone(), report["output"].clone())
    };
    assert_eq!(status(), ("pass".into(), serde_json::Value::Null));
    tokio::time::sleep(Duration::from_secs(13)).await;
    assert_eq!(status(), ("warn".into(), "db: stale: nobody looked".into()));
    let built = health.shared.bodies();
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert!(
        Arc::ptr_eq(&built, &health.shared.bodies()),
        "once, however many ask"
    );
}

#[tokio::test(start_paused = true)]
async fn the_checks_end_with_the_last_handle() {
    let looks = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&looks);
    let health = Health::new(Access::Public);
    let check = from_fn(move || {
        count.fetch_add(1, Ordering::SeqCst);
        async { Err(Failure::new("refused")) }
    });
    health.check("db", check, Settings::default());
    let router = health.router();
    drop(health);
    tokio::time::sleep(Duration::from_secs(100)).await;
    let before = looks.load(Ordering::SeqCst);
    assert!(before > 5, "the router holds it: {before}");
    drop(router);
    tokio::time::sleep(Duration::from_secs(100)).await;
    assert_eq!(looks.load(Ordering::SeqCst), before);
    assert_eq!(Arc::strong_count(&looks), 1, "the check is gone, too");
}

#[tokio::test(start_paused = true)]
async fn settings_without_bounds_stop_nothing() {
    let health = Health::new(Access::Public);
    for (name, time) in [("never", Duration::MAX), ("always", Duration::ZERO)] {
        let settings = Settings {
            interval: time,
            timeout: time,
            fail_after: 0,
            pass_after: 0,
            ..Settings::default()
        };
        health.check(name, from_fn(passing), settings);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    let bodies = health.shared.bodies();
    let report: serde_json::Value = serde_json::from_slice(&bodies.health.detailed).expect("JSON");
    for name in ["never:responseTime", "always:responseTime"] {
        assert_eq!(report["checks"][name][0]["state"], "passing", "{report:#}");
    }
    let looks = |name: &str| report["checks"][name][0]["latency"]["looks"].as_u64();
    assert_eq!(looks("never:responseTime"), Some(1));
    assert_eq!(looks("always:responseTime"), Some(100), "as many as are kept");
}

async fn passing() -> Looked {
    Ok(Observation::default())
}
