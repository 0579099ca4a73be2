//! The sections beside the processes: `[run]`, `[logs]` and what is reserved.

use std::collections::BTreeMap;
use std::time::Duration;

use super::reader::{Table, Value};
use super::{Language, LogFormat, Logs, Multiline, Run, Style};
use super::{fields, keys, platform, process, suggest, units};

/// The envelope of a line needs some hundred bytes; beyond a mebibyte no collector takes a line.
const MAX_LINE: std::ops::RangeInclusive<u64> = 256..=1 << 20;

/// Which tracebacks are joined, as it is written and shown.
pub(super) const MULTILINE: &[(&str, Multiline)] = &[
    ("auto", Multiline::Auto),
    ("python", Multiline::Only(Language::Python)),
    ("java", Multiline::Only(Language::Java)),
    ("go", Multiline::Only(Language::Go)),
    ("node", Multiline::Only(Language::Node)),
    ("rust", Multiline::Only(Language::Rust)),
    ("off", Multiline::Off),
];

/// The words of the styles.
pub(super) const STYLES: &[(&str, Style)] = &[
    ("lambda", Style::Lambda),
    ("ecs", Style::Ecs),
    ("otel", Style::Otel),
];

/// The keys of the whole document.
pub(super) fn root(root: &Table) {
    for (name, value) in unknown(root) {
        // A header that cannot be read leaves its keys at the top level.
        if keys::PROCESS.contains(&name) {
            let message = "belongs to a process; write it under [process.app]";
            value.doc.missing(Some(value.at), &value.key, message);
            continue;
        }
        let hint = suggest::did_you_mean(name, keys::ROOT.iter().copied());
        let hint = if hint.is_empty() {
            "; processes are written as [process.NAME]".to_owned()
        } else {
            hint
        };
        value.error(format!("unknown key{hint}"));
    }
}

/// Whether the document has keys that may have been meant as a process.
pub(super) fn has_unknown(root: &Table) -> bool {
    unknown(root).next().is_some()
}

fn unknown<'a>(root: &Table<'a>) -> impl Iterator<Item = (&'a str, Value<'a>)> {
    root.entries().filter(|(name, _)| !keys::ROOT.contains(name))
}

/// `[run]`, with what the platform decides.
pub(super) fn run(value: Option<&Value>, env: &BTreeMap<String, String>) -> Run {
    let table = value.and_then(|value| value.table(Some(keys::RUN), "a table [run]"));
    let get = |name| table.as_ref().and_then(|table| table.get(name));
    // "auto" says the same as nothing.
    let set = |name| get(name).filter(|value| value.value.as_str() != Some("auto"));

    let mut platforms: Vec<_> = platform::NAMES
        .iter()
        .map(|(name, platform)| (*name, Some(*platform)))
        .collect();
    platforms.push(("auto", None));
    let platform = get("platform")
        .and_then(|value| value.choice(&platforms))
        .flatten();
    let platform = platform.unwrap_or_else(|| platform::detect(env));

    let stop_budget = set("stop_budget")
        .and_then(|value| value.some_time())
        .unwrap_or_else(|| platform.stop_budget());
    // Half, so that a short budget of the user's own is not spent on waiting.
    let auto_delay = platform.drain_delay().min(stop_budget / 2);
    let delay = set("drain_delay");
    let drain_delay = delay.as_ref().and_then(Value::duration).unwrap_or(auto_delay);
    if let Some(delay) = delay.filter(|_| drain_delay >= stop_budget) {
        delay.error(format!(
            "{} leaves nothing of the stop_budget of {}; write a shorter delay or a longer run.stop_budget",
            units::show(drain_delay),
            units::show(stop_budget),
        ));
    }
    let codes = get("success_codes").and_then(|value| value.list("a list of exit codes such as [143]"));
    let codes = codes.unwrap_or_default();
    let code = |value: &Value| value.integer(0, 255).and_then(|code| i32::try_from(code).ok());
    Run {
        platform,
        success_codes: codes.iter().filter_map(code).collect(),
        drain_delay,
        stop_budget,
    }
}

/// `[logs]`.
pub(super) fn logs(value: Option<&Value>) -> Logs {
    let table = value.and_then(|value| value.table(Some(keys::LOGS), "a table [logs]"));
    let get = |name| table.as_ref().and_then(|table| table.get(name));
    let style = get("style")
        .and_then(|value| value.choice(STYLES))
        .unwrap_or_default();
    let multiline = get("multiline").and_then(|value| value.choice(MULTILINE));
    let max_line = get("max_line").and_then(|value| {
        let size = value.size()?;
        if !MAX_LINE.contains(&size) {
            value.error("out of range; write a size from \"256B\" to \"1MiB\"");
        }
        usize::try_from(size).ok()
    });
    Logs {
        format: get("format")
            .and_then(|value| value.choice(process::FORMATS))
            .unwrap_or(LogFormat::Json),
        style,
        fields: get("fields")
            .map(|value| fields::read(&value, style))
            .unwrap_or_default(),
        mask: get("mask").and_then(|value| value.bool()).unwrap_or(true),
        multiline: multiline.unwrap_or(Multiline::Auto),
        max_line: max_line.unwrap_or(15 << 10),
        blocked: get("blocked")
            .and_then(|value| value.duration())
            .unwrap_or(Duration::from_secs(5)),
    }
}

/// The section that a later version will have. Never ignored: who wrote it relies on it.
pub(super) fn reserved(root: &Table) {
    if let Some(ingress) = root.get("ingress") {
        ingress.error("reserved for a later version; remove it");
    }
}
