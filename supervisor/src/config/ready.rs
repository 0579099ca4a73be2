//! `process.NAME.ready`: how a process shows that it can be relied on.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::reader::{Table, Value};
use super::{Probe, Ready, address, keys, process};

const TIMEOUT: Duration = Duration::from_secs(60);
const INTERVAL: Duration = Duration::from_millis(500);

/// The probe and how long it may take to pass.
pub(super) fn read(value: &Value) -> Option<(Ready, Duration)> {
    let table = value.table(
        Some(keys::READY),
        "a table such as { http = \"http://127.0.0.1:8000/up\" }",
    )?;
    let timeout = table
        .get("timeout")
        .and_then(|value| value.some_time())
        .unwrap_or(TIMEOUT);
    let interval = table
        .get("interval")
        .and_then(|value| value.some_time())
        .unwrap_or(INTERVAL);
    let given = one_of(&table, keys::READY_KINDS, "wait for");
    let probes: Vec<Option<Probe>> = given.iter().map(probe).collect();
    let probe = probes.into_iter().next()??;
    Some((Ready { probe, interval }, timeout))
}

/// Those of the keys `kinds` that the table has: exactly one, or that is recorded. `verb` is what is done with it.
pub(super) fn one_of<'a>(table: &Table<'a>, kinds: &[&str], verb: &str) -> Vec<Value<'a>> {
    let given = kinds.iter().filter_map(|kind| Some((*kind, table.get(kind)?)));
    let (names, values): (Vec<&str>, Vec<Value>) = given.unzip();
    match names.as_slice() {
        [_] => {}
        [] => table.doc.missing(
            Some(table.at),
            &table.key,
            format!("names nothing to {verb}; write one of {}", kinds.join(", ")),
        ),
        [..] => table.doc.error(
            table.at,
            &table.key,
            format!("cannot {verb} {} at once; keep one of them", names.join(" and ")),
        ),
    }
    values
}

/// What one of the kinds asks for.
fn probe(value: &Value) -> Option<Probe> {
    let kind = value.key.rsplit('.').next().unwrap_or_default();
    match kind {
        "http" => {
            let url = value.filled("a URL such as \"http://127.0.0.1:8000/up\"")?;
            value.check(address::http(&url)).map(Probe::Http)
        }
        "tcp" => {
            let text = value.filled("an address such as \"127.0.0.1:8000\"")?;
            let address = value.check(address::socket(&text, Ipv4Addr::LOCALHOST))?;
            if address.port() == 0 {
                value.error("cannot connect to port 0; write the port the process listens on");
                return None;
            }
            Some(Probe::Tcp(address))
        }
        "exec" => process::command(value).map(Probe::Exec),
        "log" => {
            let pattern = value.filled("a regular expression")?;
            let regex = regex_lite::Regex::new(&pattern)
                .map_err(|error| format!("{pattern:?} is no regular expression: {error}; correct it"));
            value.check(regex).map(Probe::Log)
        }
        // 0 to 2 are its standard streams; 1024 is the usual limit of open files.
        _ => value
            .integer(3, 1023)
            .and_then(|fd| i32::try_from(fd).ok())
            .map(Probe::Fd),
    }
}
