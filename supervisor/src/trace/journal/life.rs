//! What is known of one process.

use std::time::Duration;

use super::open::{Open, Root};
use super::text;
use crate::machine::{End, Pid, Time};
use crate::signal::Signal;
use crate::trace::{Context, Value};

/// How a life failed, as far as its end does not tell.
pub(super) enum Fault {
    Ended,
    CannotStart,
    NotReady,
    /// The check that says so.
    Unhealthy(Option<String>),
}

/// How a process is being stopped.
pub(super) struct Stopping {
    signal: Signal,
    grace: Duration,
    pub killed: bool,
}

impl Stopping {
    pub fn new(signal: Signal, grace: Duration) -> Stopping {
        Stopping {
            signal,
            grace,
            killed: false,
        }
    }

    /// Without being asked.
    pub fn at_once() -> Stopping {
        Stopping::new(Signal::KILL, Duration::ZERO)
    }
}

/// A process with its life, or the last one.
pub(super) struct Life {
    name: String,
    /// What its start is called.
    pub kind: &'static str,
    pub task: bool,
    /// It was started once.
    pub began: bool,
    /// It, or others of its group while it is being stopped.
    pub alive: bool,
    pub start: Option<Open>,
    /// The restart that its start is a part of.
    pub restart: Option<Root>,
    pub stop: Option<Open>,
    pub stopping: Option<Stopping>,
    pub fault: Fault,
    pub oom: Option<bool>,
    pub ended_at: Option<Time>,
    pid: Option<Pid>,
    end: Option<End>,
}

impl Life {
    pub fn new(name: &str, kind: &'static str, task: bool) -> Life {
        Life {
            name: name.to_owned(),
            kind,
            task,
            began: false,
            alive: false,
            start: None,
            restart: None,
            stop: None,
            stopping: None,
            fault: Fault::Ended,
            oom: None,
            ended_at: None,
            pid: None,
            end: None,
        }
    }

    /// What lines about it belong to.
    pub fn current(&self) -> Option<Context> {
        let span = self.start.as_ref().or(self.stop.as_ref());
        span.map(|span| span.context)
    }

    /// A new life begins.
    pub fn begin(&mut self, mut span: Open) -> Context {
        span.attribute("runmate.process.name", text(self.name.as_str()));
        let context = span.context;
        self.began = true;
        self.alive = true;
        self.start = Some(span);
        self.stopping = None;
        self.fault = Fault::Ended;
        self.oom = None;
        self.ended_at = None;
        self.pid = None;
        self.end = None;
        context
    }

    /// It has a pid.
    pub fn runs(&mut self, pid: Pid) {
        self.pid = Some(pid);
        if let Some(span) = &mut self.start {
            span.attribute("process.pid", Value::Number(pid.into()));
        }
    }

    /// It is over. `fault` counts unless it was stopped for another one.
    pub fn over(&mut self, end: Option<End>, fault: Fault, now: Time) {
        self.end = end;
        self.ended_at = Some(now);
        if let Fault::Ended = self.fault {
            self.fault = fault;
        }
    }

    /// Why it is started again.
    pub fn describe_restart(&self, span: &mut Open, delay: Duration, attempt: u32) {
        span.attribute("runmate.process.name", text(self.name.as_str()));
        let reason = match &self.fault {
            Fault::Ended => "ended",
            Fault::CannotStart => "cannot_start",
            Fault::NotReady => "not_ready",
            Fault::Unhealthy(_) => "unhealthy",
        };
        span.attribute("runmate.restart.reason", text(reason));
        if let Fault::Unhealthy(Some(check)) = &self.fault {
            span.attribute("runmate.restart.check", text(check.as_str()));
        }
        self.describe_end(span);
        span.attribute("runmate.restart.attempt", Value::Number(attempt.into()));
        span.attribute("runmate.restart.delay", Value::Real(delay.as_secs_f64()));
        if let Some(oom) = self.oom {
            span.attribute("runmate.oom", Value::Flag(oom));
        }
    }

    /// How it was stopped.
    pub fn describe_stop(&self, span: &mut Open, outcome: &str) {
        span.attribute("runmate.process.name", text(self.name.as_str()));
        if let Some(pid) = self.pid {
            span.attribute("process.pid", Value::Number(pid.into()));
        }
        span.attribute("runmate.outcome", text(outcome));
        if let Some(stopping) = &self.stopping {
            span.attribute("runmate.stop.signal", text(stopping.signal.to_string()));
            span.attribute("runmate.stop.grace", Value::Real(stopping.grace.as_secs_f64()));
        }
        self.describe_end(span);
    }

    fn describe_end(&self, span: &mut Open) {
        match self.end {
            Some(End::Exited(code)) => {
                span.attribute("process.exit.code", Value::Number(code.into()));
            }
            Some(End::Killed(signal)) => {
                span.attribute("runmate.process.signal", text(signal.to_string()));
            }
            None => {}
        }
    }
}
