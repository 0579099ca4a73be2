//! Variables that hold a value, or an ARN that stands for one.

use std::collections::HashMap;

use runmate_secrets::{Form, Reference, Request, Resolver, Secret};

use crate::Result;

/// The values of these variables, by name; each with the form it is wanted in if it is a reference. One that is
/// not set is absent. All failures are told at once.
pub async fn resolve(variables: &[(&'static str, &str)]) -> Result<HashMap<&'static str, Secret>> {
    let mut values = HashMap::new();
    let (mut names, mut requests) = (Vec::new(), Vec::new());
    for (name, form) in variables {
        let Ok(value) = std::env::var(name) else { continue };
        match Reference::parse(&value)? {
            None => drop(values.insert(*name, Secret::new(value))),
            Some(reference) => {
                names.push(*name);
                requests.push(Request {
                    name: (*name).to_owned(),
                    reference,
                    form: Form::parse(form)?,
                });
            }
        }
    }
    let mut failures = Vec::new();
    // Without a reference nobody is asked: on a laptop the same program runs with plain values.
    if !requests.is_empty() {
        for (name, answer) in names
            .into_iter()
            .zip(Resolver::from_env().resolve(&requests).await)
        {
            match answer {
                Ok(value) => drop(values.insert(name, value)),
                Err(failure) => failures.push(failure.to_string()),
            }
        }
    }
    if failures.is_empty() {
        Ok(values)
    } else {
        Err(failures.join("\n").into())
    }
}
