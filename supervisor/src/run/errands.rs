//! Children that are no process of the plan and whose end somebody waits for: helpers, and the commands of
//! probes and checks.

use std::collections::HashMap;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::oneshot;

use super::commands::Turn;
use super::probes::{Message, Sender};
use crate::machine::{End, Pid, ProcessId, Target};
use crate::process::{self, sys};
use crate::secrets::environment::Environment;
use crate::signal::Signal;

/// How it ended, or that it could not be started.
pub(super) type Outcome = Result<End, NotStarted>;

/// Why it could not be started.
#[derive(Debug)]
pub(super) struct NotStarted {
    pub why: String,
    /// The system was out of something that it may have again in a moment. It tells nothing about what was to run.
    pub temporary: bool,
}

/// A number that no other errand has. A pid may be somebody else's by the time one is given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct ErrandId(u64);

/// What is to be run.
pub(super) enum Errand {
    /// The probe command of this process.
    Probe(ProcessId),
    /// The command of this check, and its turn.
    Check(usize, Turn),
    /// The helper that runs checks, with its end of the conversation and its environment.
    Helper(OwnedFd, Environment),
}

/// An errand under way. Dropping it gives it up: it is killed with all that it has started.
pub(super) struct Running {
    id: ErrandId,
    sender: Sender,
    outcome: oneshot::Receiver<Outcome>,
}

impl Running {
    /// Asks the loop to run it.
    pub fn start(errand: Errand, sender: &Sender) -> Running {
        let id = ErrandId::next();
        let (reply, outcome) = oneshot::channel();
        let _ = sender.send(Message::Run(errand, id, reply));
        Running {
            id,
            sender: sender.clone(),
            outcome,
        }
    }

    /// What it came to; `None` if the loop does not run it, because the container stops.
    pub async fn outcome(&mut self) -> Option<Outcome> {
        (&mut self.outcome).await.ok()
    }

    /// Ends it before its time; its outcome tells when it is over.
    pub fn kill(&self) {
        let _ = self.sender.send(Message::GiveUp(self.id));
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.kill();
    }
}

impl ErrandId {
    pub fn next() -> ErrandId {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        ErrandId(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// On whose behalf an errand runs.
pub(super) enum Behalf {
    /// A process, or the start of the container.
    Process,
    /// Checks: see [`Errands::kill_idle`]. A command has the turn of its check until it is reaped.
    Checks { _turn: Option<Turn> },
    /// Traces: they can wait until everything else is over.
    Traces,
}

struct Entry {
    id: ErrandId,
    behalf: Behalf,
    reply: oneshot::Sender<Outcome>,
}

/// Those that run.
#[derive(Default)]
pub(super) struct Errands(HashMap<Pid, Entry>);

impl Errands {
    /// One was started; `reply` hears of its end.
    pub fn add(&mut self, pid: Pid, id: ErrandId, behalf: Behalf, reply: oneshot::Sender<Outcome>) {
        self.0.insert(pid, Entry { id, behalf, reply });
    }

    /// Kills what nobody needs for a stop: the commands of checks, and the helpers for checks and for traces.
    pub fn kill_idle(&self) {
        let idle = |entry: &Entry| !matches!(entry.behalf, Behalf::Process);
        for (pid, _) in self.0.iter().filter(|(_, entry)| idle(entry)) {
            process::kill_tree(*pid);
        }
    }

    /// A child was reaped: whoever waits for it is told, and what it leaves behind is killed. Otherwise a
    /// command that is run every few seconds could fill the container.
    pub fn reaped(&mut self, pid: Pid, end: End) {
        if let Some(entry) = self.0.remove(&pid) {
            if sys::group_alive(pid) {
                let _ = sys::kill(Target::Group(pid), Signal::KILL);
            }
            let _ = entry.reply.send(Ok(end));
        }
    }

    /// Kills one and all that it has started, if it still runs.
    pub fn kill(&self, id: ErrandId) {
        let running = self.0.iter().find(|(_, entry)| entry.id == id);
        if let Some((pid, _)) = running {
            process::kill_tree(*pid);
        }
    }
}
