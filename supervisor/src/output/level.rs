//! How much a line matters: the words for it, and what the beginning of a line of text says.
//!
//! Only the forms in which loggers and servers write it count, never a word somewhere in a sentence:
//! `information about errors` and `GET /error HTTP/1.1` stay what they are.

mod detect;

pub(super) use detect::detect;

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// Every step.
    Trace,
    /// For whoever looks for a fault.
    Debug,
    /// As planned.
    Info,
    /// Worth a look.
    Warn,
    /// Something failed.
    Error,
    /// Nothing goes on.
    Fatal,
}

impl Level {
    /// All of them; each stands at the index that it is as a number.
    pub(super) const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// How it is written in every style.
    pub(super) fn name(self) -> &'static str {
        match self {
            Level::Trace => "TRACE",
            Level::Debug => "DEBUG",
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }

    /// The SeverityNumber of OpenTelemetry's log data model.
    pub(super) fn severity_number(self) -> u8 {
        1 + 4 * self as u8
    }

    /// The level that a word stands for, in whatever case.
    pub(super) fn of_word(word: &[u8]) -> Option<Level> {
        const LONGEST: usize = "informational".len();
        let mut lower = [0; LONGEST];
        let lower = lower.get_mut(..word.len())?;
        lower.copy_from_slice(word);
        lower.make_ascii_lowercase();
        Some(match &*lower {
            b"trace" | b"trce" | b"trc" | b"verbose" => Level::Trace,
            b"debug" | b"debu" | b"dbug" | b"dbg" => Level::Debug,
            b"info" | b"inf" | b"notice" | b"information" | b"informational" => Level::Info,
            b"warn" | b"warning" | b"wrn" => Level::Warn,
            b"error" | b"err" | b"erro" | b"severe" | b"fail" => Level::Error,
            b"fatal" | b"ftl" | b"fata" | b"critical" | b"crit" | b"emerg" | b"emergency" | b"alert"
            | b"panic" => Level::Fatal,
            _ => return None,
        })
    }

    /// The level that a JSON value stands for: a word, or a number of pino and bunyan.
    pub(super) fn of_json(value: &[u8]) -> Option<Level> {
        match value {
            b"10" => Some(Level::Trace),
            b"20" => Some(Level::Debug),
            b"30" => Some(Level::Info),
            b"40" => Some(Level::Warn),
            b"50" => Some(Level::Error),
            b"60" => Some(Level::Fatal),
            [b'"', word @ .., b'"'] => Level::of_word(word),
            _ => None,
        }
    }

    /// The level of a priority of syslog, which also counts with its facility.
    pub(super) fn of_priority(priority: u32) -> Level {
        match priority % 8 {
            0..=2 => Level::Fatal,
            3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        }
    }
}
