//! The endpoints as a client sees them.

use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::http::{Method, Request, Response, StatusCode, header};
use axum::routing::get;
use http_body_util::BodyExt;
use runmate_health::{Access, Component, Health, Phase, Snapshot, Status};
use serde_json::{Value, json};
use tower::ServiceExt;

const PATHS: [&str; 4] = ["/livez", "/healthz", "/readyz", "/health"];
const PHASES: [Phase; 6] = [
    Phase::Booting,
    Phase::Migrating,
    Phase::Starting,
    Phase::Up,
    Phase::Draining,
    Phase::Exiting,
];

async fn send(router: Router, method: Method, path: &str, authorization: Option<&str>) -> Response<Body> {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(value) = authorization {
        request = request.header(header::AUTHORIZATION, value);
    }
    let request = request.body(Body::empty()).expect("a valid request");
    router.oneshot(request).await.expect("a router never fails")
}

async fn text(response: Response<Body>) -> String {
    let bytes = response
        .into_body()
        .collect()
        .await
        .expect("a whole body")
        .to_bytes();
    String::from_utf8(bytes.into()).expect("UTF-8")
}

async fn look(health: &Health, path: &str, authorization: Option<&str>) -> (u16, String) {
    let response = send(health.router(), Method::GET, path, authorization).await;
    (response.status().as_u16(), text(response).await)
}

async fn details(health: &Health) -> Value {
    serde_json::from_str(&look(health, "/health", None).await.1).expect("JSON")
}

fn private() -> Health {
    Health::new(Access::Token(None))
}

fn troubled() -> Snapshot {
    let mut app = Component::new("app", "ended", Status::Fail);
    app.restarts = 3;
    app.output = Some("it exited with code 1".into());
    let mut snapshot = Snapshot::new(Phase::Up);
    snapshot.healthy = Err("the process app is not running".into());
    snapshot.ready = Err("the process app is not ready".into());
    snapshot.components.push(app);
    snapshot.since_start = Duration::from_millis(61_250);
    snapshot
}

