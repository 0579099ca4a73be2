//! What is legal but probably not meant.

use super::{LogFormat, Plan, health, units};

/// The warnings of a plan, each a full sentence.
pub(super) fn warnings(plan: &Plan) -> Vec<String> {
    let mut warnings = Vec::new();
    let budget = plan.run.stop_budget;
    for process in &plan.processes {
        if let Some(grace) = process.policy.stop.grace.filter(|grace| *grace > budget) {
            warnings.push(format!(
                "process.{}.stop.grace of {} is longer than run.stop_budget and will be cut to what is left of {}.",
                process.name,
                units::show(grace),
                units::show(budget),
            ));
        }
    }
    for process in &plan.processes {
        let mut secrets = plan.secrets.wanted.iter();
        if plan.logs.mask
            && process.format == LogFormat::Inherit
            && secrets.any(|secret| process.holds(secret))
        {
            warnings.push(format!(
                "process.{}.logs.format = \"inherit\" leaves its output alone: secrets that it prints are not masked.",
                process.name,
            ));
        }
    }
    // Off, and nobody wrote so; see `health::listen`.
    if plan.health.listen.is_none() && !plan.health.explicit {
        warnings.push(format!(
            "there are no health endpoints: their default port {} is $PORT, where the app listens; set health.listen to another port, or to \"off\".",
            health::DEFAULT.port()
        ));
    }
    warnings.extend(health::warnings(plan));
    warnings.extend(plan.trace.doubt.clone());
    warnings
}
