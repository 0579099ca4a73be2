use std::time::UNIX_EPOCH;

use proptest::collection::vec;
use proptest::prelude::*;

use super::*;
use crate::check::Observation;

const SECOND: Duration = Duration::from_secs(1);

fn at(monotonic: Duration) -> Moment {
    Moment {
        wall: UNIX_EPOCH + monotonic,
        monotonic,
    }
}

fn settings(fail_after: u32, pass_after: u32) -> Settings {
    Settings {
        fail_after,
        pass_after,
        ..Settings::default()
    }
}

fn track(settings: Settings) -> Track {
    Track::new(
        "db".into(),
        ComponentType::Datastore,
        settings.bounded(),
        at(Duration::ZERO),
    )
}

/// `p`: a pass, `f`: a failure, `u`: unknown.
fn result(letter: char) -> Looked {
    match letter {
        'p' => Ok(Observation::default()),
        'f' => Err(Failure::new("refused")),
        _ => Err(Failure::unknown("nobody to ask")),
    }
}

fn letter(state: CheckState) -> char {
    match state {
        CheckState::Pending => '-',
        CheckState::Passing => 'P',
        CheckState::Failing => 'F',
    }
}

/// The states after each of these results, which come at the ordinary pace.
fn states(settings: Settings, results: &str) -> String {
    let mut track = track(settings);
    let mut now = Duration::ZERO;
    let states = results.chars().map(|letter_of_result| {
        now += track.settings.interval;
        track.record(at(now), SECOND / 10, result(letter_of_result));
        letter(track.state)
    });
    states.collect()
}

#[test]
fn thresholds_count_in_both_directions() {
    #[rustfmt::skip]
    let table = [
        // fail_after, pass_after, results, states
        (3, 1, "p",          "P"),
        (3, 1, "pff",        "PPP"),
        (3, 1, "pfff",       "PPPF"),
        (3, 1, "pffpff",     "PPPPPP"),
        (3, 1, "pfffp",      "PPPFP"),
        (3, 3, "pfffppp",    "PPPFFFP"),
        (3, 3, "pfffppfppp", "PPPFFFFFFP"),
        (1, 1, "pfpf",       "PFPF"),
        // 0 counts as 1.
        (0, 0, "pfpf",       "PFPF"),
        // The very first pass is enough, whatever was before.
        (3, 3, "p",          "P"),
        (3, 3, "fp",         "-P"),
        (3, 3, "fffp",       "--FP"),
        (3, 3, "fffpfffp",   "--FPPPFF"),
        // Unknown neither counts nor breaks a row.
        (3, 1, "u",          "-"),
        (3, 1, "pfufuf",     "PPPPPF"),
        (3, 2, "pfffpup",    "PPPFFFP"),
        (3, 1, "puuuuuu",    "PPPPPPP"),
    ];
    for (fail_after, pass_after, results, expected) in table {
        let found = states(settings(fail_after, pass_after), results);
        assert_eq!(found, expected, "{fail_after} {pass_after} {results}");
    }
}

#[test]
fn it_is_tried_every_second_until_something_is_decided() {
    let mut track = track(Settings::default());
    assert_eq!(track.pace(), SECOND);
    track.record(at(SECOND), SECOND, result('f'));
    assert_eq!(track.pace(), SECOND);
    track.record(at(SECOND * 2), SECOND, result('p'));
    assert_eq!(track.pace(), SECOND * 10);
    let quick = Settings {
        interval: SECOND / 2,
        ..Settings::default()
    };
    assert_eq!(super::tests::track(quick).pace(), SECOND / 2);
}

#[test]
fn after_a_look_that_told_nothing_it_is_tried_every_second_until_one_does() {
    for (known, state) in [('p', CheckState::Passing), ('f', CheckState::Failing)] {
        let mut track = track(settings(1, 1));
        track.record(at(SECOND), SECOND, result(known));
        let ordinary = track.pace();
        assert!(ordinary > SECOND);
        track.record(at(SECOND * 2), SECOND, result('u'));
        assert_eq!((track.pace(), track.state), (SECOND, state));
        track.record(at(SECOND * 3), SECOND, result(known));
        assert_eq!((track.pace(), track.state), (ordinary, state));
    }
}

