//! What SQLite says, by what has to be done about it.

use sqlx::Error as Driver;

use crate::db::SessionError;
use crate::error::{Error, ErrorKind};

const PERM: i32 = 3;
const BUSY: i32 = 5;
const LOCKED: i32 = 6;
const READONLY: i32 = 8;
const INTERRUPT: i32 = 9;
const CORRUPT: i32 = 11;
const FULL: i32 = 13;
const CANTOPEN: i32 = 14;
const AUTH: i32 = 23;
const NOTADB: i32 = 26;

/// The primary result code: the low byte of the extended one.
fn code(error: &Driver) -> Option<i32> {
    let code = error.as_database_error()?.code()?;
    Some(code.parse::<i32>().ok()? & 0xff)
}

/// Somebody else has the database, or a table of it.
pub(super) fn is_busy(error: &Driver) -> bool {
    matches!(code(error), Some(BUSY | LOCKED))
}

/// The file, or one that SQLite needs beside it, cannot be opened or made.
pub(super) fn is_not_openable(error: &Driver) -> bool {
    matches!(code(error), Some(CANTOPEN | READONLY))
}

/// The progress handler said stop.
pub(super) fn is_interrupt(error: &Driver) -> bool {
    code(error) == Some(INTERRUPT)
}

/// A table is not there. SQLite has no code of its own for it.
pub(super) fn is_no_table(error: &Driver) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message().starts_with("no such table: "))
}

/// A transaction is open. SQLite has no code of its own for it.
pub(super) fn is_within(error: &Driver) -> bool {
    error
        .as_database_error()
        .is_some_and(|error| error.message() == "cannot start a transaction within a transaction")
}

/// What was said, without what is ours.
pub(super) fn said(error: &Driver) -> String {
    match error.as_database_error() {
        Some(database) => match database.code() {
            Some(code) => format!("{} (code {code})", database.message()),
            None => database.message().to_owned(),
        },
        None => match error {
            // Ours (the driver has none of SQLite's): without the driver's preface.
            Driver::Protocol(text) => text.clone(),
            _ => error.to_string(),
        },
    }
}

/// For what the lock's session asks; `what` is what could not be done, `name` the file.
pub(super) fn session(error: Driver, what: &str, name: &str) -> SessionError {
    if is_busy(&error) {
        return SessionError::Transient(format!("{name} is locked by another process"));
    }
    let message = format!("cannot {what} the SQLite database {name}: {}", said(&error));
    SessionError::Final(match code(&error) {
        Some(READONLY) => Error::new(ErrorKind::Config, message).with_remedy(WRITABLE),
        Some(PERM | CANTOPEN | AUTH) => Error::new(ErrorKind::Denied, message).with_remedy(WRITABLE),
        Some(NOTADB) => {
            Error::new(ErrorKind::Config, message).with_remedy("name the database file, or an empty file")
        }
        Some(CORRUPT) => Error::new(ErrorKind::Config, message).with_remedy("restore it from a backup"),
        Some(FULL) => Error::new(ErrorKind::Unavailable, message).with_remedy("make room on its disk"),
        _ => Error::new(ErrorKind::Internal, message),
    })
}

/// The remedy wherever something is not writable.
pub(super) const WRITABLE: &str =
    "let this user write to the file and to its directory (the journal and the lock are made there)";
