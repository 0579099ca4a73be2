//! When a check looks: at once, then on a grid whose phase is random, one look at a time.

use std::collections::hash_map::RandomState;
use std::future::{Future, poll_fn};
use std::hash::{BuildHasher, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::step::Step;
use super::{Check, Failure, Looked};

/// How late a timer fires at most on a machine that has a lot to do.
const FROZEN: Duration = Duration::from_millis(500);

/// Runs a check until `record`, which takes each result, gives no pace any more: the time between the starts of
/// two looks.
///
/// The jitter lies in the phase of the grid, not in its steps: containers that started together spread out, and
/// each calls its dependency exactly once an interval.
pub(crate) async fn look_forever(
    check: Arc<dyn Check>,
    limit: Duration,
    mut record: impl FnMut(Duration, Looked) -> Option<Duration>,
) {
    let mut next = Instant::now();
    let mut last_pace = None;
    loop {
        let began = Instant::now();
        let looked = look_once(&*check, limit).await;
        let Some(pace) = record(began.elapsed(), looked) else {
            return;
        };
        let due = if last_pace == Some(pace) {
            next + pace
        } else {
            began + random_part(pace)
        };
        next = not_past(due, pace, Instant::now());
        last_pace = Some(pace);
        sleep_until(next).await;
    }
}

/// One look, outside of any schedule. A timeout is a failure, and a panic tells nothing: both are results like
/// any other. Nor does a timeout that is noticed more than half a second late: the container was frozen, and the answer
/// had no chance.
pub async fn look_once(check: &dyn Check, limit: Duration) -> Looked {
    let began = Instant::now();
    let step = Step::default();
    match timeout(limit, step.watch(caught(check))).await {
        Ok(looked) => looked,
        Err(_) if is_late(began, limit) => Err(Failure::unknown("the container was frozen")),
        Err(_) => Err(Failure::new(match step.last() {
            Some(doing) => format!("no answer within {limit:?}: still {doing}"),
            None => format!("no answer within {limit:?}"),
        })),
    }
}

/// Whether a timer that was set at `began` fires so late that nobody ran: a container is frozen by `docker pause`, or
/// where it gets no processor time between requests.
pub(crate) fn is_late(began: Instant, timer: Duration) -> bool {
    began.elapsed() > timer.saturating_add(FROZEN)
}

/// A check of the app's own may panic; its task must go on.
async fn caught(check: &dyn Check) -> Looked {
    let panicked = || Err(Failure::unknown("the check panicked"));
    let Ok(look) = catch_unwind(AssertUnwindSafe(|| check.look())) else {
        return panicked();
    };
    let mut look = pin!(look);
    poll_fn(
        |context| match catch_unwind(AssertUnwindSafe(|| look.as_mut().poll(context))) {
            Ok(poll) => poll,
            Err(_) => Poll::Ready(panicked()),
        },
    )
    .await
}

/// The first step of the grid that is still to come. What was missed is not made up for: a container that was
/// frozen would otherwise call as often as it can.
fn not_past(due: Instant, pace: Duration, now: Instant) -> Instant {
    let late = now.saturating_duration_since(due).as_nanos();
    let missed = late.div_ceil(pace.as_nanos()) * pace.as_nanos();
    due + Duration::from_nanos(u64::try_from(missed).unwrap_or(u64::MAX))
}

/// Between half of it and all of it.
fn random_part(pace: Duration) -> Duration {
    // The standard library seeds it from the system's randomness; that is all that jitter needs.
    let random = RandomState::new().build_hasher().finish();
    let thousandths = 500 + u32::try_from(random % 501).unwrap_or(0);
    pace * thousandths / 1000
}

#[cfg(test)]
mod tests;
