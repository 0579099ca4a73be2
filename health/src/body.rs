//! The bodies, built when a snapshot is published or a check has looked.

use std::collections::BTreeMap;
use std::sync::OnceLock;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::board::{Board, Verdicts, troubles};
use crate::check::{Change, CheckState, ComponentType, Latency, Level, Moment, Track};
use crate::exposition::{Format, encode as encode_metrics};
use crate::metrics;
use crate::snapshot::{Component, Phase, Status};
use crate::time::rfc3339;

/// What every check measures; the draft's own word.
const RESPONSE_TIME: &str = "responseTime";

/// Everything that can be answered until something changes.
pub(crate) struct Bodies {
    pub(crate) healthz: Answer,
    pub(crate) readyz: Answer,
    pub(crate) health: Answer,
    /// When a check becomes stale of which nobody hears anything until then.
    pub(crate) true_until: Duration,
    /// They say that the container is draining or exiting.
    pub(crate) ending: bool,
    /// Built for the first scrape after a change: they are most of the work, and there are more changes than
    /// scrapes.
    prometheus: OnceLock<Answer>,
    open_metrics: OnceLock<Answer>,
}

/// One endpoint: its code, and its body without and with access to the details. A copy shares the bytes.
#[derive(Clone)]
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) plain: Bytes,
    pub(crate) detailed: Bytes,
}

impl Bodies {
    pub(crate) fn build(board: &mut Board, now: Moment) -> Bodies {
        let true_until = board.age(now);
        let verdicts = board.verdicts();
        let phase = board.phase();
        Bodies {
            healthz: verdict(phase, verdicts.unhealthy.as_deref()),
            readyz: verdict(phase, verdicts.unready.as_deref()),
            health: report(board, &verdicts, now),
            true_until,
            ending: matches!(phase, Phase::Draining | Phase::Exiting),
            prometheus: OnceLock::new(),
            open_metrics: OnceLock::new(),
        }
    }

    /// The answer of `/metrics`, and `build` to make it if nobody has asked since the last change.
    pub(crate) fn metrics(&self, format: Format, build: impl FnOnce() -> Answer) -> &Answer {
        match format {
            Format::Prometheus => self.prometheus.get_or_init(build),
            Format::OpenMetrics => self.open_metrics.get_or_init(build),
        }
    }
}

/// What `/metrics` says.
pub(crate) fn metrics(board: &Board, now: Moment, format: Format) -> Answer {
    let verdicts = board.verdicts();
    let detailed = metrics::detailed(board, &verdicts, board.since_published(now));
    Answer {
        code: StatusCode::OK,
        plain: encode_metrics(&metrics::plain(&verdicts), format).into(),
        detailed: encode_metrics(&detailed, format).into(),
    }
}

/// What `/healthz` and `/readyz` say once a drain has begun, until the next bodies are built.
pub(crate) fn draining() -> Answer {
    verdict(Phase::Draining, Some("the container is draining"))
}

/// `/healthz` and `/readyz`: yes or no.
#[derive(Serialize)]
struct Verdict<'a> {
    status: Status,
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

/// `/health`: section 3 of the draft, plus the phase.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Report<'a> {
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    release_id: Option<&'a str>,
    phase: Phase,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
    checks: BTreeMap<String, Vec<Measurement<'a>>>,
}

/// One element of `checks`: section 4 of the draft, and for checks what it has no words for.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measurement<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    component_id: Option<String>,
    component_type: ComponentType,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_value: Option<Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'a str>,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    time: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<String>,
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    check: Option<CheckDetails<'a>>,
}

/// What is told of a check beyond the draft.
#[derive(Serialize)]
struct CheckDetails<'a> {
    level: Level,
    state: CheckState,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    stale: bool,
    /// Milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    latency: Option<Percentiles>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    transitions: Vec<Transition<'a>>,
}

#[derive(Serialize)]
struct Percentiles {
    unit: &'static str,
    looks: usize,
    p50: f64,
    p90: f64,
    p99: f64,
    max: f64,
}

#[derive(Serialize)]
struct Transition<'a> {
    time: String,
    from: CheckState,
    to: CheckState,
    #[serde(skip_serializing_if = "Option::is_none")]
    output: Option<&'a str>,
}

fn verdict(phase: Phase, failure: Option<&str>) -> Answer {
    let (code, status) = match failure {
        None => (StatusCode::OK, Status::Pass),
        Some(_) => (StatusCode::SERVICE_UNAVAILABLE, Status::Fail),
    };
    Answer {
        code,
        plain: encode(&Verdict {
            status,
            phase,
            output: None,
        }),
        detailed: encode(&Verdict {
            status,
            phase,
            output: failure,
        }),
    }
}

