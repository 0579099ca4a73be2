//! The event loop: tasks on that of `run`, and one for a single answer, which every other command and helper needs.
//!
//! Futures are boxed here, so that tokio has one type of them: its code for another is 3 kB of the binary for each.

use std::pin::Pin;

use tokio::runtime::Builder;
use tokio::task::{AbortHandle, spawn_local};

/// Starts a task on this thread, in the event loop of `run`.
pub(crate) fn spawn(task: impl Future<Output = ()> + 'static) -> AbortHandle {
    let task: Pin<Box<dyn Future<Output = ()>>> = Box::pin(task);
    spawn_local(task).abort_handle()
}

/// Runs `future` to its end, on this thread. Whatever its end leaves running (a look at a disk that hangs, the
/// lookup of a name) keeps a thread, and must not keep us.
///
/// # Errors
/// A sentence, if there cannot be an event loop: no descriptors are left, or no memory.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> Result<T, String> {
    let mut output = None;
    drive(Box::pin(async { output = Some(future.await) }))?;
    Ok(output.expect("the future came to its end"))
}

fn drive(future: Pin<Box<dyn Future<Output = ()> + '_>>) -> Result<(), String> {
    let runtime = Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the event loop: {error}"))?;
    runtime.block_on(future);
    runtime.shutdown_background();
    Ok(())
}
