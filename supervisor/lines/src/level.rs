//! How much a line matters: the words for it, and what the beginning of a line of text says.
//!
//! Only the forms in which loggers and servers write it count, never a word somewhere in a sentence:
//! `information about errors` and `GET /error HTTP/1.1` stay what they are.

mod detect;

pub(crate) use detect::detect;

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
    pub const ALL: [Level; 6] = [
        Level::Trace,
        Level::Debug,
        Level::Info,
        Level::Warn,
        Level::Error,
        Level::Fatal,
    ];

    /// How it is written in every style.
    pub fn name(self) -> &'static str {
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
    pub fn severity_number(self) -> u8 {
        1 + 4 * self as u8
    }

    /// The level that a word stands for, in whatever case.
    pub fn of_word(word: &[u8]) -> Option<Level> {
        // One number instead of a comparison with each: this is asked for every word of a header.
        if !(3..=8).contains(&word.len()) {
            let same = |other: &&str| word.eq_ignore_ascii_case(other.as_bytes());
            return match () {
                () if ["information", "informational"].iter().any(same) => Some(Level::Info),
                () if same(&"emergency") => Some(Level::Fatal),
                () => None,
            };
        }
        Some(match packed(word) {
            TRACE | TRCE | TRC | VERBOSE => Level::Trace,
            DEBUG | DEBU | DBUG | DBG => Level::Debug,
            INFO | INF | NOTICE => Level::Info,
            WARN | WARNING | WRN => Level::Warn,
            ERROR | ERR | ERRO | SEVERE | FAIL => Level::Error,
            FATAL | FTL | FATA | CRITICAL | CRIT | EMERG | ALERT | PANIC => Level::Fatal,
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
    pub fn of_priority(priority: u32) -> Level {
        match priority % 8 {
            0..=2 => Level::Fatal,
            3 => Level::Error,
            4 => Level::Warn,
            5 | 6 => Level::Info,
            _ => Level::Debug,
        }
    }
}

/// Up to eight letters as a number, without their case.
const fn packed(word: &[u8]) -> u64 {
    let (mut number, mut at) = (0, 0);
    while at < word.len() {
        number = number << 8 | (word[at] | 0x20) as u64;
        at += 1;
    }
    number
}

const TRACE: u64 = packed(b"TRACE");
const TRCE: u64 = packed(b"TRCE");
const TRC: u64 = packed(b"TRC");
const VERBOSE: u64 = packed(b"VERBOSE");
const DEBUG: u64 = packed(b"DEBUG");
const DEBU: u64 = packed(b"DEBU");
const DBUG: u64 = packed(b"DBUG");
const DBG: u64 = packed(b"DBG");
const INFO: u64 = packed(b"INFO");
const INF: u64 = packed(b"INF");
const NOTICE: u64 = packed(b"NOTICE");
const WARN: u64 = packed(b"WARN");
const WARNING: u64 = packed(b"WARNING");
const WRN: u64 = packed(b"WRN");
const ERROR: u64 = packed(b"ERROR");
const ERR: u64 = packed(b"ERR");
const ERRO: u64 = packed(b"ERRO");
const SEVERE: u64 = packed(b"SEVERE");
const FAIL: u64 = packed(b"FAIL");
const FATAL: u64 = packed(b"FATAL");
const FTL: u64 = packed(b"FTL");
const FATA: u64 = packed(b"FATA");
const CRITICAL: u64 = packed(b"CRITICAL");
const CRIT: u64 = packed(b"CRIT");
const EMERG: u64 = packed(b"EMERG");
const ALERT: u64 = packed(b"ALERT");
const PANIC: u64 = packed(b"PANIC");
