//! The last line of every run.

use std::time::Duration;

use super::log;
use crate::output::{Level, Line};
use crate::process::sys;

/// Runmate's own exit codes, from sysexits.h.
pub mod code {
    /// The command line is wrong.
    pub const USAGE: i32 = 64;
    /// Something that is needed is away: a service cannot be reached.
    pub const UNAVAILABLE: i32 = 69;
    /// Something failed inside runmate.
    pub const INTERNAL: i32 = 70;
    /// A permission is missing.
    pub const DENIED: i32 = 77;
    /// The configuration is wrong, or what it names is not there.
    pub const CONFIG: i32 = 78;
}

/// `event: exit`, with what every end has.
pub(super) fn line(level: Level, code: i32, cause: &str, why: &str, uptime: Duration) -> Line {
    Line::new(level, "exit", format!("exit code {code}: {why}"))
        .with("cause", cause)
        .with("code", code)
        .with("uptime", log::seconds(uptime))
}

/// Writes the last line without the log writer, for the cases in which there is none.
pub(super) fn write_directly(code: i32, cause: &str, why: &str, uptime: Duration) {
    say(&line(Level::Error, code, cause, why, uptime));
}

/// What a panic says. It may have struck anywhere, the log writer included: nothing of ours is used.
pub(super) fn say_panic(what: &str) {
    say(&Line::new(Level::Error, "panic", what));
}

fn say(line: &Line) {
    sys::write_all(libc::STDOUT_FILENO, line.to_json().as_bytes());
}

/// The last line of a `run` whose command line is wrong.
pub(crate) fn refuse_usage(why: &str) {
    write_directly(code::USAGE, "usage", why, Duration::ZERO);
}
