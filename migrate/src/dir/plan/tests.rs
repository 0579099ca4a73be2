use super::*;
use crate::dir::checksum::checksum;

const REPAIR: Mode = Mode::Repair { applied: false };
const REPAIR_APPLIED: Mode = Mode::Repair { applied: true };
const KINDS: [Kind; 3] = [Kind::Postgres, Kind::MySql, Kind::Sqlite];

fn file(version: i64) -> Migration {
    let sql = format!("SELECT {version};\n\nSELECT 2;\nSELECT 3;\n");
    Migration::new(&format!("{version}_step.sql"), sql).expect("a name")
}

fn files(versions: &[i64]) -> Vec<Migration> {
    versions.iter().map(|version| file(*version)).collect()
}

fn row(version: i64, success: bool) -> Applied {
    Applied {
        version,
        description: "step".to_owned(),
        success,
        checksum: file(version).checksum,
    }
}

fn rows(versions: &[i64]) -> Vec<Applied> {
    versions.iter().map(|version| row(*version, true)).collect()
}

fn progress(version: i64, done: u32, in_doubt: bool, error: Option<&str>) -> Progress {
    Progress {
        version,
        done,
        prefix: String::new(),
        in_doubt,
        error: error.map(str::to_owned),
    }
}

fn step(index: usize, done: u32) -> Step {
    Step {
        index,
        done,
        half_done: done > 0,
        record_only: false,
    }
}

#[test]
fn what_is_not_recorded_is_to_do() {
    for kind in KINDS {
        for mode in [Mode::Run, REPAIR, REPAIR_APPLIED] {
            let steps = |files: &[Migration], rows: &[Applied]| {
                plan(files, rows, &[], kind, mode).expect("a plan").steps
            };
            let all = files(&[1, 2, 3]);
            assert_eq!(steps(&all, &[]), [step(0, 0), step(1, 0), step(2, 0)]);
            assert_eq!(steps(&all, &rows(&[1])), [step(1, 0), step(2, 0)]);
            // An older one that came later, from another branch.
            assert_eq!(steps(&all, &rows(&[1, 3])), [step(1, 0)]);
            assert_eq!(steps(&all, &rows(&[1, 2, 3])), []);
            // An older image on a newer schema.
            assert_eq!(steps(&all, &rows(&[1, 2, 3, 4, 9])), []);
            assert_eq!(steps(&all, &rows(&[1, 4])), [step(1, 0), step(2, 0)]);
        }
    }
}

#[test]
fn drift_names_every_file() {
    let mut changed = rows(&[1, 2, 3, 4, 5, 9]);
    changed[0].checksum = checksum("SELECT 0");
    changed[3].checksum = checksum("SELECT 0");
    for mode in [Mode::Run, REPAIR, REPAIR_APPLIED] {
        let error = plan(&files(&[1, 3, 4, 5]), &changed, &[], Kind::Postgres, mode).expect_err("drift");
        assert_eq!(error.kind(), ErrorKind::Drift);
        assert_eq!(
            error.to_string(),
            "the migrations are not those that were applied: 1_step.sql was changed after it was applied; \
             the file of version 2 (step) is missing, but it was applied; \
             4_step.sql was changed after it was applied"
        );
        assert!(error.remedy().is_some());
    }
    // One that is missing at the front.
    let error = plan(&files(&[5]), &rows(&[1, 5]), &[], Kind::Sqlite, Mode::Run).expect_err("drift");
    assert!(
        error.to_string().contains("version 1 (step) is missing"),
        "{error}"
    );
}

#[test]
fn other_line_endings_are_no_drift() {
    let mut files = files(&[1]);
    files[0] = Migration::new("1_step.sql", files[0].sql.replace('\n', "\r\n")).expect("a name");
    assert_ne!(files[0].checksum, row(1, true).checksum);
    let plan = plan(&files, &rows(&[1]), &[], Kind::Postgres, Mode::Run).expect("no drift");
    assert_eq!(plan.steps, []);
}

