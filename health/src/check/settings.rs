//! What a check is to the container, and when it is run.

use std::time::Duration;

use serde::Serialize;

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
#[non_exhaustive]
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
///
/// ```
/// use std::time::Duration;
///
/// use runmate_health::{Level, Settings};
///
/// let often = Settings::default()
///     .level(Level::Required)
///     .interval(Duration::from_secs(2));
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
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
    /// With this [`level`](Settings#structfield.level).
    pub fn level(self, level: Level) -> Settings {
        Settings { level, ..self }
    }

    /// With this [`interval`](Settings#structfield.interval).
    pub fn interval(self, interval: Duration) -> Settings {
        Settings { interval, ..self }
    }

    /// With this [`timeout`](Settings#structfield.timeout).
    pub fn timeout(self, timeout: Duration) -> Settings {
        Settings { timeout, ..self }
    }

    /// With this number of failures: [`fail_after`](Settings#structfield.fail_after).
    pub fn fail_after(self, failures: u32) -> Settings {
        Settings {
            fail_after: failures,
            ..self
        }
    }

    /// With this number of passes: [`pass_after`](Settings#structfield.pass_after).
    pub fn pass_after(self, passes: u32) -> Settings {
        Settings {
            pass_after: passes,
            ..self
        }
    }

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
