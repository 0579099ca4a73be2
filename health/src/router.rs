//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::Response;
use axum::routing::get;

use crate::body::{Answer, Bodies};
use crate::exposition::{Format, append};
use crate::shared::Shared;

const JSON: HeaderValue = HeaderValue::from_static("application/json");
const HEALTH_JSON: HeaderValue = HeaderValue::from_static("application/health+json");
/// The text format of Prometheus, which every scraper reads.
const PROMETHEUS: HeaderValue = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
/// The media type of OpenMetrics 1.0 (its section "Overall structure").
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
/// On every response: a 404 may be cached just as a 200 may.
const NO_STORE: HeaderValue = HeaderValue::from_static("no-store");

/// `get` answers HEAD too, with the same code and length. There is no fallback: an app that merges
/// these routes has its own, and two cannot be merged.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        // Before the routes: it is for what answers any other path, and would cost the routes a part of their speed.
        .layer(map_response(no_store))
        .route("/livez", get(livez).fallback(other_method))
        .route("/healthz", get(healthz).fallback(other_method))
        .route("/readyz", get(readyz).fallback(other_method))
        .route("/health", get(health).fallback(other_method))
        .route("/metrics", get(metrics).fallback(other_method))
        .with_state(shared)
}

async fn livez() -> Response {
    respond(StatusCode::OK, JSON, Bytes::from_static(br#"{"status":"pass"}"#))
}

// The whole request, because its headers alone would be a copy.
async fn healthz(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    yes_or_no(&shared, request.headers(), |bodies| &bodies.healthz)
}

async fn readyz(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    yes_or_no(&shared, request.headers(), |bodies| &bodies.readyz)
}

async fn health(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    choose(
        &shared.bodies().health,
        shared.allows(request.headers()),
        HEALTH_JSON,
    )
}

async fn metrics(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let open = request
        .headers()
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let (format, content_type) = if open {
        (Format::OpenMetrics, OPEN_METRICS)
    } else {
        (Format::Prometheus, PROMETHEUS)
    };
    let mut answer = shared.metrics(format);
    let allowed = shared.allows(request.headers());
    let more = if allowed {
        shared.more_metrics()
    } else {
        Vec::new()
    };
    if !more.is_empty() {
        // What is built before is our own text.
        let built = String::from_utf8_lossy(&answer.detailed);
        answer.detailed = append(&built, &more, format).into();
    }
    choose(&answer, allowed, content_type)
}

async fn other_method() -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    no_store(response).await
}

/// `/healthz` and `/readyz`: a drain that has begun is told even before there are bodies that say so.
fn yes_or_no(shared: &Shared, headers: &HeaderMap, which: fn(&Bodies) -> &Answer) -> Response {
    let draining = shared.is_draining();
    let bodies = if draining { shared.built() } else { shared.bodies() };
    let answer = if draining && !bodies.ending {
        &shared.while_draining
    } else {
        which(&bodies)
    };
    choose(answer, shared.allows(headers), JSON)
}

fn choose(answer: &Answer, detailed: bool, content_type: HeaderValue) -> Response {
    let body = if detailed { &answer.detailed } else { &answer.plain };
    respond(answer.code, content_type, body.clone())
}

fn respond(code: StatusCode, content_type: HeaderValue, body: Bytes) -> Response {
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = code;
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, content_type);
    headers.insert(header::CACHE_CONTROL, NO_STORE);
    response
}

async fn no_store(mut response: Response) -> Response {
    response.headers_mut().insert(header::CACHE_CONTROL, NO_STORE);
    response
}

#[cfg(test)]
pub(crate) mod tests {
    use axum::body::Body;
    use axum::http::Request;
    use http_body_util::BodyExt;
    use tower::ServiceExt;

    use super::*;

    /// The code and the body, on a runtime of its own.
    pub(crate) fn get(health: &crate::Health, path: &str) -> (StatusCode, String) {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            let request = Request::get(path).body(Body::empty()).expect("a request");
            let response = health.router().oneshot(request).await.expect("an answer");
            let code = response.status();
            let body = response.into_body().collect().await.expect("a body").to_bytes();
            (code, String::from_utf8(body.into()).expect("UTF-8"))
        })
    }
}
