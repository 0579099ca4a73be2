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
    /// No look of its check came before.
    first: bool,
    /// `/healthz` waits for its first pass.
    holds: bool,
    stale: bool,
    stale_changed: bool,
    /// Why it did not pass, and whether it is known to fail.
    why: Option<(FailureKind, String)>,
    pub took: Duration,
}

impl Seen {
    /// `first`: it is the first one of its check. `served`: somebody can ask the endpoints.
    pub fn new(outcome: &Outcome<'_>, first: bool, served: bool) -> Seen {
        Seen {
            name: outcome.name.to_owned(),
            level: outcome.level,
            state: outcome.state,
            change: outcome.change.cloned(),
            first,
            holds: served && matches!(outcome.level, CheckLevel::Required | CheckLevel::Critical),
            stale: outcome.stale,
            stale_changed: outcome.stale_changed,
            why: outcome.failure.map(|failure| (failure.kind, failure.why.clone())),
            took: outcome.took,
        }
    }

    /// Whether the log is to say something.
    pub fn is_news(&self) -> bool {
        self.change.is_some() || self.stale_changed || self.is_pending()
    }

    /// Whether it is a first look that did not pass, and that somebody has to know of: because `/healthz` waits for the
    /// check, or because nothing was seen. What hinders a look (no CA roots, say) hinders every one.
    fn is_pending(&self) -> bool {
        let unknown = matches!(self.why, Some((FailureKind::Unknown, _)));
        self.first && (unknown || self.holds && self.why.is_some())
    }

