//! Makes spans of what happens: the traces `boot`, `restart` and `drain`.
//!
//! It is told what the loop does and what the machine reports, with the time; it reads no clock and decides nothing.
//! A process has at most one `start` and one `stop` under way and one `restart`, so what is kept is bounded by the
//! number of processes; spans that are over are to be taken.

mod life;
mod open;
#[cfg(test)]
mod tests;

use std::time::SystemTime;

use opentelemetry_sdk::trace::IdGenerator;

use super::{Context, Span, Value};
use crate::config::{self, Command};
use crate::machine::{Cause, End, Kind, ProcessId, Report, Time};
use life::{Fault, Life, Stopping};
use open::{Boot, Drain, Root};

/// A moment on both clocks.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    /// The time of day.
    pub wall: SystemTime,
    /// Since runmate started; never runs backwards.
    pub time: Time,
}

/// How a process ended.
pub(crate) struct Ending<'a> {
    pub end: End,
    /// The same in words.
    pub how: &'a str,
    /// Whether its group still has members.
    pub group_alive: bool,
    /// Whether the kernel killed for lack of memory since the last end of a process.
    pub oom: Option<bool>,
}

/// What happened, as spans.
pub(crate) struct Journal {
    ids: Box<dyn IdGenerator>,
    /// The root of the trace `boot`, which the others are linked to.
    first: Context,
    /// What the lines belong to that tell about the whole.
    current: Option<Context>,
    boot: Option<Boot>,
    lives: Vec<Life>,
    drain: Option<Drain>,
    finished: Vec<Span>,
}

fn text(value: impl Into<String>) -> Value {
    Value::Text(value.into())
}

impl Journal {
    /// The boot began at the zero of our own time.
    pub fn new(plan: &config::Plan, ids: Box<dyn IdGenerator>, now: Moment) -> Journal {
        let mut root = Root::begin(&*ids, "boot", Time::ZERO, now);
        root.span
            .attribute("runmate.version", text(env!("CARGO_PKG_VERSION")));
        root.span
            .attribute("runmate.platform", text(plan.run.platform.to_string()));
        root.span
            .attribute("process.pid", Value::Number(std::process::id().into()));
        let life = |process: &config::Process| {
            let kind = if process.command == Command::Migrate {
                "migrate"
            } else {
                "start"
            };
            Life::new(&process.name, kind, process.policy.kind == Kind::Task)
        };
        Journal {
            first: root.span.context,
            current: Some(root.span.context),
            lives: plan.processes.iter().map(life).collect(),
            boot: Some(Boot {
                root,
                secrets: None,
                last_start: None,
            }),
            drain: None,
            ids,
            finished: Vec::new(),
        }
    }

