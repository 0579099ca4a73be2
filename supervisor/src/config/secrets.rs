//! `[secrets]`, and the references that stand in the environment.
//!
//! Both come to one list of [`Secret`]s. Where they meet: what is named in the config beats what was
//! found, and a variable that is there beats one that its `_ARN` would add.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::Duration;

use runmate_secrets::{Form, Reference};

use super::plan::{Otherwise, Process, Secret, Secrets, Sees};
use super::reader::{Doc, Table, Value};
use super::{Text, expand, keys, suggest};

/// The whole-section keys; every other one is the name of a secret.
const OWN: [&str; 2] = ["exclude", "timeout"];

const ENVIRONMENT_FILE: &str = "RUNMATE_SECRETS_FILE";

/// What was found of secrets, before the processes are read.
pub(super) struct Found {
    pub(super) secrets: Secrets,
    pub(super) warnings: Vec<String>,
}

/// Reads `[secrets]`, looks through the environment, and tells the document the names of all secrets.
pub(super) fn read(root: &Table) -> Found {
    let env = root.doc.env;
    let section = root.get("secrets");
    let table = section
        .as_ref()
        .and_then(|value| value.table(None, "a table [secrets]"));
    let mut found = Found {
        secrets: Secrets {
            timeout: Duration::from_secs(30),
            file: env
                .get(ENVIRONMENT_FILE)
                .filter(|path| !path.is_empty())
                .map(PathBuf::from),
            wanted: Vec::new(),
        },
        warnings: Vec::new(),
    };
    for (name, value) in table.iter().flat_map(Table::entries) {
        match (name, value.value) {
            ("timeout", _) => {
                if let Some(timeout) = value.some_time() {
                    found.secrets.timeout = timeout;
                }
            }
            ("exclude", _) => root.doc.exclude(exclude(&value)),
            (_, toml::de::DeValue::Table(_)) => found.secrets.wanted.extend(named(name, &value)),
            _ => {
                let hint = suggest::did_you_mean(name, OWN);
                value.error(format!("unknown key{hint}; a secret is a table [secrets.NAME]"));
            }
        }
    }
    if root.doc.excluded().iter().any(|name| name == "*") {
        let named = found.secrets.wanted.drain(..).map(|secret| secret.name);
        found
            .warnings
            .extend(named.map(|name| {
                format!("secrets.{name} is not resolved: secrets.exclude turns resolution off.")
            }));
        // `${NAME}` is then what the environment has.
        root.doc.name_secrets(BTreeSet::new());
        return found;
    }
    discover(root, &mut found);
    // Those with a slip in their table included, or whoever uses them would be told that they do not exist.
    let tables = table
        .iter()
        .flat_map(Table::entries)
        .map(|(name, _)| name.to_owned());
    let tables = tables.filter(|name| !OWN.contains(&name.as_str()));
    let names = found.secrets.wanted.iter().map(|secret| secret.name.clone());
    root.doc.name_secrets(names.chain(tables).collect());
    found
}

fn exclude(value: &Value) -> Vec<String> {
    let names = value
        .list("a list of names such as [\"PARTNER_ARN\"], or [\"*\"] for all")
        .unwrap_or_default();
    let name = |value: &Value| {
        let name = value.filled("the name of a variable in quotes")?;
        if name.contains('*') && name != "*" {
            value.error(format!(
                "{name:?} is no pattern; write whole names, or \"*\" alone for all"
            ));
        }
        Some(name)
    };
    names.iter().filter_map(name).collect()
}

/// `[secrets.NAME]`.
fn named(name: &str, value: &Value) -> Option<Secret> {
    if !expand::is_name(name) {
        value.error(format!(
            "{name:?} cannot name a variable; write a name of letters, digits and '_'"
        ));
    }
    let table = value.table(Some(keys::SECRET), "")?;
    let optional = table.get("optional").and_then(|value| value.bool());
    let default = table
        .get("default")
        .and_then(|value| value.string("the value in quotes"));
    if let (Some(value), Some(Ok(Some(_)))) = (table.get("default"), default.as_deref().map(Reference::parse))
    {
        value.error("is a reference, which nobody would resolve; write the value itself");
    }
    let otherwise = match (optional, default) {
        (_, Some(default)) => Otherwise::Default(default),
        (Some(true), None) => Otherwise::Absent,
        _ => Otherwise::Fail,
    };
    let form = table.get("as").and_then(|value| {
        let text = value.filled("\"text\", \"json-key:NAME\", \"database-url\", \"base64\" or \"file\"")?;
        value.check(Form::parse(&text))
    });
    let shape = "an ARN or file:PATH, such as \"${DATABASE_SECRET_ARN}\"";
    let Some(from) = table.get("from") else {
        let remedy = format!("is missing; write {shape}");
        table.doc.missing(Some(table.at), &table.path("from"), remedy);
        return None;
    };
    let text = from.string(shape)?;
    let reference = match Reference::parse(&text) {
        // An unset variable with an empty default: elsewhere this secret does not exist.
        _ if text.is_empty() && otherwise != Otherwise::Fail => None,
        Ok(Some(reference)) => Some(reference),
        // Never what stands there: it may be the secret itself.
        Ok(None) => {
            from.error(format!("holds no reference to a secret; write {shape}"));
            return None;
        }
        Err(error) => {
            from.error(error.message);
            return None;
        }
    };
    Some(Secret {
        name: name.to_owned(),
        reference,
        form: form.unwrap_or_default(),
        otherwise,
        beside: false,
        of_process: None,
    })
}

