//! What the fault server has, and how an id finds it: pure.

use std::collections::BTreeMap;

use super::Wrong;

/// Secrets and parameters by their whole ARNs.
#[derive(Default)]
pub struct Store {
    pub secrets: BTreeMap<String, Secret>,
    pub parameters: BTreeMap<String, Parameter>,
    pub wrong: BTreeMap<String, Wrong>,
}

/// A secret, its versions in the order they came.
pub struct Secret {
    pub arn: String,
    pub name: String,
    pub versions: Vec<Version>,
}

/// One version of a secret.
#[derive(Clone)]
pub struct Version {
    pub id: String,
    pub stages: Vec<String>,
    pub value: Value,
}

#[derive(Clone)]
pub enum Value {
    Text(String),
    Base64(String),
}

/// A parameter; version 1 is the first value.
pub struct Parameter {
    pub arn: String,
    pub name: String,
    pub values: Vec<String>,
    pub labels: BTreeMap<String, usize>,
}

impl Version {
    pub fn text(value: &str) -> Version {
        Version::new(Value::Text(value.to_owned()))
    }

    pub fn binary(base64: &str) -> Version {
        Version::new(Value::Base64(base64.to_owned()))
    }

    fn new(value: Value) -> Version {
        Version {
            id: String::new(),
            stages: vec!["AWSCURRENT".to_owned()],
            value,
        }
    }
}

impl Secret {
    pub fn new(arn: &str) -> Secret {
        let id = arn_id(arn).expect("an ARN of a secret");
        assert!(
            has_suffix(id),
            "{arn}: a whole ARN ends in a hyphen and six characters"
        );
        Secret {
            arn: arn.to_owned(),
            name: id[..id.len() - 7].to_owned(),
            versions: Vec::new(),
        }
    }

    /// Adds the version that is current from now on.
    pub fn push(&mut self, mut version: Version) {
        for older in &mut self.versions {
            older.stages.retain(|stage| stage != "AWSPREVIOUS");
            for stage in &mut older.stages {
                *stage = "AWSPREVIOUS".to_owned();
            }
        }
        version.id = format!("00000000-0000-4000-8000-{:012}", self.versions.len() + 1);
        self.versions.push(version);
    }

    /// The version that is asked for; both parts have to fit.
    pub fn version(&self, id: Option<&str>, stage: Option<&str>) -> Option<&Version> {
        let stage = stage.or(if id.is_none() { Some("AWSCURRENT") } else { None });
        self.versions.iter().find(|version| {
            id.is_none_or(|id| version.id == id)
                && stage.is_none_or(|stage| version.stages.iter().any(|is| is == stage))
        })
    }
}

impl Parameter {
    pub fn new(arn: &str) -> Parameter {
        let (_, name) = arn.split_once(":parameter/").expect("an ARN of a parameter");
        Parameter {
            arn: arn.to_owned(),
            // A name with levels begins with a slash that the ARN shows only once.
            name: if name.contains('/') {
                format!("/{name}")
            } else {
                name.to_owned()
            },
            values: Vec::new(),
            labels: BTreeMap::new(),
        }
    }

    /// The version that a selector (without its colon) means; the newest without one.
    pub fn version(&self, selector: Option<&str>) -> Option<usize> {
        let version = match selector {
            None => self.values.len(),
            Some(selector) => match selector.parse() {
                Ok(number) => number,
                Err(_) => *self.labels.get(selector)?,
            },
        };
        (1..=self.values.len()).contains(&version).then_some(version)
    }
}

impl Store {
    /// Finds a secret by its name, its ARN, or its ARN without the suffix.
    pub fn secret(&self, region: &str, id: &str) -> Option<&Secret> {
        let here = |secret: &&Secret| region_of(&secret.arn) == region;
        let mut secrets = self.secrets.values().filter(here);
        match arn_id(id) {
            None => secrets.find(|secret| secret.name == id),
            // An ID that looks whole is taken as whole: of `xyz-secret` the name is `xyz`.
            Some(last) if has_suffix(last) => secrets.find(|secret| secret.arn == id),
            Some(last) => secrets.find(|secret| secret.name == last && secret.arn.starts_with(id)),
        }
    }

    /// Finds a parameter by its name or ARN, and the selector that was with it.
    pub fn parameter<'a>(&self, region: &str, id: &'a str) -> Option<(&Parameter, Option<&'a str>)> {
        let prefix_end = id.find(":parameter/").map_or(0, |at| at + 1);
        let (bare, selector) = match id[prefix_end..].split_once(':') {
            Some((name, selector)) => (&id[..prefix_end + name.len()], Some(selector)),
            None => (id, None),
        };
        let mut parameters = self.parameters.values();
        let found = parameters.find(|parameter| {
            region_of(&parameter.arn) == region && (parameter.arn == bare || parameter.name == bare)
        });
        Some((found?, selector))
    }
}

/// What stands behind `secret:` in an ARN.
fn arn_id(arn: &str) -> Option<&str> {
    let (_, id) = arn.strip_prefix("arn:")?.split_once(":secret:")?;
    Some(id)
}

fn has_suffix(id: &str) -> bool {
    let suffix = id.rsplit('-').next().unwrap_or_default();
    suffix.len() == 6 && suffix.len() < id.len()
}

fn region_of(arn: &str) -> &str {
    arn.split(':').nth(3).unwrap_or_default()
}
