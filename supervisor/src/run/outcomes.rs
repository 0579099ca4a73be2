//! What follows from the looks of checks beyond the health answers: lines of the log, and restarts.

use std::time::Duration;

use runmate_health::{Change, CheckState, FailureKind, Level as CheckLevel, Outcome};

use super::log::seconds;
use crate::config;
use crate::machine::{ProcessId, Time};
use crate::output::{Level, Line};

/// What one look came to.
pub(super) struct Seen {
    pub name: String,
    level: CheckLevel,
    state: CheckState,
    change: Option<Change>,
    stale: bool,
    stale_changed: bool,
    /// Why it did not pass, and whether it is known to fail.
    why: Option<(FailureKind, String)>,
    pub took: Duration,
}

impl From<&Outcome<'_>> for Seen {
    fn from(outcome: &Outcome<'_>) -> Seen {
        Seen {
            name: outcome.name.to_owned(),
            level: outcome.level,
            state: outcome.state,
            change: outcome.change.cloned(),
            stale: outcome.stale,
            stale_changed: outcome.stale_changed,
            why: outcome.failure.map(|failure| (failure.kind, failure.why.clone())),
            took: outcome.took,
        }
    }
}

impl Seen {
    /// What is new, for the log.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let changed = self.change.as_ref().map(|change| self.changed(change));
        let stale = self.stale_changed.then(|| self.stale_line());
        changed.into_iter().chain(stale)
    }

    fn changed(&self, change: &Change) -> Line {
        let name = &self.name;
        let why = change.why.as_deref().unwrap_or_default();
        let line = match change.to {
            CheckState::Failing if self.level == CheckLevel::Critical => {
                Line::new(Level::Error, "check_failing", format!("{name} fails: {why}"))
            }
            CheckState::Failing => Line::new(Level::Warn, "check_failing", format!("{name} fails: {why}")),
            _ if change.from == CheckState::Failing => {
                Line::new(Level::Info, "check_passing", format!("{name} passes again"))
            }
            _ => Line::new(Level::Info, "check_passing", format!("{name} passes")),
        };
        let line = line
            .with("name", name.as_str())
            .with("check_level", self.level.name())
            .with("from", change.from.name())
            .with("to", change.to.name());
        line.with_some("why", change.why.as_deref())
            .with("took", seconds(self.took))
    }

    fn stale_line(&self) -> Line {
        let name = &self.name;
        let why = self.why.as_ref().map(|(_, why)| why.as_str());
        let line = if self.stale {
            let message = format!("{name} is stale: {}", why.unwrap_or("nobody looked"));
            Line::new(Level::Warn, "check_stale", message)
        } else {
            Line::new(Level::Info, "check_current", format!("{name} is looked at again"))
        };
        line.with("name", name.as_str())
            .with("check_level", self.level.name())
            .with("state", self.state.name())
            .with_some("why", why.filter(|_| self.stale))
    }

    /// Why it failed, if it is known to have failed.
    fn failed(&self) -> Option<&str> {
        let (kind, why) = self.why.as_ref()?;
        (*kind == FailureKind::Failed).then_some(why.as_str())
    }
}

/// The checks that restart a process, and how much of their patience is used up.
pub(super) struct Restarts(Vec<Restart>);

struct Restart {
    name: String,
    process: ProcessId,
    fail_after: u32,
    /// When the life of the process began that is being watched.
    life: Option<Time>,
    /// Failures in a row in that life.
    failures: u32,
    /// Why the last one failed.
    why: String,
}

impl Restarts {
    pub fn new(checks: &[config::HealthCheck]) -> Restarts {
        let restart = |check: &config::HealthCheck| {
            Some(Restart {
                name: check.name.clone(),
                process: check.restart?,
                fail_after: check.settings.fail_after.max(1),
                life: None,
                failures: 0,
                why: String::new(),
            })
        };
        Restarts(checks.iter().filter_map(restart).collect())
    }

    /// The process that this check restarts, if it restarts any.
    pub fn process(&self, name: &str) -> Option<ProcessId> {
        let restart = self.0.iter().find(|restart| restart.name == name)?;
        Some(restart.process)
    }

