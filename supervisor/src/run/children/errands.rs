//! Starting and giving up what is no process of the plan.

use std::os::fd::OwnedFd;

use tokio::sync::oneshot;

use super::Children;
use crate::config::{CheckKind, Probe};
use crate::process::{self, SpawnError, Spec};
use crate::run::errands::{Behalf, Errand, ErrandId, NotStarted, Outcome};
use crate::run::keeper;

impl Children {
    /// Starts a helper; gives the pipe of its answer. `reply` hears of its end.
    pub fn start_helper(
        &mut self,
        spec: &Spec,
        id: ErrandId,
        reply: oneshot::Sender<Outcome>,
    ) -> Result<OwnedFd, SpawnError> {
        self.start_for(Behalf::Process, spec, id, reply)
    }

    /// The same for the helper that exports traces, which a stop does not wait for.
    pub fn start_export(
        &mut self,
        spec: &Spec,
        id: ErrandId,
        reply: oneshot::Sender<Outcome>,
    ) -> Result<OwnedFd, SpawnError> {
        self.start_for(Behalf::Traces, spec, id, reply)
    }

    fn start_for(
        &mut self,
        behalf: Behalf,
        spec: &Spec,
        id: ErrandId,
        reply: oneshot::Sender<Outcome>,
    ) -> Result<OwnedFd, SpawnError> {
        let spawned = process::spawn(spec)?;
        self.errands.add(spawned.pid, id, behalf, reply);
        spawned.out.ok_or_else(|| SpawnError {
            step: "make its pipes",
            error: std::io::ErrorKind::NotFound.into(),
        })
    }

    /// Starts what somebody waits for, unless it was given up already. `reply` hears of its end, or why there is
    /// none.
    pub fn run(&mut self, errand: Errand, id: ErrandId, reply: oneshot::Sender<Outcome>) {
        if reply.is_closed() {
            return;
        }
        let Some((spec, behalf)) = self.spec_of(errand) else {
            return;
        };
        match process::spawn(&spec) {
            Ok(spawned) => self.errands.add(spawned.pid, id, behalf, reply),
            Err(error) => {
                let why = error.explain(&spec);
                let temporary = error.is_temporary();
                let _ = reply.send(Err(NotStarted { why, temporary }));
            }
        }
    }

    /// `None` if there is nothing to be run, or nobody to run it for.
    fn spec_of(&self, errand: Errand) -> Option<(Spec, Behalf)> {
        match errand {
            Errand::Probe(process) => {
                let ready = self.plan.processes[process.0].ready.as_ref()?;
                match &ready.probe {
                    Probe::Exec(command) if self.lives[process.0].is_some() => {
                        Some((self.spec(process, command), Behalf::Process))
                    }
                    _ => None,
                }
            }
            Errand::Check(index, turn) => {
                let check = &self.plan.health.checks[index];
                let process = check.restart.unwrap_or(self.plan.main);
                match &check.kind {
                    CheckKind::Exec(command) => {
                        Some((self.spec(process, command), Behalf::Checks { _turn: Some(turn) }))
                    }
                    _ => None,
                }
            }
            Errand::Helper(conversation, env) => {
                Some((keeper::spec(conversation, env), Behalf::Checks { _turn: None }))
            }
        }
    }

    /// Ends what looks for checks and what exports traces: at once, so that it is gone when the processes are.
    pub fn kill_idle(&self) {
        self.errands.kill_idle();
    }

    /// Ends what nobody waits for any more.
    pub fn give_up(&self, id: ErrandId) {
        self.errands.kill(id);
    }
}
