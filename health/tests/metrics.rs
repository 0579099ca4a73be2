//! `/metrics` as scrapers read it: promtool for the text format of Prometheus, the parser of Python's
//! prometheus-client for OpenMetrics. Both come from `scripts/setup-tests.sh`.

mod support;

use std::collections::BTreeSet;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use runmate_health::{
    Access, Component, ComponentType, Failure, Family, Health, Kind, Level, Measured, Observation, Phase,
    Settings, Snapshot, Status,
};
use support::{Scripted, boards, get, paused};

const PROMETHEUS: &str = "text/plain; version=0.0.4; charset=utf-8";
const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const ASK_OPEN_METRICS: &str =
    "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1";

/// A process, a check that measures, one that fails and one that never had a result.
async fn health(access: Access) -> Health {
    let health = Health::new(access);
    let check = |results| Scripted {
        kind: ComponentType::System,
        results,
        looked: Default::default(),
    };
    let free = Observation::of(Measured::new("free", 12.0, "percent"));
    health.check("space", check(vec![Ok(free)]), Settings::default());
    let failing = Settings::default().level(Level::Required).fail_after(1);
    let results = vec![Ok(Observation::default()), Err(Failure::new("refused"))];
    health.check("db", check(results), failing);
    let unknown = vec![Err(Failure::unknown("nobody to ask"))];
    health.check("remote", check(unknown), Settings::default());
    tokio::time::sleep(Duration::from_millis(14_500)).await;
    health.stop_checks();
    let mut app = Component::new("the \"app\"", "ready", Status::Pass);
    app.pid = Some(7);
    app.restarts = 2;
    app.uptime = Some(Duration::from_millis(1_500));
    let mut snapshot = Snapshot::new(Phase::Up);
    snapshot.components.push(app);
    snapshot.since_start = Duration::from_secs(60);
    health.publish(snapshot);
    tokio::time::sleep(Duration::from_millis(500)).await;
    health
}

/// The lines with numbers, without those that depend on chance.
fn samples(text: &str) -> Vec<&str> {
    let by_chance = [
        "runmate_check_last_result_timestamp_seconds",
        "runmate_check_looks_total",
    ];
    text.lines()
        .filter(|line| !line.starts_with('#') && !by_chance.iter().any(|name| line.starts_with(name)))
        .collect()
}

