//! One look of every health check, for `check --online`.

use std::sync::Arc;
use std::time::{Duration, Instant};

use runmate_health::{Check, FailureKind, Level, Looked, look_once};
use serde_json::{Value, json};
use tokio::task::JoinSet;

use crate::config::{Finding, Plan, Severity};
use crate::run::for_one_look;
use crate::secrets::Values;

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
pub(super) fn look(plan: &Plan, values: &Values) -> Result<Looks, String> {
    let mut looks = Looks::default();
    let mut checks = Vec::new();
    for check in &plan.health.checks {
        let place = looks.looks.len();
        match for_one_look(check, values) {
            Ok(Some(made)) => checks.push((place, made, check.settings.timeout)),
            Ok(None) => {}
            Err(why) => {
                let wrong = format!("health.check.{}.{}: {why}", check.name, check.kind.name());
                looks.wrong.push(wrong);
                continue;
            }
        }
        looks.looks.push(One {
            name: check.name.clone(),
            level: check.settings.level,
            result: None,
        });
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    for (place, looked, took) in runtime.block_on(all(checks)) {
        looks.looks[place].result = Some((looked, took));
    }
    // A lookup of a name that hangs keeps a thread, which must not keep us.
    runtime.shutdown_background();
    Ok(looks)
}

async fn all(checks: Vec<(usize, Arc<dyn Check>, Duration)>) -> Vec<(usize, Looked, Duration)> {
    let mut looking = JoinSet::new();
    for (place, check, timeout) in checks {
        looking.spawn(async move {
            let began = Instant::now();
            (place, look_once(&*check, timeout).await, began.elapsed())
        });
    }
    looking.join_all().await
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
