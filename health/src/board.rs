//! What is known: the last snapshot and all checks. And what follows from both together.

use std::time::Duration;

use crate::check::{CheckState, Level, Moment, Track};
use crate::snapshot::{Phase, Snapshot, Status};

/// Everything that bodies are made of.
pub(crate) struct Board {
    pub snapshot: Snapshot,
    /// When the snapshot was published: durations in it have grown since.
    pub published: Duration,
    pub tracks: Vec<Track>,
    /// Once begun, a drain is not undone by a snapshot that was taken before it.
    pub draining: bool,
    pub version: Option<String>,
    pub release: Option<String>,
}

/// What the endpoints say.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Verdicts {
    /// Why `/healthz` fails, if it does.
    pub unhealthy: Option<String>,
    /// Why `/readyz` fails, if it does.
    pub unready: Option<String>,
    /// The status of `/health`, and its reason.
    pub status: Status,
    pub reason: Option<String>,
}

impl Board {
    pub fn new(snapshot: Snapshot) -> Board {
        Board {
            snapshot,
            published: Duration::ZERO,
            tracks: Vec::new(),
            draining: false,
            version: None,
            release: None,
        }
    }

    /// The phase that is told.
    pub fn phase(&self) -> Phase {
        match self.snapshot.phase {
            Phase::Exiting => Phase::Exiting,
            _ if self.draining => Phase::Draining,
            phase => phase,
        }
    }

    /// Brings what depends on the time up to date; gives the moment up to which it stays so, if nothing happens.
    pub fn age(&mut self, now: Moment) -> Duration {
        let ages = self.tracks.iter_mut().map(|track| track.age(now));
        ages.min().unwrap_or(Duration::MAX)
    }

    /// How long ago the snapshot was published.
    pub fn since_published(&self, now: Moment) -> Duration {
        now.monotonic.saturating_sub(self.published)
    }

    /// Adds a check; gives its place. A name that is taken gets a number: metrics tell checks apart by name.
    pub fn add(&mut self, name: &str, new: impl FnOnce(String) -> Track) -> usize {
        let taken = |name: &str| self.tracks.iter().any(|track| track.name == name);
        let numbered = (2..).map(|number| format!("{name}_{number}"));
        let free = std::iter::once(name.to_owned())
            .chain(numbered)
            .find(|name| !taken(name))
            .unwrap_or_default();
        self.tracks.push(new(free));
        self.tracks.len() - 1
    }

    pub fn verdicts(&self) -> Verdicts {
        let ending = match self.phase() {
            Phase::Draining => Some("the container is draining"),
            Phase::Exiting => Some("the container is exiting"),
            Phase::Booting | Phase::Migrating | Phase::Starting | Phase::Up => None,
        };
        let own = |result: &Result<(), String>| result.as_ref().err().cloned();
        let by_check = |holds: fn(&Board, &Track) -> bool| {
            let reasons = self.tracks.iter().filter(|track| holds(self, track));
            join(reasons.map(reason))
        };
        let unhealthy = by_check(Board::holds_healthz);
        let by_level = |track: &&Track| track.settings.level >= Level::Degraded && troubles(track);
        let troubled = join(self.tracks.iter().filter(by_level).map(reason));
        let components = &self.snapshot.components;
        let component = components
            .iter()
            .find(|component| component.status != Status::Pass);

        // Whether what is wrong with the processes is being mended does not excuse a check.
        let failed = self.snapshot.healthy.is_err() && !self.snapshot.degraded;
        let fails = ending.is_some() || failed || unhealthy.is_some();
        let warns = self.snapshot.degraded || component.is_some() || self.snapshot.ready.is_err();
        let status = match (fails, warns || troubled.is_some()) {
            (true, _) => Status::Fail,
            (false, true) => Status::Warn,
            (false, false) => Status::Pass,
        };
        let ending = ending.map(str::to_owned);
        let unhealthy = ending.clone().or(own(&self.snapshot.healthy)).or(unhealthy);
        let unready = ending
            .or(own(&self.snapshot.ready))
            .or_else(|| by_check(Board::holds_readyz));
        let reason = unhealthy.clone().or_else(|| {
            let of_component = component.map(|component| {
                let said = component.output.clone();
                said.unwrap_or_else(|| format!("{} is {}", component.name, component.state))
            });
            let known = own(&self.snapshot.ready).into_iter().chain(troubled);
            join(known.chain(of_component))
        });
        let reason = reason.unwrap_or_else(|| "what is wrong is being mended".to_owned());
        Verdicts {
            unhealthy,
            unready,
            reason: (status != Status::Pass).then_some(reason),
            status,
        }
    }

    /// Whether this check makes `/healthz` fail. The first boot: what is required must have passed once, or a
    /// bad deploy would replace a good one. Before the container starts its processes nobody can know, and the
    /// platform is asked to wait. Nor does anybody know of a stale check: that nobody can look is no reason to
    /// replace a container that may be well.
    fn holds_healthz(&self, track: &Track) -> bool {
        let waiting = matches!(self.snapshot.phase, Phase::Booting | Phase::Migrating);
        let counts = !waiting && !track.stale;
        let failing = track.state == CheckState::Failing;
        match track.settings.level {
            Level::Info | Level::Degraded => false,
            Level::Required => counts && !track.ever_passed,
            Level::Critical => counts && (failing || !track.ever_passed),
        }
    }

    fn holds_readyz(&self, track: &Track) -> bool {
        track.settings.level >= Level::Required && track.state != CheckState::Passing
    }
}

/// Whether the check is not as it should be. One failure among passes is not enough: that is what the
/// thresholds are for.
pub(crate) fn troubles(track: &Track) -> bool {
    track.state != CheckState::Passing || track.stale
}

fn reason(track: &Track) -> String {
    match track.trouble() {
        Some(trouble) => format!("{}: {trouble}", track.name),
        None => track.name.clone(),
    }
}

fn join(reasons: impl Iterator<Item = String>) -> Option<String> {
    let mut all: Vec<String> = reasons.collect();
    all.dedup();
    (!all.is_empty()).then(|| all.join("; "))
}

#[cfg(test)]
mod tests;
