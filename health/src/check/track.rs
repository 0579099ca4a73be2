//! What is made of the results of one check. Pure: the time is an argument.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use serde::Serialize;

use super::latency::{Latencies, Latency};
use super::{ComponentType, Failure, FailureKind, Level, Looked, Measured, Settings};

/// How many changes are remembered.
const CHANGES: usize = 10;

/// How soon a check is tried again at first: a gate that is held should open when it can.
const FIRST_PACE: Duration = Duration::from_secs(1);

/// How long past its time a result may come before its check is stale.
const LATE: Duration = Duration::from_secs(1);

/// Where a check stands. In bodies the names are in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum CheckState {
    /// Nothing was decided yet.
    Pending,
    /// It passes.
    Passing,
    /// It fails.
    Failing,
}

impl CheckState {
    /// Its name in bodies.
    pub fn name(self) -> &'static str {
        match self {
            CheckState::Pending => "pending",
            CheckState::Passing => "passing",
            CheckState::Failing => "failing",
        }
    }
}

/// A change of a check's state.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Change {
    /// When.
    pub at: SystemTime,
    /// What it was.
    pub from: CheckState,
    /// What it has been since.
    pub to: CheckState,
    /// Why it fails, if it does.
    pub why: Option<String>,
}

impl Change {
    /// From one state to another, with the reason if it fails now. For tests of what is made of changes.
    pub fn new(at: SystemTime, from: CheckState, to: CheckState, why: Option<String>) -> Change {
        Change { at, from, to, why }
    }
}

/// A moment on both clocks: people are told the one, durations are measured on the other, which nobody sets.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moment {
    pub wall: SystemTime,
    /// Since any fixed moment.
    pub monotonic: Duration,
}

/// A look that told something.
#[derive(Clone, Debug)]
pub(crate) struct Last {
    pub at: Moment,
    pub took: Duration,
    pub measured: Option<Measured>,
    /// Why it failed, if it did.
    pub failed: Option<String>,
}

/// One check and what is known about it.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    pub name: String,
    pub component_type: ComponentType,
    /// What it measures besides how long looks take, as far as that is known: what it says itself, or what it last
    /// measured.
    pub measures: Option<Cow<'static, str>>,
    pub settings: Settings,
    pub state: CheckState,
    /// It passed once.
    pub ever_passed: bool,
    /// Looks in a row that came to the same result as the last one.
    pub in_a_row: u32,
    /// When the failures that led here began.
    failing_since: Option<Duration>,
    pub last: Option<Last>,
    /// Why the last attempt to look came to nothing, if it did.
    pub blind: Option<String>,
    /// What is known is too old.
    pub stale: bool,
    /// What observers were told of that. It may become old between two looks, when nobody is told.
    told_stale: bool,
    /// The last changes, the oldest first.
    pub changes: VecDeque<Change>,
    latencies: Latencies,
    pub passes: u64,
    pub failures: u64,
    pub unknowns: u64,
    pub changes_to_passing: u64,
    pub changes_to_failing: u64,
    /// The sum of all looks that told something.
    pub took_in_all: Duration,
    since: Duration,
}

impl Track {
    pub fn new(name: String, component_type: ComponentType, settings: Settings, now: Moment) -> Track {
        Track {
            name,
            component_type,
            measures: None,
            settings,
            state: CheckState::Pending,
            ever_passed: false,
            in_a_row: 0,
            failing_since: None,
            last: None,
            blind: None,
            stale: false,
            told_stale: false,
            changes: VecDeque::new(),
            latencies: Latencies::default(),
            passes: 0,
            failures: 0,
            unknowns: 0,
            changes_to_passing: 0,
            changes_to_failing: 0,
            took_in_all: Duration::ZERO,
            since: now.monotonic,
        }
    }

    /// Takes the result of a look that ended at `now`; gives the change it made, if it made one.
    pub fn record(&mut self, now: Moment, took: Duration, looked: Looked) -> Option<Change> {
        let (measured, failed) = match looked {
            Ok(observation) => (observation.measured, None),
            Err(Failure {
                kind: FailureKind::Unknown,
                why,
                ..
            }) => {
                self.unknowns += 1;
                self.blind = Some(why);
                self.age(now);
                return None;
            }
            Err(failure) => (failure.measured, Some(failure.why)),
        };
        // Neither format has a word for what is no number.
        let measured = measured.filter(|measured| measured.value.is_finite());
        if let Some(measured) = &measured {
            self.measures = Some(measured.what.clone());
        }
        self.blind = None;
        self.stale = false;
        self.latencies.add(took);
        self.took_in_all += took;
        let same = self
            .last
            .as_ref()
            .is_some_and(|last| last.failed.is_some() == failed.is_some());
        self.in_a_row = if same { self.in_a_row.saturating_add(1) } else { 1 };
        let next = match &failed {
            None => {
                self.passes += 1;
                self.failing_since = None;
                let enough = !self.ever_passed || self.in_a_row >= self.settings.pass_after;
                self.ever_passed = true;
                enough.then_some(CheckState::Passing)
            }
            Some(_) => {
                self.failures += 1;
                let since = *self.failing_since.get_or_insert(now.monotonic);
                self.has_failed_enough(now.monotonic, since)
                    .then_some(CheckState::Failing)
            }
        };
        self.last = Some(Last {
            at: now,
            took,
            measured,
            failed: failed.clone(),
        });
        self.change(now.wall, next?, failed)
    }

