//! `[health.check.NAME]`: one check, with its defaults.

use std::path::PathBuf;
use std::time::Duration;

use runmate_health::{Level, Settings};
use toml::de::DeValue;

use super::plan::{CertificateOf, CheckKind, HealthCheck, Share};
use super::target;
use crate::config::reader::{Table, Value};
use crate::config::{Process, Text, keys, process, ready, suggest, units};
use crate::machine::{Kind, ProcessId};

/// More often than this a check would be a load of its own.
const SHORTEST: Duration = Duration::from_millis(100);

/// Beyond this a threshold is no patience but a check that is switched off.
const MOST_IN_A_ROW: i64 = 1000;

const LEVELS: &[(&str, Level)] = &[
    ("info", Level::Info),
    ("degraded", Level::Degraded),
    ("required", Level::Required),
    ("critical", Level::Critical),
];

/// All checks of `[health]`; `processes` are those that one of them may restart. What is wrong is recorded.
pub(in crate::config) fn read(health: Option<&Value>, processes: &[Process]) -> Vec<HealthCheck> {
    let section = health.and_then(|value| match value.value {
        // If it is no table, that was said.
        DeValue::Table(_) => value.table(None, ""),
        _ => None,
    });
    let checks = section.and_then(|section| section.get("check"));
    let table = checks.and_then(|checks| checks.table(None, "tables [health.check.NAME]"));
    let entries = table.iter().flat_map(Table::entries);
    entries
        .filter_map(|(name, value)| check(name, &value, processes))
        .collect()
}

fn check(name: &str, value: &Value, processes: &[Process]) -> Option<HealthCheck> {
    let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    if name.is_empty() || !name.bytes().all(good) {
        value.error("a name of a check is made of letters, digits, '_', '.' and '-'; rename it");
    }
    let table = value.table(
        Some(keys::CHECK),
        "a table such as [health.check.db] with postgres = \"${DATABASE_URL}\"",
    )?;
    let given = ready::one_of(&table, keys::CHECK_KINDS, "look at");
    let kinds: Vec<Option<CheckKind>> = given.iter().map(kind).collect();
    let settings = settings(&table);
    let restart = table.get("restart").and_then(|value| restart(&value, processes));
    Some(HealthCheck {
        name: name.to_owned(),
        kind: kinds.into_iter().next()??,
        settings,
        restart,
    })
}

/// What one of the kinds asks for.
fn kind(value: &Value) -> Option<CheckKind> {
    let kind = value.key.rsplit('.').next().unwrap_or_default();
    match kind {
        "postgres" => url(
            value,
            "postgres://USER:PASSWORD@HOST/DATABASE",
            CheckKind::Postgres,
        ),
        "mysql" => url(value, "mysql://USER:PASSWORD@HOST/DATABASE", CheckKind::MySql),
        "redis" => url(value, "redis://HOST:6379", CheckKind::Redis),
        "http" => url(value, "http://127.0.0.1:8000/up", CheckKind::Http),
        "tcp" => url(value, "127.0.0.1:6379", CheckKind::Tcp),
        "exec" => process::command(value).map(CheckKind::Exec),
        "disk" => disk(value),
        "memory" => max_used(value, 90).map(|max_used| CheckKind::Memory { max_used }),
        "fds" => max_used(value, 80).map(|max_used| CheckKind::Fds { max_used }),
        _ => certificate(value),
    }
}

/// A target that may hold secrets. What is known now is checked now.
fn url(value: &Value, example: &str, kind: fn(Text) -> CheckKind) -> Option<CheckKind> {
    let text = value.text(&format!("\"{example}\""))?;
    let kind = kind(text.clone());
    match text.literal() {
        Some("") => value.error(format!("cannot be empty; write one such as \"{example}\"")),
        Some(plain) => return value.check(target::check_url(&kind, plain)).map(|()| kind),
        None => return Some(kind),
    }
    None
}

/// A path. It is shown wherever the check is, which a URL must not be.
fn path(value: &Value, example: &str) -> Option<PathBuf> {
    let text = value.filled(example)?;
    let is_path = !text.contains("://");
    value.check(
        is_path
            .then(|| text.into())
            .ok_or_else(|| format!("cannot be a URL; write {example}")),
    )
}

fn disk(value: &Value) -> Option<CheckKind> {
    let path = |value: &Value| path(value, "a path such as \"/tmp\"");
    let mut min_free = Share::Percent(10);
    if let DeValue::String(_) = value.value {
        return path(value).map(|path| CheckKind::Disk { path, min_free });
    }
    let table = value.table(
        Some(keys::DISK),
        "a path, or a table such as { path = \"/tmp\", min_free = \"100MiB\" }",
    )?;
    if let Some(value) = table.get("min_free") {
        let remedy = "a size such as \"100MiB\", or a part such as \"10%\"";
        min_free = match &value.value {
            DeValue::String(text) if text.contains('%') => Share::Percent(percent(&value)?),
            DeValue::String(_) => Share::Bytes(value.size()?),
            _ => {
                value.wrong_type(remedy);
                return None;
            }
        };
    }
    let Some(place) = table.get("path") else {
        let remedy = "is missing; write the path of a file system such as \"/tmp\"";
        table.doc.missing(Some(table.at), &table.path("path"), remedy);
        return None;
    };
    path(&place).map(|path| CheckKind::Disk { path, min_free })
}

