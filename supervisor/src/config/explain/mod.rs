//! What a plan will do, for people and for programs. Values of variables are never shown: they may
//! be secrets.

mod checks;
mod logs;
mod trace;
mod words;

use std::fmt::Write as _;
use std::time::Duration;

use serde_json::{Value, json};

use crate::machine::{Kind, OnExit, ProcessId, Restart, Scope};

use runmate_secrets::Form;

use super::{
    Command, EnvInherit, Migrate, MigrateWork, Otherwise, Plan, Process, Secret, Stdin, graph, units,
};

/// A plan in lines, the processes in the order they start.
pub fn explain(plan: &Plan) -> String {
    let run = &plan.run;
    let mut out = String::new();
    let mut line = |name: &str, text: String| _ = writeln!(out, "{name:<10} {text}");
    line("config", plan.source.to_string());
    line("platform", run.platform.to_string());
    line(
        "drain",
        format!(
            "drain_delay {}, stop_budget {}",
            units::show(run.drain_delay),
            units::show(run.stop_budget)
        ),
    );
    line("health", checks::endpoints(&plan.health));
    for check in &plan.health.checks {
        line("check", checks::line(check, plan));
    }
    line("logs", logs::line(&plan.logs));
    line("trace", trace::line(&plan.trace));
    for secret in &plan.secrets.wanted {
        line("secret", describe(secret));
    }
    for (place, id) in graph::start_order(plan).into_iter().enumerate() {
        let process = &plan.processes[id.0];
        let _ = writeln!(out, "\n{}. {} ({})", place + 1, process.name, role(plan, id));
        for (name, text) in details(plan, id) {
            let _ = writeln!(out, "   {name:<9} {text}");
        }
    }
    out
}

/// A plan as JSON, the processes in the order they start.
pub fn explain_json(plan: &Plan) -> Value {
    let process = |id: ProcessId| {
        let process = &plan.processes[id.0];
        let policy = &process.policy;
        let signals: Value = policy
            .signals
            .iter()
            .map(|(from, to)| (from.to_string(), json!(to.to_string())))
            .collect();
        json!({
            "name": process.name,
            "kind": kind(policy.kind),
            "main": id == plan.main,
            "command": match &process.command {
                Command::Argv(argv) => json!(argv),
                Command::Shell(text) => json!(text),
                Command::Migrate => match plan.migrate.as_ref().map(|migrate| &migrate.work) {
                    Some(MigrateWork::Command(Command::Argv(argv))) => json!(argv),
                    Some(MigrateWork::Command(Command::Shell(text))) => json!(text),
                    _ => json!(null),
                },
            },
            "after": policy.after.iter().map(|id| plan.processes[id.0].name.as_str()).collect::<Vec<_>>(),
            "ready": process.ready.as_ref().map(|ready| ready.probe.to_string()),
            "ready_timeout_ms": policy.ready_within.map(millis),
            "restart": restart(policy.restart),
            "backoff": {
                "min_ms": millis(policy.backoff.min),
                "max_ms": millis(policy.backoff.max),
                "reset_ms": millis(policy.backoff.reset),
                "restarts": policy.backoff.restarts,
                "within_ms": millis(policy.backoff.within),
            },
            "on_exit": on_exit(policy.on_exit),
            "stop": {
                "signal": policy.stop.signal.to_string(),
                "grace_ms": policy.stop.grace.map(millis),
                "scope": scope(policy.stop.scope),
            },
            "preset": process.preset,
            "signals": signals,
            "cwd": process.cwd,
            "user": process.user.as_ref().map(|user| json!({
                "uid": user.uid, "gid": user.gid, "groups": user.groups, "name": user.name,
            })),
            "umask": process.umask.map(|mask| format!("{mask:04o}")),
            "env": process.env.keys().collect::<Vec<_>>(),
            "env_inherit": match &process.env_inherit {
                EnvInherit::All => json!(true),
                EnvInherit::None => json!(false),
                EnvInherit::Only(names) => json!(names),
            },
            "secrets": seen(plan, process),
            "stdin": match &process.stdin {
                Stdin::Null => json!("null"),
                Stdin::Inherit => json!("inherit"),
                Stdin::Logs(sources) => json!({ "logs": names(plan, sources.iter().copied()) }),
            },
            "format": process.format.to_string(),
            "stdout": process.to_stdout,
            "forwarders": names(plan, plan.forwarders(id)),
        })
    };
    json!({
        "config": plan.source.to_string(),
        "platform": plan.run.platform.to_string(),
        "drain_delay_ms": millis(plan.run.drain_delay),
        "stop_budget_ms": millis(plan.run.stop_budget),
        "success_codes": plan.run.success_codes,
        "health": {
            "listen": plan.health.listen.map(|address| address.to_string()),
            "explicit": plan.health.explicit,
            "token": plan.health.token.is_some(),
            "details": if plan.health.public_details { "public" } else { "token" },
            "checks": plan.health.checks.iter().map(|check| checks::json(check, plan)).collect::<Vec<_>>(),
        },
        "logs": logs::json(&plan.logs),
        "trace": trace::json(&plan.trace),
        "secrets": {
            "timeout_ms": millis(plan.secrets.timeout),
            "file": plan.secrets.file,
            "wanted": plan.secrets.wanted.iter().map(|secret| json!({
                "name": secret.name,
                "reference": secret.reference.as_ref().map(ToString::to_string),
                "as": secret.form.to_string(),
                "otherwise": otherwise(secret),
            })).collect::<Vec<_>>(),
        },
        "processes": graph::start_order(plan).into_iter().map(process).collect::<Vec<_>>(),
        "warnings": plan.warnings,
    })
}

