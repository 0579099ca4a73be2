//! One look of every health check, for `check --online`.

use std::time::Duration;

use runmate_health::{FailureKind, Level, Looked};
use serde_json::{Value, json};

use crate::config::{Finding, Plan, Severity};
use crate::event_loop;
use crate::run::look_at_all;
use crate::secrets::Values;
use crate::secrets::environment::Inherited;

/// What the looks came to, in the order of the config.
#[derive(Default)]
pub(super) struct Looks {
    looks: Vec<One>,
    /// What cannot be looked at, a sentence with its key each.
    pub(super) wrong: Vec<String>,
}

struct One {
    name: String,
    level: Level,
    /// `None`: it was not made, as only a run runs commands.
    result: Option<(Looked, Duration)>,
}

/// Looks at everything at once. Takes as long as the longest timeout.
pub(super) fn look(plan: &Plan, values: &Values, inherited: &Inherited) -> Result<Looks, String> {
    let looked = event_loop::block_on(look_at_all(plan, values, inherited))?;
    let mut results = match looked {
        Ok(results) => results,
        Err(wrong) => {
            return Ok(Looks {
                looks: Vec::new(),
                wrong,
            });
        }
    };
    let looks = plan.health.checks.iter().enumerate();
    Ok(Looks {
        looks: looks
            .map(|(index, check)| One {
                name: check.name.clone(),
                level: check.settings.level,
                result: results.remove(&index),
            })
            .collect(),
        wrong: Vec::new(),
    })
}

impl Looks {
    /// Whether something fails that keeps the container from getting traffic.
    pub(super) fn hold_the_container(&self) -> bool {
        self.failures()
            .any(|(one, _, severity)| severity == Severity::Error && one.level >= Level::Required)
    }

    /// A line for each that passed, or was not looked at.
    pub(super) fn lines(&self) -> impl Iterator<Item = String> {
        self.looks.iter().filter_map(|one| match &one.result {
            Some((Ok(seen), took)) => {
                let measured = seen.measured.as_ref();
                let measured = measured.map(|seen| format!(", {} {} {}", seen.what, seen.value, seen.unit));
                Some(format!(
                    "{}: passes in {took:.0?}{}",
                    one.name,
                    measured.unwrap_or_default()
                ))
            }
            Some((Err(_), _)) => None,
            None => Some(format!("{}: not looked at; only run runs commands", one.name)),
        })
    }

    /// What did not pass.
    pub(super) fn findings(&self) -> impl Iterator<Item = Finding> {
        self.failures().map(|(one, message, severity)| Finding {
            severity,
            key: format!("health.check.{}", one.name),
            message,
        })
    }

    fn failures(&self) -> impl Iterator<Item = (&One, String, Severity)> {
        self.looks.iter().filter_map(|one| {
            let (Err(failure), _) = one.result.as_ref()? else {
                return None;
            };
            let (message, known) = match failure.kind {
                FailureKind::Failed => (format!("fails: {failure}"), true),
                FailureKind::Unknown => (format!("cannot be looked at: {failure}"), false),
            };
            let severity = match known && one.level >= Level::Required {
                true => Severity::Error,
                false => Severity::Warning,
            };
            Some((one, message, severity))
        })
    }

    pub(super) fn json(&self) -> Value {
        let looks = self.looks.iter().map(|one| match &one.result {
            Some((looked, took)) => json!({
                "name": one.name,
                "passed": looked.is_ok(),
                "output": looked.as_ref().err().map(ToString::to_string),
                "took_ms": took.as_millis() as u64,
            }),
            None => json!({"name": one.name, "passed": null, "output": null, "took_ms": null}),
        });
        looks.collect()
    }
}
