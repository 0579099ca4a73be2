//! How long a forwarder may hold its sources back. Pure.

use std::time::Duration;

use tokio::time::Instant;

/// A stall lasts from the first moment without room until nothing waits for room any more, or a whole queue was taken.
/// All the time in it during which there was none counts: a forwarder that takes a little now and then must not hold its
/// sources back for longer than one that has stopped. One that takes a queue in that time is at work, and sets the pace as
/// any pipe does.
#[derive(Debug)]
pub(super) enum Patience {
    /// It may hold them back.
    Left {
        full_since: Option<Instant>,
        /// How long it has done so before, in this stall.
        waited: Duration,
        /// Bytes that it took in this stall.
        taken: usize,
    },
    /// It was waited for in vain: until the stall is over, nobody waits any more.
    Spent,
}

impl Default for Patience {
    fn default() -> Patience {
        Patience::Left {
            full_since: None,
            waited: Duration::ZERO,
            taken: 0,
        }
    }
}

impl Patience {
    /// There is no room. Until when to wait for it, if at all.
    pub fn without_room(&mut self, now: Instant, blocked: Duration) -> Option<Instant> {
        let Patience::Left {
            full_since, waited, ..
        } = self
        else {
            return None;
        };
        let until = *full_since.get_or_insert(now) + blocked.saturating_sub(*waited);
        if now >= until {
            *self = Patience::Spent;
            return None;
        }
        Some(until)
    }

    /// There is room.
    pub fn with_room(&mut self, now: Instant) {
        if let Patience::Left {
            full_since, waited, ..
        } = self
            && let Some(since) = full_since.take()
        {
            *waited += now.saturating_duration_since(since);
        }
    }

    /// It took so many bytes, of a queue that holds `whole`.
    pub fn took(&mut self, now: Instant, bytes: usize, whole: usize) {
        let Patience::Left {
            full_since,
            waited,
            taken,
        } = self
        else {
            return;
        };
        *taken += bytes;
        if *taken >= whole {
            (*waited, *taken) = (Duration::ZERO, 0);
            *full_since = full_since.map(|_| now);
        }
    }

    /// Nothing waits for room any more: the next stall is a new one. Says whether it was waited for in vain.
    pub fn renew(&mut self) -> bool {
        matches!(std::mem::take(self), Patience::Spent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const BLOCKED: Duration = Duration::from_secs(5);

    #[test]
    fn waiting_adds_up_in_a_stall() {
        let (zero, mut patience) = (Instant::now(), Patience::default());
        assert_eq!(patience.without_room(zero, BLOCKED), Some(zero + 5 * SECOND));
        patience.with_room(zero + 3 * SECOND);
        // Time with room is nobody's loss.
        patience.with_room(zero + 20 * SECOND);
        let again = zero + 30 * SECOND;
        assert_eq!(patience.without_room(again, BLOCKED), Some(again + 2 * SECOND));
        assert_eq!(patience.without_room(again + 2 * SECOND, BLOCKED), None);
        patience.with_room(again + 3 * SECOND);
        assert_eq!(patience.without_room(again + 4 * SECOND, BLOCKED), None);
    }

    #[test]
    fn who_takes_a_whole_queue_is_at_work() {
        let (zero, mut patience) = (Instant::now(), Patience::default());
        patience.without_room(zero, BLOCKED);
        patience.took(zero + 4 * SECOND, 60, 100);
        assert_eq!(
            patience.without_room(zero + 4 * SECOND, BLOCKED),
            Some(zero + BLOCKED)
        );
        patience.took(zero + 4 * SECOND, 40, 100);
        assert_eq!(
            patience.without_room(zero + 5 * SECOND, BLOCKED),
            Some(zero + 9 * SECOND)
        );
        assert_eq!(patience.without_room(zero + 9 * SECOND, BLOCKED), None);
        patience.took(zero + 10 * SECOND, 1000, 100);
        assert_eq!(
            patience.without_room(zero + 10 * SECOND, BLOCKED),
            None,
            "only an empty queue ends it"
        );
    }

    #[test]
    fn the_next_stall_is_a_new_one() {
        let (zero, mut patience) = (Instant::now(), Patience::default());
        patience.without_room(zero, BLOCKED);
        patience.without_room(zero + BLOCKED, BLOCKED);
        assert!(patience.renew());
        assert!(!patience.renew());
        let again = zero + 30 * SECOND;
        assert_eq!(patience.without_room(again, BLOCKED), Some(again + BLOCKED));
    }
}
