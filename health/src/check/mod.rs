//! Health checks: what one is, how it is scheduled, and what is made of its results.
//!
//! A [`Check`] looks at one thing once. Everything else is done around it: the `schedule` runs it in the
//! background, one look at a time and with a hard timeout; the `track` counts passes and failures against the
//! thresholds, keeps latencies and the last changes, and never touches a clock. Requests only read what is
//! left of that in pre-built bodies.

mod latency;
mod offload;
mod schedule;
mod settings;
mod step;
mod track;

pub(crate) use latency::Latency;
pub(crate) use offload::Offload;
pub use schedule::look_once;
pub(crate) use schedule::{is_late, look_forever};
pub use settings::{Level, Settings};
#[cfg(feature = "peer")]
pub use step::Step;
pub(crate) use step::step;
pub use track::{Change, CheckState};
pub(crate) use track::{Moment, Track};

use std::borrow::Cow;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

/// What a look came to: what was observed, or why it did not pass.
pub type Looked = Result<Observation, Failure>;

/// A look under way. Dropping it gives it up; that is what happens at the timeout.
pub type Look<'a> = Pin<Box<dyn Future<Output = Looked> + Send + 'a>>;

/// Something that can be looked at: a database, a disk, another service.
///
/// Built-in ones are in [`checks`](crate::checks); [`from_fn`] makes one of a function.
pub trait Check: Send + Sync + 'static {
    /// Looks once.
    ///
    /// There is never a second look while one is under way, and a look that takes longer than
    /// [`Settings::timeout`] is dropped, so it needs no timeout of its own. It must not block the thread. What
    /// it says must hold no secret: it goes into bodies and logs.
    fn look(&self) -> Look<'_>;

    /// What kind of thing it looks at, as the draft calls it.
    fn component_type(&self) -> ComponentType {
        ComponentType::Component
    }

    /// What its looks measure, in a word: the [`what`](Measured::what) of their results. It makes the key in the
    /// `checks` of `/health` the same from the beginning, before anything was measured. `None`: nothing but how long
    /// a look takes.
    fn measures(&self) -> Option<&str> {
        None
    }

    /// How long past [`Settings::timeout`] a look is still waited for. Zero, unless it is somebody else who looks
    /// and applies the timeout: then a late answer tells about that one, not about what is looked at.
    fn overtime(&self) -> Duration {
        Duration::ZERO
    }
}

impl<C: Check + ?Sized> Check for Box<C> {
    fn look(&self) -> Look<'_> {
        (**self).look()
    }

    fn component_type(&self) -> ComponentType {
        (**self).component_type()
    }

    fn measures(&self) -> Option<&str> {
        (**self).measures()
    }

    fn overtime(&self) -> Duration {
        (**self).overtime()
    }
}

impl<C: Check + ?Sized> Check for Arc<C> {
    fn look(&self) -> Look<'_> {
        (**self).look()
    }

    fn component_type(&self) -> ComponentType {
        (**self).component_type()
    }

    fn measures(&self) -> Option<&str> {
        (**self).measures()
    }

    fn overtime(&self) -> Duration {
        (**self).overtime()
    }
}

/// A check that calls a function, for what an app wants to know about itself. As [`Check::look`] it must not block:
/// what asks the operating system may hang, and belongs on a thread.
///
/// ```
/// use runmate_health::{Failure, Measured, Observation, from_fn};
///
/// # use std::sync::Arc;
/// # use std::sync::atomic::{AtomicUsize, Ordering};
/// let waiting = Arc::new(AtomicUsize::new(0));
/// let queue = from_fn(move || {
///     let waiting = waiting.load(Ordering::Relaxed);
///     let measured = Measured::new("waiting", waiting as f64, "jobs");
///     async move {
///         if waiting > 100 {
///             return Err(Failure::new(format!("{waiting} jobs wait")).with(measured));
///         }
///         Ok(Observation::of(measured))
///     }
/// });
/// ```
pub fn from_fn<F, R>(function: F) -> impl Check
where
    F: Fn() -> R + Send + Sync + 'static,
    R: Future<Output = Looked> + Send + 'static,
{
    struct FromFn<F>(F);

    impl<F, R> Check for FromFn<F>
    where
        F: Fn() -> R + Send + Sync + 'static,
        R: Future<Output = Looked> + Send + 'static,
    {
        fn look(&self) -> Look<'_> {
            Box::pin((self.0)())
        }
    }

    FromFn(function)
}

/// The component types of the draft, section 4.2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum ComponentType {
    /// A part of the service, or another service.
    Component,
    /// A database or cache.
    Datastore,
    /// The machine or container: disk, memory, descriptors.
    System,
}

/// What a look saw, beyond the fact that all is well.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Observation {
    /// What was measured. `/health` shows how long looks take as long as a check never measured anything.
    pub measured: Option<Measured>,
}

impl Observation {
    /// This was measured.
    pub fn of(measured: Measured) -> Observation {
        Observation {
            measured: Some(measured),
        }
    }
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Measured {
    /// What it is, in a word: `utilization`, `free`. It becomes the second half of the key in `checks`.
    pub what: Cow<'static, str>,
    /// The value.
    pub value: f64,
    /// Its unit, such as `bytes` or `percent`.
    pub unit: Cow<'static, str>,
}

impl Measured {
    /// `value` of `what`, in `unit`: `free`, 1024, `bytes`.
    pub fn new(
        what: impl Into<Cow<'static, str>>,
        value: f64,
        unit: impl Into<Cow<'static, str>>,
    ) -> Measured {
        Measured {
            what: what.into(),
            value,
            unit: unit.into(),
        }
    }
}

/// Why a look did not pass.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Failure {
    /// Whether the thing is known to fail, or could not be looked at.
    pub kind: FailureKind,
    /// One clause in lower case that says what is wrong, without any secret.
    pub why: String,
    /// What was measured all the same.
    pub measured: Option<Measured>,
}

/// What a look that did not pass tells about the thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FailureKind {
    /// It fails. Counts towards [`Settings::fail_after`].
    Failed,
    /// Nothing is known: whoever looks is out of order, not what is looked at. The check keeps its state and
    /// becomes stale when this goes on.
    Unknown,
}

impl Failure {
    /// It was looked at, and it fails.
    pub fn new(why: impl Into<String>) -> Failure {
        Failure {
            kind: FailureKind::Failed,
            why: why.into(),
            measured: None,
        }
    }

    /// It could not be looked at.
    pub fn unknown(why: impl Into<String>) -> Failure {
        Failure {
            kind: FailureKind::Unknown,
            ..Failure::new(why)
        }
    }

    /// Adds what was measured.
    pub fn with(self, measured: Measured) -> Failure {
        Failure {
            measured: Some(measured),
            ..self
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl std::error::Error for Failure {}
