//! The world around the machine, reduced to what the machine can see of it: which processes and
//! which groups live. It performs actions and checks the invariants while doing so.

use std::time::Duration;

use super::super::event::{Action, Cause, End, Event, Pid, Report, Target, Time};
use super::super::plan::{Kind, OnExit, Plan, ProcessId};
use super::super::state::Machine;
use crate::signal::Signal;

/// One process of the world.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Body {
    pub leader: Option<Pid>,
    /// Others of its group that outlived the leader.
    pub group: Option<Pid>,
    /// SIGKILL reached the group: it will die before any time passes.
    pub killed: bool,
    pub was_ready: bool,
    pub over: bool,
    /// It was asked to stop before the drain, for a new life.
    pub stopped_early: bool,
    /// A health check asked for a new life of it, and this one was ready.
    pub unhealthy: bool,
}

impl Body {
    pub fn alive(&self) -> bool {
        self.leader.is_some() || self.group.is_some()
    }

    /// Whether it takes a place in the stop order: not what a restart cleared away, which is dying.
    fn counts(&self) -> bool {
        self.leader.is_some() || (self.group.is_some() && !self.killed)
    }
}

/// Machine, world and time together.
#[derive(Clone, Debug)]
pub struct World {
    pub machine: Machine,
    pub now: Time,
    pub bodies: Vec<Body>,
    /// A daemon that left every group lives.
    pub orphan: bool,
    pub orphan_killed: bool,
    pub drain_began: Option<Time>,
    pub drain_cause: Option<Cause>,
    pub hurry: bool,
    pub exited: Option<(i32, Cause)>,
    pub signals: u32,
    /// How often health checks may still ask for a new life: each time doubles what can happen.
    pub patience: u32,
    /// Commands that cannot be executed: never (`false`), or not now (`true`).
    pub broken: Vec<Option<bool>>,
    next_pid: Pid,
}

impl World {
    pub fn new(plan: Plan, orphan: bool) -> World {
        let count = plan.policies.len();
        World {
            machine: Machine::new(plan),
            now: Duration::ZERO,
            bodies: vec![Body::default(); count],
            orphan,
            orphan_killed: false,
            drain_began: None,
            drain_cause: None,
            hurry: false,
            exited: None,
            signals: 0,
            patience: u32::MAX,
            broken: vec![None; count],
            next_pid: 100,
        }
    }

    /// Feeds one event and performs all that follows from it.
    pub fn feed(&mut self, event: Event) -> Result<(), String> {
        let mut events = vec![event];
        while let Some(event) = events.pop() {
            if let Event::Signal(signal) = event
                && signal.starts_drain()
            {
                self.signals += 1;
            }
            let actions = self.machine.step(self.now, event);
            for (index, action) in actions.iter().enumerate() {
                if self.exited.is_some() {
                    return Err(format!("{action:?} after the exit"));
                }
                if let Some(answer) = self.perform(action)? {
                    if index + 1 != actions.len() && matches!(action, Action::Spawn(_)) {
                        return Err(format!("actions follow a spawn: {actions:?}"));
                    }
                    events.push(answer);
                }
            }
        }
        self.check_liveness()
    }

    fn perform(&mut self, action: &Action) -> Result<Option<Event>, String> {
        match *action {
            Action::Spawn(process) => return self.spawn(process).map(Some),
            Action::Signal(process, target, signal) => self.signal(process, target, signal)?,
            Action::Sweep(signal) => {
                if self.bodies.iter().any(Body::counts) {
                    return Err("orphans are swept while a managed process lives".into());
                }
                self.orphan_killed |= signal == Signal::KILL;
                if !self.anybody() {
                    return Ok(Some(Event::NoChildren));
                }
            }
            Action::Report(Report::Draining { cause, .. }) => {
                self.drain_cause = Some(cause);
                if self.drain_began.replace(self.now).is_some() {
                    return Err("a second drain".into());
                }
            }
            Action::Report(Report::Stopping(process, _, grace)) => self.check_grace(process, grace)?,
            Action::Report(Report::Hurry(_) | Report::KillAll(_)) => self.hurry = true,
            Action::Report(Report::Abandoned(_)) => return Err("gave up on a mortal process".into()),
            Action::Report(_) => {}
            Action::Exit { code, cause } => self.exit(code, cause)?,
        }
        Ok(None)
    }

