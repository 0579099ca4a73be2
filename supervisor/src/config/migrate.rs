//! `[migrate]`: the built-in task before all processes.

use std::path::PathBuf;
use std::time::Duration;

use runmate_migrate as library;

use crate::machine::{Backoff, Kind, OnExit, Policy, ProcessId, Restart, Scope, Stop};
use crate::signal::Signal;

use super::LogFormat;
use super::plan::{Command, EnvInherit, Migrate, MigrateWork, Process, Sees, Stdin};
use super::process;
use super::reader::{Doc, Table, Value};
use super::{Text, keys};

/// The process that it becomes.
pub(super) const NAME: &str = "migrate";

/// Where the database's URL is looked for, in this order.
const DATABASE: [&str; 2] = ["MIGRATE_DATABASE_URL", "DATABASE_URL"];

/// Reads the section; all defaults if there is none.
pub(super) fn read(section: Option<&Value>, doc: &Doc) -> Migrate {
    let table = section.and_then(|value| value.table(Some(keys::MIGRATE), "a table [migrate]"));
    let get = |name| table.as_ref().and_then(|table: &Table| table.get(name));
    let dir = get("dir").and_then(|value| value.filled("a directory such as \"migrations\""));
    let command = get("command").and_then(|value| process::command(&value));
    if let (Some(value), Some(_)) = (get("command"), get("dir")) {
        value.error(
            "a directory is migrated by runmate itself, a command by its own means; keep one of the two",
        );
    }
    let inputs = get("inputs").and_then(|value| {
        let names = value.list("a list of files and directories such as [\"db/migrate\"]")?;
        if command.is_none() && get("command").is_none() {
            value.error("the files of dir are compared in any case; inputs is for a command");
        }
        Some(
            names
                .iter()
                .filter_map(|name| name.filled("a path in quotes"))
                .map(PathBuf::from)
                .collect(),
        )
    });
    let work = match command {
        Some(command) => MigrateWork::Command(command),
        None => MigrateWork::Dir(dir.unwrap_or_else(|| "migrations".to_owned()).into()),
    };
    let time = |name, default| get(name).and_then(|value| value.duration()).unwrap_or(default);
    let continues = [("shutdown", false), ("continue", true)];
    Migrate {
        database: match get("database") {
            Some(value) => database(&value),
            None => from_environment(doc),
        },
        work,
        release: get("release")
            .and_then(|value| value.string("a release such as \"${GIT_SHA:-}\""))
            .filter(|release| !release.is_empty()),
        inputs: inputs.unwrap_or_default(),
        wait: time("wait", Duration::from_secs(600)),
        lock_timeout: time("lock_timeout", Duration::from_secs(5)),
        statement_timeout: time("statement_timeout", Duration::ZERO),
        create: get("create").and_then(|value| value.bool()).unwrap_or(false),
        continues: get("on_failure")
            .and_then(|value| value.choice(&continues))
            .unwrap_or(false),
    }
}

/// Says that there is no database, where one is needed.
pub(super) fn need_database(section: &Value, migrate: &Migrate) {
    let said = section
        .table(None, "")
        .and_then(|table| table.get("database"))
        .is_some();
    if migrate.database.is_none() && !said {
        section.doc.missing(
            Some(section.at),
            "migrate.database",
            format!(
                "is missing, and neither {} nor {} is set; set one of them, or write database = \"${{NAME}}\"",
                DATABASE[0], DATABASE[1]
            ),
        );
    }
}

fn database(value: &Value) -> Option<Text> {
    let text = value.text("a URL such as \"${DATABASE_URL}\"")?;
    if let Some(plain) = text.literal() {
        value.check(check_url(plain))?;
    }
    Some(text)
}

/// Whether migrations know what to do with this URL. The message holds nothing of it.
pub(crate) fn check_url(url: &str) -> Result<(), String> {
    match library::Migrate::new(url) {
        Ok(_) => Ok(()),
        Err(error) => Err(match error.remedy() {
            Some(remedy) => format!("{error}; {remedy}"),
            None => error.to_string(),
        }),
    }
}

fn from_environment(doc: &Doc) -> Option<Text> {
    DATABASE.iter().find_map(|name| {
        if doc.secrets().contains(*name) {
            return Some(Text::of_secret(name));
        }
        let url = doc.env.get(*name).filter(|url| !url.is_empty())?;
        match check_url(url) {
            Ok(()) => Some(Text::from(url.as_str())),
            Err(message) => {
                doc.wrong_variable(name, message);
                None
            }
        }
    })
}

/// The task that it is: every other process waits for it, `processes` included, and it is stopped like any.
pub(super) fn add_task(section: &Value, migrate: &Migrate, format: LogFormat, processes: &mut Vec<Process>) {
    if processes.iter().any(|process| process.name == NAME) {
        section.error("[process.migrate] has the name of the task that [migrate] is; rename the process");
    }
    let id = ProcessId(processes.len());
    for process in processes.iter_mut() {
        process.policy.after.push(id);
    }
    processes.push(Process {
        name: NAME.to_owned(),
        command: Command::Migrate,
        policy: Policy {
            kind: Kind::Task,
            after: Vec::new(),
            ready_within: None,
            restart: Restart::Never,
            backoff: Backoff::default(),
            on_exit: match migrate.continues {
                true => OnExit::Ignore,
                false => OnExit::Shutdown,
            },
            stop: Stop {
                signal: Signal::TERM,
                grace: None,
                scope: Scope::Process,
            },
            signals: Vec::new(),
        },
        preset: None,
        ready: None,
        cwd: None,
        user: None,
        umask: None,
        env: Default::default(),
        env_inherit: EnvInherit::All,
        // SQL files need no environment: the URL goes another way.
        secrets: match migrate.work {
            MigrateWork::Command(_) => Sees::All,
            MigrateWork::Dir(_) => Sees::Only(Vec::new()),
        },
        stdin: Stdin::Null,
        format,
        to_stdout: true,
    });
}