#[tokio::test(start_paused = true)]
async fn everything_that_is_known_is_told() {
    let health = health(Access::Public).await;
    let (code, media, text) = get(&health, "/metrics", None).await;
    assert_eq!((code, media.as_str()), (200, PROMETHEUS));
    let expected = r#"runmate_health_status{status="pass"} 0
runmate_health_status{status="warn"} 1
runmate_health_status{status="fail"} 0
runmate_phase{phase="booting"} 0
runmate_phase{phase="migrating"} 0
runmate_phase{phase="starting"} 0
runmate_phase{phase="up"} 1
runmate_phase{phase="draining"} 0
runmate_phase{phase="exiting"} 0
runmate_healthy 1
runmate_ready 0
runmate_uptime_seconds 60.5
runmate_process_status{process="the \"app\"",status="pass"} 1
runmate_process_status{process="the \"app\"",status="warn"} 0
runmate_process_status{process="the \"app\"",status="fail"} 0
runmate_process_state{process="the \"app\"",state="ready"} 1
runmate_process_restarts_total{process="the \"app\""} 2
runmate_process_uptime_seconds{process="the \"app\""} 2
runmate_check_state{check="space",level="degraded",state="pending"} 0
runmate_check_state{check="space",level="degraded",state="passing"} 1
runmate_check_state{check="space",level="degraded",state="failing"} 0
runmate_check_state{check="db",level="required",state="pending"} 0
runmate_check_state{check="db",level="required",state="passing"} 0
runmate_check_state{check="db",level="required",state="failing"} 1
runmate_check_state{check="remote",level="degraded",state="pending"} 1
runmate_check_state{check="remote",level="degraded",state="passing"} 0
runmate_check_state{check="remote",level="degraded",state="failing"} 0
runmate_check_stale{check="space"} 0
runmate_check_stale{check="db"} 0
runmate_check_stale{check="remote"} 1
runmate_check_transitions_total{check="space",to="passing"} 1
runmate_check_transitions_total{check="space",to="failing"} 0
runmate_check_transitions_total{check="db",to="passing"} 1
runmate_check_transitions_total{check="db",to="failing"} 1
runmate_check_transitions_total{check="remote",to="passing"} 0
runmate_check_transitions_total{check="remote",to="failing"} 0
runmate_check_duration_seconds{check="space",quantile="0.5"} 0.007
runmate_check_duration_seconds{check="space",quantile="0.9"} 0.007
runmate_check_duration_seconds{check="space",quantile="0.99"} 0.007
runmate_check_duration_seconds_sum{check="space"} 0.014
runmate_check_duration_seconds_count{check="space"} 2
runmate_check_duration_seconds{check="db",quantile="0.5"} 0.007
runmate_check_duration_seconds{check="db",quantile="0.9"} 0.007
runmate_check_duration_seconds{check="db",quantile="0.99"} 0.007
runmate_check_duration_seconds_sum{check="db"} 0.014
runmate_check_duration_seconds_count{check="db"} 2
runmate_check_duration_seconds_sum{check="remote"} 0
runmate_check_duration_seconds_count{check="remote"} 0
runmate_check_value{check="space",what="free",unit="ratio"} 0.12"#;
    // The second look came within the first interval; the third, an interval later, has not come yet.
    assert_eq!(samples(&text).join("\n"), expected);
    for line in [
        r#"runmate_check_looks_total{check="db",result="pass"} 1"#,
        r#"runmate_check_looks_total{check="db",result="fail"} 1"#,
        r#"runmate_check_looks_total{check="db",result="unknown"} 0"#,
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    assert!(
        text.contains("runmate_check_last_result_timestamp_seconds{check=\"db\"} "),
        "{text}"
    );
    assert!(
        !text.contains("timestamp_seconds{check=\"remote\"}"),
        "it had no result: {text}"
    );
}

#[tokio::test(start_paused = true)]
async fn both_formats_tell_the_same_numbers() {
    let health = health(Access::Public).await;
    let (_, _, old) = get(&health, "/metrics", Some("text/plain")).await;
    let (code, media, new) = get(&health, "/metrics", Some(ASK_OPEN_METRICS)).await;
    assert_eq!((code, media.as_str()), (200, OPEN_METRICS));
    assert_eq!(samples(&old), samples(&new));
    assert!(new.ends_with("\n# EOF\n") && !old.contains("EOF"));
}

#[tokio::test(start_paused = true)]
async fn without_the_token_there_is_the_status_alone() {
    let health = health(Access::Token(Some("s3cret".into()))).await;
    for accept in [None, Some(ASK_OPEN_METRICS)] {
        let (code, _, text) = get(&health, "/metrics", accept).await;
        assert_eq!(code, 200);
        let expected = [
            r#"runmate_health_status{status="pass"} 0"#,
            r#"runmate_health_status{status="warn"} 1"#,
            r#"runmate_health_status{status="fail"} 0"#,
        ];
        assert_eq!(samples(&text), expected);
    }
}

/// Families of a program's own, which differ at each scrape.
fn add_own(health: &Health) {
    let scrapes = AtomicU64::new(0);
    health.add_metrics(move || {
        let mut lines = Family::new("demo_lines", Kind::Counter, "Lines.");
        let labels = vec![("process", "the \"app\"".into()), ("stream", "stdout".into())];
        lines.add(labels, scrapes.fetch_add(1, Ordering::Relaxed) as f64);
        let mut drain = Family::new("demo_drain_seconds", Kind::Gauge, "How long.");
        drain.add(Vec::new(), 0.25);
        vec![lines, drain]
    });
}

#[tokio::test(start_paused = true)]
async fn families_of_the_program_are_asked_for_at_each_scrape() {
    let health = health(Access::Public).await;
    add_own(&health);
    for (scrape, accept) in [None, Some(ASK_OPEN_METRICS)].into_iter().enumerate() {
        let (_, _, text) = get(&health, "/metrics", accept).await;
        let sample = format!("demo_lines_total{{process=\"the \\\"app\\\"\",stream=\"stdout\"}} {scrape}\n");
        assert!(
            text.contains(&sample) && text.contains("\ndemo_drain_seconds 0.25\n"),
            "{text}"
        );
        assert!(text.contains("\nrunmate_healthy 1\n"), "{text}");
        let (accepted, said) = match accept {
            None => promtool(&text),
            Some(_) => reference_parser(&[text]),
        };
        assert!(accepted, "{said}");
    }
}

#[tokio::test(start_paused = true)]
async fn families_of_the_program_are_for_those_who_see_details() {
    let health = health(Access::Token(Some("s3cret".into()))).await;
    add_own(&health);
    let (_, _, text) = get(&health, "/metrics", None).await;
    assert!(!text.contains("demo_"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn numbers_of_a_scrape_are_those_of_the_last_change() {
    let health = health(Access::Public).await;
    let (_, _, before) = get(&health, "/metrics", None).await;
    tokio::time::sleep(Duration::from_millis(10)).await;
    let (_, _, again) = get(&health, "/metrics", None).await;
    assert_eq!(
        before, again,
        "a scrape makes no work unless something has changed"
    );
    health.publish(Snapshot::new(Phase::Draining));
    let (_, _, after) = get(&health, "/metrics", None).await;
    assert!(after.contains("runmate_phase{phase=\"draining\"} 1"), "{after}");
    assert!(
        after.contains("runmate_health_status{status=\"fail\"} 1"),
        "{after}"
    );
}

#[tokio::test(start_paused = true)]
async fn names_that_come_twice_make_no_series_twice() {
    let health = Health::new(Access::Public);
    let mut snapshot = Snapshot::new(Phase::Up);
    for restarts in [1, 2] {
        let mut app = Component::new("app", "ready", Status::Pass);
        app.restarts = restarts;
        snapshot.components.push(app);
    }
    for _ in 0..2 {
        let check = Scripted {
            kind: ComponentType::Component,
            results: vec![Ok(Observation::default())],
            looked: Default::default(),
        };
        health.check("db", check, Settings::default());
    }
    health.publish(snapshot);
    let (_, _, text) = get(&health, "/metrics", None).await;
    let series: Vec<&str> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .filter_map(|line| line.rsplit_once(' '))
        .map(|(series, _)| series)
        .collect();
    let once: BTreeSet<&str> = series.iter().copied().collect();
    assert_eq!(series.len(), once.len(), "{text}");
    assert!(
        text.contains("runmate_process_restarts_total{process=\"app\"} 1"),
        "{text}"
    );
    assert!(text.contains("runmate_check_stale{check=\"db_2\"} 0"), "{text}");
    let (accepted, said) = promtool(&text);
    assert!(accepted, "{said}");
}

#[test]
fn promtool_has_nothing_to_say() {
    let text = paused().block_on(async { get(&health(Access::Public).await, "/metrics", None).await.2 });
    let (accepted, said) = promtool(&text);
    assert!(accepted, "{said}");
    // It would if there were something.
    let (accepted, said) = promtool("# TYPE runmate_odd counter\nrunmate_odd 1\n");
    assert!(!accepted && said.contains("_total"), "{said}");
    assert!(!promtool("runmate_odd{name=\"\"quote\"} 1\n").0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]
    #[test]
    fn promtool_reads_boards_of_every_kind(board in boards()) {
        let text = paused().block_on(async { get(&board.health().await, "/metrics", None).await.2 });
        let (accepted, said) = promtool(&text);
        prop_assert!(accepted, "{}\n{}", said, text);
    }
}

#[test]
fn openmetrics_of_boards_of_every_kind_are_read_by_the_reference_parser() {
    let mut runner = TestRunner::default();
    let mut texts: Vec<String> = (0..200)
        .map(|_| {
            let board = boards().new_tree(&mut runner).expect("a board").current();
            paused().block_on(async {
                get(&board.health().await, "/metrics", Some(ASK_OPEN_METRICS))
                    .await
                    .2
            })
        })
        .collect();
    let known = paused().block_on(async {
        get(&health(Access::Public).await, "/metrics", Some(ASK_OPEN_METRICS))
            .await
            .2
    });
    texts.push(known);
    let (accepted, said) = reference_parser(&texts);
    assert!(accepted, "{said}");
    assert!(said.contains("runmate_check_duration_seconds summary"), "{said}");
    assert!(said.contains("runmate_process_restarts counter"), "{said}");
    assert!(said.contains(r#"the "app""#), "{said}");

    for broken in [
        "runmate_odd 1\n",
        "# TYPE runmate_odd counter\nrunmate_odd 1\n# EOF\n",
    ] {
        assert!(!reference_parser(&[broken.to_owned()]).0, "{broken}");
    }
}

/// Whether `promtool check metrics` has nothing to say, and what it says.
fn promtool(text: &str) -> (bool, String) {
    let output = feed(Command::new("promtool").args(["check", "metrics"]), text);
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success() && said.is_empty(), said)
}

/// Whether each of these is OpenMetrics, and the families of the last one with the values of their labels.
fn reference_parser(texts: &[String]) -> (bool, String) {
    const SCRIPT: &str = r#"
import io, sys
from prometheus_client.openmetrics.parser import text_fd_to_metric_families
for text in io.TextIOWrapper(sys.stdin.buffer, "utf-8", newline="").read().split("\0"):
    try:
        families = list(text_fd_to_metric_families(io.StringIO(text, newline="\n")))
    except ValueError as error:
        sys.exit(f"{error}\n{text}")
for family in families:
    print(family.name, family.type, *(v for s in family.samples for v in s.labels.values()))
"#;
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::home_dir().map(|home| home.join(".cache")))
        .expect("a home directory");
    let python = cache.join("runmate-tests/prometheus-client/bin/python");
    let output = feed(Command::new(python).args(["-c", SCRIPT]), &texts.join("\0"));
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    (output.status.success(), said)
}

/// Runs it with this on its stdin.
fn feed(command: &mut Command, input: &str) -> Output {
    let program = command.get_program().to_owned();
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!("cannot run {program:?}: {error}; scripts/setup-tests.sh installs it")
        });
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_owned();
    // Beside the reading of what it says: pipes are finite.
    let writer = std::thread::spawn(move || {
        // One that refuses may do so before it has read everything.
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().expect("it ends");
    writer.join().expect("it ends");
    output
}
