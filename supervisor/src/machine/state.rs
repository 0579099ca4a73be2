//! The states, each owning what belongs to it: a pid exists only where there is a process.

use std::collections::VecDeque;
use std::sync::Arc;

use super::event::{Cause, End, Pid, Target, Time};
use super::plan::{Plan, Policy, ProcessId, Scope};

/// The state of one process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum State {
    /// Waits for the processes it comes after.
    Waiting,
    /// Its spawn was asked for; the answer is the next event.
    Spawning,
    /// Runs and is not ready; `late` is when patience ends.
    Starting { pid: Pid, late: Option<Time> },
    /// Runs and is ready.
    Ready { pid: Pid, since: Time },
    /// Waits to be started again: until then, and until what its last life left behind is gone. Two
    /// lives at once would fight for ports and locks.
    Backoff { until: Time, left: Option<Pid> },
    /// Was asked to stop.
    Stopping { body: Body, kill: Kill, why: Why },
    /// Ended while others of its group live on, and its turn to be stopped has not come.
    Leftover { group: Pid },
    /// Over for good.
    Over,
}

/// Why a process was asked to stop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Why {
    /// The container goes down.
    Drain,
    /// It did not become ready in time.
    NotReady,
    /// A health check found it out of order.
    Unhealthy,
}

/// What is left of a process that is stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Body {
    /// The process itself.
    Leader(Pid),
    /// Only others of its group.
    Group(Pid),
}

/// How far a stop has gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Kill {
    /// SIGKILL comes at this time.
    At(Time),
    /// SIGKILL was sent.
    Sent,
}

/// A process with its history.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Track {
    pub state: State,
    /// It was ready once: whoever waits for it may start.
    pub was_ready: bool,
    /// How it ended last, and when.
    pub last: Option<(End, Time)>,
    /// Restarts since it last stayed ready for long; the exponent of the delay.
    pub in_a_row: u32,
    /// When it was restarted within the window of the limit.
    pub recent: VecDeque<Time>,
    /// Restarts in all.
    pub restarts: u32,
}

impl Track {
    fn new() -> Track {
        Track {
            state: State::Waiting,
            was_ready: false,
            last: None,
            in_a_row: 0,
            recent: VecDeque::new(),
            restarts: 0,
        }
    }

    /// The live process and whom its signals go to.
    pub fn target(&self, policy: &Policy) -> Option<Target> {
        match self.state {
            State::Starting { pid, .. }
            | State::Ready { pid, .. }
            | State::Stopping {
                body: Body::Leader(pid),
                ..
            } => Some(match policy.stop.scope {
                Scope::Process => Target::Process(pid),
                Scope::Group => Target::Group(pid),
            }),
            _ => None,
        }
    }

    /// Whether anything of it may still live.
    pub fn is_over(&self) -> bool {
        self.state == State::Over
    }
}

/// Where the container stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Stage {
    /// Before [`super::Event::Start`].
    Booting,
    /// Starting processes, or all up.
    Running { up: bool },
    /// Asked to stop, still serving until the load balancer lets go.
    Delaying { drain: Drain, until: Time },
    /// Stopping processes in order.
    Draining { drain: Drain },
    /// All processes are over; adopted orphans are being ended.
    Sweeping { drain: Drain, kill: Kill },
    /// [`super::Action::Exit`] was given.
    Gone,
}

/// A drain under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Drain {
    pub cause: Cause,
    pub began: Time,
    /// When whatever is left gets SIGKILL.
    pub kill_all: Time,
    /// When runmate exits, come what may.
    pub deadline: Time,
    /// Stop signals received, the first included.
    pub signals: u32,
    /// Order is given up: everyone is signalled at once.
    pub hurry: bool,
}

/// The state machine of one container.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Machine {
    pub(super) plan: Arc<Plan>,
    pub(super) tracks: Vec<Track>,
    pub(super) stage: Stage,
    /// State of the xorshift generator behind the jitter.
    pub(super) jitter: u64,
}

impl Machine {
    /// A machine before its start.
    pub fn new(plan: Plan) -> Machine {
        let tracks = plan.policies.iter().map(|_| Track::new()).collect();
        Machine {
            jitter: plan.jitter_seed,
            tracks,
            stage: Stage::Booting,
            plan: Arc::new(plan),
        }
    }

    /// What was decided about.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// How often the process was restarted.
    pub fn restarts(&self, process: ProcessId) -> u32 {
        self.tracks[process.0].restarts
    }

    /// How the process ended last.
    pub fn last_end(&self, process: ProcessId) -> Option<End> {
        self.tracks[process.0].last.map(|(end, _)| end)
    }

    /// When the process that was asked to stop gets SIGKILL; `None` if it was not asked, or got it.
    pub fn killed_at(&self, process: ProcessId) -> Option<Time> {
        match self.tracks[process.0].state {
            State::Stopping {
                kill: Kill::At(time), ..
            } => Some(time),
            _ => None,
        }
    }

    /// When [`Machine::step`] must be called with [`super::Event::Tick`] at the latest; `None` when
    /// only an event can change anything.
    pub fn deadline(&self) -> Option<Time> {
        let whole = match &self.stage {
            Stage::Booting | Stage::Running { .. } | Stage::Gone => None,
            Stage::Delaying { drain, until } => Some((*until).min(drain.deadline)),
            Stage::Draining { drain } if self.all_killed() => Some(drain.deadline),
            Stage::Draining { drain } => Some(drain.kill_all.min(drain.deadline)),
            Stage::Sweeping { drain, kill } => match kill {
                Kill::At(time) => Some((*time).min(drain.deadline)),
                Kill::Sent => Some(drain.deadline),
            },
        };
        let single = self.tracks.iter().filter_map(|track| match track.state {
            State::Starting { late, .. } if self.is_running() => late,
            State::Backoff { until, left: None } => Some(until),
            State::Stopping {
                kill: Kill::At(time), ..
            } => Some(time),
            _ => None,
        });
        single.chain(whole).min()
    }

    /// Whether a process group without its leader is waited for: the end of its last member must be
    /// told by [`super::Event::GroupGone`].
    pub fn awaits_group(&self) -> bool {
        self.tracks.iter().any(|track| {
            matches!(
                track.state,
                State::Backoff { left: Some(_), .. }
                    | State::Leftover { .. }
                    | State::Stopping {
                        body: Body::Group(_),
                        ..
                    }
            )
        })
    }

    pub(super) fn is_running(&self) -> bool {
        matches!(self.stage, Stage::Running { .. })
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = ProcessId> + use<> {
        (0..self.tracks.len()).map(ProcessId)
    }

    pub(super) fn track(&mut self, process: ProcessId) -> &mut Track {
        &mut self.tracks[process.0]
    }

    pub(super) fn policy(&self, process: ProcessId) -> &Policy {
        &self.plan.policies[process.0]
    }

    /// Whether everything that may still live got its SIGKILL.
    fn all_killed(&self) -> bool {
        self.tracks.iter().all(|track| {
            matches!(
                track.state,
                State::Over | State::Stopping { kill: Kill::Sent, .. }
            )
        })
    }
}