    /// Hands over the spans that are over.
    pub fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.finished)
    }

    /// What lines about the whole belong to: the boot, then nothing, then the drain.
    pub fn current(&self) -> Option<Context> {
        self.current
    }

    /// What lines about this process belong to: its start, or its stop.
    pub fn life(&self, process: ProcessId) -> Option<Context> {
        self.lives[process.0].current()
    }

    /// So many secrets are being resolved.
    pub fn secrets(&mut self, count: usize, now: Moment) -> Option<Context> {
        let boot = self.boot.as_mut()?;
        let mut span = boot.root.child(&*self.ids, "secrets", now.time);
        span.attribute("runmate.secrets.count", Value::Number(count as i64));
        let context = span.context;
        boot.secrets = Some(span);
        Some(context)
    }

    /// The secrets are there.
    pub fn secrets_done(&mut self, now: Moment) {
        if let Some(boot) = &mut self.boot
            && let Some(span) = boot.secrets.take()
        {
            self.finished.push(boot.root.close(span, now.time, None));
        }
    }

    /// Nothing may be started.
    pub fn refused(&mut self, why: &str, code: i32, now: Moment) {
        if let Some(boot) = &mut self.boot {
            let root = &mut boot.root;
            root.span
                .attribute("process.exit.code", Value::Number(code.into()));
            if let Some(span) = boot.secrets.take() {
                let failed = root.close(span, now.time, Some(why.to_owned()));
                self.finished.push(failed);
            }
        }
        self.end_boot("failed", Some(why), now.time);
    }

    /// A process is about to be started.
    pub fn starting(&mut self, process: ProcessId, now: Moment) -> Option<Context> {
        let life = &mut self.lives[process.0];
        let boot = self.boot.as_mut();
        let root = match (&life.restart, boot) {
            (Some(restart), boot) => {
                if let Some(boot) = boot {
                    boot.last_start = Some(now.time);
                }
                restart
            }
            (None, Some(boot)) => {
                boot.last_start = Some(now.time);
                &boot.root
            }
            (None, None) => return None,
        };
        let span = root.child(&*self.ids, life.kind, now.time);
        Some(life.begin(span))
    }

    /// It runs.
    pub fn started(&mut self, process: ProcessId, pid: crate::machine::Pid) {
        self.lives[process.0].runs(pid);
    }

    /// It could not be started.
    pub fn not_started(&mut self, process: ProcessId, code: i32, now: Moment) {
        let life = &mut self.lives[process.0];
        life.alive = false;
        life.over(None, Fault::CannotStart, now.time);
        let why = format!("cannot be started: exit code {code}");
        self.end_start(process, Some(&why), now.time);
    }

    /// It was reaped.
    pub fn ended(&mut self, process: ProcessId, ending: &Ending, now: Moment) {
        let life = &mut self.lives[process.0];
        life.over(Some(ending.end), Fault::Ended, now.time);
        life.oom = ending.oom;
        if self.drain.is_some() {
            if !ending.group_alive {
                self.end_stop(process, now.time);
            }
            return;
        }
        life.alive = false;
        life.stopping = None;
        // A task that succeeded is reported as done.
        if !(life.task && ending.end.succeeded()) {
            self.end_start(process, Some(ending.how), now.time);
        }
    }

    /// The last of its group is gone.
    pub fn group_gone(&mut self, process: ProcessId, now: Moment) {
        if self.drain.is_some() {
            self.end_stop(process, now.time);
        }
    }

    /// The machine reports; gives what the line about it belongs to. `why`: for a drain its cause in words, for a
    /// process that is unhealthy the check that says so.
    pub fn report(&mut self, report: &Report, why: Option<&str>, now: Moment) -> Option<Context> {
        match report {
            Report::Ready(process) | Report::Done(process) => {
                let context = self.life(*process);
                self.end_start(*process, None, now.time);
                context
            }
            Report::Up => {
                let context = self.current;
                self.end_boot("up", None, now.time);
                self.current = None;
                context
            }
            Report::NotReady(process, within) => {
                let context = self.life(*process);
                self.lives[process.0].fault = Fault::NotReady;
                let why = format!("not ready after {:.3} s", within.as_secs_f64());
                self.end_start(*process, Some(&why), now.time);
                context
            }
            Report::Unhealthy(process) => {
                self.lives[process.0].fault = Fault::Unhealthy(why.map(str::to_owned));
                None
            }
            Report::Restarting(process, delay, attempt) => {
                let life = &mut self.lives[process.0];
                let began = life.ended_at.unwrap_or(now.time);
                let mut root = Root::begin(&*self.ids, "restart", began, now).linked(self.first);
                life.describe_restart(&mut root.span, *delay, *attempt);
                let context = root.span.context;
                life.restart = Some(root);
                Some(context)
            }
            Report::Draining { cause, .. } => {
                self.draining(*cause, why, now);
                self.current
            }
            Report::Stopping(process, signal, grace) => {
                let stopping = Stopping::new(*signal, *grace);
                self.lives[process.0].stopping = Some(stopping);
                self.begin_stop(*process, now.time)
            }
            Report::Killing(process) => {
                let stopping = &mut self.lives[process.0].stopping;
                stopping.get_or_insert_with(Stopping::at_once).killed = true;
                self.begin_stop(*process, now.time)
            }
            Report::Ignored(..) | Report::Hurry(_) | Report::KillAll(_) | Report::Abandoned(_) => {
                self.current
            }
        }
    }

    /// The container ends.
    pub fn exit(&mut self, code: i32, now: Moment) {
        for index in 0..self.lives.len() {
            let process = ProcessId(index);
            if self.lives[index].stop.is_some() {
                // Not even SIGKILL ended it.
                self.close_stop(process, "abandoned", Some("left behind"), now.time);
            }
        }
        if let Some(Drain { mut root, .. }) = self.drain.take() {
            root.span
                .attribute("process.exit.code", Value::Number(code.into()));
            self.finished.push(root.end(now.time, None));
        }
    }

    /// The start of a process is over, and with it its restart.
    fn end_start(&mut self, process: ProcessId, failure: Option<&str>, now: Time) {
        let outcome = if failure.is_some() { "failed" } else { "ready" };
        self.close_start(process, outcome, failure, now);
    }

    fn close_start(&mut self, process: ProcessId, outcome: &str, failure: Option<&str>, now: Time) {
        let life = &mut self.lives[process.0];
        let failure = failure.map(str::to_owned);
        if let Some(mut span) = life.start.take() {
            span.attribute("runmate.outcome", text(outcome));
            let boot = self.boot.as_ref().map(|boot| &boot.root);
            if let Some(root) = life.restart.as_ref().or(boot) {
                self.finished.push(root.close(span, now, failure.clone()));
            }
        }
        if let Some(mut root) = life.restart.take() {
            root.span.attribute("runmate.outcome", text(outcome));
            self.finished.push(root.end(now, failure));
        }
    }

    /// The boot is over, if it is not yet.
    fn end_boot(&mut self, outcome: &str, failure: Option<&str>, now: Time) {
        let everything_began = self.lives.iter().all(|life| life.began);
        for index in 0..self.lives.len() {
            if self.lives[index].restart.is_none() {
                self.close_start(ProcessId(index), "stopped", None, now);
            }
        }
        let Some(Boot {
            mut root,
            secrets,
            last_start,
        }) = self.boot.take()
        else {
            return;
        };
        let failure = failure.map(str::to_owned);
        if let Some(mut span) = secrets {
            span.attribute("runmate.outcome", text("stopped"));
            self.finished.push(root.close(span, now, None));
        }
        if let Some(since) = last_start.filter(|_| everything_began) {
            let span = root.child(&*self.ids, "ready", since);
            self.finished.push(root.close(span, now, failure.clone()));
        }
        root.span.attribute("runmate.outcome", text(outcome));
        self.finished.push(root.end(now, failure));
    }

    /// A stop was decided: what was under way is over.
    fn draining(&mut self, cause: Cause, why: Option<&str>, now: Moment) {
        let asked = matches!(cause, Cause::Signal(_) | Cause::MainEnded(End::Exited(0)));
        let (outcome, failure) = if asked { ("stopped", None) } else { ("failed", why) };
        for index in 0..self.lives.len() {
            if self.lives[index].restart.is_some() {
                self.close_start(ProcessId(index), "stopped", None, now.time);
            }
        }
        self.end_boot(outcome, failure, now.time);
        let mut root = Root::begin(&*self.ids, "drain", now.time, now).linked(self.first);
        root.span.attribute("runmate.cause", text(cause.name()));
        if let Some(why) = why {
            root.span.attribute("runmate.cause.message", text(why));
        }
        self.current = Some(root.span.context);
        self.drain = Some(Drain {
            root,
            began: now.time,
        });
        // Some may have been asked to stop before, for a new life.
        for index in 0..self.lives.len() {
            if self.lives[index].stopping.is_some() {
                self.begin_stop(ProcessId(index), now.time);
            }
        }
    }

    /// A process is asked to stop. That is a part of the drain, if there is one.
    fn begin_stop(&mut self, process: ProcessId, now: Time) -> Option<Context> {
        let drain = self.drain.as_ref()?;
        let life = &mut self.lives[process.0];
        let span = life
            .stop
            .get_or_insert_with(|| drain.root.child(&*self.ids, "stop", now));
        Some(span.context)
    }

    /// A process and its group are gone.
    fn end_stop(&mut self, process: ProcessId, now: Time) {
        let Some(drain) = &self.drain else { return };
        let life = &mut self.lives[process.0];
        // Others of a group may outlive a process that was over before.
        if !std::mem::take(&mut life.alive) && life.stop.is_none() {
            return;
        }
        let outcome = match &life.stopping {
            Some(Stopping { killed: true, .. }) => "killed",
            Some(_) => "stopped",
            // Before its turn came.
            None => "exited",
        };
        life.stop
            .get_or_insert_with(|| drain.root.child(&*self.ids, "stop", drain.began));
        let failure = (outcome == "killed").then_some("did not stop in time");
        self.close_stop(process, outcome, failure, now);
    }

    fn close_stop(&mut self, process: ProcessId, outcome: &str, failure: Option<&str>, now: Time) {
        let life = &mut self.lives[process.0];
        if let (Some(mut span), Some(drain)) = (life.stop.take(), &self.drain) {
            life.describe_stop(&mut span, outcome);
            let failure = failure.map(str::to_owned);
            self.finished.push(drain.root.close(span, now, failure));
        }
    }
}
