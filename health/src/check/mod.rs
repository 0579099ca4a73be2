//! Health checks: what one is, how it is scheduled, and what is made of its results.
//!
//! A [`Check`] looks at one thing once. Everything else is done around it: the `schedule` runs it in the
//! background, one look at a time and with a hard timeout; the `track` counts passes and failures against the
//! thresholds, keeps latencies and the last changes, and never touches a clock. Requests only read what is
//! left of that in pre-built bodies.

mod latency;
mod offload;
mod schedule;
mod track;

pub use latency::Latency;
pub(crate) use offload::Offload;
pub use schedule::look_once;
pub(crate) use schedule::{is_late, look_forever};
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

/// A check that calls a function, for what an app wants to know about itself.
///
/// ```
/// use runmate_health::{Failure, Observation, from_fn};
///
/// let queue = from_fn(|| async {
///     match std::fs::metadata("/tmp") {
///         Ok(_) => Ok(Observation::default()),
///         Err(error) => Err(Failure::new(format!("cannot see the spool: {error}"))),
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
pub struct Observation {
    /// What was measured. `/health` shows how long looks take as long as a check never measured anything.
    pub measured: Option<Measured>,
}

/// A measured value.
#[derive(Clone, Debug, PartialEq)]
pub struct Measured {
    /// What it is, in a word: `utilization`, `free`. It becomes the second half of the key in `checks`.
    pub what: Cow<'static, str>,
    /// The value.
    pub value: f64,
    /// Its unit, such as `bytes` or `percent`.
    pub unit: Cow<'static, str>,
}

/// Why a look did not pass.
#[derive(Clone, Debug, PartialEq)]
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

/// How much a failing check matters.
///
/// | level | `/health` | `/readyz` | `/healthz` |
/// |---|---|---|---|
/// | info | pass | – | – |
/// | degraded | warn | – | – |
/// | required | warn, but fail until its first pass | 503 | 503 until its first pass |
/// | critical | fail, also until its first pass | 503 | 503, also until its first pass |
///
/// Where `/health` says fail, it answers 503.
///
/// In the phases [`Booting`](crate::Phase::Booting) and [`Migrating`](crate::Phase::Migrating) no check holds
/// `/healthz`: the platform is asked to wait. Nor does a check that is stale, because nobody could look for too long:
/// what is not known condemns no container. `/readyz` it holds as its state says, and `/health` warns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Level {
    /// It is shown, and nothing follows from it.
    Info,
    /// The service works with less: a warning. What a fleet shares should stay here, because a platform that
    /// rolls every container does not mend a database.
    #[default]
    Degraded,
    /// Without it the container should get no traffic. At first it also holds `/healthz`, so that a bad deploy
    /// stops; once it has passed it never does again.
    Required,
    /// Without it the platform should replace the container: while it fails, and before it has passed once.
    Critical,
}

impl Level {
    /// Its name in bodies and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Level::Info => "info",
            Level::Degraded => "degraded",
            Level::Required => "required",
            Level::Critical => "critical",
        }
    }
}

/// When a check is run and what its results mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// How much it matters. Default: degraded.
    pub level: Level,
    /// From the start of one look to the start of the next; at least 1 ms, at most a year. Default: 10 s.
    ///
    /// At first it is a second at most: until it is known to pass or to fail, or until its first pass where the level
    /// is required or critical.
    pub interval: Duration,
    /// How long a look may take; it has failed then, unless the container was frozen meanwhile. At least 1 ms, at most a
    /// year. Default: 2 s.
    pub timeout: Duration,
    /// How many failures in a row make it failing; 0 counts as 1. Default: 3.
    pub fail_after: u32,
    /// How many passes in a row make it passing again; 0 counts as 1. Its very first pass is always enough.
    /// Default: 1.
    pub pass_after: u32,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            level: Level::default(),
            interval: Duration::from_secs(10),
            timeout: Duration::from_secs(2),
            fail_after: 3,
            pass_after: 1,
        }
    }
}

impl Settings {
    /// With what can be reckoned with: no endless loop, no sum beyond what a clock can show.
    pub(crate) fn bounded(self) -> Settings {
        const SHORTEST: Duration = Duration::from_millis(1);
        const LONGEST: Duration = Duration::from_secs(366 * 86_400);
        Settings {
            interval: self.interval.clamp(SHORTEST, LONGEST),
            timeout: self.timeout.clamp(SHORTEST, LONGEST),
            fail_after: self.fail_after.max(1),
            pass_after: self.pass_after.max(1),
            ..self
        }
    }
}
