//! What can be wrong with a valid config in this image: commands, directories, users, ports.

use std::collections::BTreeMap;
use std::fmt;
use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::lookup::{self, Lookup};
use crate::process::sys;

use super::{
    CertificateOf, CheckKind, Command, EnvInherit, HealthCheck, Migrate, MigrateWork, Plan, Probe, Process,
    Text, User, secrets,
};

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// `run` would fail.
    Error,
    /// `run` would start, and do something that is probably not meant.
    Warning,
}

/// One thing that `check` found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// The dotted key it is about; empty for the environment.
    pub key: String,
    /// What is wrong and the remedy, in lower case.
    pub message: String,
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Severity::Error => "error",
            Severity::Warning => "warning",
        })
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.severity)?;
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.message)
    }
}

/// Looks at the image and the machine for what a plan needs; the plan's own warnings come last.
pub fn findings(plan: &Plan, env: &BTreeMap<String, String>) -> Vec<Finding> {
    let mut found = Vec::new();
    for process in &plan.processes {
        commands(process, env, &mut found);
        identity(process, &mut found);
    }
    if let Some(migrate) = &plan.migrate {
        migrations(migrate, env, &mut found);
    }
    ports(plan, &mut found);
    for check in &plan.health.checks {
        health_check(check, plan, env, &mut found);
    }
    let own = sys::effective_uid();
    for (key, message) in secrets::shared_users(&plan.processes, &plan.secrets, own) {
        add(&mut found, Severity::Warning, key, message);
    }
    for message in &plan.warnings {
        add(&mut found, Severity::Warning, String::new(), message.clone());
    }
    found
}

fn add(found: &mut Vec<Finding>, severity: Severity, key: String, message: String) {
    found.push(Finding {
        severity,
        key,
        message,
    });
}

/// The working directory, and every program the process may start.
fn commands(process: &Process, env: &BTreeMap<String, String>, found: &mut Vec<Finding>) {
    let key = |name: &str| format!("process.{}.{name}", process.name);
    let cwd = process.cwd.as_deref();
    if let Some(dir) = cwd
        && !dir.is_dir()
    {
        let what = if dir.exists() {
            "is no directory"
        } else {
            "does not exist"
        };
        let message = format!(
            "{} {what}; create it in the image, or correct the path",
            dir.display()
        );
        add(found, Severity::Error, key("cwd"), message);
        // A relative command would only repeat it.
        return;
    }
    let path = path(process, env);
    if process.command == Command::Migrate {
        // What it is stands in `Plan::migrate`.
        return;
    }
    match missing(&process.command, path, cwd) {
        Some(message) => add(found, Severity::Error, key("command"), message),
        None => {
            if let Lookup::Found(file) = lookup::find(program(&process.command), path, cwd) {
                access(process, &file, found);
            }
        }
    }
    if let Some(Probe::Exec(command)) = process.ready.as_ref().map(|ready| &ready.probe)
        && let Some(message) = missing(command, path, cwd)
    {
        add(found, Severity::Error, key("ready.exec"), message);
    }
}

/// The directory, or the command and its inputs.
fn migrations(migrate: &Migrate, env: &BTreeMap<String, String>, found: &mut Vec<Finding>) {
    match &migrate.work {
        MigrateWork::Dir(dir) if !dir.is_dir() => {
            let message = format!(
                "{} is no directory; create it in the image, or correct the path",
                dir.display()
            );
            add(found, Severity::Error, "migrate.dir".to_owned(), message);
        }
        MigrateWork::Dir(_) => {}
        MigrateWork::Command(command) => {
            if let Some(message) = missing(command, env.get("PATH").map(String::as_str), None) {
                add(found, Severity::Error, "migrate.command".to_owned(), message);
            }
        }
    }
    for input in migrate.inputs.iter().filter(|input| !input.exists()) {
        let message = format!("{} does not exist; correct the path", input.display());
        add(found, Severity::Error, "migrate.inputs".to_owned(), message);
    }
}

/// What a check needs of the image.
fn health_check(check: &HealthCheck, plan: &Plan, env: &BTreeMap<String, String>, found: &mut Vec<Finding>) {
    let key = format!("health.check.{}.{}", check.name, check.kind.name());
    let absent = |path: &Path| (!path.exists()).then(|| format!("{} does not exist", path.display()));
    match &check.kind {
        CheckKind::Exec(command) => {
            let process = &plan.processes[check.restart.unwrap_or(plan.main).0];
            if let Some(message) = missing(command, path(process, env), process.cwd.as_deref()) {
                add(found, Severity::Error, key, message);
            }
        }
        // What is mounted may be there only where it runs.
        CheckKind::Disk { path, .. }
        | CheckKind::Certificate {
            of: CertificateOf::File(path),
            ..
        } => {
            if let Some(absent) = absent(path) {
                let message = format!("{absent} here; unless it is mounted at run time, correct the path");
                add(found, Severity::Warning, key, message);
            }
        }
        _ => {}
    }
}

/// The PATH that the process will have.
fn path<'a>(process: &'a Process, env: &'a BTreeMap<String, String>) -> Option<&'a str> {
    let inherited = match &process.env_inherit {
        EnvInherit::All => true,
        EnvInherit::None => false,
        EnvInherit::Only(names) => names.iter().any(|name| name == "PATH"),
    };
    let inherited = env.get("PATH").filter(|_| inherited);
    let own = process.env.get("PATH").and_then(Text::literal);
    own.or(inherited.map(String::as_str))
}