/// The one key of `memory` and `fds`.
fn max_used(value: &Value, default: u8) -> Option<u8> {
    let table = value.table(Some(keys::USED), "a table such as { max_used = \"90%\" }, or {}")?;
    match table.get("max_used") {
        Some(value) => percent(&value),
        None => Some(default),
    }
}

/// `1%` to `99%`: none and all of it would never change anything.
fn percent(value: &Value) -> Option<u8> {
    let remedy = "a part from \"1%\" to \"99%\"";
    let text = value.filled(remedy)?;
    let digits = text
        .strip_suffix('%')
        .filter(|digits| digits.bytes().all(|b| b.is_ascii_digit()));
    let found = digits
        .and_then(|digits| digits.parse().ok())
        .filter(|part| (1..100).contains(part));
    value.check(found.ok_or_else(|| format!("cannot be {text:?}; write {remedy}")))
}

fn certificate(value: &Value) -> Option<CheckKind> {
    let mut min_valid = Duration::from_secs(14 * 24 * 3600);
    let of = if let DeValue::String(_) = value.value {
        let text = value
            .filled("a file such as \"/etc/tls/server.pem\", or a server such as \"example.com:443\"")?;
        match text.starts_with(['/', '.']) {
            true => CertificateOf::File(text.into()),
            false => CertificateOf::Server(text),
        }
    } else {
        let table = value.table(
            Some(keys::CERTIFICATE),
            "a table such as { server = \"api.example.com:443\", min_valid = \"14d\" }",
        )?;
        if let Some(value) = table.get("min_valid") {
            min_valid = value.duration()?;
        }
        let given = ready::one_of(&table, keys::CERTIFICATE_KINDS, "look at");
        let of = given.first()?;
        match of.key.ends_with(".file") {
            true => CertificateOf::File(path(of, "a path such as \"/etc/tls/server.pem\"")?),
            false => CertificateOf::Server(of.filled("a server such as \"api.example.com:443\"")?),
        }
    };
    if let CertificateOf::Server(server) = &of {
        value.check(target::check_server(server))?;
    }
    Some(CheckKind::Certificate { of, min_valid })
}

/// When it is run and what its results mean.
fn settings(table: &Table) -> Settings {
    let default = Settings::default();
    let interval = table.get("interval");
    let timeout = table.get("timeout");
    let every = interval.as_ref().and_then(Value::duration);
    if let (Some(value), Some(every)) = (&interval, every.filter(|every| *every < SHORTEST)) {
        value.error(format!(
            "{} is too often; write {} or more",
            units::show(every),
            units::show(SHORTEST)
        ));
    }
    let every = every.unwrap_or(default.interval).max(SHORTEST);
    // One that nobody wrote gives way.
    let within = timeout.as_ref().and_then(Value::some_time);
    if let (Some(value), Some(within)) = (&timeout, within.filter(|within| *within > every)) {
        value.error(format!(
            "a look of {} would not end before the next is due: the interval is {}; write a shorter timeout, or a \
             longer interval",
            units::show(within),
            units::show(every)
        ));
    }
    let in_a_row = |name, default| {
        let count = table.get(name).and_then(|value| value.integer(1, MOST_IN_A_ROW));
        count
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(default)
    };
    let level = table.get("level").and_then(|value| value.choice(LEVELS));
    Settings::default()
        .level(level.unwrap_or(default.level))
        .interval(every)
        .timeout(within.unwrap_or(default.timeout.min(every)))
        .fail_after(in_a_row("fail_after", default.fail_after))
        .pass_after(in_a_row("pass_after", default.pass_after))
}

/// The process to restart: a service of the config.
fn restart(value: &Value, processes: &[Process]) -> Option<ProcessId> {
    let name = value.filled("the name of a process in quotes")?;
    let known = || processes.iter().map(|process| process.name.as_str());
    let Some(place) = known().position(|known| known == name) else {
        let hint = suggest::did_you_mean(&name, known());
        let message = format!("there is no process {name:?}; write the name of one{hint}");
        value.doc.missing(Some(value.at), &value.key, message);
        return None;
    };
    if processes[place].policy.kind == Kind::Task {
        value.error(format!(
            "{name} is a task, which is over once it has succeeded; write the name of a service"
        ));
        return None;
    }
    Some(ProcessId(place))
}
