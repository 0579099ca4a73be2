//! `quickstart app`: the counter over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::get;
use serde_json::json;
use sqlx::sqlite::SqliteConnection;
use tokio::net::TcpListener;
use tokio::sync::Mutex;

use crate::{Result, asked_to_stop, counter, ticker};

/// One connection is enough: SQLite has one writer at a time anyway.
type Database = Arc<Mutex<SqliteConnection>>;

/// Serves on `127.0.0.1:$PORT` (default 8080) until it is asked to stop, then finishes the requests
/// that have begun.
pub async fn run() -> Result<()> {
    let stop = asked_to_stop()?;
    let database = Arc::new(Mutex::new(counter::open().await?));
    let address = format!(
        "127.0.0.1:{}",
        std::env::var("PORT").unwrap_or_else(|_| "8080".into())
    );
    let listener = TcpListener::bind(&address)
        .await
        .map_err(|error| format!("cannot listen on {address}: {error}; set PORT to a free one"))?;
    // Plain lines and JSON lines: both are fine, runmate makes one format of them.
    println!("listening on http://{}", listener.local_addr()?);
    let routes = Router::new()
        .route("/", get(visit))
        .route("/up", get(|| async { "up\n" }))
        .route("/slow", get(slow))
        .route("/crash-sidecar", get(crash_sidecar))
        .with_state(database);
    axum::serve(listener, routes)
        .with_graceful_shutdown(async {
            stop.await;
            println!("asked to stop: no new requests, finishing those that have begun");
        })
        .await?;
    println!("all requests are answered, bye");
    Ok(())
}

async fn visit(State(database): State<Database>) -> std::result::Result<String, (StatusCode, String)> {
    match counter::increment(&mut *database.lock().await).await {
        Ok(visits) => {
            println!(
                "{}",
                json!({ "level": "info", "message": "a visit", "visits": visits })
            );
            Ok(format!("visit number {visits}\n"))
        }
        Err(error) => {
            println!(
                "{}",
                json!({ "level": "error", "message": format!("cannot count: {error}") })
            );
            Err((
                StatusCode::INTERNAL_SERVER_ERROR,
                "the counter is out of order\n".into(),
            ))
        }
    }
}

/// Long enough to press Ctrl-C in another window and see that it is answered all the same.
async fn slow() -> &'static str {
    println!("a slow request has begun");
    tokio::time::sleep(Duration::from_secs(2)).await;
    println!("a slow request is answered");
    "slow, but here\n"
}

async fn crash_sidecar() -> std::result::Result<&'static str, (StatusCode, String)> {
    match ticker::ask_to_crash() {
        Ok(()) => Ok("the ticker will crash at its next tick\n"),
        Err(error) => Err((
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot ask the ticker: {error}\n"),
        )),
    }
}
