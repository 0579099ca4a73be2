//! `process.NAME.ready`: how a process shows that it can be relied on.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::reader::Value;
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
    let given: Vec<Value> = keys::READY_KINDS
        .iter()
        .filter_map(|kind| table.get(kind))
        .collect();
    let probes: Vec<Option<Probe>> = given.iter().map(probe).collect();
    match given.as_slice() {
        [_] => {}
        [] => value.doc.missing(
            Some(value.at),
            &value.key,
            format!(
                "names nothing to wait for; write one of {}",
                keys::READY_KINDS.join(", ")
            ),
        ),
        [..] => {
            let names: Vec<&str> = keys::READY_KINDS
                .iter()
                .copied()
                .filter(|kind| table.get(kind).is_some())
                .collect();
            value.error(format!(
                "cannot wait for {} at once; keep one of them",
                names.join(" and ")
            ));
        }
    }
    let probe = probes.into_iter().next()??;
    Some((Ready { probe, interval }, timeout))
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