    /// What is new, for the log.
    pub fn lines(&self) -> impl Iterator<Item = Line> {
        let changed = self.change.as_ref().map(|change| self.changed(change));
        let stale = self.stale_changed.then(|| self.stale_line());
        // One line is enough for the same reason, unless it has more to say.
        let pending = self.is_pending() && (self.holds || stale.is_none());
        let pending = pending.then(|| self.pending_line());
        changed.into_iter().chain(stale).chain(pending)
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

    fn pending_line(&self) -> Line {
        let (name, why) = (&self.name, self.why().unwrap_or_default());
        let mut message = format!("{name} has not passed yet: {why}");
        if self.holds {
            message += "; once all is started, /healthz is 503 until its first pass";
        }
        Line::new(Level::Warn, "check_pending", message)
            .with("name", name.as_str())
            .with("check_level", self.level.name())
            .with("why", why)
    }

    fn stale_line(&self) -> Line {
        let name = &self.name;
        let why = self.why();
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

    /// Why it did not pass.
    pub fn why(&self) -> Option<&str> {
        self.why.as_ref().map(|(_, why)| why.as_str())
    }
}

/// The checks that restart a process, and how much of their patience is used up.
pub(super) struct Restarts(Vec<Restart>);

struct Restart {
    name: String,
    process: ProcessId,
    fail_after: u32,
    interval: Duration,
    /// When the life of the process began that is being watched.
    life: Option<Time>,
    /// Failures in a row in that life.
    failures: u32,
    /// When the look began that was the first of them.
    since: Time,
}

impl Restarts {
    pub fn new(checks: &[config::HealthCheck]) -> Restarts {
        let restart = |check: &config::HealthCheck| {
            Some(Restart {
                name: check.name.clone(),
                process: check.restart?,
                fail_after: check.settings.fail_after.max(1),
                interval: check.settings.interval,
                life: None,
                failures: 0,
                since: Time::ZERO,
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
        match &seen.why {
            Some((FailureKind::Failed, _)) => {
                if restart.failures == 0 {
                    restart.since = began;
                }
                restart.failures += 1;
                restart.is_spent(began)
            }
            Some((FailureKind::Unknown, _)) => false,
            None => {
                restart.failures = 0;
                false
            }
        }
    }
}

impl Restart {
    /// A check that never passed is looked at faster than at its interval, which must not use up the patience faster.
    fn is_spent(&self, now: Time) -> bool {
        let ordinary = self.interval.saturating_mul(self.fail_after - 1);
        // Looks begin a little late; another interval would be too much for that.
        let lasted = now.saturating_sub(self.since) + self.interval / 10;
        self.failures >= self.fail_after && lasted >= ordinary
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use runmate_health::Settings;

    const READY: Time = Duration::from_secs(10);
    const INTERVAL: Duration = Duration::from_secs(10);

    fn restarts(fail_after: u32) -> Restarts {
        Restarts::new(&[config::HealthCheck {
            name: "up".into(),
            kind: config::CheckKind::Memory { max_used: 90 },
            settings: Settings::default().fail_after(fail_after).interval(INTERVAL),
            restart: Some(ProcessId(1)),
        }])
    }

    fn seen(why: Option<FailureKind>) -> Seen {
        Seen {
            name: "up".into(),
            level: CheckLevel::Degraded,
            state: CheckState::Passing,
            change: None,
            first: false,
            holds: false,
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
        let mut restarts = restarts(2);
        let mut began = READY;
        let mut count = |seen| {
            began += INTERVAL;
            restarts.count(seen, began, Some(READY))
        };
        assert!(!count(&failed));
        assert!(!count(&passed));
        assert!(!count(&failed));
        assert!(!count(&unknown), "it neither counts nor makes up for a failure");
        assert!(count(&failed));
        assert!(!count(&unknown), "nothing is known");
        assert!(count(&failed), "again, if nothing came of it");
    }

    #[test]
    fn failures_at_a_faster_pace_do_not_ask_earlier() {
        let failed = seen(Some(FailureKind::Failed));
        let mut restarts = restarts(3);
        // A check that never passed is looked at each second.
        let first = (0..60).find(|second| {
            let began = READY + Duration::from_secs(*second);
            restarts.count(&failed, began, Some(READY))
        });
        assert_eq!(first, Some(19), "two intervals, less a tenth of one");
    }

    #[test]
    fn a_look_that_began_late_costs_no_interval() {
        let failed = seen(Some(FailureKind::Failed));
        let mut restarts = restarts(3);
        let late = Duration::from_millis(30);
        let mut asks = |began| restarts.count(&failed, READY + began, Some(READY));
        assert!(!asks(late), "the first one began late");
        assert!(!asks(INTERVAL));
        assert!(asks(INTERVAL * 2));
    }

    #[test]
    fn a_new_life_gets_the_whole_patience() {
        let failed = seen(Some(FailureKind::Failed));
        let mut restarts = restarts(2);
        assert!(!restarts.count(&failed, READY, Some(READY)));
        assert!(restarts.count(&failed, READY + INTERVAL, Some(READY)));
        let later = READY + INTERVAL * 3;
        assert!(
            !restarts.count(&failed, later - INTERVAL, None),
            "while it is down it cannot answer"
        );
        assert!(
            !restarts.count(&failed, later - INTERVAL, Some(later)),
            "the look began in the life before"
        );
        assert!(!restarts.count(&failed, later, Some(later)));
        assert!(restarts.count(&failed, later + INTERVAL, Some(later)));
    }

    #[test]
    fn only_a_first_look_that_tells_nothing_or_that_healthz_waits_for_is_a_line_at_once() {
        let lines = |first, holds, kind| {
            let seen = Seen {
                first,
                holds,
                ..seen(kind)
            };
            let lines: Vec<String> = seen.lines().map(|line| line.to_json()).collect();
            assert_eq!(seen.is_news(), !lines.is_empty());
            lines
        };
        let (failed, unknown) = (Some(FailureKind::Failed), Some(FailureKind::Unknown));
        let until = "/healthz is 503 until its first pass";
        for (holds, kind) in [(false, unknown), (true, unknown), (true, failed)] {
            let said = lines(true, holds, kind);
            assert_eq!(said.len(), 1);
            assert!(
                said[0].contains("up has not passed yet: nobody listens"),
                "{}",
                said[0]
            );
            assert_eq!(said[0].contains(until), holds, "{}", said[0]);
            assert_eq!(lines(false, holds, kind), [""; 0]);
        }
        assert_eq!(lines(true, false, failed), [""; 0]);
        assert_eq!(lines(true, true, None), [""; 0]);
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
