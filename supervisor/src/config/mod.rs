//! From TOML text to a [`Plan`]: all errors at once, each with file, line and key.
//!
//! [`load`] finds the text (`source`), walks it (`reader`) section by section (`sections`,
//! `process`, `ready`, `signals`) and ties the processes together (`graph`). Every default, preset
//! and platform rule is applied here: who gets a [`Plan`] decides nothing more.
//!
//! Invariant: nothing here reads the real environment or starts anything; see [`Inputs`].
mod address;
mod check;
mod error;
mod expand;
mod explain;
mod fields;
mod forwarding;
mod graph;
mod health;
mod keys;
mod migrate;
mod plan;
mod platform;
mod presets;
mod process;
mod reader;
mod ready;
mod secrets;
mod sections;
mod signals;
mod source;
mod suggest;
#[cfg(test)]
mod tests;
mod text;
mod trace;
pub(crate) mod units;
mod users;
mod warnings;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::Path;

use crate::machine::ProcessId;

pub use check::{Finding, Severity, findings};
pub use error::{ConfigError, ConfigErrors};
pub use explain::{explain, explain_json};
pub use health::{CertificateOf, CheckKind, Health, HealthCheck, Share};
pub(crate) use health::{bearer_token as check_bearer_token, check_url as check_health_url};
pub(crate) use migrate::check_url as check_database_url;
pub use plan::{
    Command, EnvInherit, Exporter, HttpTarget, Logs, Migrate, MigrateWork, Otherwise, Plan, Platform, Probe,
    Process, Ready, Run, Secret, Secrets, Sees, Source, Stdin, Trace, User,
};
pub use runmate_lines::{Language, LogFormat, Multiline, Style};
pub use text::{AbsentSecret, Text};

use process::{Context, Header};
use reader::{Doc, Table, Value};

/// What loading looks at; injected so that tests need no real environment.
pub struct Inputs<'a> {
    /// The file given with `-c`.
    pub file: Option<&'a Path>,
    /// The COMMAND of the command line; empty if there is none.
    pub command: Vec<String>,
    /// The environment, without the variables that are not UTF-8.
    pub env: &'a BTreeMap<String, String>,
    /// Where `etc/passwd`, `etc/group` and `etc/runmate/runmate.toml` are: `/`.
    pub root: &'a Path,
    /// Where `runmate.toml` is looked for, and what relative paths are relative to.
    pub cwd: &'a Path,
}

impl<'a> Inputs<'a> {
    /// The real places.
    pub fn of_this_container(
        file: Option<&'a Path>,
        command: Vec<String>,
        env: &'a BTreeMap<String, String>,
    ) -> Self {
        Inputs {
            file,
            command,
            env,
            root: Path::new("/"),
            cwd: Path::new("."),
        }
    }
}

impl HttpTarget {
    /// Reads a URL such as `http://127.0.0.1:8000/up`.
    ///
    /// # Errors
    /// If it is no plain-http URL with a literal address; the text says what to write instead.
    pub fn parse(url: &str) -> Result<HttpTarget, String> {
        address::http(url)
    }
}

