//! What goes into the machine and what comes out of it.

use std::time::Duration;

use super::plan::ProcessId;
use crate::signal::Signal;

/// Monotonic time since runmate started. Handed in; the machine never reads a clock.
pub type Time = Duration;

/// A process id; also the id of the process group it leads.
pub type Pid = i32;

/// How a process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// It called exit.
    Exited(i32),
    /// A signal ended it.
    Killed(Signal),
}

impl End {
    /// The exit code as a shell would report it: its own, or 128 + n after signal n.
    pub fn code(self) -> i32 {
        match self {
            End::Exited(code) => code,
            End::Killed(signal) => signal.exit_code(),
        }
    }

    /// Whether it exited with 0.
    pub fn succeeded(self) -> bool {
        self == End::Exited(0)
    }
}

/// Something that happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Event {
    /// The boot is done; processes may start.
    Start,
    /// The answer to [`Action::Spawn`]: it runs.
    Spawned(ProcessId, Pid),
    /// The answer to [`Action::Spawn`]: it could not be started.
    SpawnFailed {
        /// Which.
        process: ProcessId,
        /// The exit code this stands for (127 not found, 126 not executable, 75 out of resources).
        code: i32,
        /// Whether another attempt may succeed, and the restart rule applies: the system was out of
        /// processes, memory or descriptors.
        temporary: bool,
    },
    /// Its readiness probe passed.
    Ready(ProcessId),
    /// A health check asks for a new life of this process.
    Unhealthy(ProcessId),
    /// It was reaped. `group_alive`: others of its process group live on.
    Ended {
        /// Which.
        process: ProcessId,
        /// How.
        end: End,
        /// Whether its group still has members.
        group_alive: bool,
    },
    /// The last member of its process group is gone, after its leader.
    GroupGone(ProcessId),
    /// A signal arrived at runmate.
    Signal(Signal),
    /// Runmate has no child left at all, adopted ones included.
    NoChildren,
    /// Time passed; sent at [`super::Machine::deadline`].
    Tick,
}

/// Who a signal is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Target {
    /// One process.
    Process(Pid),
    /// A process group, by the pid of its leader (which may be gone).
    Group(Pid),
}

/// Something to do. The caller performs actions in order.
#[must_use]
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the process and answer with [`Event::Spawned`] or [`Event::SpawnFailed`] before any
    /// other event.
    Spawn(ProcessId),
    /// Send a signal.
    Signal(ProcessId, Target, Signal),
    /// Send this signal to every child that is left (all are adopted orphans by then); answer with
    /// [`Event::NoChildren`] once there is none.
    Sweep(Signal),
    /// Tell the log.
    Report(Report),
    /// Exit with this code. Always the last action.
    Exit {
        /// The exit code of the container.
        code: i32,
        /// Why.
        cause: Cause,
    },
}

/// How one life of a process failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// It ended.
    Ended(End),
    /// It did not become ready in time, and was stopped.
    NotReady,
    /// A health check found it out of order, and it was stopped.
    Unhealthy,
}

/// Why the container ends. The first cause wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// Somebody asked for it.
    Signal(Signal),
    /// The main process ended.
    MainEnded(End),
    /// A task failed.
    TaskFailed(ProcessId, End),
    /// A sidecar ended that must not.
    SidecarEnded(ProcessId, End),
    /// It failed more often than it may be restarted; this is how it failed last.
    RestartsSpent(ProcessId, Fault),
    /// It did not become ready in time and may not be restarted.
    NotReady(ProcessId),
    /// It cannot be executed.
    CannotExecute(ProcessId, i32),
}

impl Cause {
    /// The process it is about, where it is about one other than main.
    pub fn process(self) -> Option<ProcessId> {
        match self {
            Cause::Signal(_) | Cause::MainEnded(_) => None,
            Cause::TaskFailed(process, _)
            | Cause::SidecarEnded(process, _)
            | Cause::RestartsSpent(process, _)
            | Cause::NotReady(process)
            | Cause::CannotExecute(process, _) => Some(process),
        }
    }

    /// The word for it in the exit line.
    pub fn name(self) -> &'static str {
        match self {
            Cause::Signal(_) => "signal",
            Cause::MainEnded(_) => "main_ended",
            Cause::TaskFailed(..) => "task_failed",
            Cause::SidecarEnded(..) => "sidecar_ended",
            Cause::RestartsSpent(..) => "restarts_spent",
            Cause::NotReady(_) => "not_ready",
            Cause::CannotExecute(..) => "cannot_execute",
        }
    }
}

/// A fact for the log. What the caller knows by itself (spawned, ended) is not repeated here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Report {
    /// A process became ready.
    Ready(ProcessId),
    /// A task succeeded.
    Done(ProcessId),
    /// All processes are ready or done: the boot is complete.
    Up,
    /// It was not ready in time and is being stopped.
    NotReady(ProcessId, Duration),
    /// A health check found it out of order; it is being stopped.
    Unhealthy(ProcessId),
    /// It will be started again after this delay; the count says how often in all.
    Restarting(ProcessId, Duration, u32),
    /// It ended for good, which would be this cause to stop, and the container goes on without it.
    Ignored(ProcessId, Cause),
    /// The drain began: why, how long to go on serving, and the budget.
    Draining {
        /// Why.
        cause: Cause,
        /// How long to go on serving.
        delay: Duration,
        /// All of it ends within this time.
        budget: Duration,
    },
    /// It was asked to stop with this signal and has this long until SIGKILL.
    Stopping(ProcessId, Signal, Duration),
    /// Its time was up: SIGKILL.
    Killing(ProcessId),
    /// Another stop signal came: everyone is signalled now.
    Hurry(Signal),
    /// A third stop signal came: everyone is killed now.
    KillAll(Signal),
    /// The budget is spent and these did not even react to SIGKILL.
    Abandoned(Vec<ProcessId>),
}
