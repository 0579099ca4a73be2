//! Signal numbers and names, as pure data.

use std::fmt;
use std::str::FromStr;

/// A Linux signal number, 1 to 64.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Signal(i32);

impl Signal {
    /// SIGHUP.
    pub const HUP: Signal = Signal(libc::SIGHUP);
    /// SIGINT.
    pub const INT: Signal = Signal(libc::SIGINT);
    /// SIGQUIT.
    pub const QUIT: Signal = Signal(libc::SIGQUIT);
    /// SIGKILL.
    pub const KILL: Signal = Signal(libc::SIGKILL);
    /// SIGUSR1.
    pub const USR1: Signal = Signal(libc::SIGUSR1);
    /// SIGUSR2.
    pub const USR2: Signal = Signal(libc::SIGUSR2);
    /// SIGTERM.
    pub const TERM: Signal = Signal(libc::SIGTERM);
    /// SIGCHLD.
    pub const CHLD: Signal = Signal(libc::SIGCHLD);
    /// SIGWINCH.
    pub const WINCH: Signal = Signal(libc::SIGWINCH);
    /// SIGCONT.
    pub const CONT: Signal = Signal(libc::SIGCONT);

    /// The highest signal number of Linux (`SIGRTMAX`).
    pub const MAX: i32 = 64;

    /// A signal by its number; `None` outside 1 to 64.
    pub fn from_number(number: i32) -> Option<Signal> {
        (1..=Self::MAX).contains(&number).then_some(Signal(number))
    }

    /// The number the kernel knows it by.
    pub fn number(self) -> i32 {
        self.0
    }

    /// The exit code a shell gives to a process that died of this signal: 128 + n.
    pub fn exit_code(self) -> i32 {
        128 + self.0
    }

    /// Whether a process may install a handler for it and runmate can therefore pass it on.
    ///
    /// Left out: SIGKILL and SIGSTOP, which no process sees; SIGCHLD, which is runmate's own; the
    /// fault signals, which belong to the faulting thread; SIGPIPE; and 32 and 33, which the C
    /// library keeps for itself (see signal(7), "Real-time signals").
    pub fn can_be_forwarded(self) -> bool {
        !matches!(
            self.0,
            libc::SIGKILL
                | libc::SIGSTOP
                | libc::SIGCHLD
                | libc::SIGSEGV
                | libc::SIGBUS
                | libc::SIGFPE
                | libc::SIGILL
                | libc::SIGABRT
                | libc::SIGTRAP
                | libc::SIGSYS
                | libc::SIGPIPE
                | 32
                | 33
        )
    }

    /// Whether it asks runmate itself to stop.
    pub fn starts_drain(self) -> bool {
        matches!(self, Signal::TERM | Signal::INT | Signal::QUIT)
    }
}

/// The standard signals. Several architectures number them differently, hence libc's constants.
const NAMES: &[(i32, &str)] = &[
    (libc::SIGHUP, "SIGHUP"),
    (libc::SIGINT, "SIGINT"),
    (libc::SIGQUIT, "SIGQUIT"),
    (libc::SIGILL, "SIGILL"),
    (libc::SIGTRAP, "SIGTRAP"),
    (libc::SIGABRT, "SIGABRT"),
    (libc::SIGBUS, "SIGBUS"),
    (libc::SIGFPE, "SIGFPE"),
    (libc::SIGKILL, "SIGKILL"),
    (libc::SIGUSR1, "SIGUSR1"),
    (libc::SIGSEGV, "SIGSEGV"),
    (libc::SIGUSR2, "SIGUSR2"),
    (libc::SIGPIPE, "SIGPIPE"),
    (libc::SIGALRM, "SIGALRM"),
    (libc::SIGTERM, "SIGTERM"),
    (libc::SIGSTKFLT, "SIGSTKFLT"),
    (libc::SIGCHLD, "SIGCHLD"),
    (libc::SIGCONT, "SIGCONT"),
    (libc::SIGSTOP, "SIGSTOP"),
    (libc::SIGTSTP, "SIGTSTP"),
    (libc::SIGTTIN, "SIGTTIN"),
    (libc::SIGTTOU, "SIGTTOU"),
    (libc::SIGURG, "SIGURG"),
    (libc::SIGXCPU, "SIGXCPU"),
    (libc::SIGXFSZ, "SIGXFSZ"),
    (libc::SIGVTALRM, "SIGVTALRM"),
    (libc::SIGPROF, "SIGPROF"),
    (libc::SIGWINCH, "SIGWINCH"),
    (libc::SIGIO, "SIGIO"),
    (libc::SIGPWR, "SIGPWR"),
    (libc::SIGSYS, "SIGSYS"),
];