#[tokio::test]
async fn each_phase_at_each_endpoint() {
    #[rustfmt::skip]
    let table = [
        // phase          healthz       readyz        health
        (Phase::Booting,   (200, "pass"), (503, "fail"), (200, "warn")),
        (Phase::Migrating, (200, "pass"), (503, "fail"), (200, "warn")),
        (Phase::Starting,  (200, "pass"), (503, "fail"), (200, "warn")),
        (Phase::Up,        (200, "pass"), (200, "pass"), (200, "pass")),
        (Phase::Draining,  (503, "fail"), (503, "fail"), (503, "fail")),
        (Phase::Exiting,   (503, "fail"), (503, "fail"), (503, "fail")),
    ];
    let health = private();
    for (phase, healthz, readyz, deep) in table {
        health.publish(Snapshot::new(phase));
        let name = phase.name();
        assert_eq!(
            look(&health, "/livez", None).await,
            (200, r#"{"status":"pass"}"#.into()),
            "{name}"
        );
        for (path, (code, status)) in [("/healthz", healthz), ("/readyz", readyz)] {
            let body = format!(r#"{{"status":"{status}","phase":"{name}"}}"#);
            assert_eq!(look(&health, path, None).await, (code, body), "{name} {path}");
        }
        let body = format!(r#"{{"status":"{}"}}"#, deep.1);
        assert_eq!(look(&health, "/health", None).await, (deep.0, body), "{name}");
    }
}

#[tokio::test]
async fn it_boots_before_anything_was_published() {
    let health = private();
    assert_eq!(look(&health, "/livez", None).await.0, 200);
    assert_eq!(
        look(&health, "/healthz", None).await,
        (200, r#"{"status":"pass","phase":"booting"}"#.into())
    );
    assert_eq!(
        look(&health, "/readyz", None).await,
        (503, r#"{"status":"fail","phase":"booting"}"#.into())
    );
    assert_eq!(
        look(&health, "/health", None).await,
        (200, r#"{"status":"warn"}"#.into())
    );
}

#[tokio::test]
async fn each_reason_has_its_own_effect() {
    let but = |mut snapshot: Snapshot, change: fn(&mut Snapshot)| {
        change(&mut snapshot);
        snapshot
    };
    let up = |change| but(Snapshot::new(Phase::Up), change);
    let with = |status| {
        let mut snapshot = Snapshot::new(Phase::Up);
        snapshot.components.push(Component::new("app", "ended", status));
        snapshot
    };
    #[rustfmt::skip]
    let table = [
        // what is the matter                            healthz readyz health
        (up(|its| its.healthy = Err("gone".into())),         503, 200, (503, "fail")),
        (up(|its| its.ready = Err("not yet".into())),        200, 503, (200, "warn")),
        (up(|its| its.degraded = true),                      200, 200, (200, "warn")),
        (with(Status::Pass),                                 200, 200, (200, "pass")),
        (with(Status::Warn),                                 200, 200, (200, "warn")),
        (with(Status::Fail),                                 200, 200, (200, "warn")),
        (up(|its| its.phase = Phase::Draining),              503, 503, (503, "fail")),
        (troubled(),                                         503, 503, (503, "fail")),
        (but(troubled(), |its| its.degraded = true),         503, 503, (200, "warn")),
        (up(|its| {
            its.degraded = true;
            its.phase = Phase::Draining;
        }),                                                  503, 503, (503, "fail")),
    ];
    let health = private();
    for (snapshot, healthz, readyz, (code, status)) in table {
        let shown = format!("{snapshot:?}");
        health.publish(snapshot);
        assert_eq!(look(&health, "/livez", None).await.0, 200, "{shown}");
        assert_eq!(look(&health, "/healthz", None).await.0, healthz, "{shown}");
        assert_eq!(look(&health, "/readyz", None).await.0, readyz, "{shown}");
        let body = format!(r#"{{"status":"{status}"}}"#);
        assert_eq!(look(&health, "/health", None).await, (code, body), "{shown}");
    }
}

#[tokio::test]
async fn the_right_token_and_no_other_opens_the_details() {
    let health = Health::new(Access::Token(Some("s3cret-token".into())));
    health.publish(troubled());
    let plain = r#"{"status":"fail","phase":"up"}"#;
    let open = r#"{"status":"fail","phase":"up","output":"the process app is not running"}"#;
    for (authorization, expected) in [
        (None, plain),
        (Some(""), plain),
        (Some("s3cret-token"), plain),
        (Some("Bearer"), plain),
        (Some("Bearer "), plain),
        (Some("Bearer s3cret-tokem"), plain),
        (Some("Bearer s3cret-toke"), plain),
        (Some("Bearer s3cret-token2"), plain),
        (Some("Bearer S3CRET-TOKEN"), plain),
        (Some("Basic s3cret-token"), plain),
        (Some("Bearer s3cret-token"), open),
        (Some("bearer s3cret-token"), open),
    ] {
        assert_eq!(
            look(&health, "/healthz", authorization).await.1,
            expected,
            "{authorization:?}"
        );
        let deep = look(&health, "/health", authorization).await.1;
        assert_eq!(
            deep.contains("checks"),
            expected == open,
            "{authorization:?}: {deep}"
        );
    }
}

#[tokio::test]
async fn without_a_token_nobody_gets_in() {
    for access in [Access::Token(None), Access::Token(Some(String::new()))] {
        let health = Health::new(access);
        health.publish(troubled());
        for authorization in [None, Some("Bearer "), Some("Bearer"), Some("Bearer x")] {
            for path in PATHS {
                let (_, body) = look(&health, path, authorization).await;
                let object: Value = serde_json::from_str(&body).expect("JSON");
                let mut keys: Vec<_> = object.as_object().expect("an object").keys().collect();
                keys.retain(|key| *key != "status" && *key != "phase");
                assert!(keys.is_empty(), "{path} {authorization:?}: {body}");
            }
        }
    }
}

#[tokio::test]
async fn the_report_follows_the_draft() {
    let health = Health::new(Access::Public)
        .with_version("1")
        .with_release_id("4f2c");
    let mut snapshot = troubled();
    let mut other = Component::new("a:b", "ready", Status::Pass);
    other.pid = Some(41);
    other.uptime = Some(Duration::from_millis(1_500));
    other.output = Some("left out, as it passes".into());
    snapshot.components.push(other);
    health.publish(snapshot);
    let mut report = details(&health).await;
    let checks = report["checks"].as_object_mut().expect("checks");
    for (key, list) in checks {
        for measurement in list.as_array_mut().expect("a list") {
            let time = measurement
                .as_object_mut()
                .expect("an object")
                .remove("time")
                .expect("a time");
            let time = time.as_str().expect("text");
            assert!(
                time.len() == 24 && time.ends_with('Z') && &time[10..11] == "T",
                "{key}: {time}"
            );
        }
    }
    let expected = json!({
        "status": "fail", "version": "1", "releaseId": "4f2c", "phase": "up",
        "output": "the process app is not running",
        "checks": {
            "uptime": [{ "componentType": "system", "observedValue": 61.25, "observedUnit": "s", "status": "pass" }],
            "app:state": [{ "componentType": "component", "observedValue": "ended", "status": "fail",
                            "output": "it exited with code 1" }],
            "app:restarts": [{ "componentType": "component", "observedValue": 3, "status": "pass" }],
            "a_b:state": [{ "componentId": "41", "componentType": "component", "observedValue": "ready",
                            "status": "pass" }],
            "a_b:restarts": [{ "componentId": "41", "componentType": "component", "observedValue": 0,
                               "status": "pass" }],
            "a_b:uptime": [{ "componentId": "41", "componentType": "component", "observedValue": 1.5,
                             "observedUnit": "s", "status": "pass" }],
        },
    });
    assert_eq!(report, expected);
}

#[tokio::test]
async fn a_report_of_a_sound_container_says_no_more_than_it_must() {
    let health = Health::new(Access::Public);
    health.publish(Snapshot::new(Phase::Up));
    let report = details(&health).await;
    // Another crate of the build may turn on serde_json's `preserve_order`; the order means nothing.
    let mut keys: Vec<_> = report.as_object().expect("an object").keys().collect();
    keys.sort();
    assert_eq!(keys, ["checks", "phase", "status"]);
}

#[tokio::test]
async fn head_is_get_without_the_body() {
    let health = Health::new(Access::Public);
    for phase in PHASES {
        health.publish(Snapshot::new(phase));
        for path in PATHS {
            let whole = send(health.router(), Method::GET, path, None).await;
            let head = send(health.router(), Method::HEAD, path, None).await;
            assert_eq!(head.status(), whole.status(), "{path}");
            assert_eq!(
                head.headers()[header::CONTENT_TYPE],
                whole.headers()[header::CONTENT_TYPE],
                "{path}"
            );
            let length = head.headers()[header::CONTENT_LENGTH]
                .to_str()
                .expect("a number")
                .to_owned();
            assert_eq!(length, text(whole).await.len().to_string(), "{path}");
            assert_eq!(text(head).await, "", "{path}");
        }
    }
}

#[tokio::test]
async fn media_types() {
    let health = private();
    for (path, expected) in PATHS.into_iter().zip([
        "application/json",
        "application/json",
        "application/json",
        "application/health+json",
    ]) {
        let response = send(health.router(), Method::GET, path, None).await;
        assert_eq!(response.headers()[header::CONTENT_TYPE], expected, "{path}");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_and_nothing_redirects_or_is_cached() {
    let health = private();
    for (method, path, expected) in [
        (Method::GET, "/", StatusCode::NOT_FOUND),
        (Method::GET, "/healthz/", StatusCode::NOT_FOUND),
        (Method::GET, "/health/", StatusCode::NOT_FOUND),
        (Method::GET, "//healthz", StatusCode::NOT_FOUND),
        (Method::GET, "/Healthz", StatusCode::NOT_FOUND),
        (Method::GET, "/healthz/../livez", StatusCode::NOT_FOUND),
        (Method::POST, "/healthz", StatusCode::METHOD_NOT_ALLOWED),
        (Method::DELETE, "/health", StatusCode::METHOD_NOT_ALLOWED),
        (Method::GET, "/healthz?verbose", StatusCode::OK),
        (Method::GET, "/readyz", StatusCode::SERVICE_UNAVAILABLE),
    ] {
        let response = send(health.router(), method.clone(), path, None).await;
        assert_eq!(response.status(), expected, "{method} {path}");
        assert_eq!(
            response.headers()[header::CACHE_CONTROL],
            "no-store",
            "{method} {path}"
        );
        assert!(
            !response.headers().contains_key(header::LOCATION),
            "{method} {path}"
        );
        let allowed = response
            .headers()
            .get(header::ALLOW)
            .map(|value| value.as_bytes());
        let refused = expected == StatusCode::METHOD_NOT_ALLOWED;
        assert_eq!(allowed, refused.then_some(&b"GET,HEAD"[..]), "{method} {path}");
    }
}

#[tokio::test]
async fn it_merges_into_an_app_that_has_a_fallback_of_its_own() {
    let health = private();
    let app = Router::new()
        .route("/", get(|| async { "hello" }))
        .fallback(|| async { (StatusCode::IM_A_TEAPOT, "mine") })
        .merge(health.router());
    for (path, code) in [("/", 200), ("/livez", 200), ("/readyz", 503), ("/nothing", 418)] {
        let response = send(app.clone(), Method::GET, path, None).await;
        assert_eq!(response.status().as_u16(), code, "{path}");
        // The app's own responses stay as they are.
        let no_store = response.headers().contains_key(header::CACHE_CONTROL);
        assert_eq!(no_store, path.ends_with('z'), "{path}");
    }
}

#[tokio::test]
async fn clones_and_routers_made_earlier_see_what_is_published_later() {
    let health = private();
    let router = health.router();
    health.clone().publish(Snapshot::new(Phase::Up));
    assert_eq!(
        send(router, Method::GET, "/readyz", None).await.status(),
        StatusCode::OK
    );
}

#[test]
fn debug_shows_no_token() {
    let shown = format!("{:?}", Health::new(Access::Token(Some("s3cret".into()))));
    assert!(!shown.contains("s3cret"), "{shown}");
}
