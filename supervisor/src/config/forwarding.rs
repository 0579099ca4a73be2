//! Whose lines go into whose stdin: `stdin = { logs = [...] }` and `logs.stdout = false`.

use toml::de::DeValue;

use crate::machine::{Kind, ProcessId};

use super::process::Header;
use super::reader::{Table, Value};
use super::{LogFormat, Plan, Process, Stdin, keys, suggest};

impl Plan {
    /// The processes that get the lines of this one on their stdin.
    pub fn forwarders(&self, source: ProcessId) -> impl Iterator<Item = ProcessId> + '_ {
        let takes = move |(_, process): &(usize, &Process)| process.takes_lines_of(source);
        let processes = self.processes.iter().enumerate();
        processes.filter(takes).map(|(place, _)| ProcessId(place))
    }
}

impl Process {
    /// Whether it gets the lines of this process on its stdin.
    pub fn takes_lines_of(&self, source: ProcessId) -> bool {
        matches!(&self.stdin, Stdin::Logs(sources) if sources.contains(&source))
    }
}

/// The processes whose lines each process gets. What is wrong with the names is recorded.
pub(super) fn sources(headers: &[Header]) -> Vec<Vec<ProcessId>> {
    let of = |(place, header)| {
        let list = list(header)?;
        Some(named(&list, place, headers))
    };
    let sources = headers.iter().enumerate().map(of);
    sources.map(Option::unwrap_or_default).collect()
}

/// The value of `stdin.logs`.
fn list<'a>(header: &Header<'a>) -> Option<Value<'a>> {
    // That it is a table, and has no other keys, was looked at by whoever read the process.
    table(&header.get("stdin")?)?.get("logs")
}

/// The table, if it is one.
fn table<'a>(value: &Value<'a>) -> Option<Table<'a>> {
    matches!(value.value, DeValue::Table(_))
        .then(|| value.table(None, ""))
        .flatten()
}

fn named(list: &Value, own: usize, headers: &[Header]) -> Vec<ProcessId> {
    let known = || headers.iter().map(|header| header.name.as_str());
    let mut found = Vec::new();
    let Some(names) = list.list("a list of names such as [\"app\"]") else {
        return found;
    };
    if names.is_empty() {
        list.error("names nobody; write the names of the processes whose lines it gets");
    }
    for value in names {
        let Some(name) = value.string("the name of a process in quotes") else {
            continue;
        };
        match known().position(|known| known == name) {
            Some(place) if place == own => {
                value.error("its own output would come back to it; remove it");
            }
            Some(place) if found.contains(&ProcessId(place)) => {
                value.error(format!("{name:?} is named twice; remove one"));
            }
            Some(place) => found.push(ProcessId(place)),
            None if ["runmate", "migrate"].contains(&name.as_str()) => {
                value.error(format!(
                    "the lines of {name} itself go to stdout alone; remove it"
                ));
            }
            None => {
                let hint = suggest::did_you_mean(&name, known());
                let message = format!("there is no process {name:?}; write the name of another one{hint}");
                value.doc.missing(Some(value.at), &value.key, message);
            }
        }
    }
    found
}

/// Gives the forwarders their sources. What cannot work is recorded.
pub(super) fn connect(
    headers: &[Header],
    main: Option<usize>,
    sources: Vec<Vec<ProcessId>>,
    processes: &mut [Process],
) {
    for (place, (header, sources)) in headers.iter().zip(sources).enumerate() {
        let Some(list) = list(header) else { continue };
        if header.kind == Kind::Task {
            list.error(
                "a task cannot take lines: those who write them start once it has ended; make it a service",
            );
        } else if main == Some(place) {
            list.error(
                "the main process cannot take lines: the container ends with it, and they come until then; give \
                 them to a sidecar",
            );
        }
        for source in &sources {
            let source = &processes[source.0];
            if source.format == LogFormat::Inherit {
                list.error(format!(
                    "the lines of {} do not pass through runmate (logs.format \"inherit\"); change its format, or \
                     remove it",
                    source.name
                ));
            }
        }
        processes[place].stdin = Stdin::Logs(sources);
    }
    for (place, header) in headers.iter().enumerate() {
        let taken = processes
            .iter()
            .any(|process| process.takes_lines_of(ProcessId(place)));
        if !processes[place].to_stdout && !taken {
            let logs = header.get("logs").and_then(|logs| table(&logs));
            if let Some(stdout) = logs.and_then(|logs| logs.get("stdout")) {
                stdout.error(format!(
                    "nobody would get its lines; write stdin = {{ logs = [{:?}] }} at the process that takes them, or \
                     remove this",
                    header.name
                ));
            }
        }
    }
}

/// What `stdin` says, sources aside: those are named by processes that may not have been read yet.
pub(super) fn stdin(value: &Value) -> Option<Stdin> {
    if let DeValue::Table(_) = value.value {
        let table = value.table(Some(keys::STDIN), "")?;
        if table.get("logs").is_none() {
            value.error("names nobody; write { logs = [\"app\"] } with the processes whose lines it gets");
        }
        return Some(Stdin::Logs(Vec::new()));
    }
    let all = "\"null\", \"inherit\" or { logs = [\"app\"] }";
    match value.string(all)?.as_str() {
        "null" => Some(Stdin::Null),
        "inherit" => Some(Stdin::Inherit),
        other => {
            value.error(format!("cannot be {other:?}; write {all}"));
            None
        }
    }
}
