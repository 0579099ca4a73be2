//! What is legal but probably not meant.

use std::collections::BTreeMap;

use super::{Plan, sections, units};

/// The warnings of a plan, each a full sentence.
pub(super) fn warnings(plan: &Plan, env: &BTreeMap<String, String>) -> Vec<String> {
    let mut warnings = Vec::new();
    let own = env.iter().map(|(name, value)| (name.clone(), value));
    let set = plan.processes.iter().flat_map(|process| {
        process
            .env
            .iter()
            .map(|(name, value)| (format!("process.{}.env.{name}", process.name), value))
    });
    for (name, _) in own.chain(set).filter(|(_, value)| is_reference(value)) {
        warnings.push(format!(
            "{name} holds a reference that this version passes on unresolved."
        ));
    }
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
    // Off, and nobody wrote so; see `sections::health`.
    if plan.health.listen.is_none() && !plan.health.explicit {
        warnings.push(format!(
            "there are no health endpoints: their default port {} is $PORT, where the app listens; set health.listen to another port, or to \"off\".",
            sections::HEALTH.port()
        ));
    }
    warnings
}

/// Whether the whole value has the shape of a Secrets Manager or Parameter Store ARN.
fn is_reference(value: &str) -> bool {
    let mut parts = value.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) =
        (next(), next(), next(), next(), next(), next());
    let frame = arn == "arn" && !partition.is_empty() && !region.is_empty() && !account.is_empty();
    let name = match service {
        "secretsmanager" => resource.strip_prefix("secret:"),
        "ssm" => resource.strip_prefix("parameter/"),
        _ => None,
    };
    frame && !value.contains(char::is_whitespace) && name.is_some_and(|name| !name.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_have_a_shape() {
        for (value, expected) in [
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
                true,
            ),
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:password::",
                true,
            ),
            ("arn:aws-cn:ssm:cn-north-1:123456789012:parameter/app/token", true),
            ("arn:aws:iam::123456789012:role/app", false),
            ("arn:aws:kms:eu-west-1:123456789012:key/x", false),
            ("see arn:aws:ssm:eu-west-1:123456789012:parameter/x", false),
            ("arn:aws:ssm:eu-west-1:123456789012:parameter/", false),
            ("arn:aws:secretsmanager:eu-west-1:123456789012", false),
            ("", false),
        ] {
            assert_eq!(is_reference(value), expected, "{value}");
        }
    }
}
