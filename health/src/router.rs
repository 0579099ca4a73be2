//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::body::{Answer, Bodies};
use crate::exposition::Format;
use crate::shared::Shared;

const JSON: &str = "application/json";
const HEALTH_JSON: &str = "application/health+json";
/// The text format of Prometheus, which every scraper reads.
const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
/// The media type of OpenMetrics 1.0 (its section "Overall structure").
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// `get` answers HEAD too, with the same code and length. There is no fallback: an app that merges
/// these routes has its own, and two cannot be merged.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/health", get(health))
        .route("/metrics", get(metrics))
        .with_state(shared)
        .layer(map_response(no_store))
}

async fn livez() -> Response {
    respond(StatusCode::OK, JSON, Bytes::from_static(br#"{"status":"pass"}"#))
}

async fn healthz(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    yes_or_no(&shared, &headers, |bodies| &bodies.healthz)
}

async fn readyz(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    yes_or_no(&shared, &headers, |bodies| &bodies.readyz)
}

async fn health(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    choose(&shared.bodies().health, shared.allows(&headers), HEALTH_JSON)
}

async fn metrics(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let open = headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.contains("application/openmetrics-text"));
    let (format, content_type) = if open {
        (Format::OpenMetrics, OPEN_METRICS)
    } else {
        (Format::Prometheus, PROMETHEUS)
    };
    choose(&shared.metrics(format), shared.allows(&headers), content_type)
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

fn choose(answer: &Answer, detailed: bool, content_type: &'static str) -> Response {
    let body = if detailed { &answer.detailed } else { &answer.plain };
    respond(answer.code, content_type, body.clone())
}

fn respond(code: StatusCode, content_type: &'static str, body: Bytes) -> Response {
    (code, [(header::CONTENT_TYPE, content_type)], body).into_response()
}

/// On every response: a 404 may be cached just as a 200 may.
async fn no_store(mut response: Response) -> Response {
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
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