fn report(board: &Board, verdicts: &Verdicts, now: Moment) -> Answer {
    let time = rfc3339(now.wall);
    let since_published = board.since_published(now);
    let status = verdicts.status;
    let mut checks: BTreeMap<String, Vec<Measurement<'_>>> = BTreeMap::new();
    checks.insert(
        "uptime".into(),
        vec![Measurement::uptime(
            ComponentType::System,
            None,
            board.snapshot.since_start + since_published,
            &time,
        )],
    );
    for component in &board.snapshot.components {
        let name = without_colons(&component.name);
        let mut add = |measured: &str, measurement| {
            checks
                .entry(format!("{name}:{measured}"))
                .or_default()
                .push(measurement);
        };
        add("state", Measurement::state(component, &time));
        add("restarts", Measurement::restarts(component, &time));
        if let Some(uptime) = component.uptime {
            let uptime = uptime + since_published;
            add(
                "uptime",
                Measurement::uptime(ComponentType::Component, component.pid, uptime, &time),
            );
        }
    }
    for track in &board.tracks {
        let (what, measurement) = Measurement::check(track);
        let name = without_colons(&track.name);
        checks
            .entry(format!("{name}:{}", without_colons(what)))
            .or_default()
            .push(measurement);
    }
    let detailed = Report {
        status,
        version: board.version.as_deref(),
        release_id: board.release.as_deref(),
        phase: board.phase(),
        output: verdicts.reason.as_deref(),
        checks,
    };
    Answer {
        code: if status == Status::Fail {
            StatusCode::SERVICE_UNAVAILABLE
        } else {
            StatusCode::OK
        },
        plain: encode(&json!({ "status": status })),
        detailed: encode(&detailed),
    }
}

/// The draft keeps the colon as its separator.
fn without_colons(name: &str) -> String {
    name.replace(':', "_")
}

impl<'a> Measurement<'a> {
    /// Where a process stands.
    fn state(component: &Component, time: &str) -> Measurement<'a> {
        Measurement {
            status: component.status,
            // The draft: "This field SHOULD be omitted for 'pass' state."
            output: component
                .output
                .clone()
                .filter(|_| component.status != Status::Pass),
            ..Measurement::passing(
                ComponentType::Component,
                component.pid,
                json!(component.state),
                time,
            )
        }
    }

    fn restarts(component: &Component, time: &str) -> Measurement<'a> {
        let restarts = json!(component.restarts);
        Measurement::passing(ComponentType::Component, component.pid, restarts, time)
    }

    fn uptime(kind: ComponentType, pid: Option<i32>, uptime: Duration, time: &str) -> Measurement<'a> {
        // Milliseconds are enough, and keep the float short.
        let seconds = uptime.as_millis() as f64 / 1000.0;
        Measurement {
            observed_unit: Some("s"),
            ..Measurement::passing(kind, pid, json!(seconds), time)
        }
    }

    fn passing(kind: ComponentType, pid: Option<i32>, value: Value, time: &str) -> Measurement<'a> {
        Measurement {
            component_id: pid.map(|pid| pid.to_string()),
            component_type: kind,
            observed_value: Some(value),
            observed_unit: None,
            status: Status::Pass,
            time: Some(time.to_owned()),
            output: None,
            check: None,
        }
    }

    /// A check, and what it measures.
    fn check(track: &'a Track) -> (&'a str, Measurement<'a>) {
        let last = track.last.as_ref();
        let measured = last.and_then(|last| last.measured.as_ref());
        // The key stays the same where a look measured nothing: whoever reads it finds the status there.
        let (what, value, unit) = match (measured, &track.measures, last) {
            (Some(measured), ..) => (
                measured.what.as_ref(),
                Some(json!(measured.value)),
                Some(measured.unit.as_ref()),
            ),
            (None, Some(what), _) => (what.as_ref(), None, None),
            (None, None, Some(last)) => (RESPONSE_TIME, Some(json!(millis(last.took))), Some("ms")),
            (None, None, None) => (RESPONSE_TIME, None, None),
        };
        let output = track.trouble();
        let status = match track.state {
            CheckState::Failing => Status::Fail,
            _ if troubles(track) || output.is_some() => Status::Warn,
            _ => Status::Pass,
        };
        let details = CheckDetails {
            level: track.settings.level,
            state: track.state,
            stale: track.stale,
            latency: track.latency().map(Percentiles::from),
            transitions: track.changes.iter().map(Transition::from).collect(),
        };
        let measurement = Measurement {
            component_id: None,
            component_type: track.component_type,
            observed_value: value,
            observed_unit: unit,
            status,
            time: last.map(|last| rfc3339(last.at.wall)),
            output,
            check: Some(details),
        };
        (what, measurement)
    }
}

impl From<Latency> for Percentiles {
    fn from(latency: Latency) -> Percentiles {
        Percentiles {
            unit: "ms",
            looks: latency.looks,
            p50: millis(latency.p50),
            p90: millis(latency.p90),
            p99: millis(latency.p99),
            max: millis(latency.max),
        }
    }
}

impl<'a> From<&'a Change> for Transition<'a> {
    fn from(change: &'a Change) -> Transition<'a> {
        Transition {
            time: rfc3339(change.at),
            from: change.from,
            to: change.to,
            output: change.why.as_deref(),
        }
    }
}

/// Microseconds are enough, and keep the float short.
fn millis(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

fn encode(body: &impl Serialize) -> Bytes {
    // Serialising fails for maps with keys that are no strings, or by a `Serialize` of one's own;
    // there are none here.
    serde_json::to_vec(body)
        .expect("a body of strings and numbers is valid JSON")
        .into()
}
