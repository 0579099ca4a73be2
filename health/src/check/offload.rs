//! Calls that may block for ever (a name that is looked up, a file on a dead network disk), on a thread of
//! their own.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot;

use super::Failure;

/// One blocking call at a time. A call that outlives its look is not started a second time: the next look
/// waits for the same one. So a hung call costs one thread, not one per interval.
#[derive(Debug)]
pub(crate) struct Offload<T>(Mutex<Option<oneshot::Receiver<T>>>);

impl<T> Default for Offload<T> {
    fn default() -> Offload<T> {
        Offload(Mutex::new(None))
    }
}

impl<T: Send + 'static> Offload<T> {
    /// The result of `call`, or of the one that an earlier look has left running.
    pub async fn run(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let mut running = Running {
            place: &self.0,
            call: self.lock().take(),
        };
        let call = match &mut running.call {
            Some(call) => call,
            none => none.insert(start(call)?),
        };
        let result = call.await;
        running.call = None;
        result.map_err(|_| Failure::unknown("the call that looks at it panicked"))
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Option<oneshot::Receiver<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Puts an unfinished call back when its look is dropped.
struct Running<'a, T> {
    place: &'a Mutex<Option<oneshot::Receiver<T>>>,
    call: Option<oneshot::Receiver<T>>,
}

impl<T> Drop for Running<'_, T> {
    fn drop(&mut self) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = self.call.take();
    }
}

/// A thread of the standard library: tokio's own pool panics when no thread can be started, and has room that
/// hung calls would use up.
fn start<T: Send + 'static>(
    call: impl FnOnce() -> T + Send + 'static,
) -> Result<oneshot::Receiver<T>, Failure> {
    let (sender, receiver) = oneshot::channel();
    let body = move || {
        // Nobody may be left to hear it.
        let _ = sender.send(call());
    };
    std::thread::Builder::new()
        .name("health check".into())
        .stack_size(256 << 10)
        .spawn(body)
        .map_err(|error| Failure::unknown(format!("cannot start a thread: {error}")))?;
    Ok(receiver)
}