fn millis(duration: Duration) -> Value {
    json!(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}

/// A secret in a line; its reference with a shortened account number.
fn describe(secret: &Secret) -> String {
    let from = match &secret.reference {
        Some(reference) => format!(" from {reference}"),
        None => " from nothing here".to_owned(),
    };
    let form = match &secret.form {
        Form::Text => String::new(),
        form => format!(" as {form}"),
    };
    let otherwise = match &secret.otherwise {
        Otherwise::Fail => "",
        Otherwise::Absent => ", optional",
        Otherwise::Default(_) => ", with a default",
    };
    format!("{}{from}{form}{otherwise}", secret.name)
}

fn otherwise(secret: &Secret) -> &'static str {
    match secret.otherwise {
        Otherwise::Fail => "fail",
        Otherwise::Absent => "absent",
        Otherwise::Default(_) => "default",
    }
}

/// The names of the secrets whose values a process gets.
fn seen<'a>(plan: &'a Plan, process: &Process) -> Vec<&'a str> {
    let wanted = plan.secrets.wanted.iter();
    wanted
        .filter(|secret| process.holds(secret))
        .map(|secret| secret.name.as_str())
        .collect()
}

fn role(plan: &Plan, id: ProcessId) -> &'static str {
    match plan.processes[id.0].policy.kind {
        Kind::Task => "task",
        Kind::Service if id == plan.main => "main service",
        Kind::Service => "sidecar",
    }
}

