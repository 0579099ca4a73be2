//! `quickstart ticker`: what a sidecar may be — an agent, a queue worker, a cache warmer.

use std::fs;
use std::io;
use std::time::Duration;

use tokio::time::interval;

use crate::{Result, asked_to_stop, counter};

const EVERY: Duration = Duration::from_secs(3);

/// Its presence asks the ticker to crash: the simplest message between two processes.
const CRASH_FILE: &str = "crash-ticker";

/// Reads the counter every few seconds until it is asked to stop.
pub async fn run() -> Result<()> {
    let stop = asked_to_stop()?;
    tokio::pin!(stop);
    let mut database = counter::open().await?;
    let mut ticks = interval(EVERY);
    loop {
        tokio::select! {
            () = &mut stop => break,
            _ = ticks.tick() => {}
        }
        // It is removed before the crash, so that the next ticker lives.
        if fs::remove_file(CRASH_FILE).is_ok() {
            return Err("somebody asked the ticker to crash".into());
        }
        println!("the counter stands at {}", counter::read(&mut database).await?);
    }
    println!("asked to stop, bye");
    Ok(())
}

/// Makes the ticker crash at its next tick.
pub fn ask_to_crash() -> io::Result<()> {
    fs::write(CRASH_FILE, "")
}