/// The first real-time signal an application may use (glibc and musl keep 32 and 33; glibc
/// reports `SIGRTMIN` as 34, and so does musl plus one of its own, which we do not follow).
const RTMIN: i32 = 34;

impl fmt::Display for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match NAMES.iter().find(|(number, _)| *number == self.0) {
            Some((_, name)) => f.write_str(name),
            None if self.0 == RTMIN => f.write_str("SIGRTMIN"),
            None if self.0 > RTMIN => write!(f, "SIGRTMIN+{}", self.0 - RTMIN),
            None => write!(f, "{}", self.0),
        }
    }
}

impl fmt::Debug for Signal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// What was written is not a signal of Linux.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownSignal;

impl FromStr for Signal {
    type Err = UnknownSignal;

    /// Reads `SIGTERM`, `TERM`, `15`, `SIGRTMIN+3` or `SIGRTMAX-1`, in any case.
    fn from_str(text: &str) -> Result<Signal, UnknownSignal> {
        let upper = text.trim().to_ascii_uppercase();
        if let Ok(number) = upper.parse::<i32>() {
            return Signal::from_number(number).ok_or(UnknownSignal);
        }
        let name = upper.strip_prefix("SIG").unwrap_or(&upper);
        if let Some((number, _)) = NAMES.iter().find(|(_, known)| &known[3..] == name) {
            return Ok(Signal(*number));
        }
        let number = match name {
            "POLL" => Some(libc::SIGIO),
            "CLD" => Some(libc::SIGCHLD),
            "IOT" => Some(libc::SIGABRT),
            "RTMIN" => Some(RTMIN),
            "RTMAX" => Some(Self::MAX),
            _ => {
                let offset = |rest: &str| rest.parse::<i32>().ok().filter(|n| *n >= 0);
                if let Some(rest) = name.strip_prefix("RTMIN+") {
                    offset(rest).and_then(|n| RTMIN.checked_add(n))
                } else if let Some(rest) = name.strip_prefix("RTMAX-") {
                    offset(rest).map(|n| Self::MAX - n).filter(|n| *n >= RTMIN)
                } else {
                    None
                }
            }
        };
        number.and_then(Signal::from_number).ok_or(UnknownSignal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_reads_back_from_its_own_name() {
        for number in 1..=Signal::MAX {
            let signal = Signal::from_number(number).unwrap();
            assert_eq!(signal.to_string().parse(), Ok(signal), "{number}");
        }
    }

    #[test]
    fn short_names_numbers_and_aliases_are_read() {
        assert_eq!("term".parse(), Ok(Signal::TERM));
        assert_eq!("15".parse(), Ok(Signal::TERM));
        assert_eq!("SIGRTMIN+3".parse::<Signal>().unwrap().number(), 37);
        assert_eq!("RTMAX-1".parse::<Signal>().unwrap().number(), 63);
    }

    #[test]
    fn what_is_no_signal_is_refused() {
        for text in [
            "",
            "SIG",
            "SIGNOPE",
            "0",
            "65",
            "SIGRTMIN+31",
            "RTMIN+-1",
            "RTMAX-40",
        ] {
            assert_eq!(text.parse::<Signal>(), Err(UnknownSignal), "{text}");
        }
    }
}
