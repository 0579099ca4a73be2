//! When a call is made again. The SDK's own retries are off: they know neither the deadline of the whole nor
//! a server that says how long to wait.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::api::CallError;
use crate::{FailureKind, Problem};

/// The longest wait before the first retry.
const FIRST: Duration = Duration::from_millis(100);

/// The longest wait before any.
const LONGEST: Duration = Duration::from_secs(5);

/// With less than this left, another attempt is not worth its while.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(100);

/// How long one attempt may take: a third of everything, so that a server that hangs once is no failure.
pub(super) fn attempt_limit(overall: Duration) -> Duration {
    (overall / 3).max(SHORTEST_ATTEMPT)
}

/// Makes attempts until one succeeds, or fails for good, or the time is up.
pub(super) async fn until<T, F>(deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<T, Problem>
where
    F: Future<Output = Result<T, CallError>>,
{
    let mut failed = 0;
    let mut earlier = None;
    loop {
        let error = match attempt().await {
            Ok(value) => return Ok(value),
            Err(error) => error,
        };
        failed += 1;
        let left = deadline.saturating_duration_since(Instant::now());
        // An attempt that the deadline cut short says less than those before it.
        let cut_short = error.problem.kind == FailureKind::TimedOut && left.is_zero();
        let problem = earlier.take().filter(|_| cut_short).unwrap_or(error.problem);
        match pause(failed, error.wait, left, random()).filter(|_| error.transient) {
            Some(pause) => {
                earlier = Some(problem);
                sleep(pause).await;
            }
            None => return Err(problem),
        }
    }
}

/// How long to wait after `failed` attempts (from 1), with `left` until the deadline; `None`: give up.
///
/// Exponential with full jitter (`random` is from 0 to 1), so that a fleet that starts at once spreads. A wait
/// that would pass the deadline ends in time for one last attempt. What the server asked for (`asked`) is
/// never cut short: if it is too long, failing now says the same as failing later.
fn pause(failed: u32, asked: Option<Duration>, left: Duration, random: f64) -> Option<Duration> {
    // With no room at all the last attempt was made; another one, at the same moment, would be one of many.
    let room = left
        .checked_sub(SHORTEST_ATTEMPT)
        .filter(|room| !room.is_zero())?;
    if let Some(asked) = asked {
        // At least that, and more each time: a service that asks for no pause at all still needs one.
        return (asked <= room).then(|| asked.max(backoff(failed).mul_f64(random)).min(room));
    }
    Some(backoff(failed).mul_f64(random).min(room))
}

/// The longest wait after `failed` attempts (from 1).
fn backoff(failed: u32) -> Duration {
    let doubled = FIRST.saturating_mul(1 << failed.saturating_sub(1).min(16));
    doubled.min(LONGEST)
}

/// A number from 0 to 1. Not for cryptography; the standard library's hash seeds are random enough to spread.
fn random() -> f64 {
    let bits = RandomState::new().build_hasher().finish() >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const PLENTY: Duration = Duration::from_secs(3600);

    fn ms(milliseconds: u64) -> Duration {
        Duration::from_millis(milliseconds)
    }

    #[test]
    fn waits_double_up_to_five_seconds() {
        let waits: Vec<_> = (1..=8)
            .map(|failed| pause(failed, None, PLENTY, 1.0).unwrap().as_millis())
            .collect();
        assert_eq!(waits, [100, 200, 400, 800, 1600, 3200, 5000, 5000]);
        assert_eq!(pause(u32::MAX, None, PLENTY, 1.0), Some(LONGEST));
        assert_eq!(pause(3, None, PLENTY, 0.0), Some(Duration::ZERO));
    }

    #[test]
    fn what_the_server_asks_for_is_kept_or_given_up() {
        assert_eq!(pause(1, Some(ms(2000)), PLENTY, 0.0), Some(ms(2000)));
        assert_eq!(pause(9, Some(ms(2000)), PLENTY, 1.0), Some(LONGEST));
        assert_eq!(pause(5, Some(Duration::ZERO), PLENTY, 0.5), Some(ms(800)));
        assert_eq!(pause(1, Some(ms(2000)), ms(2000), 0.0), None);
        assert_eq!(pause(1, Some(Duration::MAX), PLENTY, 1.0), None);
    }

    #[test]
    fn an_attempt_has_a_third_of_the_time() {
        assert_eq!(attempt_limit(ms(30_000)), ms(10_000));
        assert_eq!(attempt_limit(ms(90)), ms(100));
    }

    proptest! {
        #[test]
        fn a_wait_leaves_time_for_an_attempt(
            failed in 1..40u32,
            asked in proptest::option::of(0..10_000u64),
            left in 0..20_000u64,
            random in 0.0..1.0f64,
        ) {
            match pause(failed, asked.map(ms), ms(left), random) {
                Some(wait) => {
                    prop_assert!(wait + SHORTEST_ATTEMPT <= ms(left));
                    prop_assert!(asked.is_none_or(|asked| wait >= ms(asked)));
                }
                None => prop_assert!(left <= 100 || asked.is_some_and(|asked| asked + 100 > left)),
            }
        }

        #[test]
        fn random_is_between_zero_and_one(_any in 0..100u8) {
            let number = random();
            prop_assert!((0.0..1.0).contains(&number));
        }
    }
}
