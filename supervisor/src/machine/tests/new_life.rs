//! What must follow when a health check asks for a new life of a process.

use super::super::event::{Cause, Event, Fault};
use super::super::plan::{OnExit, ProcessId};
use super::world::World;

impl World {
    /// A health check asks for a new life of a process: it is asked to stop if it is ready and the container runs.
    /// Otherwise nothing happens.
    pub fn find_unhealthy(&mut self, process: ProcessId) -> Result<(), String> {
        let ready = self.machine.view().processes[process.0].state == "ready";
        if ready && self.drain_began.is_none() {
            self.bodies[process.0].unhealthy = true;
            self.patience -= 1;
            self.feed(Event::Unhealthy(process))?;
            let body = &self.bodies[process.0];
            return match body.stopped_early || body.killed {
                true => Ok(()),
                false => Err(format!("{process:?} is unhealthy and goes on")),
            };
        }
        let before = self.machine.clone();
        let actions = self.machine.step(self.now, Event::Unhealthy(process));
        if actions.is_empty() && self.machine == before {
            return Ok(());
        }
        Err(format!(
            "{process:?} has no life to lose, and {actions:?} follows"
        ))
    }

    /// What was unhealthy and ended starts again, or its restarts are spent.
    pub fn check_new_life(&self, process: ProcessId) -> Result<(), String> {
        let track = &self.machine.tracks[process.0];
        let policy = &self.machine.plan().policies[process.0];
        let again = matches!(
            self.machine.view().processes[process.0].state,
            "restarting" | "starting" | "ready"
        );
        let spent = track.recent.len() >= policy.backoff.restarts as usize;
        let allowed = match self.drain_cause {
            None => again || spent && policy.on_exit == OnExit::Ignore,
            Some(cause) => spent && cause == Cause::RestartsSpent(process, Fault::Unhealthy),
        };
        match allowed {
            true => Ok(()),
            false => Err(format!(
                "{process:?} was unhealthy and gets no new life: {track:?}"
            )),
        }
    }
}
