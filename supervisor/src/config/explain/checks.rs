//! The health endpoints and the checks of a plan.

use runmate_health::Settings;
use serde_json::{Value, json};

use super::millis;
use crate::config::health::{describe, place};
use crate::config::{Health, HealthCheck, Plan, units};

/// The endpoints in a line.
pub(super) fn endpoints(health: &Health) -> String {
    let Some(address) = health.listen else {
        return "off".to_owned();
    };
    let whence = if health.explicit { "" } else { " (default)" };
    let details = match (health.public_details, &health.token) {
        (true, _) => "details for everyone",
        (false, Some(_)) => "details with the token",
        (false, None) => "no details: no token is set",
    };
    format!("{address}{whence}, {details}")
}

/// A check in a line.
pub(super) fn line(check: &HealthCheck, plan: &Plan) -> String {
    let Settings {
        level,
        interval,
        timeout,
        fail_after,
        ..
    } = &check.settings;
    let restart = check.restart.map(|process| {
        let name = &plan.processes[process.0].name;
        format!("; restarts {name}")
    });
    format!(
        "{}: {} {}, {} after {fail_after} failures, every {} for at most {}, {}{}",
        check.name,
        check.kind.name(),
        describe(&check.kind),
        level.name(),
        units::show(*interval),
        units::show(*timeout),
        place(&check.kind),
        restart.unwrap_or_default()
    )
}

/// The same for programs.
pub(super) fn json(check: &HealthCheck, plan: &Plan) -> Value {
    let settings = &check.settings;
    json!({
        "name": check.name,
        "kind": check.kind.name(),
        "target": describe(&check.kind),
        "level": settings.level.name(),
        "interval_ms": millis(settings.interval),
        "timeout_ms": millis(settings.timeout),
        "fail_after": settings.fail_after,
        "pass_after": settings.pass_after,
        "restart": check.restart.map(|process| &plan.processes[process.0].name),
        "runs": place(&check.kind),
    })
}
