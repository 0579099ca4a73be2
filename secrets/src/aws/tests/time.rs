//! Retries and deadlines, on a clock that is moved by hand.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;

fn value() -> Reply {
    Reply::Secret(Secret::new("v"))
}

#[tokio::test(start_paused = true)]
async fn what_passes_is_tried_until_it_does() {
    let failures = AtomicUsize::new(0);
    let api = fake(|_, _| match failures.fetch_add(1, Ordering::Relaxed) {
        0 => Err(error(FailureKind::Throttled, true)),
        1 => Err(error(FailureKind::Unavailable, true)),
        _ => Ok(value()),
    });
    assert_eq!(shown(&run(&api, &many(1)).await), [Ok("v")]);
    assert_eq!(api.calls().len(), 3);
}

#[tokio::test(start_paused = true)]
async fn what_does_not_pass_is_tried_until_the_deadline_and_once_if_it_cannot() {
    let start = Instant::now();
    let api = fake(|_, _| Err(error(FailureKind::Throttled, true)));
    assert_eq!(shown(&run(&api, &many(1)).await), [Err(&FailureKind::Throttled)]);
    let took = start.elapsed();
    assert!(
        took > Duration::from_secs(25) && took <= Duration::from_secs(30),
        "{took:?}"
    );
    assert!(
        (5..60).contains(&api.calls().len()),
        "{} calls",
        api.calls().len()
    );

    let api = fake(|_, _| Err(error(FailureKind::NotFound, false)));
    run(&api, &many(1)).await;
    assert_eq!(api.calls().len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_asks_for_a_pause_gets_it() {
    let asked = |wait| CallError {
        wait: Some(Duration::from_secs(wait)),
        ..error(FailureKind::Throttled, true)
    };
    let start = Instant::now();
    let failures = AtomicUsize::new(0);
    let api = fake(|_, _| match failures.fetch_add(1, Ordering::Relaxed) {
        0 => Err(asked(7)),
        _ => Ok(value()),
    });
    assert_eq!(shown(&run(&api, &many(1)).await), [Ok("v")]);
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(7) && took < Duration::from_secs(8),
        "{took:?}"
    );

    let (start, api) = (Instant::now(), fake(|_, _| Err(asked(60))));
    assert_eq!(shown(&run(&api, &many(1)).await), [Err(&FailureKind::Throttled)]);
    assert_eq!(start.elapsed(), Duration::ZERO, "waiting in vain helps nobody");
}

/// A service that never answers some of its calls.
struct Hanging<F>(F, AtomicUsize);

fn hanging<F: Fn(&Call, usize) -> bool + Sync>(hangs: F) -> Hanging<F> {
    Hanging(hangs, AtomicUsize::new(0))
}

impl<F: Fn(&Call, usize) -> bool + Sync> Api for Hanging<F> {
    async fn call(&self, _region: &str, call: &Call) -> Result<Reply, CallError> {
        if (self.0)(call, self.1.fetch_add(1, Ordering::Relaxed)) {
            std::future::pending::<()>().await;
        }
        Ok(match call {
            Call::Batch { ids, .. } => echo_batch(ids),
            Call::Secret { id, .. } => Reply::Secret(Secret::new(id.as_str())),
            Call::Parameters { names, .. } => parameters_reply(names.iter().map(|name| of_name(name)), &[]),
        })
    }
}

#[tokio::test(start_paused = true)]
async fn one_call_that_hangs_costs_a_third_of_the_time() {
    let start = Instant::now();
    let api = hanging(|_, number| number == 0);
    let references = many(3);
    assert_own(&references, &run(&api, &references).await);
    let took = start.elapsed();
    assert!(
        took >= Duration::from_secs(10) && took < Duration::from_secs(11),
        "{took:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_hangs_for_ever_ends_in_time_and_the_rest_is_kept() {
    let start = Instant::now();
    let api = hanging(|call, _| matches!(call, Call::Parameters { .. }));
    let mut references = many(3);
    references.push(parameter("hangs"));
    let answers = run(&api, &references).await;
    assert_own(&references[..3], &answers[..3]);
    assert_eq!(shown(&answers)[3], Err(&FailureKind::TimedOut));
    let took = start.elapsed();
    assert!(took <= Duration::from_secs(30), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn more_calls_than_places_wait_for_each_other_and_not_beyond_the_deadline() {
    let stages: Vec<_> = (0..30)
        .map(|number| format!("{}::v{number}:", secret_arn("db-AbCdEf")))
        .map(|text| Reference::parse(&text).unwrap().unwrap())
        .collect();
    let api = hanging(|_, _| false);
    assert!(run(&api, &stages).await.iter().all(Result::is_ok));

    let (start, api) = (Instant::now(), hanging(|_, _| true));
    let answers = run(&api, &stages).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::TimedOut); 30]);
    assert!(
        start.elapsed() <= Duration::from_secs(30),
        "{:?}",
        start.elapsed()
    );
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_the_deadline_cuts_short_does_not_hide_what_was_before() {
    let attempts = AtomicUsize::new(0);
    let deadline = Instant::now() + Duration::from_secs(5);
    let attempt = || async {
        if attempts.fetch_add(1, Ordering::Relaxed) == 0 {
            return Err::<(), _>(error(FailureKind::Unavailable, true));
        }
        tokio::time::sleep_until(deadline).await;
        Err(error(FailureKind::TimedOut, true))
    };
    let problem = retry::until(deadline, attempt).await.unwrap_err();
    assert_eq!(problem.kind, FailureKind::Unavailable);
    assert_eq!(attempts.load(Ordering::Relaxed), 2);
}
