//! From the decision to stop until the exit.
//!
//! Processes stop in reverse order of their start; each gets its stop signal, its grace, then
//! SIGKILL. Whatever happens, it all ends within the stop budget: shortly before the end everyone
//! left is killed, and at the end runmate exits even if the kernel does not let go of a process.

use std::time::Duration;

use super::event::{Action, Cause, Fault, Pid, Report, Target, Time};
use super::plan::{ProcessId, Scope};
use super::state::{Body, Drain, Kill, Machine, Stage, State, Why};
use crate::signal::Signal;

/// What each later level of the stop order keeps for itself, however long the grace of an earlier
/// one is.
const LEVEL_RESERVE: Duration = Duration::from_secs(1);

/// The end of the budget belongs to what follows the last SIGKILL: reaping, sweeping orphans and
/// flushing the log. A tenth of the budget, at most this.
const MAX_TAIL: Duration = Duration::from_millis(500);

impl Machine {
    pub(super) fn begin_drain(&mut self, now: Time, cause: Cause, out: &mut Vec<Action>) {
        let budget = self.plan.stop_budget;
        let deadline = now + budget;
        let drain = Drain {
            cause,
            began: now,
            kill_all: deadline - (budget / 10).min(MAX_TAIL),
            deadline,
            signals: u32::from(matches!(cause, Cause::Signal(_))),
            hurry: false,
        };
        // Serving on while the load balancer lets go makes sense only if somebody serves.
        let serving = matches!(self.tracks[self.plan.main.0].state, State::Ready { .. });
        let delay = match cause {
            Cause::Signal(_) if serving => self.plan.drain_delay.min(drain.kill_all - now),
            _ => Duration::ZERO,
        };
        for track in &mut self.tracks {
            if let State::Waiting | State::Spawning | State::Backoff { .. } = track.state {
                track.state = State::Over;
            }
        }
        out.push(Action::Report(Report::Draining { cause, delay, budget }));
        self.stage = if delay.is_zero() {
            Stage::Draining { drain }
        } else {
            Stage::Delaying {
                drain,
                until: now + delay,
            }
        };
    }

    /// SIGTERM, SIGINT or SIGQUIT: the first drains, the second hurries, the third kills.
    pub(super) fn stop_signal(&mut self, now: Time, signal: Signal, out: &mut Vec<Action>) {
        match &mut self.stage {
            Stage::Booting | Stage::Running { .. } => {
                return self.begin_drain(now, Cause::Signal(signal), out);
            }
            Stage::Gone => return,
            Stage::Delaying { drain, .. } | Stage::Draining { drain } | Stage::Sweeping { drain, .. } => {
                drain.signals += 1;
                match drain.signals {
                    // The platform's own stop may follow an end that we decided on: not a hurry.
                    0 | 1 => return,
                    2 => {
                        drain.hurry = true;
                        out.push(Action::Report(Report::Hurry(signal)));
                    }
                    _ => {
                        drain.kill_all = now;
                        out.push(Action::Report(Report::KillAll(signal)));
                    }
                }
            }
        }
        match &mut self.stage {
            Stage::Delaying { until, .. } => *until = now,
            Stage::Sweeping {
                drain,
                kill: Kill::At(time),
            } => *time = (*time).min(drain.kill_all),
            _ => {}
        }
    }

    /// A process ended while the container is going down: it is over once its group is empty.
    pub(super) fn ended_in_drain(
        &mut self,
        now: Time,
        process: ProcessId,
        pid: Pid,
        group_alive: bool,
        out: &mut Vec<Action>,
    ) {
        let main_gone = process == self.plan.main;
        let scope = self.policy(process).stop.scope;
        let signal = self.policy(process).stop.signal;
        let track = self.track(process);
        track.state = match track.state {
            _ if !group_alive => State::Over,
            State::Stopping { kill, why, .. } => {
                // Whoever it left behind was not told yet if only the leader was addressed.
                if scope == Scope::Process && kill != Kill::Sent {
                    out.push(Action::Signal(process, Target::Group(pid), signal));
                    out.push(Action::Signal(process, Target::Group(pid), Signal::CONT));
                }
                State::Stopping {
                    body: Body::Group(pid),
                    kill,
                    why,
                }
            }
            _ => State::Leftover { group: pid },
        };
        if let Stage::Delaying { until, .. } = &mut self.stage
            && main_gone
        {
            *until = now; // Nobody serves any more.
        }
    }

    pub(super) fn no_children(&mut self, out: &mut Vec<Action>) {
        if let Stage::Sweeping { drain, .. } = self.stage {
            self.exit(drain, out);
        }
    }