/// The variables whose whole value is a reference.
fn discover(root: &Table, found: &mut Found) {
    let env = root.doc.env;
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary for each type.
    let (mut named, mut taken) = (BTreeSet::new(), BTreeSet::new());
    let wanted = || found.secrets.wanted.iter();
    named.extend(wanted().map(|secret| secret.name.clone()));
    taken.extend(
        wanted()
            .filter_map(|secret| secret.reference.as_ref())
            .map(Reference::without_json_key),
    );
    for (variable, value) in env {
        if is_excluded(root.doc, variable) {
            continue;
        }
        if is_nearly_one(value) {
            found.warnings.push(format!(
                "{variable} is not resolved: there are blanks, line breaks or quotes around its reference; remove them."
            ));
        }
        let reference = match Reference::parse(value) {
            Ok(None) => continue,
            Ok(Some(reference)) => reference,
            Err(error) => {
                let message = format!("{}; or name it in secrets.exclude", error.message);
                root.doc.wrong_variable(variable, message);
                continue;
            }
        };
        let name = added_by(variable).unwrap_or(variable);
        if named.contains(name) {
            continue;
        }
        if name != variable && env.contains_key(name) {
            found.warnings.push(format!(
                "{variable} is not resolved: {name}, which it would set, is set already; remove one of them."
            ));
            continue;
        }
        let value = reference.without_json_key();
        let beside = name != variable && taken.contains(&value);
        found.secrets.wanted.push(Secret {
            name: name.to_owned(),
            reference: Some(reference),
            form: Form::Text,
            otherwise: if beside {
                Otherwise::Absent
            } else {
                Otherwise::Fail
            },
            beside,
            of_process: None,
        });
    }
}

/// Whether the variable, or the one it adds, is named in `secrets.exclude`, or all are.
pub(super) fn is_excluded(doc: &Doc, variable: &str) -> bool {
    let mut names = doc.excluded().iter();
    names.any(|name| name == "*" || name == variable || Some(name.as_str()) == added_by(variable))
}

/// Whether only what surrounds it keeps a value from being a reference.
fn is_nearly_one(value: &str) -> bool {
    let bare = value.trim_matches(|c: char| c.is_whitespace() || matches!(c, '"' | '\''));
    bare != value && Reference::parse(value) == Ok(None) && Reference::parse(bare) != Ok(None)
}

/// The variable that a `FOO_ARN` adds: `FOO`.
fn added_by(variable: &str) -> Option<&str> {
    variable.strip_suffix("_ARN").filter(|name| !name.is_empty())
}

/// The references that stand in the `env` of processes: secrets of that one variable of that one process.
pub(super) fn in_process_env(doc: &Doc, processes: &mut [Process], found: &mut Found) {
    for process in processes {
        for (variable, text) in &mut process.env {
            if is_excluded(doc, variable) || added_by(variable).is_some() {
                continue;
            }
            // Slips were recorded when the value was read.
            let Some(Ok(Some(reference))) = text.literal().map(Reference::parse) else {
                continue;
            };
            let name = format!("process.{}.env.{variable}", process.name);
            *text = Text::of_secret(&name);
            found.secrets.wanted.push(Secret {
                name,
                reference: Some(reference),
                form: Form::Text,
                otherwise: Otherwise::Fail,
                beside: false,
                of_process: Some(process.name.clone()),
            });
        }
    }
}

/// `process.NAME.secrets`.
pub(super) fn sees(value: &Value) -> Option<Sees> {
    if value.value.as_str() == Some("all") {
        return Some(Sees::All);
    }
    let names = value.list("\"all\", or a list of names such as [\"DATABASE_URL\"]")?;
    let known = value.doc.secrets();
    let name = |value: &Value| {
        let name = value.filled("the name of a secret in quotes")?;
        // One that is an ordinary variable here (in development, say) is inherited like any other.
        if let Some(added) = added_by(&name).filter(|added| known.contains(*added) && !known.contains(&name))
        {
            value.error(format!(
                "{name} holds the reference and no secret; write \"{added}\""
            ));
        } else if !known.contains(&name) && !value.doc.env.contains_key(&name) {
            let hint = suggest::did_you_mean(&name, known.iter().map(String::as_str));
            value.error(format!(
                "there is no secret {name}: neither a variable that holds a reference nor a table [secrets.{name}]{hint}"
            ));
        }
        Some(name)
    };
    Some(Sees::Only(names.iter().filter_map(name).collect()))
}

/// Who can read the secrets of which process from /proc without being meant to: whoever runs as the same
/// user, and root. `own` is the user that runmate runs as. Keys with a message each.
pub(super) fn shared_users(processes: &[Process], secrets: &Secrets, own: u32) -> Vec<(String, String)> {
    let uid = |process: &Process| process.user.as_ref().map_or(own, |user| user.uid);
    let mut found = Vec::new();
    for process in processes {
        let others: Vec<&str> = processes
            .iter()
            .filter(|other| uid(other) == uid(process) || uid(other) == 0)
            .filter(|other| {
                let mut wanted = secrets.wanted.iter();
                wanted.any(|secret| process.holds(secret) && !other.holds(secret))
            })
            .map(|other| other.name.as_str())
            .collect();
        if !others.is_empty() {
            let message = format!(
                "its secrets can be read from /proc by {}, of the same user or root; give them another user",
                others.join(", ")
            );
            found.push((format!("process.{}.secrets", process.name), message));
        }
    }
    found
}
