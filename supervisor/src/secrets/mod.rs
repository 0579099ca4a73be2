//! What becomes of the helper's answers: values for those who may see them, or a report of what is missing.
//!
//! Invariant: all or nothing. Who holds [`Values`] holds every secret that is not optional.

pub(crate) mod environment;
mod files;

use std::collections::{BTreeMap, BTreeSet};

use runmate_secrets::{Class, Form, Request, Secret};

use crate::config::{self, Otherwise};
use crate::helper::{Answer, Answers, Job, Report};
use crate::run::exit_code;

pub(crate) use files::{Files, Owner};

/// The values of all secrets that have one.
#[derive(Default)]
pub(crate) struct Values {
    texts: BTreeMap<String, Secret>,
    /// What a process is told is where its own copy is.
    paths: BTreeMap<(String, Owner), String>,
}

/// A secret without a value.
pub(crate) struct Missing {
    pub name: String,
    pub report: Report,
}

/// What came of it all.
pub(crate) struct Settled {
    pub values: Values,
    /// Values that go into files first.
    pub for_files: Vec<(String, Secret)>,
    /// Required and not there: nothing may be started.
    pub missing: Vec<Missing>,
    /// Optional, and not there either.
    pub absent: Vec<Missing>,
}

/// What is to be asked for.
pub(crate) fn job(secrets: &config::Secrets) -> Option<Job> {
    let requests: Vec<Request> = secrets
        .wanted
        .iter()
        .filter_map(|secret| {
            Some(Request {
                name: secret.name.clone(),
                reference: secret.reference.clone()?,
                form: secret.form.clone(),
            })
        })
        .collect();
    (!requests.is_empty()).then_some(Job {
        timeout: secrets.timeout,
        requests,
    })
}

/// Sorts the answers by what they mean for the start.
pub(crate) fn settle(secrets: &config::Secrets, mut answers: Answers) -> Settled {
    let mut settled = Settled {
        values: Values::default(),
        for_files: Vec::new(),
        missing: Vec::new(),
        absent: Vec::new(),
    };
    for secret in &secrets.wanted {
        let name = secret.name.clone();
        let answer = match (answers.remove(&name), &secret.reference) {
            (Some(Answer::Value(value)), _) => Ok(value),
            (Some(Answer::Failure(report)), _) => Err(Some(report)),
            (None, Some(reference)) => Err(Some(unanswered(&name, &reference.to_string()))),
            // Nobody was asked.
            (None, None) => Err(None),
        };
        let value = match (answer, &secret.otherwise) {
            (Ok(value), _) => value,
            (Err(report), Otherwise::Fail) => {
                let report = report.unwrap_or_else(|| unanswered(&name, "nothing"));
                settled.missing.push(Missing { name, report });
                continue;
            }
            (Err(report), otherwise) => {
                if let Some(mut report) = report.filter(|_| !secret.beside) {
                    report.message.push_str(match otherwise {
                        Otherwise::Default(_) => "; its default is used",
                        _ => "; going on without it",
                    });
                    let name = name.clone();
                    settled.absent.push(Missing { name, report });
                }
                match otherwise {
                    Otherwise::Default(default) => Secret::new(default.as_bytes()),
                    _ => continue,
                }
            }
        };
        if secret.form == Form::File {
            settled.for_files.push((name, value));
        } else {
            settled.values.texts.insert(name, value);
        }
    }
    settled
}

/// What is said of a secret that the helper left out. It answers all of them; but if ever it does not, nothing
/// may be started.
fn unanswered(name: &str, reference: &str) -> Report {
    let cause = "a fault inside runmate; please report it".to_owned();
    Report {
        message: format!("{name}: {reference} was not answered: {cause}"),
        reference: reference.to_owned(),
        region: None,
        action: None,
        kind: "unanswered".to_owned(),
        cause,
        class: Class::Config,
    }
}

/// Puts values that go into files where the processes look for them: each process that holds one gets a copy
/// of its own user's. `write` gives the path.
pub(crate) fn place_files(
    plan: &config::Plan,
    for_files: &[(String, Secret)],
    values: &mut Values,
    write: impl Fn(&str, &Secret, Owner) -> Result<String, String>,
) -> Result<(), String> {
    for (name, value) in for_files {
        for process in &plan.processes {
            let owner = environment::owner(process);
            let mut wanted = plan.secrets.wanted.iter();
            let held = wanted.any(|secret| secret.name == *name && process.holds(secret));
            if held && values.get(name, owner).is_none() {
                let path = write(name, value, owner)?;
                values.put_path(name, owner, path);
            }
        }
    }
    Ok(())
}

/// The token of the health details, if it is made of secrets.
///
/// # Errors
/// If one of them is absent, or no request could carry the token.
pub(crate) fn health_token(plan: &config::Plan, values: &Values) -> Result<Option<String>, String> {
    let token = plan
        .health
        .token
        .as_ref()
        .filter(|token| token.literal().is_none());
    let Some(token) = token else {
        return Ok(None);
    };
    let token = token
        .fill(|name| values.get(name, Owner::ourselves()))
        .map_err(|absent| format!("health.token: {absent}"))?;
    config::check_bearer_token(&token).map_err(|error| format!("health.token: {error}"))?;
    Ok(Some(token))
}

