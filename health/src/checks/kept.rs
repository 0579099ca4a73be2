//! The connection that a check keeps from one look to the next.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// So old a connection is given up after its look, and the next look opens another: a password that was changed, or a
/// server that takes nobody in any more, would not be seen by who is in already.
const LASTS: Duration = Duration::from_secs(5 * 60);

/// Taken out by a look, and put back only after all went well: whoever is dropped in the middle leaves nothing that
/// the next look would use.
pub(super) struct Kept<T>(Mutex<Option<Aged<T>>>);

/// A connection and when it was opened.
pub(super) struct Aged<T> {
    pub connection: T,
    since: Instant,
}

impl<T> Default for Kept<T> {
    fn default() -> Kept<T> {
        Kept(Mutex::new(None))
    }
}

impl<T> Aged<T> {
    pub fn new(connection: T) -> Aged<T> {
        Aged {
            connection,
            since: Instant::now(),
        }
    }
}

impl<T> Kept<T> {
    pub fn take(&self) -> Option<Aged<T>> {
        self.lock().take()
    }

    /// Keeps it, or gives it back if it is too old for that.
    pub fn put(&self, aged: Aged<T>) -> Option<T> {
        if aged.since.elapsed() >= LASTS {
            return Some(aged.connection);
        }
        *self.lock() = Some(aged);
        None
    }

    fn lock(&self) -> MutexGuard<'_, Option<Aged<T>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