/// What there is to say about a process; lines that only name a default of everyone are left out.
fn details(plan: &Plan, id: ProcessId) -> Vec<(&'static str, String)> {
    let process = &plan.processes[id.0];
    let policy = &process.policy;
    let mut lines = match &plan.migrate {
        Some(migrate) if process.command == Command::Migrate => migration(migrate),
        _ => vec![("command", process.command.to_string())],
    };
    if !policy.after.is_empty() {
        let names: Vec<&str> = policy
            .after
            .iter()
            .map(|id| plan.processes[id.0].name.as_str())
            .collect();
        lines.push(("after", names.join(", ")));
    }
    let ready = match (&process.ready, policy.kind) {
        (Some(ready), _) => {
            let within = policy.ready_within.map(units::show).unwrap_or_default();
            format!("{}, within {within}", ready.probe)
        }
        (None, Kind::Task) => "once it has succeeded".to_owned(),
        (None, Kind::Service) => "once started".to_owned(),
    };
    lines.push(("ready", ready));
    let mut again = restart(policy.restart).to_owned();
    if policy.restart != Restart::Never {
        let (backoff, show) = (&policy.backoff, units::show);
        let (min, max, within) = (show(backoff.min), show(backoff.max), show(backoff.within));
        let _ = write!(
            again,
            ", {min} to {max} apart, at most {} within {within}",
            backoff.restarts
        );
    }
    let _ = write!(again, "; then {}", on_exit(policy.on_exit));
    lines.push(("restart", again));
    let grace = policy
        .stop
        .grace
        .map_or_else(|| "what the stop_budget leaves".to_owned(), units::show);
    let preset = process
        .preset
        .map(|name| format!(" (preset {name})"))
        .unwrap_or_default();
    let (signal, scope) = (policy.stop.signal, scope(policy.stop.scope));
    lines.push(("stop", format!("{signal}{preset} to the {scope}, grace {grace}")));
    if !policy.signals.is_empty() {
        let pair = |(from, to): &(_, _)| {
            if from == to {
                format!("{from}")
            } else {
                format!("{from} as {to}")
            }
        };
        lines.push((
            "signals",
            policy.signals.iter().map(pair).collect::<Vec<_>>().join(", "),
        ));
    }
    if let Some(user) = &process.user {
        let name = user
            .name
            .as_ref()
            .map(|name| format!(" ({name})"))
            .unwrap_or_default();
        lines.push((
            "user",
            format!("{}:{}{name}, groups {:?}", user.uid, user.gid, user.groups),
        ));
    }
    if let Some(dir) = &process.cwd {
        lines.push(("cwd", dir.display().to_string()));
    }
    if !process.env.is_empty() {
        let names: Vec<&str> = process.env.keys().map(String::as_str).collect();
        lines.push(("env", names.join(", ")));
    }
    let secrets = seen(plan, process);
    if !secrets.is_empty() {
        lines.push(("secrets", secrets.join(", ")));
    }
    if let Stdin::Logs(sources) = &process.stdin {
        let sources = names(plan, sources.iter().copied()).join(", ");
        lines.push(("stdin", format!("the lines of {sources}, as JSON")));
    }
    let forwarders = names(plan, plan.forwarders(id)).join(", ");
    if !forwarders.is_empty() {
        let logs = match process.to_stdout {
            true => format!("{}, and as JSON to {forwarders}", process.format),
            false => format!("as JSON to {forwarders} alone"),
        };
        lines.push(("logs", logs));
    } else if process.format != plan.logs.format {
        lines.push(("logs", process.format.to_string()));
    }
    lines
}

fn names(plan: &Plan, processes: impl Iterator<Item = ProcessId>) -> Vec<&str> {
    processes.map(|id| plan.processes[id.0].name.as_str()).collect()
}

/// What the task of `[migrate]` does.
fn migration(migrate: &Migrate) -> Vec<(&'static str, String)> {
    let release = match (&migrate.release, &migrate.work, migrate.inputs.as_slice()) {
        (Some(release), ..) => release.clone(),
        (None, MigrateWork::Dir(_), _) => "a hash of the files".to_owned(),
        (None, MigrateWork::Command(_), []) => "none: every start runs it".to_owned(),
        (None, MigrateWork::Command(_), inputs) => {
            let inputs: Vec<String> = inputs.iter().map(|input| input.display().to_string()).collect();
            format!("a hash of {}", inputs.join(", "))
        }
    };
    let work = match &migrate.work {
        MigrateWork::Dir(dir) => ("dir", dir.display().to_string()),
        MigrateWork::Command(command) => ("command", command.to_string()),
    };
    vec![work, ("release", release), ("wait", units::show(migrate.wait))]
}

fn kind(kind: Kind) -> &'static str {
    match kind {
        Kind::Service => "service",
        Kind::Task => "task",
    }
}

fn restart(restart: Restart) -> &'static str {
    match restart {
        Restart::Always => "always",
        Restart::OnFailure => "on-failure",
        Restart::Never => "never",
    }
}

fn on_exit(on_exit: OnExit) -> &'static str {
    match on_exit {
        OnExit::Shutdown => "shutdown",
        OnExit::Ignore => "ignore",
    }
}

fn scope(scope: Scope) -> &'static str {
    match scope {
        Scope::Process => "process",
        Scope::Group => "group",
    }
}