    /// Everything that is due by time or by order while the container goes down.
    pub(super) fn due_while_draining(&mut self, now: Time, out: &mut Vec<Action>) {
        if let Stage::Delaying { drain, until } = self.stage {
            // Somebody may have been told to stop before the drain began, for a new life.
            self.kill_overdue(now, out);
            if until <= now {
                self.stage = Stage::Draining { drain };
            }
        }
        if let Stage::Draining { drain } = self.stage {
            self.stop_in_order(now, drain, out);
            if self.tracks.iter().all(|track| track.is_over()) {
                self.stage = Stage::Sweeping {
                    drain,
                    kill: Kill::At(drain.kill_all),
                };
                out.push(Action::Sweep(Signal::TERM));
            }
        }
        if let Stage::Sweeping {
            drain,
            kill: Kill::At(time),
        } = self.stage
            && time <= now
        {
            self.stage = Stage::Sweeping {
                drain,
                kill: Kill::Sent,
            };
            out.push(Action::Sweep(Signal::KILL));
        }
        if let Stage::Delaying { drain, .. } | Stage::Draining { drain } | Stage::Sweeping { drain, .. } =
            self.stage
            && drain.deadline <= now
        {
            let left: Vec<ProcessId> = self.ids().filter(|id| !self.tracks[id.0].is_over()).collect();
            if !left.is_empty() {
                out.push(Action::Report(Report::Abandoned(left)));
            }
            self.exit(drain, out);
        }
    }

    fn stop_in_order(&mut self, now: Time, drain: Drain, out: &mut Vec<Action>) {
        let kill_all = drain.kill_all <= now;
        for process in self.ids() {
            let state = self.track(process).state;
            match state {
                State::Starting { pid, .. } | State::Ready { pid, .. } if kill_all => {
                    self.kill(process, Body::Leader(pid), out);
                }
                State::Leftover { group } if kill_all => self.kill(process, Body::Group(group), out),
                State::Starting { pid, .. } | State::Ready { pid, .. } if self.its_turn(process, drain) => {
                    let grace = self.grace(now, process, drain);
                    self.ask_to_stop(process, Body::Leader(pid), now, grace, Why::Drain, out);
                }
                State::Leftover { group } if self.its_turn(process, drain) => {
                    let grace = self.grace(now, process, drain);
                    self.ask_to_stop(process, Body::Group(group), now, grace, Why::Drain, out);
                }
                State::Stopping {
                    body,
                    kill: Kill::At(time),
                    ..
                } if kill_all || time <= now => {
                    self.kill(process, body, out);
                }
                // It was being stopped when the drain began, for a grace that knew no budget.
                State::Stopping {
                    body,
                    kill: Kill::At(time),
                    why,
                } if time > drain.kill_all => {
                    self.track(process).state = State::Stopping {
                        body,
                        kill: Kill::At(drain.kill_all),
                        why,
                    };
                }
                _ => {}
            }
        }
    }

    /// Whether everyone who was started after this process is over.
    fn its_turn(&self, process: ProcessId, drain: Drain) -> bool {
        drain.hurry
            || self
                .ids()
                .filter(|other| self.policy(*other).after.contains(&process))
                .all(|other| self.tracks[other.0].is_over())
    }

    /// From the stop signal to SIGKILL: as configured, at most what the budget leaves once each
    /// later level has its reserve.
    fn grace(&self, now: Time, process: ProcessId, drain: Drain) -> Duration {
        let left = drain.kill_all.saturating_sub(now);
        let later = if drain.hurry {
            0
        } else {
            self.levels_below(process)
        };
        let reserve = LEVEL_RESERVE.min(left / (later + 1));
        let most = left - reserve * later;
        self.policy(process)
            .stop
            .grace
            .map_or(most, |grace| grace.min(most))
    }

    /// The longest chain of live processes that can stop only after this one.
    fn levels_below(&self, process: ProcessId) -> u32 {
        // Longest paths by relaxation: a round per process suffices, as there are no cycles.
        let mut below = vec![0; self.tracks.len()];
        for _ in 0..self.tracks.len() {
            for id in self.ids() {
                let chains = self.policy(id).after.iter();
                let chains = chains.map(|dep| below[dep.0] + u32::from(!self.tracks[dep.0].is_over()));
                below[id.0] = chains.max().unwrap_or(0);
            }
        }
        below[process.0]
    }

    fn exit(&mut self, drain: Drain, out: &mut Vec<Action>) {
        let code = self.exit_code(drain);
        let code = if self.plan.success_codes.contains(&code) {
            0
        } else {
            code
        };
        self.stage = Stage::Gone;
        out.push(Action::Exit {
            code,
            cause: drain.cause,
        });
    }

    /// The exit code of the container, before `success_codes`.
    fn exit_code(&self, drain: Drain) -> i32 {
        /// An end that nobody wanted is never reported as success.
        fn never_zero(code: i32) -> i32 {
            if code == 0 { 1 } else { code }
        }
        match drain.cause {
            Cause::MainEnded(end) => end.code(),
            Cause::TaskFailed(_, end) | Cause::SidecarEnded(_, end) => never_zero(end.code()),
            Cause::RestartsSpent(_, Fault::Ended(end)) => never_zero(end.code()),
            // Its exit code would be that of our own stop signal, which says nothing.
            Cause::NotReady(_) | Cause::RestartsSpent(_, Fault::NotReady | Fault::Unhealthy) => 1,
            Cause::CannotExecute(_, code) => code,
            Cause::Signal(signal) => {
                let main = &self.tracks[self.plan.main.0];
                match main.last {
                    Some((end, time)) if time >= drain.began => end.code(),
                    // Not even SIGKILL ended it.
                    _ if !main.is_over() => Signal::KILL.exit_code(),
                    // It was not running when the stop came.
                    _ => signal.exit_code(),
                }
            }
        }
    }
}
