//! When, and whether, a process that ended is started again.

use std::time::Duration;

use super::event::{End, Fault, Time};
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
    /// Decides what follows one life of a process.
    pub(super) fn sequel(&mut self, now: Time, process: ProcessId, fault: Fault) -> Sequel {
        let policy = self.policy(process);
        let failed = fault != Fault::Ended(End::Exited(0));
        let wanted = match (policy.restart, policy.kind) {
            // Who wrote `restart` into the check asked for it, whatever follows an end of its own.
            _ if fault == Fault::Unhealthy => true,
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

    /// A process that was ready from `since` until now: if that was long enough, its delays start over.
    pub(super) fn was_ready_since(&mut self, since: Time, now: Time, process: ProcessId) {
        if now.saturating_sub(since) >= self.policy(process).backoff.reset {
            self.track(process).in_a_row = 0;
        }
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
