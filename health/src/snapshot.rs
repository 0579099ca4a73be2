//! What is published: the state of a container at one moment.

use std::time::Duration;

use serde::Serialize;

/// The state of a container at one moment.
///
/// ```
/// use runmate_health::{Component, Phase, Snapshot, Status};
///
/// let mut worker = Component::new("worker", "ready", Status::Pass);
/// worker.restarts = 1;
/// let mut snapshot = Snapshot::new(Phase::Up);
/// snapshot.components.push(worker);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Snapshot {
    /// Where in its life the container is. [`Phase::Draining`] and [`Phase::Exiting`] fail `/healthz`,
    /// `/readyz` and `/health`, whatever the other fields say.
    pub phase: Phase,
    /// Whether the platform should keep this container; if not, why.
    pub healthy: Result<(), String>,
    /// Whether it should get traffic; if not, why. Not ready is a warning in `/health`.
    pub ready: Result<(), String>,
    /// Whether what is wrong is known and being mended, such as a process that is being restarted: then
    /// `/health` warns, even while `healthy` is an error and `/healthz` fails.
    pub degraded: bool,
    /// The parts of the container, shown in `/health`. One that does not pass is a warning there.
    pub components: Vec<Component>,
    /// How long ago the container started. It goes on from there until the next snapshot.
    pub since_start: Duration,
}

impl Snapshot {
    /// A container in this phase with nothing to complain about: healthy, ready once it is
    /// [`Phase::Up`], no components, zero seconds old.
    pub fn new(phase: Phase) -> Snapshot {
        let ready = match phase {
            Phase::Up => Ok(()),
            other => Err(format!("the container is {}", other.name())),
        };
        Snapshot {
            phase,
            healthy: Ok(()),
            ready,
            degraded: false,
            components: Vec::new(),
            since_start: Duration::ZERO,
        }
    }
}

/// The phases of a container's life, in their order. In bodies the names are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Phase {
    /// Reading its configuration and secrets.
    Booting,
    /// Migrating a database.
    Migrating,
    /// Starting its processes.
    Starting,
    /// Everything was started.
    Up,
    /// Told to stop; finishing what it began.
    Draining,
    /// All processes are gone.
    Exiting,
}

impl Phase {
    /// Its name in bodies.
    pub fn name(self) -> &'static str {
        match self {
            Phase::Booting => "booting",
            Phase::Migrating => "migrating",
            Phase::Starting => "starting",
            Phase::Up => "up",
            Phase::Draining => "draining",
            Phase::Exiting => "exiting",
        }
    }
}

/// The three values of `status`. In bodies the names are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Status {
    /// As it should be.
    Pass,
    /// Working, with something to look at.
    Warn,
    /// Not working.
    Fail,
}

impl Status {
    /// Its name in bodies and metrics.
    pub fn name(self) -> &'static str {
        match self {
            Status::Pass => "pass",
            Status::Warn => "warn",
            Status::Fail => "fail",
        }
    }
}

/// A part of the container: for runmate, a process.
///
/// In the `checks` of `/health` it becomes `NAME:state`, `NAME:restarts` and, while it runs,
/// `NAME:uptime`. A colon in its name becomes `_`: the draft keeps the colon as its separator.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Component {
    /// Its name.
    pub name: String,
    /// What it is doing, in a word: `ready`, `starting`, `backoff`.
    pub state: String,
    /// Whether that is as it should be.
    pub status: Status,
    /// The process id while it has one; shown as `componentId`.
    pub pid: Option<i32>,
    /// How often it was restarted since the container started.
    pub restarts: u32,
    /// How long its current process has been ready; `None` when it is not.
    pub uptime: Option<Duration>,
    /// Why, when the status is not [`Status::Pass`] (it is left out then).
    pub output: Option<String>,
}

impl Component {
    /// A part that does this, which is as it should be or not; without a process id, never restarted.
    pub fn new(name: impl Into<String>, state: impl Into<String>, status: Status) -> Component {
        Component {
            name: name.into(),
            state: state.into(),
            status,
            pid: None,
            restarts: 0,
            uptime: None,
            output: None,
        }
    }
}
