//! What is shown of `[logs]`.

use serde_json::{Value, json};

use crate::config::sections::STYLES;
use crate::config::{Logs, Style, units};

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
        "{}{style}{renames}, lines up to {} bytes, blocked at most {}",
        logs.format,
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
