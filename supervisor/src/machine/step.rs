//! The dispatch of events, and everything that happens while the container runs.

use super::event::{Action, Cause, End, Event, Fault, Pid, Report, Target, Time};
use super::plan::{Kind, OnExit, ProcessId};
use super::restart::Sequel;
use super::state::{Body, Machine, Stage, State, Why};
use crate::signal::Signal;

impl Machine {
    /// Takes one event at the time `now` and says what to do. Time never runs backwards between
    /// calls. Events that do not fit the state (a probe that passed after its process died, say)
    /// change nothing.
    pub fn step(&mut self, now: Time, event: Event) -> Vec<Action> {
        let mut out = Vec::new();
        match event {
            Event::Start => {
                if self.stage == Stage::Booting {
                    self.stage = Stage::Running { up: false };
                }
            }
            Event::Spawned(process, pid) => self.spawned(now, process, pid, &mut out),
            Event::SpawnFailed {
                process,
                code,
                temporary,
            } => self.spawn_failed(now, process, code, temporary, &mut out),
            Event::Ready(process) => self.ready(now, process, &mut out),
            Event::Unhealthy(process) => self.unhealthy(now, process, &mut out),
            Event::Ended {
                process,
                end,
                group_alive,
            } => {
                self.ended(now, process, end, group_alive, &mut out);
            }
            Event::GroupGone(process) => self.group_gone(process),
            Event::Signal(signal) if signal.starts_drain() => self.stop_signal(now, signal, &mut out),
            Event::Signal(signal) => self.forward(signal, &mut out),
            Event::NoChildren => self.no_children(&mut out),
            Event::Tick => {}
        }
        if self.is_running() {
            self.due_while_running(now, &mut out);
        }
        self.due_while_draining(now, &mut out);
        out
    }

    fn spawned(&mut self, now: Time, process: ProcessId, pid: Pid, out: &mut Vec<Action>) {
        if self.track(process).state != State::Spawning {
            return;
        }
        let policy = self.policy(process);
        let immediately = policy.kind == Kind::Service && policy.ready_within.is_none();
        let late = policy.ready_within.map(|within| now + within);
        self.track(process).state = State::Starting { pid, late };
        if immediately {
            self.ready(now, process, out);
        }
    }

    fn spawn_failed(
        &mut self,
        now: Time,
        process: ProcessId,
        code: i32,
        temporary: bool,
        out: &mut Vec<Action>,
    ) {
        if self.track(process).state != State::Spawning {
            return;
        }
        let end = End::Exited(code);
        self.track(process).last = Some((end, now));
        self.track(process).state = State::Over;
        // What is not there or not executable will not be so in a second either.
        let sequel = if temporary {
            self.sequel(now, process, Fault::Ended(end))
        } else {
            Sequel::Final
        };
        match sequel {
            Sequel::Again(delay) => self.back_off(now, process, delay, None, out),
            Sequel::Spent => self.for_good(
                now,
                process,
                Cause::RestartsSpent(process, Fault::Ended(end)),
                out,
            ),
            Sequel::Final => self.for_good(now, process, Cause::CannotExecute(process, code), out),
        }
    }

    fn back_off(
        &mut self,
        now: Time,
        process: ProcessId,
        delay: Time,
        left: Option<Pid>,
        out: &mut Vec<Action>,
    ) {
        let track = self.track(process);
        track.state = State::Backoff {
            until: now + delay,
            left,
        };
        let restarts = track.restarts;
        out.push(Action::Report(Report::Restarting(process, delay, restarts)));
    }

    fn ready(&mut self, now: Time, process: ProcessId, out: &mut Vec<Action>) {
        if let State::Starting { pid, .. } = self.track(process).state {
            let track = self.track(process);
            track.state = State::Ready { pid, since: now };
            track.was_ready = true;
            out.push(Action::Report(Report::Ready(process)));
        }
    }

