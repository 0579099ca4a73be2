//! What becomes of the helper's answers: values for those who may see them, or a report of what is missing.
//!
//! Invariant: all or nothing. Who holds [`Values`] holds every secret that is not optional.

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
pub(crate) fn job<'a>(
    secrets: &config::Secrets,
    wanted: impl Iterator<Item = &'a config::Secret>,
) -> Option<Job> {
    let requests: Vec<Request> = wanted
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
        let value = match (answers.remove(&name), &secret.otherwise) {
            (Some(Answer::Value(value)), _) => value,
            (Some(Answer::Failure(report)), Otherwise::Fail) => {
                settled.missing.push(Missing { name, report });
                continue;
            }
            (answer, otherwise) => {
                if let Some(Answer::Failure(report)) = answer {
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

    /// From here on the variable holds this path for processes of this user.
    pub fn put_path(&mut self, name: &str, owner: Owner, path: String) {
        self.paths.insert((name.to_owned(), owner), path);
    }
}
