//! Who hears of each look.

use std::sync::Arc;
use std::time::Duration;

use crate::check::{Change, CheckState, Failure, Level};

/// What one look of a check came to, or that there was none for too long, for
/// [`Health::observe`](crate::Health::observe).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Outcome<'a> {
    /// The name of the check.
    pub name: &'a str,
    /// Its level.
    pub level: Level,
    /// Its state after this look.
    pub state: CheckState,
    /// The change that this look made, if it made one.
    pub change: Option<&'a Change>,
    /// Whether what is known is too old.
    pub stale: bool,
    /// Whether it is told with this outcome that the check has become stale, or is no more. That a container was frozen
    /// makes everything too old at once; it is told only if the next looks do not change that.
    pub stale_changed: bool,
    /// Why the look did not pass, if it did not; why nothing is known, if there was none.
    pub failure: Option<&'a Failure>,
    /// How long it took; zero if there was none.
    pub took: Duration,
}

pub(crate) type Observer = Arc<dyn Fn(&Outcome<'_>) + Send + Sync>;
