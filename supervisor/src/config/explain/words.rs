//! Parts of a plan in words.

use std::fmt;

use super::super::{Command, Probe, Source};

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Source::File(path) => path.display().fmt(f),
            Source::Inline => f.write_str("RUNMATE_CONFIG_INLINE"),
            Source::CommandLine => f.write_str("none, only the command line"),
        }
    }
}

impl fmt::Display for Command {
    /// Words with anything but plain characters in quotes, so that their ends are seen.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let argv = match self {
            Command::Argv(argv) => argv,
            Command::Shell(text) => return write!(f, "/bin/sh -c {text:?}"),
            Command::Migrate => return f.write_str("built in"),
        };
        let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:=,@%+".contains(c);
        for (place, word) in argv.iter().enumerate() {
            let space = if place == 0 { "" } else { " " };
            if !word.is_empty() && word.chars().all(plain) {
                write!(f, "{space}{word}")?;
            } else {
                write!(f, "{space}{word:?}")?;
            }
        }
        Ok(())
    }
}

impl fmt::Display for Probe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Probe::Http(target) => write!(f, "http://{}{}", target.host, target.path),
            Probe::Tcp(address) => write!(f, "tcp {address}"),
            Probe::Exec(command) => write!(f, "exec {command}"),
            Probe::Log(regex) => write!(f, "a line that matches {:?}", regex.as_str()),
            Probe::Fd(fd) => write!(f, "a newline on file descriptor {fd}"),
        }
    }
}
