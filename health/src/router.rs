//! The routes.

use std::sync::Arc;

use axum::Router;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware::map_response;
use axum::response::{IntoResponse, Response};
use axum::routing::get;

use crate::Shared;
use crate::body::{Answer, Bodies};

const JSON: &str = "application/json";
const HEALTH_JSON: &str = "application/health+json";

/// `get` answers HEAD too, with the same code and length. There is no fallback: an app that merges
/// these routes has its own, and two cannot be merged.
pub(crate) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/livez", get(livez))
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz))
        .route("/health", get(health))
        .with_state(shared)
        .layer(map_response(no_store))
}

async fn livez() -> Response {
    respond(StatusCode::OK, JSON, Bytes::from_static(br#"{"status":"pass"}"#))
}

async fn healthz(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, JSON, |bodies| &bodies.healthz)
}

async fn readyz(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, JSON, |bodies| &bodies.readyz)
}

async fn health(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    answer(&shared, &headers, HEALTH_JSON, |bodies| &bodies.health)
}

fn answer(
    shared: &Shared,
    headers: &HeaderMap,
    content_type: &'static str,
    which: fn(&Bodies) -> &Answer,
) -> Response {
    let bodies = shared.bodies();
    let answer = which(&bodies);
    let body = if shared.allows(headers) {
        &answer.detailed
    } else {
        &answer.plain
    };
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