    fn spawn(&mut self, process: ProcessId) -> Result<Event, String> {
        if self.drain_began.is_some() {
            return Err(format!("{process:?} spawned while draining"));
        }
        if self.bodies[process.0].alive() {
            return Err(format!("{process:?} spawned while it lives"));
        }
        let plan = self.machine.plan();
        for dep in &plan.policies[process.0].after {
            let body = &self.bodies[dep.0];
            let ignored = plan.policies[dep.0].on_exit == OnExit::Ignore && body.over;
            if !(body.was_ready || ignored) {
                return Err(format!("{process:?} spawned before {dep:?} was ready"));
            }
        }
        if let Some(temporary) = self.broken[process.0] {
            self.bodies[process.0].over = true;
            let code = if temporary { 75 } else { 127 };
            return Ok(Event::SpawnFailed {
                process,
                code,
                temporary,
            });
        }
        let pid = self.next_pid;
        self.next_pid += 1;
        let policy = &self.machine.plan().policies[process.0];
        let ready = policy.kind == Kind::Service && policy.ready_within.is_none();
        let was_ready = self.bodies[process.0].was_ready || ready;
        self.bodies[process.0] = Body {
            leader: Some(pid),
            was_ready,
            ..Body::default()
        };
        Ok(Event::Spawned(process, pid))
    }

    fn signal(&mut self, process: ProcessId, target: Target, signal: Signal) -> Result<(), String> {
        let body = &self.bodies[process.0];
        let hit = match target {
            Target::Process(pid) => body.leader == Some(pid),
            Target::Group(pid) => body.leader == Some(pid) || body.group == Some(pid),
        };
        if !hit {
            return Err(format!(
                "{signal} to {target:?} of {process:?}, which is gone: {body:?}"
            ));
        }
        if signal == Signal::KILL {
            if matches!(target, Target::Process(_)) {
                return Err("SIGKILL to a process instead of its group".into());
            }
            let body = &mut self.bodies[process.0];
            body.killed = true;
        }
        if signal == Signal::TERM && self.drain_began.is_none() {
            let body = &mut self.bodies[process.0];
            if body.stopped_early {
                return Err(format!("{process:?} was asked to stop twice outside of a drain"));
            }
            body.stopped_early = true;
            if !body.unhealthy && self.machine.plan().policies[process.0].ready_within.is_none() {
                return Err(format!("{process:?} was stopped, and nothing was wrong with it"));
            }
        } else if signal == Signal::TERM && !self.hurry && !self.bodies[process.0].stopped_early {
            for (index, policy) in self.machine.plan().policies.iter().enumerate() {
                if policy.after.contains(&process) && self.bodies[index].counts() {
                    return Err(format!("{process:?} stopped before {index}, which came after it"));
                }
            }
        }
        Ok(())
    }

    /// A grace in a drain leaves a second, or a fair share, to each level that stops later.
    fn check_grace(&self, process: ProcessId, grace: Duration) -> Result<(), String> {
        let Some(began) = self.drain_began.filter(|_| !self.hurry) else {
            return Ok(());
        };
        let budget = self.machine.plan().stop_budget;
        let left = began + budget - (budget / 10).min(Duration::from_millis(500)) - self.now;
        let later = self.live_levels_below(process);
        let most = left - Duration::from_secs(1).min(left / (later + 1)) * later;
        if grace > most {
            return Err(format!(
                "{process:?} has {grace:?} of {left:?}, with {later} levels to come"
            ));
        }
        Ok(())
    }

    fn live_levels_below(&self, process: ProcessId) -> u32 {
        let below = self.machine.plan().policies[process.0].after.iter();
        let levels = below.map(|dep| u32::from(self.bodies[dep.0].counts()) + self.live_levels_below(*dep));
        levels.max().unwrap_or(0)
    }

    fn exit(&mut self, code: i32, cause: Cause) -> Result<(), String> {
        if self.bodies.iter().any(Body::alive) || self.orphan {
            return Err("exit while a child lives".into());
        }
        let Some(began) = self.drain_began else {
            return Err("exit without a drain".into());
        };
        if self.now - began > self.machine.plan().stop_budget {
            return Err(format!("the drain took {:?}", self.now - began));
        }
        let unwanted = !matches!(cause, Cause::Signal(_) | Cause::MainEnded(_));
        if unwanted && code == 0 {
            return Err(format!("{cause:?} exits with 0"));
        }
        self.exited = Some((code, cause));
        Ok(())
    }

    fn anybody(&self) -> bool {
        self.orphan || self.bodies.iter().any(Body::alive)
    }

