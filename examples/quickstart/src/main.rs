//! The quickstart: one program with three words, so that the demo needs nothing but this workspace.
//!
//! - `quickstart prepare` creates the database and ends (a task);
//! - `quickstart app` serves a counter over HTTP (the main process);
//! - `quickstart ticker` reads the counter every few seconds (a sidecar).
//!
//! Nothing in here knows of runmate: the words listen to SIGTERM and print lines, as programs in
//! containers do.

mod app;
mod counter;
mod ticker;

use std::error::Error;
use std::process::ExitCode;

use tokio::signal::unix::{SignalKind, signal};

type Result<T> = std::result::Result<T, Box<dyn Error>>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let word = std::env::args().nth(1);
    let result = match word.as_deref() {
        Some("prepare") => counter::create().await,
        Some("app") => app::run().await,
        Some("ticker") => ticker::run().await,
        _ => {
            eprintln!("usage: quickstart prepare | app | ticker");
            return ExitCode::from(64);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

/// Completes when somebody asks this process to stop.
///
/// The handlers are installed by the call, not by the first poll of what it returns: a signal that
/// comes in between is not lost.
fn asked_to_stop() -> Result<impl Future<Output = ()>> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    Ok(async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    })
}
