//! What health is told about the state.

use super::event::{Pid, Time};
use super::plan::{Kind, OnExit, ProcessId};
use super::state::{Body, Machine, Stage, State};

/// Where the container stands, in the words of the health answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the first process.
    Booting,
    /// Processes are being started in order.
    Starting,
    /// All are ready or done.
    Up,
    /// A stop was decided.
    Draining,
    /// All processes are over.
    Exiting,
}

/// One process as health shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProcessView {
    /// Its state in a word: waiting, starting, ready, restarting, stopping, done, ended.
    pub state: &'static str,
    /// Its pid while it lives.
    pub pid: Option<Pid>,
    /// When it became ready.
    pub ready_since: Option<Time>,
    /// Restarts so far.
    pub restarts: u32,
}

/// The whole as health shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct View {
    /// Where the container stands.
    pub phase: Phase,
    /// The processes, in the order of the plan.
    pub processes: Vec<ProcessView>,
    /// Processes that were up, must be up, and are not.
    pub down: Vec<ProcessId>,
    /// Processes that are not started and ready (a task: done) yet.
    pub unready: Vec<ProcessId>,
}

impl Machine {
    /// The state as health shows it.
    pub fn view(&self) -> View {
        let phase = match self.stage {
            Stage::Booting => Phase::Booting,
            Stage::Running { up: false } => Phase::Starting,
            Stage::Running { up: true } => Phase::Up,
            Stage::Delaying { .. } | Stage::Draining { .. } => Phase::Draining,
            Stage::Sweeping { .. } | Stage::Gone => Phase::Exiting,
        };
        View {
            phase,
            processes: self.ids().map(|id| self.process_view(id)).collect(),
            down: self.ids().filter(|id| self.is_down(*id)).collect(),
            unready: self.ids().filter(|id| !self.is_settled(*id)).collect(),
        }
    }

    fn process_view(&self, process: ProcessId) -> ProcessView {
        let track = &self.tracks[process.0];
        let (state, pid, ready_since) = match track.state {
            State::Waiting => ("waiting", None, None),
            State::Spawning => ("starting", None, None),
            State::Starting { pid, .. } => match self.policy(process).kind {
                Kind::Service => ("starting", Some(pid), None),
                Kind::Task => ("running", Some(pid), None),
            },
            State::Ready { pid, since } => ("ready", Some(pid), Some(since)),
            State::Backoff { .. } => ("restarting", None, None),
            State::Stopping {
                body: Body::Leader(pid),
                ..
            } => ("stopping", Some(pid), None),
            State::Stopping { .. } | State::Leftover { .. } => ("stopping", None, None),
            State::Over if track.was_ready && self.policy(process).kind == Kind::Task => ("done", None, None),
            State::Over => ("ended", None, None),
        };
        ProcessView {
            state,
            pid,
            ready_since,
            restarts: track.restarts,
        }
    }

    /// Only who was ready once can be down: before that, the container is booting.
    fn is_down(&self, process: ProcessId) -> bool {
        let policy = self.policy(process);
        let must_stay = process == self.plan.main || policy.on_exit == OnExit::Shutdown;
        let track = &self.tracks[process.0];
        must_stay
            && policy.kind == Kind::Service
            && track.was_ready
            && !matches!(track.state, State::Ready { .. })
    }

    fn is_settled(&self, process: ProcessId) -> bool {
        matches!(self.tracks[process.0].state, State::Ready { .. } | State::Over)
    }
}
