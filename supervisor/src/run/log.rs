//! What runmate says about itself: one line per fact.

use std::time::Duration;

use serde_json::Value;

use crate::machine::{Cause, End, Fault, Report, Stop};
use crate::output::{Level, Line};

/// A duration as people read it: `1.5s`, `250ms`.
pub(super) fn human(duration: Duration) -> String {
    format!("{:?}", Duration::from_millis(duration.as_millis() as u64))
}

/// Seconds with milliseconds, for fields.
pub(super) fn seconds(duration: Duration) -> Value {
    Value::from(duration.as_millis() as f64 / 1000.0)
}

/// How a process ended, in words.
pub(super) fn end_in_words(end: End) -> String {
    match end {
        End::Exited(code) => format!("exited with code {code}"),
        End::Killed(signal) => format!("was killed by {signal}"),
    }
}

/// Adds `code` or `signal`.
pub(super) fn with_end(line: Line, end: End) -> Line {
    match end {
        End::Exited(code) => line.with("code", code),
        End::Killed(signal) => line.with("signal", signal.to_string()),
    }
}

/// Why the container stops, in words.
pub(super) fn cause_in_words(cause: Cause, name: impl Fn(crate::machine::ProcessId) -> String) -> String {
    match cause {
        Cause::Signal(signal) => format!("{signal} received"),
        Cause::MainEnded(end) => format!("the main process {}", end_in_words(end)),
        Cause::TaskFailed(process, end) => format!("task {} {}", name(process), end_in_words(end)),
        Cause::SidecarEnded(process, end) => format!("{} {}", name(process), end_in_words(end)),
        Cause::RestartsSpent(process, fault) => {
            let fault = match fault {
                Fault::Ended(end) => end_in_words(end),
                Fault::NotReady => "did not become ready".to_owned(),
                Fault::Unhealthy => "failed its health check".to_owned(),
            };
            format!(
                "{} {fault} and may not be restarted any more often",
                name(process)
            )
        }
        Cause::NotReady(process) => format!("{} did not become ready in time", name(process)),
        Cause::CannotExecute(process, _) => format!("{} cannot be executed", name(process)),
    }
}

/// The line for a report; `names` are the processes in the order of the plan.
pub(super) fn line(report: &Report, names: &[String], stop: impl Fn(usize) -> Stop) -> Line {
    let name = |process: crate::machine::ProcessId| names[process.0].clone();
    match report {
        Report::Ready(process) => Line::new(Level::Info, "ready", format!("{} is ready", name(*process)))
            .with("name", name(*process)),
        Report::Done(process) => {
            Line::new(Level::Info, "done", format!("{} is done", name(*process))).with("name", name(*process))
        }
        Report::Up => Line::new(Level::Info, "up", "all processes are ready"),
        Report::NotReady(process, within) => Line::new(
            Level::Error,
            "not_ready",
            format!(
                "{} is not ready after {}; stopping it",
                name(*process),
                human(*within)
            ),
        )
        .with("name", name(*process)),
        Report::Unhealthy(process) => Line::new(
            Level::Error,
            "unhealthy",
            format!(
                "{} fails its health check; stopping it for a new start",
                name(*process)
            ),
        )
        .with("name", name(*process)),
        Report::Restarting(process, delay, restarts) => Line::new(
            Level::Warn,
            "restarting",
            format!("{} starts again in {}", name(*process), human(*delay)),
        )
        .with("name", name(*process))
        .with("delay", seconds(*delay))
        .with("restarts", *restarts),
        Report::Ignored(process, cause) => {
            let why = cause_in_words(*cause, name);
            Line::new(
                Level::Warn,
                "ignored",
                format!("{why}; going on without it, as its on_exit says"),
            )
            .with("name", name(*process))
            .with("cause", cause.name())
        }
        Report::Draining { cause, delay, budget } => {
            let why = cause_in_words(*cause, name);
            let message = if delay.is_zero() {
                format!("stopping: {why}")
            } else {
                format!(
                    "stopping in {}: {why}; still serving while health answers 503",
                    human(*delay)
                )
            };
            Line::new(Level::Info, "draining", message)
                .with("cause", cause.name())
                .with("delay", seconds(*delay))
                .with("budget", seconds(*budget))
        }
        Report::Stopping(process, signal, grace) => {
            let scope = stop(process.0).scope;
            Line::new(
                Level::Info,
                "stopping",
                format!(
                    "{} gets {signal}; SIGKILL follows in {}",
                    name(*process),
                    human(*grace)
                ),
            )
            .with("name", name(*process))
            .with("signal", signal.to_string())
            .with("scope", format!("{scope:?}").to_lowercase())
            .with("grace", seconds(*grace))
        }
        Report::Killing(process) => Line::new(
            Level::Warn,
            "killing",
            format!("{} did not stop in time: SIGKILL", name(*process)),
        )
        .with("name", name(*process)),
        Report::Hurry(signal) => Line::new(
            Level::Warn,
            "hurry",
            format!("{signal} again: every process is told to stop now"),
        ),
        Report::KillAll(signal) => Line::new(
            Level::Warn,
            "kill_all",
            format!("{signal} a third time: every process is killed now"),
        ),
        Report::Abandoned(processes) => {
            let left: Vec<String> = processes.iter().map(|process| name(*process)).collect();
            Line::new(
                Level::Error,
                "abandoned",
                format!("the stop budget is spent; left behind: {}", left.join(", ")),
            )
            .with("names", left)
        }
    }
}