#[test]
fn what_holds_a_gate_until_its_first_pass_is_tried_every_second_until_then() {
    for level in [Level::Info, Level::Degraded, Level::Required, Level::Critical] {
        let mut track = track(Settings {
            level,
            interval: SECOND * 300,
            fail_after: 1,
            ..Settings::default()
        });
        let (fast, ordinary) = (SECOND, SECOND * 300);
        let holds = level >= Level::Required;
        track.record(at(SECOND), SECOND, result('f'));
        assert_eq!(track.state, CheckState::Failing, "{level:?}");
        assert_eq!(track.pace(), if holds { fast } else { ordinary }, "{level:?}");
        track.record(at(SECOND * 2), SECOND, result('p'));
        assert_eq!(track.pace(), ordinary, "{level:?}");
        track.record(at(SECOND * 3), SECOND, result('f'));
        assert_eq!(track.state, CheckState::Failing, "{level:?}");
        assert_eq!(track.pace(), ordinary, "{level:?}: it has passed once");
    }
}

#[test]
fn a_faster_pace_at_first_makes_nothing_fail_earlier() {
    let mut track = track(settings(3, 1));
    let failing: Vec<u64> = (0..30)
        .filter(|second| {
            track.record(at(SECOND * *second as u32), SECOND / 10, result('f'));
            track.state == CheckState::Failing
        })
        .collect();
    assert_eq!(failing.first(), Some(&20));
    assert_eq!(track.failures, 30);
}

#[test]
fn it_is_stale_once_a_result_is_later_than_any_can_be() {
    // 10 s to the next look, 2 s for it, and a second of grace.
    let mut never = track(Settings::default());
    assert_eq!(never.age(at(SECOND * 13)), SECOND * 13);
    assert!(!never.stale);
    never.age(at(SECOND * 13 + Duration::from_millis(1)));
    assert!(never.stale);
    assert_eq!(
        never.trouble().as_deref(),
        Some("no result yet; stale: nobody looked")
    );

    let mut track = track(Settings::default());
    track.record(at(SECOND), SECOND, result('p'));
    for second in [5, 10, 14] {
        track.record(at(SECOND * second), SECOND, result('u'));
        assert!(!track.stale, "{second}");
    }
    assert!(!track.tell_stale());
    track.record(at(SECOND * 15), SECOND, result('u'));
    assert!(track.stale);
    assert!(track.tell_stale() && !track.tell_stale(), "told once");
    assert_eq!(track.state, CheckState::Passing);
    assert_eq!(track.trouble().as_deref(), Some("stale: nobody to ask"));
    track.record(at(SECOND * 16), SECOND, result('f'));
    assert!(!track.stale, "a failure is something that is known");
    assert!(track.tell_stale());
}

#[test]
fn observers_hear_of_staleness_that_was_seen_between_two_looks() {
    let mut track = track(Settings::default());
    track.age(at(SECOND * 60));
    track.record(at(SECOND * 61), SECOND, result('u'));
    assert!(track.stale && track.tell_stale());
}

#[test]
fn what_is_no_number_is_not_kept() {
    for value in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
        let measured = Some(Measured {
            what: "free".into(),
            value,
            unit: "bytes".into(),
        });
        let mut track = track(Settings::default());
        track.record(at(SECOND), SECOND, Ok(Observation { measured }));
        assert_eq!(track.last.expect("a result").measured, None);
    }
}

#[test]
fn it_says_what_is_the_matter() {
    #[rustfmt::skip]
    let table = [
        ("",        Some("no result yet")),
        ("u",       Some("no result yet: nobody to ask")),
        ("uf",      Some("has not passed yet: refused")),
        ("f",       Some("has not passed yet: refused")),
        ("p",       None),
        ("pff",     Some("failed 2 of 3 times: refused")),
        ("pfff",    Some("failing: refused")),
        ("pfffp",   Some("failing; passed 1 of 2 times")),
        ("pfffpp",  None),
    ];
    for (results, expected) in table {
        let mut track = track(settings(3, 2));
        for letter in results.chars() {
            track.record(at(SECOND), SECOND, result(letter));
        }
        assert_eq!(track.trouble().as_deref(), expected, "{results}");
    }
}

