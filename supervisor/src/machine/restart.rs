//! When, and whether, a process that ended is started again.

use std::time::Duration;

use super::event::{End, Time};
use super::plan::{Kind, ProcessId, Restart};
use super::state::Machine;

/// What follows the end of one life of a process.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Sequel {
    /// Start it again after this delay.
    Again(Duration),
    /// It may not be restarted any more often.
    Spent,
    /// It is not meant to be restarted.
    Final,
}

impl Machine {
    /// Decides what follows. `failed_start`: it was stopped because it did not become ready, which
    /// counts as a failure whatever its exit code says. `ready_since`: set if it was ready.
    pub(super) fn sequel(
        &mut self,
        now: Time,
        process: ProcessId,
        end: End,
        failed_start: bool,
        ready_since: Option<Time>,
    ) -> Sequel {
        let failed = failed_start || !end.succeeded();
        let policy = self.policy(process);
        let wanted = match (policy.restart, policy.kind) {
            (Restart::Never, _) => false,
            // A task that succeeded is done; running it for ever is not what "always" means there.
            (Restart::OnFailure, _) | (Restart::Always, Kind::Task) => failed,
            (Restart::Always, Kind::Service) => true,
        };
        if !wanted {
            return Sequel::Final;
        }
        let backoff = policy.backoff.clone();
        let track = self.track(process);
        if ready_since.is_some_and(|since| now.saturating_sub(since) >= backoff.reset) {
            track.in_a_row = 0;
        }
        while track
            .recent
            .front()
            .is_some_and(|time| now.saturating_sub(*time) >= backoff.within)
        {
            track.recent.pop_front();
        }
        if track.recent.len() >= backoff.restarts as usize {
            return Sequel::Spent;
        }
        // 2^20 times any sensible minimum is beyond every maximum; the cap keeps the shift legal.
        let full = backoff
            .min
            .saturating_mul(1 << track.in_a_row.min(20))
            .min(backoff.max);
        track.in_a_row = track.in_a_row.saturating_add(1).min(20);
        track.recent.push_back(now);
        track.restarts += 1;
        Sequel::Again(self.jittered(full).max(backoff.min))
    }

    /// Three quarters of the delay to all of it, so that a fleet that fails together does not come back
    /// together. The caller keeps it from going below the minimum.
    fn jittered(&mut self, full: Duration) -> Duration {
        if self.jitter == 0 {
            return full;
        }
        self.jitter ^= self.jitter << 13;
        self.jitter ^= self.jitter >> 7;
        self.jitter ^= self.jitter << 17;
        let share = (self.jitter >> 40) as u32; // 24 bits
        full - full / 4 * (share >> 8) / (1 << 16)
    }
}
