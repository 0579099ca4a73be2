//! The environment and the command line of a child.

use std::ffi::{OsStr, OsString};

use super::{Owner, Values};
use crate::config::{self, AbsentSecret, Command, EnvInherit, Exporter, Process};
use crate::helper;
use crate::machine::Kind;
use crate::process::sys;
use crate::trace::{Context, resource};

/// Runmate's own environment, read once.
pub(crate) type Inherited = Vec<(OsString, OsString)>;

/// The whole environment of a child.
pub(crate) type Environment = Vec<(OsString, OsString)>;

/// The environments of all processes, in their order. No value of a secret is missing from `values` but those
/// of optional ones.
///
/// # Errors
/// All that is wrong, a sentence each.
pub(crate) fn of_all(
    plan: &config::Plan,
    inherited: &Inherited,
    values: &Values,
) -> Result<Vec<Environment>, Vec<String>> {
    let mut environments = Vec::new();
    let mut wrong = Vec::new();
    for process in &plan.processes {
        match of_process(process, inherited, &plan.secrets, values) {
            Ok(mut env) => {
                add_service(&mut env, plan, inherited);
                // Without secrets the kernel's own refusal of one process is enough.
                if let (false, Err(why)) = (plan.secrets.wanted.is_empty(), check_size(&env)) {
                    wrong.push(format!("process.{}: {why}", process.name));
                }
                environments.push(env);
            }
            Err((key, absent)) => wrong.push(format!("{key}: {absent}")),
        }
    }
    if wrong.is_empty() {
        Ok(environments)
    } else {
        Err(wrong)
    }
}

/// What the process finds in its environment: inherited < secrets < its user's identity < `env`.
///
/// # Errors
/// If its `env` needs a secret that is absent; names the key.
fn of_process(
    process: &Process,
    inherited: &Inherited,
    secrets: &config::Secrets,
    values: &Values,
) -> Result<Environment, (String, AbsentSecret)> {
    let wanted = |key: &OsStr| match &process.env_inherit {
        EnvInherit::All => true,
        EnvInherit::None => false,
        EnvInherit::Only(names) => names.iter().any(|name| key == name.as_str()),
    };
    let owner = owner(process);
    let seen = secrets.wanted.iter().filter(|secret| process.sees(secret));
    let mut env = with_secrets(inherited, wanted, secrets, seen, |name| values.get(name, owner));
    // Another user with root's HOME would fail at its first dot file.
    if let Some(user) = &process.user {
        if let Some(home) = &user.home {
            set(&mut env, "HOME", home);
        }
        if let Some(name) = &user.name {
            set(&mut env, "USER", name);
            set(&mut env, "LOGNAME", name);
        }
    }
    for (key, text) in &process.env {
        let value = text
            .fill(|name| values.get(name, owner))
            .map_err(|absent| (format!("process.{}.env.{key}", process.name), absent))?;
        set(&mut env, key, &value);
    }
    Ok(env)
}

/// Names the service and where it runs, for the SDKs of OpenTelemetry, unless somebody else has done it. How and where
/// an SDK exports is never said: asked for what it has not, one fails at its start.
fn add_service(env: &mut Environment, plan: &config::Plan, inherited: &Inherited) {
    if plan.trace.exporter == Exporter::Off {
        return;
    }
    let attributes = get(env, ATTRIBUTES).map(|value| value.to_string_lossy().into_owned());
    let named =
        resource::parse(attributes.as_deref().unwrap_or_default()).any(|(key, _)| key == "service.name");
    if !named && get(env, SERVICE).is_none() {
        set(env, SERVICE, &plan.trace.service);
    }
    if attributes.is_none()
        && let Some(known) = resource::variable(&resource_attributes(plan, inherited))
    {
        set(env, ATTRIBUTES, &known);
    }
}

/// What the environment tells about where we run, references that stand for secrets excepted.
pub(crate) fn resource_attributes(plan: &config::Plan, inherited: &Inherited) -> Vec<(String, String)> {
    let is_secret = |name: &str| plan.secrets.wanted.iter().any(|secret| secret.name == name);
    resource::attributes(plan.run.platform, |name| {
        let (_, value) = inherited
            .iter()
            .find(|(key, _)| key == name && !is_secret(name))?;
        value.to_str()
    })
}

const SERVICE: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

/// Tells a task the span of its start, so that it goes on with the trace; a service only if that is wanted, for it
/// lives on when the trace is over. What is written in `env` stays; what else was inherited of another trace does not.
pub(crate) fn add_carrier(env: &mut Environment, plan: &config::Plan, process: &Process, span: &Context) {
    if process.policy.kind == Kind::Task || plan.trace.carrier {
        for (key, value) in span.variables() {
            if !process.env.contains_key(key) {
                set(env, key, &value);
            }
        }
        // It belongs to the parent that came with it (W3C Trace Context, "Tracestate Header").
        if !process.env.contains_key("TRACEPARENT") && !process.env.contains_key("TRACESTATE") {
            env.retain(|(key, _)| key != "TRACESTATE");
        }
    }
}