/// The program that a command starts.
fn program(command: &Command) -> &str {
    match command {
        Command::Argv(argv) => argv.first().map(String::as_str).unwrap_or_default(),
        Command::Shell(_) => "/bin/sh",
        Command::Migrate => "",
    }
}

/// Why a command cannot be executed, if it cannot.
fn missing(command: &Command, path: Option<&str>, cwd: Option<&Path>) -> Option<String> {
    let program = program(command);
    let trouble = match lookup::find(program, path, cwd) {
        Lookup::Found(file) => lookup::obstacle(&file, path, cwd)?,
        _ => lookup::why_not(program, path, cwd),
    };
    Some(match command {
        Command::Argv(_) | Command::Migrate => trouble,
        Command::Shell(_) => {
            format!("{trouble}; a string needs a shell, write a list in an image without one")
        }
    })
}

/// Whether the user of the process may enter its directory and execute its program. We look as
/// ourselves, often as root, who may do both.
fn access(process: &Process, program: &Path, found: &mut Vec<Finding>) {
    let Some(user) = &process.user else { return };
    let who = user
        .name
        .clone()
        .unwrap_or_else(|| format!("{}:{}", user.uid, user.gid));
    let key = |name: &str| format!("process.{}.{name}", process.name);
    if let Some(closed) = process.cwd.as_deref().and_then(|dir| closed(dir, user)) {
        let message = format!(
            "{who} may not enter {}; run chmod o+x or chown on it",
            closed.display()
        );
        add(found, Severity::Error, key("cwd"), message);
    } else if let Some(closed) = closed(program, user) {
        let message = format!(
            "{who} may not execute {}: permission is denied at {}; run chmod o+x or chown on it",
            program.display(),
            closed.display()
        );
        add(found, Severity::Error, key("command"), message);
    }
}

/// The first step on the way to a path that its mode closes to the user, the path included.
fn closed(path: &Path, user: &User) -> Option<PathBuf> {
    if user.uid == 0 {
        return None;
    }
    // Links are followed: only the modes of what they lead to count.
    let path = path.canonicalize().ok()?;
    let mut steps: Vec<&Path> = path.ancestors().collect();
    steps.reverse();
    let shut = |step: &&Path| {
        let Ok(meta) = step.metadata() else { return false };
        // As the kernel does: the first class that fits decides, even if a later one allows more.
        let bit = if meta.uid() == user.uid {
            0o100
        } else if meta.gid() == user.gid || user.groups.contains(&meta.gid()) {
            0o010
        } else {
            0o001
        };
        meta.mode() & bit == 0
    };
    steps.into_iter().find(shut).map(Path::to_owned)
}

/// Whether we may become the user of the process.
fn identity(process: &Process, found: &mut Vec<Finding>) {
    let (uid, gid) = (sys::effective_uid(), sys::effective_gid());
    if let Some(user) = &process.user
        && uid != 0
        && (user.uid, user.gid) != (uid, gid)
    {
        let message = format!(
            "to run as {}:{} runmate must be root, and it is {uid}:{gid}; remove USER from the Dockerfile, or this key",
            user.uid, user.gid
        );
        add(
            found,
            Severity::Error,
            format!("process.{}.user", process.name),
            message,
        );
    }
}

/// Ports that two claim, and ports that somebody has already.
fn ports(plan: &Plan, found: &mut Vec<Finding>) {
    let mut claims: Vec<(SocketAddr, String, bool)> = Vec::new();
    if let Some(address) = plan.health.listen {
        claims.push((address, "health.listen".to_owned(), plan.health.explicit));
    }
    for process in &plan.processes {
        let (address, kind) = match process.ready.as_ref().map(|ready| &ready.probe) {
            Some(Probe::Http(target)) => (target.address, "http"),
            Some(Probe::Tcp(address)) => (*address, "tcp"),
            _ => continue,
        };
        claims.push((address, format!("process.{}.ready.{kind}", process.name), false));
    }
    for (place, (address, key, explicit)) in claims.iter().enumerate() {
        let earlier = claims[..place]
            .iter()
            .find(|(other, _, _)| overlap(*address, *other));
        if let Some((_, other, _)) = earlier {
            // Two processes may be probed through one front; health shares its port with nobody.
            let severity = if other == "health.listen" {
                Severity::Error
            } else {
                Severity::Warning
            };
            let message = format!(
                "port {} is claimed by {other} too; give one of them another port",
                address.port()
            );
            add(found, severity, key.clone(), message);
            continue;
        }
        let Err(error) = TcpListener::bind(address) else {
            continue;
        };
        let (busy, denied) = (
            error.kind() == ErrorKind::AddrInUse,
            error.kind() == ErrorKind::PermissionDenied,
        );
        let health = place == 0 && key == "health.listen";
        if busy {
            let severity = if *explicit {
                Severity::Error
            } else {
                Severity::Warning
            };
            let message = format!(
                "{address} is in use; stop what listens there (it may be runmate itself), or write another port"
            );
            add(found, severity, key.clone(), message);
        } else if health && denied {
            add(
                found,
                Severity::Error,
                key.clone(),
                format!("{address} is for root only; write a port above 1023"),
            );
        } else if health {
            add(
                found,
                Severity::Error,
                key.clone(),
                format!("cannot listen on {address}: {error}; write another address"),
            );
        }
    }
}

/// Whether both cannot be listened on at once.
fn overlap(a: SocketAddr, b: SocketAddr) -> bool {
    let same = a.ip() == b.ip() || a.ip().is_unspecified() || b.ip().is_unspecified();
    a.port() == b.port() && a.port() != 0 && same
}
