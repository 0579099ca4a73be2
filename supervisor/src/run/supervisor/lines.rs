//! What the loop says of what the machine reports.

use super::Supervisor;
use crate::machine::{Cause, End, ProcessId, Report};
use crate::output::{Level, Line};
use crate::process;
use crate::run::{exit, log, ports};
use crate::signal::Signal;

impl Supervisor {
    /// Does what a report asks of the loop, and writes the line for it.
    pub(super) fn report(&mut self, report: &Report) {
        let mut line = log::line(report, &self.names, |index| {
            self.plan.processes[index].policy.stop.clone()
        });
        match report {
            Report::NotReady(process, _) => {
                let why = self.children.why_not_ready(*process);
                let why = why.or_else(|| {
                    ports::explain_probe(&self.plan.processes[process.0], &self.children.listeners())
                });
                line = line.with_some("why", why);
                self.children.stop_probe(*process);
            }
            Report::Unhealthy(_) => {
                if let Some(seen) = &self.blamed {
                    line = line
                        .with("check", seen.name.as_str())
                        .with_some("why", seen.why());
                }
            }
            Report::Stopping(process, ..) | Report::Killing(process) => self.children.stop_probe(*process),
            Report::Up => process::forget_start_up_code(),
            Report::Draining { .. } => self.children.no_new_lives(),
            Report::Hurry(_) | Report::KillAll(_) => self.children.send_all_held(),
            Report::Ignored(process, _) => self.children.gone_for_good(*process),
            _ => {}
        }
        let (names, blamed) = (&self.names, &self.blamed);
        let span = self.telemetry.report(report, || match report {
            Report::Draining { cause, .. } => {
                Some(log::cause_in_words(*cause, |process| names[process.0].clone()))
            }
            Report::Unhealthy(_) => blamed.as_ref().map(|seen| seen.name.clone()),
            _ => None,
        });
        self.sink.line(&line.within(span));
    }

    /// The last line: why the container ended.
    pub fn exit_line(&self, code: i32, cause: Cause) -> Line {
        let main = self.plan.main;
        let about = cause.process().unwrap_or(main);
        let why = log::cause_in_words(cause, |process| self.names[process.0].clone());
        let end = match cause {
            Cause::MainEnded(end) => Some(end),
            _ => self.machine.last_end(about),
        };
        let kills = self.children.oom_kills();
        // Being told to stop is no failure, whatever code a process without a handler ends with; having
        // to be killed is one.
        let stopped = matches!(cause, Cause::Signal(_)) && end != Some(End::Killed(Signal::KILL));
        let level = if stopped || code == 0 {
            Level::Info
        } else {
            Level::Error
        };
        exit::line(level, code, cause.name(), &why, self.zero.elapsed())
            .with("name", self.names[about.0].as_str())
            .with_some(
                "process_code",
                end.and_then(|end| match end {
                    End::Exited(code) => Some(code),
                    End::Killed(_) => None,
                }),
            )
            .with_some(
                "signal",
                end.and_then(|end| match end {
                    End::Killed(signal) => Some(signal.to_string()),
                    End::Exited(_) => None,
                }),
            )
            .with(
                "restarts",
                (0..self.names.len())
                    .map(|index| self.machine.restarts(ProcessId(index)))
                    .sum::<u32>(),
            )
            .with_some("oom", kills.map(|kills| kills > 0))
            .within(self.telemetry.current())
    }
}
