//! All on tokio's paused clock: it moves on when everybody waits, and by nothing else.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use tokio::time::{advance, sleep};

use super::*;
use crate::check::{Look, Observation, step};

const PACE: Duration = Duration::from_secs(10);
const LIMIT: Duration = Duration::from_secs(2);

/// When looks began, since the test did.
#[derive(Default)]
struct Starts(Mutex<Vec<Duration>>);

impl Starts {
    fn add(&self, zero: Instant) -> usize {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.push(zero.elapsed());
        all.len()
    }

    fn all(&self) -> Vec<Duration> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// A check that notes when it began and then does what `act` says of its number, which begins with 1.
struct Noting<A> {
    zero: Instant,
    starts: Arc<Starts>,
    act: A,
}

impl<A, F> Check for Noting<A>
where
    A: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Looked> + Send + 'static,
{
    fn look(&self) -> Look<'_> {
        Box::pin((self.act)(self.starts.add(self.zero)))
    }
}

/// Looks `times` times at the pace; gives when each look began, and what each came to after what time.
async fn looks<A, F>(times: usize, limit: Duration, act: A) -> (Vec<Duration>, Vec<(Duration, Looked)>)
where
    A: Fn(usize) -> F + Send + Sync + 'static,
    F: Future<Output = Looked> + Send + 'static,
{
    let starts = Arc::<Starts>::default();
    let check = Noting {
        zero: Instant::now(),
        starts: Arc::clone(&starts),
        act,
    };
    let mut results = Vec::new();
    look_forever(Arc::new(check), limit, |took, looked| {
        results.push((took, looked));
        (results.len() < times).then_some(PACE)
    })
    .await;
    (starts.all(), results)
}

fn steps(starts: &[Duration]) -> Vec<Duration> {
    starts.windows(2).map(|pair| pair[1] - pair[0]).collect()
}

async fn pass() -> Looked {
    Ok(Observation::default())
}

#[tokio::test(start_paused = true)]
async fn it_looks_at_once_then_on_a_grid_of_random_phase() {
    let mut phases = Vec::new();
    for _ in 0..200 {
        let (starts, _) = looks(5, LIMIT, |_| pass()).await;
        assert_eq!(starts[0], Duration::ZERO);
        let steps = steps(&starts);
        phases.push(steps[0]);
        assert!(steps[1..].iter().all(|step| *step == PACE), "{steps:?}");
    }
    // A container among many: 200 phases that leave a tenth of the range empty are one in 10^9.
    let (least, most) = (phases.iter().min(), phases.iter().max());
    assert!(
        least >= Some(&(PACE / 2)) && most <= Some(&PACE),
        "{least:?} {most:?}"
    );
    assert!(
        least < Some(&(PACE * 6 / 10)) && most > Some(&(PACE * 9 / 10)),
        "{least:?} {most:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_time_that_looks_take_does_not_move_the_grid() {
    let (starts, results) = looks(6, LIMIT, |number| async move {
        sleep(Duration::from_millis(300 * number as u64)).await;
        pass().await
    })
    .await;
    assert!(steps(&starts)[1..].iter().all(|step| *step == PACE), "{starts:?}");
    let took: Vec<u128> = results.iter().map(|(took, _)| took.as_millis()).collect();
    assert_eq!(took, [300, 600, 900, 1200, 1500, 1800]);
}

#[tokio::test(start_paused = true)]
async fn a_look_that_takes_too_long_is_dropped_and_has_failed() {
    struct Dropped(Arc<AtomicUsize>);
    impl Drop for Dropped {
        fn drop(&mut self) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let (starts, results) = looks(3, LIMIT, move |_| {
        let guard = Dropped(Arc::clone(&count));
        async move {
            let _guard = guard;
            std::future::pending().await
        }
    })
    .await;
    for (took, looked) in results {
        assert_eq!(took.as_secs(), 2);
        assert_eq!(looked, Err(Failure::new("no answer within 2s")));
    }
    assert_eq!(dropped.load(Ordering::SeqCst), 3);
    assert_eq!(steps(&starts)[1], PACE);
}

#[tokio::test(start_paused = true)]
async fn there_is_never_a_second_look_while_one_is_under_way() {
    let (running, overlapped) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicBool::new(false)));
    let seen = Arc::clone(&overlapped);
    let (starts, _) = looks(5, PACE * 10, move |_| {
        let (running, overlapped) = (Arc::clone(&running), Arc::clone(&overlapped));
        async move {
            if running.swap(true, Ordering::SeqCst) {
                overlapped.store(true, Ordering::SeqCst);
            }
            sleep(PACE * 5 / 2).await;
            running.store(false, Ordering::SeqCst);
            pass().await
        }
    })
    .await;
    assert!(!seen.load(Ordering::SeqCst));
    // Each takes the next step of the grid that is free.
    let phase = starts[1];
    assert!(phase > PACE * 5 / 2 && phase <= PACE * 7 / 2, "{starts:?}");
    assert!(
        steps(&starts)[1..].iter().all(|step| *step == PACE * 3),
        "{starts:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn missed_steps_are_not_made_up_for() {
    let (starts, _) = looks(6, LIMIT, |number| async move {
        if number == 3 {
            // Frozen: nothing ran meanwhile.
            advance(PACE * 100 + PACE / 4).await;
        }
        pass().await
    })
    .await;
    let steps = steps(&starts);
    assert_eq!(steps[1..], [PACE, PACE * 101, PACE, PACE]);
}

#[tokio::test(start_paused = true)]
async fn a_look_under_way_in_a_freeze_tells_nothing() {
    let frozen = |ms| async move {
        let late = LIMIT + Duration::from_millis(ms);
        let act = move |number| async move {
            if number == 1 {
                advance(late).await;
            }
            std::future::pending().await
        };
        let (_, results) = looks(2, LIMIT, act).await;
        let looked = results.into_iter().map(|(_, looked)| looked);
        looked.collect::<Vec<Looked>>()
    };
    let failed = Err(Failure::new("no answer within 2s"));
    let unknown = Err(Failure::unknown("the container was frozen"));
    assert_eq!(frozen(600).await, [unknown, failed.clone()]);
    assert_eq!(
        frozen(400).await,
        [failed.clone(), failed],
        "only slow, which is no excuse"
    );
}

#[tokio::test(start_paused = true)]
async fn a_check_that_panics_goes_on_and_tells_nothing() {
    struct Panics;
    impl Check for Panics {
        fn look(&self) -> Look<'_> {
            panic!("on purpose")
        }
    }
    let unknown = Err(Failure::unknown("the check panicked"));
    let (_, results) = looks(3, LIMIT, |number| async move {
        sleep(LIMIT / 2).await;
        assert!(number == 2, "on purpose");
        pass().await
    })
    .await;
    let results: Vec<Looked> = results.into_iter().map(|(_, looked)| looked).collect();
    assert_eq!(results, [unknown.clone(), pass().await, unknown.clone()]);

    let mut results = Vec::new();
    look_forever(Arc::new(Panics), LIMIT, |_, looked| {
        results.push(looked);
        (results.len() < 2).then_some(PACE)
    })
    .await;
    assert_eq!(results, [unknown.clone(), unknown]);
}