/// The exit code for what is missing: of several the one that needs a person first.
pub(crate) fn exit_code_for(missing: &[Missing]) -> i32 {
    match missing.iter().map(|missing| missing.report.class).max() {
        Some(Class::Unavailable) => exit_code::UNAVAILABLE,
        Some(Class::Denied) => exit_code::DENIED,
        Some(Class::Config) | None => exit_code::CONFIG,
    }
}

/// All of it in one sentence.
pub(crate) fn summary(missing: &[Missing], of: usize) -> String {
    match missing {
        [one] => one.report.message.clone(),
        several => {
            let names: BTreeSet<&str> = several.iter().map(|missing| missing.name.as_str()).collect();
            let names: Vec<&str> = names.into_iter().collect();
            format!(
                "{} of {of} secrets cannot be resolved: {}",
                several.len(),
                names.join(", ")
            )
        }
    }
}

impl Values {
    /// What the variable of this secret holds for a process of this user; `None`: it is absent.
    pub fn get(&self, name: &str, owner: Owner) -> Option<&str> {
        let path = || self.paths.get(&(name.to_owned(), owner)).map(String::as_str);
        self.texts.get(name).and_then(Secret::expose_str).or_else(path)
    }

    /// The values as processes find them in variables.
    pub fn texts(&self) -> impl Iterator<Item = &[u8]> {
        self.texts.values().map(Secret::expose)
    }

    /// From here on the variable holds this path for processes of this user.
    pub fn put_path(&mut self, name: &str, owner: Owner, path: String) {
        self.paths.insert((name.to_owned(), owner), path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/key";

    fn wanted(name: &str, otherwise: Otherwise) -> config::Secret {
        config::Secret {
            name: name.to_owned(),
            reference: Some(KEY.parse().unwrap()),
            form: Form::Text,
            otherwise,
            beside: false,
            of_process: None,
        }
    }

    fn secrets(wanted: Vec<config::Secret>) -> config::Secrets {
        config::Secrets {
            timeout: std::time::Duration::from_secs(1),
            file: None,
            wanted,
        }
    }

    fn failure(class: Class) -> Answer {
        let mut report = unanswered("X", KEY);
        report.class = class;
        Answer::Failure(report)
    }

    fn names(missing: &[Missing]) -> Vec<&str> {
        missing.iter().map(|missing| missing.name.as_str()).collect()
    }

    #[test]
    fn what_is_not_answered_is_missing() {
        let secrets = secrets(vec![
            wanted("LEFT_OUT", Otherwise::Fail),
            wanted("FAILED", Otherwise::Fail),
            wanted("THERE", Otherwise::Fail),
        ]);
        let answers = Answers::from([
            ("FAILED".to_owned(), failure(Class::Denied)),
            ("THERE".to_owned(), Answer::Value(Secret::new("value"))),
        ]);
        let settled = settle(&secrets, answers);
        assert_eq!(names(&settled.missing), ["LEFT_OUT", "FAILED"]);
        assert_eq!(settled.values.get("THERE", Owner::ourselves()), Some("value"));
        assert_eq!(settled.values.get("FAILED", Owner::ourselves()), None);
        assert!(
            summary(&settled.missing, 3).ends_with("2 of 3 secrets cannot be resolved: FAILED, LEFT_OUT")
        );
    }

    #[test]
    fn the_optional_may_be_absent_and_defaults_stand_in() {
        let mut nowhere = wanted("NOWHERE", Otherwise::Default("b".into()));
        nowhere.reference = None;
        let secrets = secrets(vec![
            wanted("ABSENT", Otherwise::Absent),
            wanted("DEFAULT", Otherwise::Default("a".into())),
            nowhere,
        ]);
        let answers = Answers::from([
            ("ABSENT".to_owned(), failure(Class::Config)),
            ("DEFAULT".to_owned(), failure(Class::Config)),
        ]);
        let settled = settle(&secrets, answers);
        assert!(settled.missing.is_empty());
        assert_eq!(names(&settled.absent), ["ABSENT", "DEFAULT"]);
        let get = |name| settled.values.get(name, Owner::ourselves());
        assert_eq!(
            (get("ABSENT"), get("DEFAULT"), get("NOWHERE")),
            (None, Some("a"), Some("b"))
        );
    }

    #[test]
    fn the_gravest_decides_the_exit_code() {
        let missing = |classes: &[Class]| -> Vec<Missing> {
            let one = |class: &Class| {
                let Answer::Failure(report) = failure(*class) else {
                    unreachable!()
                };
                let name = "X".to_owned();
                Missing { name, report }
            };
            classes.iter().map(one).collect()
        };
        assert_eq!(exit_code_for(&missing(&[Class::Unavailable])), 69);
        assert_eq!(exit_code_for(&missing(&[Class::Unavailable, Class::Denied])), 77);
        assert_eq!(
            exit_code_for(&missing(&[Class::Config, Class::Denied, Class::Unavailable])),
            78
        );
    }
}