    /// A check that never passed is tried at a faster pace, which must not make it fail earlier.
    fn has_failed_enough(&self, now: Duration, since: Duration) -> bool {
        let needed = self.settings.fail_after;
        let lasted = now.saturating_sub(since);
        let ordinary = self.settings.interval.saturating_mul(needed - 1);
        self.in_a_row >= needed && (self.ever_passed || lasted >= ordinary)
    }

    fn change(&mut self, at: SystemTime, to: CheckState, why: Option<String>) -> Option<Change> {
        let from = std::mem::replace(&mut self.state, to);
        if from == to {
            return None;
        }
        match to {
            CheckState::Pending => {}
            CheckState::Passing => self.changes_to_passing += 1,
            CheckState::Failing => self.changes_to_failing += 1,
        }
        if self.changes.len() == CHANGES {
            self.changes.pop_front();
        }
        let change = Change::new(at, from, to, why);
        self.changes.push_back(change.clone());
        Some(change)
    }

    /// Until when what is known is not too old. A sound check has its next result before that.
    pub fn fresh_until(&self) -> Duration {
        let known = self.last.as_ref().map_or(self.since, |last| last.at.monotonic);
        known.saturating_add(self.patience())
    }

    /// How long a sound check takes from one result to the next, at most.
    pub fn patience(&self) -> Duration {
        let longest = self.settings.interval.saturating_add(self.settings.timeout);
        longest.saturating_add(LATE)
    }

    /// Looks whether what is known is too old by now; gives the moment up to which the answer stays the same, if
    /// nothing is recorded.
    pub fn age(&mut self, now: Moment) -> Duration {
        let fresh_until = self.fresh_until();
        self.stale |= now.monotonic > fresh_until;
        if self.stale { Duration::MAX } else { fresh_until }
    }

    /// Whether observers are to be told that it has become stale, or is no more. They are told if so.
    pub fn tell_stale(&mut self) -> bool {
        std::mem::replace(&mut self.told_stale, self.stale) != self.stale
    }

    /// How long to wait between the starts of two looks. One that holds a gate until its first pass is tried at the
    /// fast pace until then; any other until it is known to pass or to fail. So is one whose last look told nothing:
    /// it should be current again before it is stale.
    pub fn pace(&self) -> Duration {
        let holds_a_gate = self.settings.level >= Level::Required && !self.ever_passed;
        if holds_a_gate || self.state == CheckState::Pending || self.blind.is_some() {
            self.settings.interval.min(FIRST_PACE)
        } else {
            self.settings.interval
        }
    }

    pub fn latency(&self) -> Option<Latency> {
        self.latencies.summary()
    }

    /// Why it is not as it should be, in a sentence without its name; `None` if all is well.
    pub fn trouble(&self) -> Option<String> {
        let last = self.last.as_ref();
        let failed = last.and_then(|last| last.failed.as_deref());
        let mut words = match (self.state, failed) {
            // When it is stale, that is said below.
            (CheckState::Pending, None) => match &self.blind {
                Some(why) if !self.stale => format!("no result yet: {why}"),
                _ => "no result yet".to_owned(),
            },
            (CheckState::Pending, Some(why)) => format!("has not passed yet: {why}"),
            (CheckState::Passing, None) if !self.stale => return None,
            (CheckState::Passing, None) => String::new(),
            (CheckState::Passing, Some(why)) => format!(
                "failed {} of {} times: {why}",
                self.in_a_row, self.settings.fail_after
            ),
            (CheckState::Failing, Some(why)) => format!("failing: {why}"),
            (CheckState::Failing, None) => format!(
                "failing; passed {} of {} times",
                self.in_a_row, self.settings.pass_after
            ),
        };
        if self.stale {
            if !words.is_empty() {
                words.push_str("; ");
            }
            let why = self.blind.as_deref().unwrap_or("nobody looked");
            words.push_str("stale: ");
            words.push_str(why);
        }
        Some(words)
    }
}

#[cfg(test)]
mod tests;
