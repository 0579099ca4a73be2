//! Checks that are legal but probably not meant.

use runmate_health::Level;

use super::plan::HealthCheck;
use crate::config::{Plan, units};

/// The warnings about the checks of a plan, each a full sentence.
pub(in crate::config) fn warnings(plan: &Plan) -> Vec<String> {
    let checks = plan.health.checks.iter();
    let mut warnings: Vec<String> = checks.flat_map(|check| of_check(check, plan)).collect();
    let unseen = plan.health.checks.iter().filter(|check| check.restart.is_none());
    let unseen: Vec<&str> = unseen.map(|check| check.name.as_str()).collect();
    if plan.health.listen.is_none() && !unseen.is_empty() {
        warnings.push(format!(
            "these health checks are run for nothing, as there are no health endpoints to show them and they restart \
             no process: {}.",
            unseen.join(", ")
        ));
    }
    warnings
}

fn of_check(check: &HealthCheck, plan: &Plan) -> Vec<String> {
    let key = format!("health.check.{}", check.name);
    let (settings, shared) = (&check.settings, check.kind.is_shared());
    let mut warnings = Vec::new();
    if settings.level == Level::Critical && shared {
        warnings.push(format!(
            "{key} is critical and looks at what other containers use too: when that is down, the platform \
             replaces all of them, which does not mend it; write level = \"required\" or \"degraded\"."
        ));
    }
    let Some(restarted) = check.restart else {
        return warnings;
    };
    let process = &plan.processes[restarted.0].name;
    if shared {
        warnings.push(format!(
            "{key} restarts {process} when it fails, and looks at what other containers use too: when that is down, \
             {process} is restarted in all of them, and they end once process.{process}.backoff allows no more."
        ));
    }
    if settings.level == Level::Info {
        warnings.push(format!(
            "{key} is for information only, and restarts {process} all the same; write a higher level, or remove restart."
        ));
    }
    if settings.fail_after == 1 {
        warnings.push(format!(
            "{key} restarts {process} at a single failure, a timeout of {} included; write a fail_after of 2 or more.",
            units::show(settings.timeout)
        ));
    }
    warnings
}