/// What a command of `exec` finds: all that is inherited, and all secrets.
pub(crate) fn of_command(inherited: &Inherited, secrets: &config::Secrets, values: &Values) -> Environment {
    let owner = Owner::ourselves();
    let all = secrets.wanted.iter();
    with_secrets(inherited, |_| true, secrets, all, |name| values.get(name, owner))
}

/// Whoever sees a secret finds its value; nobody else finds its variable, which held the reference.
fn with_secrets<'a>(
    inherited: &Inherited,
    wanted: impl Fn(&OsStr) -> bool,
    secrets: &config::Secrets,
    seen: impl Iterator<Item = &'a config::Secret>,
    value: impl Fn(&str) -> Option<&'a str>,
) -> Environment {
    let secret = |key: &OsStr| secrets.wanted.iter().any(|secret| key == secret.name.as_str());
    let kept = inherited.iter().filter(|(key, _)| wanted(key) && !secret(key));
    let mut env: Environment = kept.cloned().collect();
    for secret in seen.filter(|secret| secret.of_process.is_none()) {
        // One that nobody asked for must not be what makes the environment too long.
        let fits = |value: &&str| !secret.beside || secret.name.len() + value.len() + 2 <= ENTRY;
        if let Some(value) = value(&secret.name).filter(fits) {
            env.push((secret.name.clone().into(), value.into()));
        }
    }
    env
}

fn get<'a>(env: &'a Environment, key: &str) -> Option<&'a OsStr> {
    let (_, value) = env.iter().find(|(known, _)| known == key)?;
    Some(value)
}

fn set(env: &mut Environment, key: &str, value: &str) {
    env.retain(|(known, _)| known != key);
    env.push((key.into(), value.into()));
}

/// Whom the files of a process are for.
pub(crate) fn owner(process: &Process) -> Owner {
    match &process.user {
        Some(user) => Owner {
            uid: user.uid,
            gid: user.gid,
        },
        None => Owner::ourselves(),
    }
}

/// The longest `NAME=value`, its final NUL included (MAX_ARG_STRLEN of execve(2): 32 pages).
const ENTRY: usize = 131_072;
/// What the program's path, its arguments and the kernel's own vector may need.
const RESERVE: usize = 16 << 10;

/// Whether the kernel takes this environment; if not, a sentence that names the variable.
pub(crate) fn check_size(env: &Environment) -> Result<(), String> {
    let size = |(key, value): &(OsString, OsString)| key.len() + value.len() + 2;
    if let Some(entry) = env.iter().find(|entry| size(entry) > ENTRY) {
        return Err(format!(
            "the variable {} is {} bytes long and the system takes {ENTRY}; for a secret, write as = \"file\"",
            entry.0.to_string_lossy(),
            size(entry),
        ));
    }
    let pointer = size_of::<usize>();
    let total: usize = env.iter().map(|entry| size(entry) + pointer).sum();
    let limit = sys::argument_limit().saturating_sub(RESERVE);
    if total > limit {
        let largest = env.iter().max_by_key(|entry| size(entry));
        let largest = largest.map_or_else(String::new, |(key, _)| key.to_string_lossy().into_owned());
        return Err(format!(
            "the environment is {total} bytes long and the system takes {limit}; its largest variable is {largest}; \
             for secrets, write as = \"file\""
        ));
    }
    Ok(())
}

/// The argument vector of a command.
pub(crate) fn argv(command: &Command) -> Vec<OsString> {
    match command {
        Command::Argv(argv) => argv.iter().map(OsString::from).collect(),
        Command::Shell(line) => ["/bin/sh", "-c", line].map(OsString::from).to_vec(),
        Command::Migrate => helper::command(helper::MIGRATE),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &str, length: usize) -> (OsString, OsString) {
        (name.into(), "x".repeat(length).into())
    }

    #[test]
    fn what_the_kernel_would_refuse_is_named() {
        assert_eq!(check_size(&vec![entry("A", ENTRY - 3)]), Ok(()));
        let error = check_size(&vec![entry("B", 1), entry("A", ENTRY - 2)]).unwrap_err();
        assert!(
            error.starts_with("the variable A is 131073 bytes long"),
            "{error}"
        );
        let many: Environment = (0..100)
            .map(|n| entry(&format!("V{n}"), ENTRY - 100 - n))
            .collect();
        let error = check_size(&many).unwrap_err();
        assert!(error.contains("its largest variable is V0;"), "{error}");
    }
}