    /// Whatever the state, something must be able to move it on: a deadline, a living process, or
    /// it is over.
    fn check_liveness(&self) -> Result<(), String> {
        if self.exited.is_none() && !self.anybody() && self.machine.deadline().is_none() {
            return Err("stuck: nothing lives, no deadline, no exit".into());
        }
        if let Some(deadline) = self.machine.deadline()
            && deadline <= self.now
            && self.exited.is_none()
        {
            return Err(format!(
                "what was due at {deadline:?} is not done at {:?}",
                self.now
            ));
        }
        if let Some(began) = self.drain_began
            && self.exited.is_none()
        {
            let end = began + self.machine.plan().stop_budget;
            match self.machine.deadline() {
                Some(deadline) if deadline <= end => {}
                other => return Err(format!("the drain's next deadline is {other:?}, its end {end:?}")),
            }
        }
        Ok(())
    }

    /// Everything that can happen next. `quantum`: how far time may move short of the deadline.
    pub fn moves(&self, quantum: Option<Duration>) -> Vec<Move> {
        let mut moves = Vec::new();
        if self.exited.is_some() {
            return moves;
        }
        for (index, body) in self.bodies.iter().enumerate() {
            let process = ProcessId(index);
            if body.leader.is_some() {
                let ends: &[End] = if body.killed {
                    &[End::Killed(Signal::KILL)]
                } else {
                    &[End::Exited(0), End::Exited(3)]
                };
                for end in ends {
                    moves.push(Move::End(process, *end, false));
                    moves.push(Move::End(process, *end, true));
                }
                let probed = self.machine.plan().policies[index].ready_within.is_some();
                if probed && self.machine.view().processes[index].state == "starting" {
                    moves.push(Move::Ready(process));
                }
                if self.patience > 0 {
                    moves.push(Move::Unhealthy(process));
                }
            } else if body.group.is_some() {
                moves.push(Move::GroupGone(process));
            }
        }
        if self.orphan {
            moves.push(Move::OrphanGone);
        }
        if self.signals < 3 {
            moves.push(Move::Signal(Signal::TERM));
        }
        moves.push(Move::Signal(Signal::HUP));
        // SIGKILL acts at once: no time passes before its victims are gone.
        let dying =
            self.bodies.iter().any(|body| body.killed && body.alive()) || (self.orphan && self.orphan_killed);
        if let Some(deadline) = self.machine.deadline()
            && !dying
        {
            moves.push(Move::Time(deadline));
            if let Some(quantum) = quantum
                && self.now + quantum < deadline
            {
                moves.push(Move::Time(self.now + quantum));
            }
        }
        moves
    }

    pub fn apply(&mut self, step: Move) -> Result<(), String> {
        match step {
            Move::End(process, end, group_alive) => {
                let body = &mut self.bodies[process.0];
                let pid = body.leader.take().ok_or("no leader")?;
                body.group = group_alive.then_some(pid);
                let plan = self.machine.plan();
                if plan.policies[process.0].kind == Kind::Task && end.succeeded() {
                    body.was_ready = true;
                }
                body.over = true;
                let asked_for_a_new_life = body.unhealthy && self.drain_began.is_none();
                self.feed(Event::Ended {
                    process,
                    end,
                    group_alive,
                })?;
                if asked_for_a_new_life {
                    self.check_new_life(process)?;
                }
                // What a process that is over for good leaves behind belongs to the orphans.
                if self.bodies[process.0].group.is_some()
                    && matches!(self.machine.view().processes[process.0].state, "done" | "ended")
                {
                    self.bodies[process.0].group = None;
                    self.orphan = true;
                }
                Ok(())
            }
            Move::Ready(process) => {
                self.bodies[process.0].was_ready = true;
                self.feed(Event::Ready(process))
            }
            Move::Unhealthy(process) => self.find_unhealthy(process),
            Move::GroupGone(process) => {
                self.bodies[process.0].group = None;
                self.feed(Event::GroupGone(process))?;
                if self.anybody() {
                    Ok(())
                } else {
                    self.feed(Event::NoChildren)
                }
            }
            Move::OrphanGone => {
                self.orphan = false;
                if self.anybody() {
                    Ok(())
                } else {
                    self.feed(Event::NoChildren)
                }
            }
            Move::Signal(signal) => self.feed(Event::Signal(signal)),
            Move::Time(time) => {
                self.now = time;
                self.feed(Event::Tick)
            }
        }
    }
}

/// Something the world can do.
#[derive(Clone, Copy, Debug)]
pub enum Move {
    End(ProcessId, End, bool),
    Ready(ProcessId),
    Unhealthy(ProcessId),
    GroupGone(ProcessId),
    OrphanGone,
    Signal(Signal),
    Time(Time),
}
