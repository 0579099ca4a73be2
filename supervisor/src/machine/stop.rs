//! How one process is asked to stop, and what follows if it does not.

use super::event::{Action, Report, Target, Time};
use super::plan::{Kind, ProcessId};
use super::state::{Body, Kill, Machine, State, Why};
use crate::signal::Signal;

impl Machine {
    /// A start that took too long.
    pub(super) fn stop_failed_start(&mut self, now: Time, process: ProcessId, out: &mut Vec<Action>) {
        let within = self.policy(process).ready_within.unwrap_or_default();
        out.push(Action::Report(Report::NotReady(process, within)));
        self.stop_for_a_new_life(now, process, Why::NotReady, out);
    }

    /// A health check asks for a new life. Only who is ready has one to lose: whoever starts, stops or waits is
    /// on the way to a new one, or was never out of order.
    pub(super) fn unhealthy(&mut self, now: Time, process: ProcessId, out: &mut Vec<Action>) {
        let State::Ready { since, .. } = self.track(process).state else {
            return;
        };
        if self.is_running() && self.policy(process).kind == Kind::Service {
            self.was_ready_since(since, now, process);
            out.push(Action::Report(Report::Unhealthy(process)));
            self.stop_for_a_new_life(now, process, Why::Unhealthy, out);
        }
    }

    /// Outside of a drain there is no budget to share: a grace that nobody wrote is all of it.
    fn stop_for_a_new_life(&mut self, now: Time, process: ProcessId, why: Why, out: &mut Vec<Action>) {
        let (State::Starting { pid, .. } | State::Ready { pid, .. }) = self.track(process).state else {
            return;
        };
        let budget = self.plan.stop_budget;
        let grace = self.policy(process).stop.grace.unwrap_or(budget).min(budget);
        self.ask_to_stop(process, Body::Leader(pid), now, grace, why, out);
    }

    /// Sends the stop signal and starts the grace; without any grace, kills. SIGCONT follows the
    /// signal: a stopped process cannot act on one before it is continued.
    pub(super) fn ask_to_stop(
        &mut self,
        process: ProcessId,
        body: Body,
        now: Time,
        grace: Time,
        why: Why,
        out: &mut Vec<Action>,
    ) {
        let signal = self.policy(process).stop.signal;
        self.track(process).state = State::Stopping {
            body,
            kill: Kill::At(now + grace),
            why,
        };
        if grace.is_zero() {
            return self.kill(process, body, out);
        }
        let target = match body {
            // With its leader gone, the group is all there is to address.
            Body::Group(pid) => Target::Group(pid),
            Body::Leader(_) => match self.tracks[process.0].target(self.policy(process)) {
                Some(target) => target,
                None => return,
            },
        };
        out.push(Action::Report(Report::Stopping(process, signal, grace)));
        out.push(Action::Signal(process, target, signal));
        out.push(Action::Signal(process, target, Signal::CONT));
    }

    /// Kills those whose grace is over.
    pub(super) fn kill_overdue(&mut self, now: Time, out: &mut Vec<Action>) {
        for process in self.ids() {
            if let State::Stopping {
                kill: Kill::At(time),
                body,
                ..
            } = self.track(process).state
                && time <= now
            {
                self.kill(process, body, out);
            }
        }
    }

    pub(super) fn kill(&mut self, process: ProcessId, body: Body, out: &mut Vec<Action>) {
        let why = match self.track(process).state {
            State::Stopping { why, .. } => why,
            _ => Why::Drain,
        };
        let (Body::Leader(pid) | Body::Group(pid)) = body;
        self.track(process).state = State::Stopping {
            body,
            kill: Kill::Sent,
            why,
        };
        out.push(Action::Report(Report::Killing(process)));
        out.push(Action::Signal(process, Target::Group(pid), Signal::KILL));
    }
}
