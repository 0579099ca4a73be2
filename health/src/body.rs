//! The bodies, built when a snapshot is published.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use axum::body::Bytes;
use axum::http::StatusCode;
use serde::Serialize;
use serde_json::{Value, json};

use crate::snapshot::{Component, Phase, Snapshot, Status};
use crate::time::rfc3339;

/// Everything that can be answered until the next snapshot.
pub(crate) struct Bodies {
    pub(crate) healthz: Answer,
    pub(crate) readyz: Answer,
    pub(crate) health: Answer,
}

/// One endpoint: its code, and its body without and with access to the details.
pub(crate) struct Answer {
    pub(crate) code: StatusCode,
    pub(crate) plain: Bytes,
    pub(crate) detailed: Bytes,
}

impl Bodies {
    pub(crate) fn build(
        snapshot: &Snapshot,
        version: Option<&str>,
        release: Option<&str>,
        now: SystemTime,
    ) -> Bodies {
        Bodies {
            healthz: verdict(snapshot.phase, snapshot.unhealthy()),
            readyz: verdict(snapshot.phase, snapshot.unready()),
            health: report(snapshot, version, release, now),
        }
    }
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

/// One element of `checks`: section 4 of the draft.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Measurement<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    component_id: Option<String>,
    component_type: &'static str,
    observed_value: Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    observed_unit: Option<&'static str>,
    status: Status,
    time: &'a str,
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

fn report(snapshot: &Snapshot, version: Option<&str>, release: Option<&str>, now: SystemTime) -> Answer {
    let time = rfc3339(now);
    let status = snapshot.status();
    let mut checks: BTreeMap<String, Vec<Measurement<'_>>> = BTreeMap::new();
    checks.insert(
        "uptime".into(),
        vec![Measurement::uptime("system", None, snapshot.since_start, &time)],
    );
    for component in &snapshot.components {
        let name = component.name.replace(':', "_");
        let mut add = |measured: &str, measurement| {
            checks
                .entry(format!("{name}:{measured}"))
                .or_default()
                .push(measurement);
        };
        add("state", Measurement::state(component, &time));
        add("restarts", Measurement::restarts(component, &time));
        if let Some(uptime) = component.uptime {
            add(
                "uptime",
                Measurement::uptime("component", component.pid, uptime, &time),
            );
        }
    }
    let output = snapshot.unhealthy().or(snapshot.unready());
    let detailed = Report {
        status,
        version,
        release_id: release,
        phase: snapshot.phase,
        output,
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

impl<'a> Measurement<'a> {
    fn state(component: &'a Component, time: &'a str) -> Measurement<'a> {
        Measurement {
            status: component.status,
            // The draft: "This field SHOULD be omitted for 'pass' state."
            output: component
                .output
                .as_deref()
                .filter(|_| component.status != Status::Pass),
            ..Measurement::passing("component", component.pid, json!(component.state), time)
        }
    }

    fn restarts(component: &Component, time: &'a str) -> Measurement<'a> {
        Measurement::passing("component", component.pid, json!(component.restarts), time)
    }

    fn uptime(kind: &'static str, pid: Option<i32>, uptime: Duration, time: &'a str) -> Measurement<'a> {
        // Milliseconds are enough, and keep the float short.
        let seconds = uptime.as_millis() as f64 / 1000.0;
        Measurement {
            observed_unit: Some("s"),
            ..Measurement::passing(kind, pid, json!(seconds), time)
        }
    }

    /// `kind` is one of the draft's own component types: `component`, `datastore` or `system`.
    fn passing(kind: &'static str, pid: Option<i32>, value: Value, time: &'a str) -> Measurement<'a> {
        Measurement {
            component_id: pid.map(|pid| pid.to_string()),
            component_type: kind,
            observed_value: value,
            observed_unit: None,
            status: Status::Pass,
            time,
            output: None,
        }
    }
}

fn encode(body: &impl Serialize) -> Bytes {
    // Serialising fails for maps with keys that are no strings, or by a `Serialize` of one's own;
    // there are none here.
    serde_json::to_vec(body)
        .expect("a body of strings and numbers is valid JSON")
        .into()
}