#[tokio::test(start_paused = true)]
async fn recovery_is_seen_within_one_interval() {
    for mended in (5..100).step_by(7).map(Duration::from_secs) {
        let zero = Instant::now();
        let check = crate::from_fn(move || async move {
            if zero.elapsed() < mended {
                // It accepts and hangs.
                std::future::pending::<()>().await;
            }
            pass().await
        });
        let mut seen = Duration::ZERO;
        look_forever(Arc::new(check), LIMIT, |_, looked| {
            seen = zero.elapsed();
            looked.is_err().then_some(PACE)
        })
        .await;
        // A look that began while it was broken may still wait.
        assert!(seen >= mended && seen - mended <= PACE, "{seen:?} {mended:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_pace_has_a_new_phase() {
    let starts = Arc::<Starts>::default();
    let check = Noting {
        zero: Instant::now(),
        starts: Arc::clone(&starts),
        act: |_| pass(),
    };
    let mut paces = [1, 1, 1, 10, 10, 10].map(Duration::from_secs).into_iter();
    look_forever(Arc::new(check), LIMIT, |_, _| paces.next()).await;
    let steps = steps(&starts.all());
    let second = Duration::from_secs(1);
    assert!(steps[0] >= second / 2 && steps[0] <= second, "{steps:?}");
    assert_eq!(steps[1..3], [second; 2]);
    assert!(steps[3] >= PACE / 2 && steps[3] <= PACE, "{steps:?}");
    assert_eq!(steps[4..], [PACE; 2]);
}

#[test]
fn the_next_step_is_the_first_that_is_not_past() {
    let zero = Instant::now();
    let ms = Duration::from_millis;
    for (now, expected) in [
        (0, 10),
        (3, 10),
        (10, 10),
        (11, 20),
        (20, 20),
        (25, 30),
        (86_400_000, 86_400_000),
    ] {
        assert_eq!(
            not_past(zero + ms(10), ms(10), zero + ms(now)),
            zero + ms(expected),
            "{now}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_timeout_says_the_last_step_of_its_own_look() {
    let (_, results) = looks(3, LIMIT, |number| async move {
        if number < 3 {
            step("looking up a name");
            sleep(LIMIT / 2).await;
        }
        if number == 2 {
            step(format!("waiting for {number}"));
        }
        sleep(LIMIT * 2).await;
        pass().await
    })
    .await;
    let said: Vec<String> = results
        .into_iter()
        .map(|(_, looked)| looked.unwrap_err().why)
        .collect();
    assert_eq!(
        said,
        [
            "no answer within 2s: still looking up a name",
            "no answer within 2s: still waiting for 2",
            "no answer within 2s",
        ]
    );
}
