//! What is shown of `[logs]`.

use serde_json::{Value, json};

use crate::config::sections::{MULTILINE, STYLES};
use crate::config::{Logs, Multiline, Style, units};

/// One line for people.
pub(super) fn line(logs: &Logs) -> String {
    let style = match logs.style {
        Style::Lambda => String::new(),
        style => format!(", style {}", word(style)),
    };
    let renames: String = logs
        .fields
        .iter()
        .map(|(field, name)| format!(", {field} as {name:?}"))
        .collect();
    format!(
        "{}{style}{renames}, secrets {}masked, tracebacks joined: {}, lines up to {} bytes, blocked at most {}",
        logs.format,
        if logs.mask { "" } else { "not " },
        multiline(logs.multiline),
        logs.max_line,
        units::show(logs.blocked)
    )
}

/// The same for programs.
pub(super) fn json(logs: &Logs) -> Value {
    json!({
        "format": logs.format.to_string(),
        "style": word(logs.style),
        "fields": logs.fields,
        "mask": logs.mask,
        "multiline": multiline(logs.multiline),
        "max_line": logs.max_line,
        "blocked_ms": super::millis(logs.blocked),
    })
}

fn word(style: Style) -> &'static str {
    STYLES
        .iter()
        .find(|(_, known)| *known == style)
        .map_or("", |(word, _)| word)
}

/// As the file writes it.
fn multiline(multiline: Multiline) -> &'static str {
    let mut all = MULTILINE.iter();
    all.find_map(|(word, one)| (*one == multiline).then_some(*word))
        .expect("every one has a word")
}