/// What to do when there is neither a config nor a command.
const NOTHING_TO_RUN: &str = "there is nothing to run: no config and no COMMAND; write in the Dockerfile
    ENTRYPOINT [\"runmate\", \"run\", \"--\"]
    CMD [\"node\", \"server.js\"]
or in a runmate.toml
    [process.app]
    command = [\"node\", \"server.js\"]";

/// Finds, reads and resolves the configuration.
pub fn load(inputs: &Inputs) -> Result<Plan, ConfigErrors> {
    if inputs.command.first().is_some_and(String::is_empty) {
        return Err(ConfigErrors::single(
            "",
            "the COMMAND is empty; write a program after \"--\"",
        ));
    }
    if let Some(file) = inputs.command.first().filter(|word| word.ends_with(".toml")) {
        return Err(ConfigErrors::single(
            "",
            format!("the COMMAND {file} is no program; to name a config, write -c {file}"),
        ));
    }
    match source::find(inputs)? {
        Some(found) => build(inputs, found.source, &found.name, &found.text),
        None if inputs.command.is_empty() => Err(ConfigErrors::single("", NOTHING_TO_RUN)),
        None => build(inputs, Source::CommandLine, "", ""),
    }
}

/// Reads where health listens and nothing else, for `probe`: it runs beside the supervisor, without its COMMAND,
/// and must find the port whatever else the config holds. `None` is off; with it comes whether the config says so.
pub fn load_listen(inputs: &Inputs) -> Result<(Option<SocketAddr>, bool), ConfigErrors> {
    let found = source::find(inputs)?;
    let (name, text) = found
        .as_ref()
        .map_or(("", ""), |found| (&found.name, &found.text));
    let (doc, document) = Doc::parse(name, text, inputs.env);
    let root = Table::root(&doc, &document);
    let section = root
        .get("health")
        .and_then(|value| value.table(None, "a table [health]"));
    let listen = health::listen(section.as_ref(), inputs.env);
    let errors = doc.into_errors();
    if errors.is_empty() {
        Ok(listen)
    } else {
        Err(ConfigErrors { errors })
    }
}

/// Reads `[migrate]` and `[secrets]` alone, for `runmate migrate`: it needs no process, and the image that it
/// runs in may have none.
pub fn load_migrate(inputs: &Inputs) -> Result<(Migrate, Secrets, Vec<String>), ConfigErrors> {
    let found = source::find(inputs)?;
    let (name, text) = found
        .as_ref()
        .map_or(("", ""), |found| (&found.name, &found.text));
    let (doc, document) = Doc::parse(name, text, inputs.env);
    let root = Table::root(&doc, &document);
    let found = secrets::read(&root);
    let migrate = migrate::read(root.get("migrate").as_ref(), &doc);
    let errors = doc.into_errors();
    if errors.is_empty() {
        Ok((migrate, found.secrets, found.warnings))
    } else {
        Err(ConfigErrors { errors })
    }
}

/// Resolves a document; `name` is what errors call it.
fn build(inputs: &Inputs, source: Source, name: &str, text: &str) -> Result<Plan, ConfigErrors> {
    let (doc, document) = Doc::parse(name, text, inputs.env);
    let root = Table::root(&doc, &document);
    sections::root(&root);
    sections::reserved(&root);
    let mut found = secrets::read(&root);
    let run = sections::run(root.get("run").as_ref(), inputs.env);
    let section = root.get("health");
    let mut health = health::read(section.as_ref(), inputs.env);
    let logs = sections::logs(root.get("logs").as_ref());
    let (mut processes, main) = processes(&root, inputs, logs.format);
    health.checks = health::checks(section.as_ref(), &processes);
    secrets::in_process_env(&doc, &mut processes, &mut found);
    let names = trace::Env {
        variables: inputs.env,
        secrets: &found.secrets,
    };
    let trace = trace::read(root.get("trace").as_ref(), &names, processes.get(main));
    let migrate = root.get("migrate").map(|section| {
        let migrate = migrate::read(Some(&section), &doc);
        migrate::need_database(&section, &migrate);
        migrate::add_task(&section, &migrate, logs.format, &mut processes);
        migrate
    });

    let errors = doc.into_errors();
    if !errors.is_empty() {
        return Err(ConfigErrors { errors });
    }
    let main = ProcessId(main);
    let mut plan = Plan {
        source,
        processes,
        main,
        run,
        health,
        logs,
        trace,
        secrets: found.secrets,
        migrate,
        warnings: found.warnings,
    };
    plan.warnings.extend(warnings::warnings(&plan));
    Ok(plan)
}

/// `[process]`: all processes, and the place of the main one. What is wrong is recorded.
fn processes(root: &Table, inputs: &Inputs, format: LogFormat) -> (Vec<Process>, usize) {
    let section = root.get("process");
    let table = section
        .as_ref()
        .and_then(|value| value.table(None, "tables [process.NAME]"));
    let entries: Vec<(&str, Value)> = table.iter().flat_map(Table::entries).collect();
    let mut headers: Vec<Header> = entries
        .iter()
        .filter_map(|(name, value)| Header::read(name, value))
        .collect();

    // With a COMMAND a config need only say what stands beside it.
    let taken = headers.iter().any(|header| header.name == "app");
    let serves = headers
        .iter()
        .any(|header| header.kind == crate::machine::Kind::Service);
    if !inputs.command.is_empty() && !taken && !serves {
        headers.push(Header::of_command_line());
    }
    let main = match &section {
        Some(section) if !headers.is_empty() => graph::main(&headers, section),
        _ if !headers.is_empty() => Some(0),
        // Something is there under a wrong name or of a wrong type, and that was said.
        _ if !entries.is_empty() || section.is_some() && table.is_none() || sections::has_unknown(root) => {
            None
        }
        _ => {
            let remedy = "there is no process; write [process.app] with command = [\"node\", \"server.js\"], or give a COMMAND";
            root.doc
                .missing(section.map(|section| section.at), "process", remedy);
            None
        }
    };
    let mut processes: Vec<Process> = Vec::new();
    for (place, header) in headers.iter().enumerate() {
        let is_main = main == Some(place);
        let command = Some(inputs.command.as_slice()).filter(|command| is_main && !command.is_empty());
        let context = Context {
            root: inputs.root,
            main: is_main,
            command,
            format,
        };
        processes.push(process::read(header, &context));
    }
    let sources = forwarding::sources(&headers);
    for (process, after) in processes.iter_mut().zip(graph::after(&headers, &sources)) {
        process.policy.after = after;
    }
    forwarding::connect(&headers, main, sources, &mut processes);
    one_terminal(&headers, &processes);
    (processes, main.unwrap_or(0))
}

/// Two readers of one stdin would each get a part of it.
fn one_terminal(headers: &[Header], processes: &[Process]) {
    let readers = headers
        .iter()
        .zip(processes)
        .filter(|(_, process)| process.stdin == Stdin::Inherit);
    for (header, _) in readers.skip(1) {
        if let Some(value) = header.get("stdin") {
            value.error("only one process can inherit stdin; write \"null\" here or there");
        }
    }
}
