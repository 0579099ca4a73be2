//! What the machine is told before it starts: one [`Policy`] per process and the rules of the whole.

use std::time::Duration;

use crate::signal::Signal;

/// A process of the plan, by its place in [`Plan::policies`] (the order of the config file).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ProcessId(pub usize);

/// Whether a process is meant to stay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Meant to stay up.
    Service,
    /// Runs to completion; it counts as ready once it succeeded.
    Task,
}

/// When a process that ended is started again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Restart {
    /// Whatever its exit code was.
    Always,
    /// After a non-zero exit code, a signal, or a start that did not become ready in time.
    OnFailure,
    /// Not at all.
    Never,
}

/// What the end of a process that is not restarted means for the container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum OnExit {
    /// The container stops.
    Shutdown,
    /// The container goes on, and what waits for this process no longer does.
    Ignore,
}

/// Who gets a stop signal. SIGKILL always goes to the group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Scope {
    /// The process alone.
    Process,
    /// The process and all that share its process group.
    Group,
}

/// How long to wait before a restart, and how many to allow.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Backoff {
    /// The first delay; it doubles with each restart in a row.
    pub min: Duration,
    /// The longest delay.
    pub max: Duration,
    /// A process that stayed ready this long starts over at `min`.
    pub reset: Duration,
    /// How many restarts are allowed within `within`.
    pub restarts: u32,
    /// The sliding window that `restarts` counts in.
    pub within: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff {
            min: Duration::from_millis(500),
            max: Duration::from_secs(30),
            reset: Duration::from_secs(60),
            restarts: 5,
            within: Duration::from_secs(300),
        }
    }
}

/// How a process is asked to stop.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Stop {
    /// The first, polite signal.
    pub signal: Signal,
    /// From that signal to SIGKILL; `None` is all that the stop budget leaves.
    pub grace: Option<Duration>,
    /// Who gets the signal.
    pub scope: Scope,
}

/// Everything the machine needs to know about one process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Policy {
    /// Service or task.
    pub kind: Kind,
    /// The processes that must be ready (a task: done) before this one starts, and that stop after it.
    pub after: Vec<ProcessId>,
    /// How long it may take to become ready; `None`: it is ready as soon as it runs.
    pub ready_within: Option<Duration>,
    /// When it is started again.
    pub restart: Restart,
    /// How fast and how often.
    pub backoff: Backoff,
    /// What its final end means.
    pub on_exit: OnExit,
    /// How it is stopped.
    pub stop: Stop,
    /// What it gets (right) when runmate gets a signal (left). Never one that starts a drain.
    pub signals: Vec<(Signal, Signal)>,
}

/// The whole of what the machine decides about.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Plan {
    /// One policy per process, in the order of the config file; `after` has no cycles.
    pub policies: Vec<Policy>,
    /// The process whose end ends the container.
    pub main: ProcessId,
    /// How long to keep serving after the first stop signal, while health answers 503.
    pub drain_delay: Duration,
    /// From the start of a drain to the exit, everything included.
    pub stop_budget: Duration,
    /// Exit codes that are turned into 0.
    pub success_codes: Vec<i32>,
    /// Seed of the jitter of restart delays; 0 turns jitter off.
    pub jitter_seed: u64,
}
