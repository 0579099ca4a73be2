//! `/metrics`: the families, and what they are made of.

use std::borrow::Cow;
use std::time::{Duration, UNIX_EPOCH};

use crate::board::{Board, Verdicts};
use crate::check::{CheckState, Measured, Track};
use crate::exposition::{Family, Kind, Labels};
use crate::snapshot::{Component, Phase, Status};

const STATUSES: [Status; 3] = [Status::Pass, Status::Warn, Status::Fail];
const PHASES: [Phase; 6] = [
    Phase::Booting,
    Phase::Migrating,
    Phase::Starting,
    Phase::Up,
    Phase::Draining,
    Phase::Exiting,
];
const STATES: [CheckState; 3] = [CheckState::Pending, CheckState::Passing, CheckState::Failing];

/// What everyone may see: the status.
pub(crate) fn plain(verdicts: &Verdicts) -> Vec<Family<'static>> {
    let mut status = Family::new(
        "runmate_health_status",
        Kind::Gauge,
        "1 for what /health says, 0 for what it does not say.",
    );
    status.add_states(&Labels::new(), "status", &STATUSES, Status::name, verdicts.status);
    vec![status]
}

/// Everything.
pub(crate) fn detailed<'a>(
    board: &'a Board,
    verdicts: &Verdicts,
    since_published: Duration,
) -> Vec<Family<'a>> {
    let mut phase = Family::new(
        "runmate_phase",
        Kind::Gauge,
        "1 for the phase of the container's life, 0 for the others.",
    );
    phase.add_states(&Labels::new(), "phase", &PHASES, Phase::name, board.phase());
    let mut families = plain(verdicts);
    families.extend([
        phase,
        Family::single(
            "runmate_healthy",
            Kind::Gauge,
            "Whether /healthz is 200.",
            flag(verdicts.unhealthy.is_none()),
        ),
        Family::single(
            "runmate_ready",
            Kind::Gauge,
            "Whether /readyz is 200.",
            flag(verdicts.unready.is_none()),
        ),
        Family::single(
            "runmate_uptime_seconds",
            Kind::Gauge,
            "How long ago the container started.",
            (board.snapshot.since_start + since_published).as_secs_f64(),
        ),
    ]);
    families.extend(processes(&board.snapshot.components, since_published));
    families.extend(checks(&board.tracks));
    families
}

fn processes(components: &[Component], since_published: Duration) -> [Family<'_>; 4] {
    let mut status = Family::new(
        "runmate_process_status",
        Kind::Gauge,
        "1 for the status of the process, 0 for the others.",
    );
    let mut state = Family::new(
        "runmate_process_state",
        Kind::Gauge,
        "What the process is doing, in the label state.",
    );
    let mut restarts = Family::new(
        "runmate_process_restarts",
        Kind::Counter,
        "How often the process was restarted.",
    );
    let mut uptime = Family::new(
        "runmate_process_uptime_seconds",
        Kind::Gauge,
        "How long the process has been ready. Absent while it is not.",
    );
    for (index, component) in components.iter().enumerate() {
        // Two series of the same name would make the whole page unreadable.
        if components[..index]
            .iter()
            .any(|earlier| earlier.name == component.name)
        {
            continue;
        }
        let labels: Labels<'_> = vec![("process", component.name.as_str().into())];
        status.add_states(&labels, "status", &STATUSES, Status::name, component.status);
        restarts.add(labels.clone(), component.restarts.into());
        if let Some(ready) = component.uptime {
            uptime.add(labels.clone(), (ready + since_published).as_secs_f64());
        }
        state.add(with(labels, "state", component.state.as_str()), 1.0);
    }
    [status, state, restarts, uptime]
}

fn checks(tracks: &[Track]) -> [Family<'_>; 7] {
    let mut state = Family::new(
        "runmate_check_state",
        Kind::Gauge,
        "1 for the state of the check, 0 for the others.",
    );
    let mut stale = Family::new(
        "runmate_check_stale",
        Kind::Gauge,
        "Whether what is known is too old, because the check could not look.",
    );
    let mut looks = Family::new(
        "runmate_check_looks",
        Kind::Counter,
        "How often the check has looked, by result; unknown: it could not look.",
    );
    let mut transitions = Family::new(
        "runmate_check_transitions",
        Kind::Counter,
        "How often the state of the check has changed, by what it became.",
    );
    let mut took = Family::new(
        "runmate_check_duration_seconds",
        Kind::Summary,
        "How long the looks took that told something; quantiles are of the last 100.",
    );
    let mut value = Family::new(
        "runmate_check_value",
        Kind::Gauge,
        "What the check has measured, in the base unit that its label names.",
    );
    let mut last = Family::new(
        "runmate_check_last_result_timestamp_seconds",
        Kind::Gauge,
        "When the check last had a result. Absent until it had one.",
    );
    for track in tracks {
        let labels: Labels<'_> = vec![("check", track.name.as_str().into())];
        let with_level = with(labels.clone(), "level", track.settings.level.name());
        state.add_states(&with_level, "state", &STATES, CheckState::name, track.state);
        stale.add(labels.clone(), flag(track.stale));
        for (result, count) in [
            ("pass", track.passes),
            ("fail", track.failures),
            ("unknown", track.unknowns),
        ] {
            looks.add(with(labels.clone(), "result", result), count as f64);
        }
        for (to, count) in [
            (CheckState::Passing, track.changes_to_passing),
            (CheckState::Failing, track.changes_to_failing),
        ] {
            transitions.add(with(labels.clone(), "to", to.name()), count as f64);
        }
        let quantiles = track.latency().map(|latency| {
            [("0.5", latency.p50), ("0.9", latency.p90), ("0.99", latency.p99)]
                .map(|(quantile, took)| (quantile, took.as_secs_f64()))
        });
        took.add_summary(
            &labels,
            quantiles.as_ref().map_or(&[], |known| known.as_slice()),
            track.took_in_all.as_secs_f64(),
            track.passes + track.failures,
        );
        let Some(known) = &track.last else { continue };
        if let Some(measured) = &known.measured {
            let (number, unit) = in_base_unit(measured);
            let labels = with(labels.clone(), "what", measured.what.as_ref());
            value.add(with(labels, "unit", unit), number);
        }
        let since = known.at.wall.duration_since(UNIX_EPOCH).unwrap_or_default();
        last.add(labels, since.as_secs_f64());
    }
    [state, stale, looks, transitions, took, value, last]
}

fn with<'a>(mut labels: Labels<'a>, name: &'static str, value: impl Into<Cow<'a, str>>) -> Labels<'a> {
    labels.push((name, value.into()));
    labels
}

fn flag(yes: bool) -> f64 {
    f64::from(u8::from(yes))
}

/// Prometheus counts in seconds, bytes and ratios ("Metric and label naming", base units); what it has no base
/// unit for stays as it is.
fn in_base_unit(measured: &Measured) -> (f64, &str) {
    let value = measured.value;
    match measured.unit.as_ref() {
        "percent" | "%" => (value / 100.0, "ratio"),
        "us" => (value / 1e6, "seconds"),
        "ms" => (value / 1e3, "seconds"),
        "s" => (value, "seconds"),
        "minutes" => (value * 60.0, "seconds"),
        "hours" => (value * 3600.0, "seconds"),
        "days" => (value * 86_400.0, "seconds"),
        "KiB" => (value * 1024.0, "bytes"),
        "MiB" => (value * 1_048_576.0, "bytes"),
        "GiB" => (value * 1_073_741_824.0, "bytes"),
        other => (value, other),
    }
}