    fn ended(&mut self, now: Time, process: ProcessId, end: End, group_alive: bool, out: &mut Vec<Action>) {
        let running = self.is_running();
        let track = self.track(process);
        let (pid, fault) = match track.state {
            State::Starting { pid, .. } => (pid, Fault::Ended(end)),
            State::Ready { pid, since } => {
                self.was_ready_since(since, now, process);
                (pid, Fault::Ended(end))
            }
            State::Stopping {
                body: Body::Leader(pid),
                why,
                ..
            } => match why {
                // It did what it was told; how it ended says nothing about it.
                Why::NotReady => (pid, Fault::NotReady),
                Why::Unhealthy => (pid, Fault::Unhealthy),
                Why::Drain => (pid, Fault::Ended(end)),
            },
            _ => return,
        };
        self.track(process).last = Some((end, now));
        if !running {
            return self.ended_in_drain(now, process, pid, group_alive, out);
        }
        if self.policy(process).kind == Kind::Task && fault == Fault::Ended(End::Exited(0)) {
            self.track(process).was_ready = true;
            self.track(process).state = State::Over;
            out.push(Action::Report(Report::Done(process)));
            if process == self.plan.main {
                self.leave_or_follow(process, pid, group_alive);
                self.begin_drain(now, Cause::MainEnded(end), out);
            }
            return;
        }
        match self.sequel(now, process, fault) {
            Sequel::Again(delay) => {
                // A new life needs the ports and locks of the old one: what is left of it must go.
                if group_alive {
                    out.push(Action::Signal(process, Target::Group(pid), Signal::KILL));
                }
                self.back_off(now, process, delay, group_alive.then_some(pid), out);
            }
            sequel => {
                self.leave_or_follow(process, pid, group_alive);
                let cause = if sequel == Sequel::Spent {
                    Cause::RestartsSpent(process, fault)
                } else if fault == Fault::NotReady {
                    Cause::NotReady(process)
                } else if process == self.plan.main {
                    Cause::MainEnded(end)
                } else if self.policy(process).kind == Kind::Task {
                    Cause::TaskFailed(process, end)
                } else {
                    Cause::SidecarEnded(process, end)
                };
                self.for_good(now, process, cause, out);
            }
        }
    }

    /// The state of a process that ended for good: over, or waiting for its turn in the drain
    /// because others of its group live on. If the container goes on without it, those others are
    /// left alone (a task may start daemons on purpose) and swept at the end.
    fn leave_or_follow(&mut self, process: ProcessId, pid: Pid, group_alive: bool) {
        let follow = group_alive && self.end_means_shutdown(process);
        self.track(process).state = if follow {
            State::Leftover { group: pid }
        } else {
            State::Over
        };
    }

    fn end_means_shutdown(&self, process: ProcessId) -> bool {
        process == self.plan.main || self.policy(process).on_exit == OnExit::Shutdown
    }

    fn for_good(&mut self, now: Time, process: ProcessId, cause: Cause, out: &mut Vec<Action>) {
        if !self.is_running() {
            return;
        }
        if self.end_means_shutdown(process) {
            self.begin_drain(now, cause, out);
        } else {
            out.push(Action::Report(Report::Ignored(process, cause)));
        }
    }

    fn group_gone(&mut self, process: ProcessId) {
        let track = self.track(process);
        match &mut track.state {
            State::Leftover { .. }
            | State::Stopping {
                body: Body::Group(_), ..
            } => track.state = State::Over,
            State::Backoff { left, .. } => *left = None,
            _ => {}
        }
    }

    fn forward(&mut self, signal: Signal, out: &mut Vec<Action>) {
        for process in self.ids() {
            let policy = self.policy(process);
            let Some((_, sent)) = policy.signals.iter().find(|(got, _)| *got == signal) else {
                continue;
            };
            if let Some(target) = self.tracks[process.0].target(policy) {
                out.push(Action::Signal(process, target, *sent));
            }
        }
    }

    /// Everything that is due by time or by order while the container runs.
    fn due_while_running(&mut self, now: Time, out: &mut Vec<Action>) {
        for process in self.ids() {
            if let State::Starting { late: Some(late), .. } = self.track(process).state
                && late <= now
            {
                self.stop_failed_start(now, process, out);
            }
        }
        self.kill_overdue(now, out);
        // One spawn at a time: its answer may start a drain, and then the next must not happen.
        if self.tracks.iter().any(|track| track.state == State::Spawning) {
            return;
        }
        for process in self.ids() {
            let due = match self.track(process).state {
                State::Waiting => self.policy(process).after.iter().all(|dep| self.satisfied(*dep)),
                State::Backoff { until, left: None } => until <= now,
                _ => false,
            };
            if due {
                self.track(process).state = State::Spawning;
                out.push(Action::Spawn(process));
                return;
            }
        }
        let settled = |state: &State| matches!(state, State::Ready { .. } | State::Over);
        if let Stage::Running { up: false } = self.stage
            && self.tracks.iter().all(|track| settled(&track.state))
        {
            self.stage = Stage::Running { up: true };
            out.push(Action::Report(Report::Up));
        }
    }

    /// Whether those who wait for this process may start: it was ready once, or it is over and the
    /// config says to go on without it.
    fn satisfied(&self, process: ProcessId) -> bool {
        let track = &self.tracks[process.0];
        track.was_ready || track.is_over()
    }
}
