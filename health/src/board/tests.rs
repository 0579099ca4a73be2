use std::time::UNIX_EPOCH;

use super::*;
use crate::check::{ComponentType, Failure, Looked, Observation, Settings};

const PHASES: [Phase; 6] = [
    Phase::Booting,
    Phase::Migrating,
    Phase::Starting,
    Phase::Up,
    Phase::Draining,
    Phase::Exiting,
];

/// Where a check can stand, and the results that lead there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Case {
    Pending,
    Passing,
    /// Failed less often than it takes.
    Suspected,
    /// Passes, but that is long ago.
    Stale,
    NeverPassed,
    Failing,
    /// Nobody could look at it, and that is long ago.
    NeverSeen,
    /// Fails, but that is long ago.
    FailedOnce,
}

fn at(seconds: u64) -> Moment {
    let monotonic = Duration::from_secs(seconds);
    Moment {
        wall: UNIX_EPOCH + monotonic,
        monotonic,
    }
}

fn track(level: Level, case: Case) -> Track {
    let settings = Settings {
        level,
        fail_after: 2,
        ..Settings::default()
    };
    let mut track = Track::new("db".into(), ComponentType::Datastore, settings, at(0));
    let (pass, fail): (Looked, Looked) = (Ok(Observation::default()), Err(Failure::new("refused")));
    let unknown: Looked = Err(Failure::unknown("nobody to ask"));
    let results = match case {
        Case::Pending => vec![],
        Case::Passing => vec![pass],
        Case::Suspected => vec![pass, fail],
        Case::Stale => vec![pass, unknown],
        Case::NeverPassed => vec![fail.clone(), fail],
        Case::Failing => vec![pass, fail.clone(), fail],
        Case::NeverSeen => vec![unknown],
        Case::FailedOnce => vec![pass, fail.clone(), fail, unknown],
    };
    for (number, looked) in (1..).zip(results) {
        // Unknown results come at the same moments, so that only theirs make it stale.
        track.record(at(number * 100), Duration::from_millis(5), looked);
    }
    track
}

fn board(phase: Phase, tracks: Vec<Track>) -> Board {
    let mut board = Board::new(Snapshot::new(phase));
    board.tracks = tracks;
    board
}

/// `/healthz`, `/readyz`, `/health`.
fn answers(board: &Board) -> (bool, bool, Status) {
    let verdicts = board.verdicts();
    (
        verdicts.unhealthy.is_none(),
        verdicts.unready.is_none(),
        verdicts.status,
    )
}

#[test]
fn what_a_check_does_depends_on_its_level() {
    use Case::*;
    use Status::{Fail, Pass, Warn};
    const CASES: [Case; 8] = [
        Pending,
        Passing,
        Suspected,
        Stale,
        NeverPassed,
        Failing,
        NeverSeen,
        FailedOnce,
    ];
    const YES: bool = true;
    const NO: bool = false;
    #[rustfmt::skip]
    let table = [
        // level          pending           passing           suspected         stale             never passed      failing           never seen        failed once
        (Level::Info,     [(YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Pass)]),
        (Level::Degraded, [(YES, YES, Warn), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Warn), (YES, YES, Warn), (YES, YES, Warn), (YES, YES, Warn), (YES, YES, Warn)]),
        (Level::Required, [(NO,  NO,  Fail), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Warn), (NO,  NO,  Fail), (YES, NO,  Warn), (YES, NO,  Warn), (YES, NO,  Warn)]),
        (Level::Critical, [(NO,  NO,  Fail), (YES, YES, Pass), (YES, YES, Pass), (YES, YES, Warn), (NO,  NO,  Fail), (NO,  NO,  Fail), (YES, NO,  Warn), (YES, NO,  Warn)]),
    ];
    for (level, row) in table {
        for (case, (healthy, ready, status)) in CASES.into_iter().zip(row) {
            for phase in PHASES {
                let expected = match phase {
                    Phase::Draining | Phase::Exiting => (NO, NO, Fail),
                    Phase::Up => (healthy, ready, status),
                    Phase::Starting => (healthy, NO, if status == Pass { Warn } else { status }),
                    // The platform is asked to wait, whatever the checks say.
                    Phase::Booting | Phase::Migrating => (YES, NO, Warn),
                };
                let board = board(phase, vec![track(level, case)]);
                assert_eq!(answers(&board), expected, "{level:?} {case:?} {phase:?}");
                let verdicts = board.verdicts();
                assert_eq!(
                    verdicts.reason.is_some(),
                    verdicts.status != Status::Pass,
                    "{verdicts:?}"
                );
            }
        }
    }
}

#[test]
fn reasons_name_the_checks() {
    let mut queue = track(Level::Degraded, Case::Failing);
    queue.name = "queue".into();
    let board = board(Phase::Up, vec![track(Level::Required, Case::Failing), queue]);
    let verdicts = board.verdicts();
    assert_eq!(verdicts.unhealthy, None);
    assert_eq!(verdicts.unready.as_deref(), Some("db: failing: refused"));
    assert_eq!(
        verdicts.reason.as_deref(),
        Some("db: failing: refused; queue: failing: refused")
    );
}

#[test]
fn a_drain_is_not_undone_and_goes_on_to_the_exit() {
    for (phase, expected) in PHASES.into_iter().zip([
        Phase::Draining,
        Phase::Draining,
        Phase::Draining,
        Phase::Draining,
        Phase::Draining,
        Phase::Exiting,
    ]) {
        let mut board = board(phase, vec![]);
        board.draining = true;
        assert_eq!(board.phase(), expected);
        assert_eq!(answers(&board), (false, false, Status::Fail));
    }
}

#[test]
fn checks_of_the_same_name_are_told_apart() {
    let mut board = Board::new(Snapshot::new(Phase::Up));
    for name in ["db", "db", "db_2", "db"] {
        board.add(name, |name| {
            Track::new(name, ComponentType::Component, Settings::default(), at(0))
        });
    }
    let names: Vec<&str> = board.tracks.iter().map(|track| track.name.as_str()).collect();
    assert_eq!(names, ["db", "db_2", "db_2_2", "db_3"]);
}

#[test]
fn it_says_when_the_next_check_becomes_stale() {
    let mut board = board(Phase::Up, vec![]);
    assert_eq!(board.age(at(5)), Duration::MAX, "nothing can");
    board.tracks = vec![
        track(Level::Degraded, Case::Passing),
        track(Level::Degraded, Case::Failing),
    ];
    // Their last results are of 100 s and 300 s; 13 s later they are too old.
    assert_eq!(board.age(at(110)), Duration::from_secs(113));
    assert_eq!(board.age(at(200)), Duration::from_secs(313));
    assert_eq!(board.age(at(400)), Duration::MAX);
}
