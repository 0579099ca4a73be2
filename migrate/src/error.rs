//! What can go wrong, by what has to be done about it.

use std::fmt;

/// Why migrations did not run, or did not finish.
///
/// `Display` is one line that says what could not be done and why; [`remedy`](Error::remedy) says what to
/// do. Neither holds a password.
#[derive(Debug, Clone)]
pub struct Error {
    kind: ErrorKind,
    message: String,
    remedy: Option<String>,
}

/// What an [`Error`] means to whoever has to act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ErrorKind {
    /// The URL, the directory or a setting is wrong; it will be wrong the next time.
    Config,
    /// The database does not let this user in, or not do this.
    Denied,
    /// The database could not be reached within the time to wait.
    Unavailable,
    /// Somebody else held the lock, or a lock within the database, for longer than the time to wait.
    LockTimeout,
    /// The lock, or the connection that held it, was lost in the middle. The work was stopped.
    LockLost,
    /// A migration or the command failed.
    Failed,
    /// The directory and the database contradict each other: a file changed or is missing.
    Drift,
    /// A migration was left half done, and a person has to say how to go on.
    Dirty,
    /// The caller asked to stop.
    Stopped,
    /// A fault in this library.
    Internal,
}

impl ErrorKind {
    /// The exit code of `runmate migrate`: those of `sysexits.h` where one fits, others where none does.
    pub fn exit_code(self) -> i32 {
        match self {
            ErrorKind::Failed => 1,
            ErrorKind::Drift => 65,
            ErrorKind::Unavailable => 69,
            ErrorKind::Internal => 70,
            ErrorKind::LockTimeout => 75,
            ErrorKind::LockLost => 76,
            ErrorKind::Denied => 77,
            ErrorKind::Config => 78,
            ErrorKind::Dirty => 79,
            // As after SIGTERM, unless the caller knows better.
            ErrorKind::Stopped => 143,
        }
    }

    /// The word for it in the ledger and in JSON.
    pub fn name(self) -> &'static str {
        match self {
            ErrorKind::Config => "config",
            ErrorKind::Denied => "denied",
            ErrorKind::Unavailable => "unavailable",
            ErrorKind::LockTimeout => "lock_timeout",
            ErrorKind::LockLost => "lock_lost",
            ErrorKind::Failed => "failed",
            ErrorKind::Drift => "drift",
            ErrorKind::Dirty => "dirty",
            ErrorKind::Stopped => "stopped",
            ErrorKind::Internal => "internal",
        }
    }
}

impl Error {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Error {
        Error {
            kind,
            message: message.into(),
            remedy: None,
        }
    }

    pub(crate) fn with_remedy(mut self, remedy: impl Into<String>) -> Error {
        self.remedy = Some(remedy.into());
        self
    }

    /// What kind of failure it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What to do about it, if that can be said.
    pub fn remedy(&self) -> Option<&str> {
        self.remedy.as_deref()
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Error {}
