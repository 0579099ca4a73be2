//! How the app ends.

use axum::extract::State;
use axum::http::header::{CONNECTION, HeaderValue};
use axum::response::Response;
use runmate_health::Drain;
use tokio::signal::unix::{SignalKind, signal};

use crate::Result;

/// Ends when somebody asks this process to stop. The handlers are installed by the call, so that no signal is
/// lost before the first poll.
pub fn signals() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}

/// While it drains, each answer closes its connection: a client that keeps one open would otherwise send its next
/// request at the very moment when it is closed.
pub async fn close_connection(State(drain): State<Drain>, mut response: Response) -> Response {
    if drain.has_begun() {
        response
            .headers_mut()
            .insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