#[test]
fn the_last_ten_changes_are_kept_with_their_reasons() {
    let mut track = track(settings(1, 1));
    for step in 1..=25 {
        track.record(
            at(SECOND * step),
            SECOND,
            result(if step % 2 == 0 { 'f' } else { 'p' }),
        );
    }
    assert_eq!(track.changes.len(), 10);
    assert_eq!((track.changes_to_passing, track.changes_to_failing), (13, 12));
    let last = track.changes.back().expect("changes");
    assert_eq!(
        (last.from, last.to, &last.why),
        (CheckState::Failing, CheckState::Passing, &None)
    );
    assert_eq!(last.at, UNIX_EPOCH + SECOND * 25);
    assert_eq!(track.changes[8].why.as_deref(), Some("refused"));
}

/// What the thresholds mean, said once more and in another way: by what the last results were.
fn expected(fail_after: usize, pass_after: usize, results: &str) -> char {
    let known: String = results.chars().filter(|letter| *letter != 'u').collect();
    let ends_with = |part: &str, letter: char, count: usize| {
        part.len() >= count && part.chars().rev().take(count).all(|found| found == letter)
    };
    let mut state = '-';
    for end in 1..=known.len() {
        let part = &known[..end];
        let first_pass = part.find('p') == Some(end - 1);
        if first_pass || part.contains('p') && ends_with(part, 'p', pass_after) {
            state = 'P';
        } else if ends_with(part, 'f', fail_after) {
            state = 'F';
        }
    }
    state
}

proptest! {
    #[test]
    fn any_results_lead_to_the_state_that_the_thresholds_say(
        fail_after in 1_u32..5,
        pass_after in 1_u32..5,
        results in "[pfu]{1,40}",
    ) {
        let found = states(settings(fail_after, pass_after), &results);
        let expected = expected(fail_after as usize, pass_after as usize, &results);
        prop_assert_eq!(found.chars().last(), Some(expected));
    }

    #[test]
    fn counts_add_up_at_any_pace(steps in vec((0_u64..20_000, 0_u64..3_000, "[pfu]"), 1..60)) {
        let mut track = track(settings(2, 2));
        let mut now = Duration::ZERO;
        let mut sum = Duration::ZERO;
        for (index, (wait, took, letter_of_result)) in steps.iter().enumerate() {
            now += Duration::from_millis(*wait);
            let took = Duration::from_millis(*took);
            let letter_of_result = letter_of_result.chars().next().expect("a letter");
            let (before, changes) = (track.state, track.changes_to_failing + track.changes_to_passing);
            let change = track.record(at(now), took, result(letter_of_result));

            prop_assert_eq!(track.passes + track.failures + track.unknowns, index as u64 + 1);
            let changed = track.changes_to_failing + track.changes_to_passing - changes;
            prop_assert_eq!(changed, u64::from(change.is_some()));
            prop_assert_eq!(change.map(|change| (change.from, change.to)),
                (before != track.state).then_some((before, track.state)));
            if letter_of_result == 'u' {
                prop_assert_eq!(track.state, before);
            } else {
                sum += took;
                prop_assert!(!track.stale);
            }
            prop_assert_eq!(track.ever_passed, track.passes > 0);
            prop_assert!(track.state != CheckState::Passing || track.ever_passed);
            prop_assert_eq!(track.took_in_all, sum);
            prop_assert_eq!(track.latency().map_or(0, |latency| latency.looks as u64),
                track.passes + track.failures);
        }
    }

    #[test]
    fn at_whatever_pace_the_first_failing_state_waits_for_the_ordinary_one(
        fail_after in 1_u32..6,
        waits in vec(1_u64..12_000, 1..100),
    ) {
        let mut track = track(settings(fail_after, 1));
        let (mut now, mut first) = (Duration::ZERO, None);
        for wait in waits {
            now += Duration::from_millis(wait);
            let first = *first.get_or_insert(now);
            track.record(at(now), SECOND / 10, result('f'));
            let lasted = now - first;
            let failing = track.state == CheckState::Failing;
            prop_assert!(!failing || lasted >= track.settings.interval * (fail_after - 1));
            prop_assert!(!failing || track.failures >= u64::from(fail_after));
            // Nor much later.
            let long = lasted >= track.settings.interval * (fail_after - 1);
            prop_assert!(failing || !long || track.failures < u64::from(fail_after));
        }
    }
}