    /// Counts a look that began at `began`; true if the process, ready since `ready_since`, is to be restarted.
    ///
    /// Only what was looked at while the process was ready tells about it: each of its lives gets the whole patience.
    pub fn count(&mut self, seen: &Seen, began: Time, ready_since: Option<Time>) -> bool {
        let Some(restart) = self.0.iter_mut().find(|restart| restart.name == seen.name) else {
            return false;
        };
        let Some(since) = ready_since.filter(|since| *since <= began) else {
            return false;
        };
        if restart.life != Some(since) {
            restart.life = Some(since);
            restart.failures = 0;
        }
        match (seen.failed(), &seen.why) {
            (Some(why), _) => {
                restart.failures += 1;
                restart.why = why.to_owned();
            }
            (None, None) => restart.failures = 0,
            // Nothing is known.
            (None, Some(_)) => {}
        }
        restart.failures >= restart.fail_after
    }

    /// The check that has a process restarted, and why it fails.
    pub fn reason(&self, process: ProcessId) -> Option<(&str, &str)> {
        let mut spent = self
            .0
            .iter()
            .filter(|restart| restart.process == process && restart.failures >= restart.fail_after);
        spent
            .next()
            .map(|restart| (restart.name.as_str(), restart.why.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runmate_health::Settings;

    const READY: Time = Duration::from_secs(10);

    fn restarts() -> Restarts {
        Restarts::new(&[config::HealthCheck {
            name: "up".into(),
            kind: config::CheckKind::Memory { max_used: 90 },
            settings: Settings::default().fail_after(2),
            restart: Some(ProcessId(1)),
        }])
    }

    fn seen(why: Option<FailureKind>) -> Seen {
        Seen {
            name: "up".into(),
            level: CheckLevel::Degraded,
            state: CheckState::Passing,
            change: None,
            stale: false,
            stale_changed: false,
            why: why.map(|kind| (kind, "nobody listens".to_owned())),
            took: Duration::ZERO,
        }
    }

    #[test]
    fn so_many_failures_in_a_row_ask_for_a_restart() {
        let (failed, passed) = (seen(Some(FailureKind::Failed)), seen(None));
        let unknown = seen(Some(FailureKind::Unknown));
        let mut restarts = restarts();
        let mut count = |seen| restarts.count(seen, READY, Some(READY));
        assert!(!count(&failed));
        assert!(!count(&passed));
        assert!(!count(&failed));
        assert!(!count(&unknown), "it neither counts nor makes up for a failure");
        assert!(count(&failed));
        assert!(count(&failed), "again, if nothing came of it");
        assert_eq!(restarts.reason(ProcessId(1)), Some(("up", "nobody listens")));
        assert_eq!(restarts.reason(ProcessId(0)), None);
    }

    #[test]
    fn a_new_life_gets_the_whole_patience() {
        let failed = seen(Some(FailureKind::Failed));
        let mut restarts = restarts();
        assert!(!restarts.count(&failed, READY, Some(READY)));
        assert!(restarts.count(&failed, READY, Some(READY)));
        let later = READY * 2;
        assert!(
            !restarts.count(&failed, later, None),
            "while it is down it cannot answer"
        );
        assert!(
            !restarts.count(&failed, READY, Some(later)),
            "the look began in the life before"
        );
        assert!(!restarts.count(&failed, later, Some(later)));
        assert!(restarts.count(&failed, later, Some(later)));
    }

    #[test]
    fn a_change_is_one_line_with_its_reason_and_critical_is_an_error() {
        let mut seen = seen(Some(FailureKind::Failed));
        seen.change = Some(Change::new(
            std::time::SystemTime::UNIX_EPOCH,
            CheckState::Passing,
            CheckState::Failing,
            Some("nobody listens".into()),
        ));
        let line = |seen: &Seen| {
            let lines: Vec<Line> = seen.lines().collect();
            assert_eq!(lines.len(), 1);
            serde_json::from_str::<serde_json::Value>(&lines[0].to_json()).unwrap()
        };
        let value = line(&seen);
        assert_eq!(
            (value["level"].as_str(), value["event"].as_str()),
            (Some("WARN"), Some("check_failing"))
        );
        assert_eq!(
            (value["check_level"].as_str(), value["why"].as_str()),
            (Some("degraded"), Some("nobody listens"))
        );
        seen.level = CheckLevel::Critical;
        assert_eq!(line(&seen)["level"], "ERROR");
    }
}