#[test]
fn a_half_done_one_is_taken_up_where_that_is_certain() {
    let files = files(&[1, 2, 3]);
    let unfinished = [row(1, true), row(2, false)];
    let on = [step(1, 2), step(2, 0)];
    let failed = [progress(2, 2, false, Some("it is wrong"))];
    let in_doubt = [progress(2, 2, true, None)];
    let between = [progress(2, 2, false, None)];
    for (kind, mode, progress, goes_on) in [
        (Kind::Postgres, Mode::Run, &failed, true),
        (Kind::Postgres, Mode::Run, &in_doubt, true),
        (Kind::Sqlite, Mode::Run, &failed, true),
        (Kind::MySql, Mode::Run, &between, true),
        (Kind::MySql, Mode::Run, &failed, false),
        (Kind::MySql, Mode::Run, &in_doubt, false),
        (Kind::MySql, REPAIR, &failed, true),
        (Kind::MySql, REPAIR, &in_doubt, true),
        (Kind::MySql, REPAIR_APPLIED, &in_doubt, true),
    ] {
        // With sqlx's row or, if somebody deleted it, without.
        for rows in [&unfinished[..], &unfinished[..1]] {
            match plan(&files, rows, progress, kind, mode) {
                Ok(plan) => assert!(goes_on && plan.steps == on, "{kind:?} {mode:?} {plan:?}"),
                Err(error) => assert!(
                    !goes_on && error.kind() == ErrorKind::Dirty,
                    "{kind:?} {mode:?} {error}"
                ),
            }
        }
    }
    // Progress that somebody else has overtaken.
    let plan = plan(&files, &rows(&[1, 2]), &failed, Kind::MySql, Mode::Run).expect("a plan");
    assert_eq!(plan.steps, [step(2, 0)]);
}

#[test]
fn a_half_done_one_may_have_been_mended() {
    let files = files(&[1]);
    let mut unfinished = row(1, false);
    unfinished.checksum = checksum("SELECT 1;\n\nSELEKT 2;\nSELECT 3;\n");
    let progress = [progress(1, 1, false, Some("syntax"))];
    let plan = plan(&files, &[unfinished], &progress, Kind::MySql, REPAIR).expect("no drift");
    assert_eq!(plan.steps, [step(0, 1)]);
}

#[test]
fn what_a_person_has_to_decide_is_explained() {
    let explain = |progress: Progress| {
        let error = plan(
            &files(&[7]),
            &[row(7, false)],
            &[progress],
            Kind::MySql,
            Mode::Run,
        )
        .expect_err("dirty");
        assert_eq!(error.kind().exit_code(), 79);
        (error.to_string(), error.remedy().expect("a remedy").to_owned())
    };
    let (text, remedy) = explain(progress(7, 1, false, Some("1064: syntax")));
    assert_eq!(
        text,
        "the migration 7_step.sql was left half done: statement 2 of 3 (line 3) failed (1064: syntax); \
         statement 1 is applied"
    );
    assert_eq!(
        remedy,
        "fix statement 2 in 7_step.sql, then run: runmate migrate repair"
    );
    let (text, remedy) = explain(progress(7, 2, true, None));
    assert_eq!(
        text,
        "the migration 7_step.sql was left half done: the run ended in statement 3 of 3 (line 4), and it is not \
         known whether that is applied; statements 1 to 2 are applied"
    );
    assert!(remedy.contains("executes statement 3 again") && remedy.contains("repair --applied"));
    // The file has become shorter: the number alone.
    let (text, _) = explain(progress(7, 9, true, None));
    assert!(text.contains("the run ended in statement 10, and"), "{text}");
}

#[test]
fn what_another_program_left_needs_a_person() {
    let files = files(&[1, 2]);
    let unfinished = [row(1, false)];
    for kind in KINDS {
        let with = |mode| plan(&files, &unfinished, &[], kind, mode);
        let error = with(Mode::Run).expect_err("dirty");
        assert_eq!(error.kind(), ErrorKind::Dirty);
        assert!(
            error
                .to_string()
                .contains("1_step.sql was begun by another program"),
            "{error}"
        );
        assert!(
            error
                .remedy()
                .is_some_and(|text| text.contains("repair --applied"))
        );
        assert_eq!(with(REPAIR).expect("a plan").steps, [step(0, 0), step(1, 0)]);
        let recorded = Step {
            record_only: true,
            ..step(0, 0)
        };
        assert_eq!(
            with(REPAIR_APPLIED).expect("a plan").steps,
            [recorded, step(1, 0)]
        );
    }
}

#[test]
fn a_half_done_one_without_its_file_is_an_error() {
    for mode in [Mode::Run, REPAIR, REPAIR_APPLIED] {
        for version in [1, 3] {
            let rows = [row(version, false)];
            let half_done = [progress(version, 1, false, None)];
            for (rows, half_done) in [
                (&rows[..], &[][..]),
                (&rows[..], &half_done[..]),
                (&[][..], &half_done[..]),
            ] {
                let error = plan(&files(&[2]), rows, half_done, Kind::Postgres, mode).expect_err("dirty");
                assert_eq!(error.kind(), ErrorKind::Dirty);
                assert!(
                    error
                        .to_string()
                        .contains(&format!("version {version} was left half done"))
                );
            }
        }
    }
}
