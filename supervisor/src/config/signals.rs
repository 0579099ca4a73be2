//! Signals in the config: the one that stops a process, and those that are passed on.

use crate::signal::Signal;

use super::reader::Value;
use super::suggest;

/// What the main process gets unchanged unless `signals` says otherwise: reload and log rotation
/// by convention, and a new size of the terminal.
const MAIN: [Signal; 4] = [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH];

/// The default of a main process.
///
/// Its own stop signal is left out: Apache stops on SIGWINCH, and would do so whenever somebody
/// resized the terminal of `docker run -t`.
pub(super) fn main_default(stop: Signal) -> Vec<(Signal, Signal)> {
    MAIN.into_iter()
        .filter(|signal| *signal != stop)
        .map(|signal| (signal, signal))
        .collect()
}

/// `stop.signal`.
pub(super) fn stop(value: &Value) -> Option<Signal> {
    let signal = parse(value, &value.string("a signal such as \"SIGTERM\"")?)?;
    if signal == Signal::KILL {
        value.error("SIGKILL leaves no time to stop; write grace = \"0s\" for a kill at once");
        return None;
    }
    if !signal.can_be_forwarded() || signal == Signal::CONT {
        value.error(format!(
            "{signal} stops no process; write \"SIGTERM\", \"SIGINT\" or \"SIGQUIT\""
        ));
        return None;
    }
    Some(signal)
}

/// `signals`: what runmate gets on the left, what the process gets on the right.
pub(super) fn forwards(value: &Value) -> Vec<(Signal, Signal)> {
    let Some(table) = value.table(None, "a table such as { SIGHUP = \"SIGHUP\" }") else {
        return Vec::new();
    };
    let mut forwards: Vec<(Signal, Signal)> = Vec::new();
    for (name, value) in table.entries() {
        let from = parse(&value, name).filter(|from| catchable(&value, *from));
        let to = value
            .string("a signal such as \"SIGHUP\"")
            .and_then(|text| parse(&value, &text));
        let (Some(from), Some(to)) = (from, to) else {
            continue;
        };
        if !to.can_be_forwarded() {
            value.error(format!("{to} cannot be sent as a message; write another signal"));
        } else if forwards.iter().any(|(known, _)| *known == from) {
            value.error(format!("{from} is given twice; keep one"));
        } else {
            forwards.push((from, to));
        }
    }
    forwards
}

/// Whether runmate can get this signal and pass it on; if not, that is recorded.
fn catchable(value: &Value, signal: Signal) -> bool {
    if signal.starts_drain() {
        value.error(format!(
            "{signal} stops the container and cannot be passed on; remove it, or set stop.signal"
        ));
        return false;
    }
    if !signal.can_be_forwarded() {
        value.error(format!(
            "{signal} cannot be passed on: no handler can take it; remove it"
        ));
        return false;
    }
    true
}

fn parse(value: &Value, text: &str) -> Option<Signal> {
    let parsed = text.parse::<Signal>().map_err(|_| {
        let names: Vec<String> = (1..=Signal::MAX)
            .filter_map(Signal::from_number)
            .map(|signal| signal.to_string())
            .collect();
        let hint = suggest::did_you_mean(text, names.iter().map(String::as_str));
        format!("{text:?} is no signal; write a name such as \"SIGTERM\"{hint}")
    });
    value.check(parsed)
}
