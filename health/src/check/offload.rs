//! Calls that may block for ever (a name that is looked up, a file on a dead network disk), on a thread of
//! their own.

use std::sync::{Mutex, PoisonError};

use tokio::sync::oneshot::{self, error::TryRecvError};

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
    /// The result of `call`, or of the one that an earlier look has left and that still runs.
    pub async fn run(&self, call: impl FnOnce() -> T + Send + 'static) -> Result<T, Failure> {
        let mut left = self.lock().take();
        // What ended before this look began tells how it was then, not how it is now.
        let ended = |call: &mut oneshot::Receiver<T>| !matches!(call.try_recv(), Err(TryRecvError::Empty));
        left.take_if(ended);
        let mut running = Running {
            place: &self.0,
            call: left,
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc;
    use std::time::Duration;

    use super::*;

    /// A call that returns what it is sent.
    fn waiting(calls: &Arc<AtomicUsize>) -> (mpsc::Sender<u32>, impl FnOnce() -> u32 + Send + use<>) {
        let (send, receive) = mpsc::channel();
        let calls = Arc::clone(calls);
        let call = move || {
            calls.fetch_add(1, Ordering::SeqCst);
            receive.recv().expect("the test sends something")
        };
        (send, call)
    }

    /// Gives a look up that waits.
    async fn give_up(look: impl Future<Output = Result<u32, Failure>>) {
        let given_up = tokio::time::timeout(Duration::from_millis(1), look).await;
        assert!(given_up.is_err(), "the call has not returned");
    }

    #[tokio::test]
    async fn a_hung_call_is_waited_for_and_not_started_again() {
        let (offload, calls) = (Offload::default(), Arc::default());
        let (send, hangs) = waiting(&calls);
        give_up(offload.run(hangs)).await;
        for _ in 0..3 {
            give_up(offload.run(|| unreachable!("one still runs"))).await;
        }
        let look = offload.run(|| unreachable!("one still runs"));
        let (found, ()) = tokio::join!(look, async { send.send(7).expect("it waits") });
        assert_eq!(found, Ok(7));
        assert_eq!(calls.load(Ordering::SeqCst), 1);
        assert_eq!(offload.run(|| 8).await, Ok(8), "the next look calls again");
    }

    #[tokio::test]
    async fn what_ended_between_two_looks_is_no_answer_to_the_second() {
        let (offload, calls) = (Offload::default(), Arc::default());
        let (send, hangs) = waiting(&calls);
        give_up(offload.run(hangs)).await;
        send.send(1).expect("it waits");
        let ended = async {
            while !has_ended(&offload) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(Duration::from_secs(10), ended)
            .await
            .expect("the call returns");
        assert_eq!(offload.run(|| 2).await, Ok(2));
    }

    /// Looks without taking the result.
    fn has_ended(offload: &Offload<u32>) -> bool {
        let place = offload.lock();
        place.as_ref().is_some_and(|call| !call.is_empty())
    }

    #[tokio::test]
    async fn a_call_that_panics_tells_nothing_and_the_next_one_is_made() {
        let offload = Offload::default();
        let found = offload.run(|| panic!("on purpose")).await;
        assert_eq!(found, Err(Failure::unknown("the call that looks at it panicked")));
        assert_eq!(offload.run(|| 3).await, Ok(3));
    }
}
