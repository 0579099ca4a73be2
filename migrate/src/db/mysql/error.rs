//! What the server says, by what has to be done about it.
//!
//! Numbers: <https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html>,
//! <https://mariadb.com/docs/server/reference/error-codes>.

use std::io;

use sqlx::Error as Driver;
use sqlx::mysql::MySqlDatabaseError;

use crate::db::SessionError;
use crate::error::{Error, ErrorKind};

/// What a number means to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Meaning {
    /// It may pass.
    Transient,
    /// The user may not.
    Denied,
    /// There is no such database.
    NoDatabase,
    /// The server does not write.
    ReadOnly,
    Other,
}

fn meaning(number: u16) -> Meaning {
    match number {
        // Too many connections: in all, or of this user. Waiting helps.
        1040 | 1203 | 1226 => Meaning::Transient,
        // Out of memory, shutting down, ended, restarting, offline.
        1041 | 1053 | 1077..=1080 | 1152 | 1184 | 1927 | 3032 | 3168 | 3169 | 4031 => Meaning::Transient,
        // Broken packets: the network, or a proxy that is starting.
        1042 | 1043 | 1153 | 1155..=1161 => Meaning::Transient,
        // This host was turned away after too many broken connections. Somebody has to lift that, but it can
        // be lifted while we wait, and what is shown then says so.
        1129 => Meaning::Transient,
        // A lock or a deadlock on our own tables.
        1205 | 1213 => Meaning::Transient,
        // Never from a server, but from proxies: what clients say, and ProxySQL's "connect timeout reached".
        2000..=2999 | 9001..=9009 => Meaning::Transient,
        1044 | 1045 | 1095 | 1130 | 1142 | 1143 | 1227 | 1370 | 1698 | 1820 | 1862 | 3118 | 3879 | 4151 => {
            Meaning::Denied
        }
        1049 => Meaning::NoDatabase,
        1290 | 1792 | 1836 | 3100 => Meaning::ReadOnly,
        _ => Meaning::Other,
    }
}

/// The server's number.
pub(super) fn number(error: &Driver) -> Option<u16> {
    let error = error.as_database_error()?;
    error
        .try_downcast_ref::<MySqlDatabaseError>()
        .map(MySqlDatabaseError::number)
}

/// A table is not there.
pub(super) fn is_no_table(error: &Driver) -> bool {
    number(error) == Some(1146)
}

pub(super) fn is_no_database(error: &Driver) -> bool {
    number(error) == Some(1049)
}

/// A lock was not to be had in time, or a deadlock was resolved against us.
pub(super) fn is_locked(error: &Driver) -> bool {
    matches!(number(error), Some(1205 | 1213))
}

/// The statement was ended from outside.
pub(super) fn is_interrupted(error: &Driver) -> bool {
    number(error) == Some(1317)
}

/// The statement's time was over, says MariaDB or MySQL.
pub(super) fn is_timeout(error: &Driver) -> bool {
    matches!(number(error), Some(1969 | 3024))
}

/// The connection is gone, or going.
pub(super) fn is_gone(error: &Driver) -> bool {
    match error {
        Driver::Io(_) | Driver::Tls(_) | Driver::Protocol(_) | Driver::WorkerCrashed => true,
        error => matches!(
            number(error),
            Some(1053 | 1077..=1080 | 1152 | 1155..=1161 | 1184 | 1927 | 2006 | 2013 | 2055 | 3169 | 4031)
        ),
    }
}

/// What a statement was to make is there already, or what it was to take away is gone.
pub(super) fn is_done_already(error: &Driver) -> bool {
    matches!(
        number(error),
        Some(
            1007 | 1008 // database
            | 1050 | 1051 // table
            | 1022 | 1060 | 1061 | 1068 | 1091 | 1826 | 3821 | 3822 // column, index, constraint
            | 1304 | 1305 | 1359 | 1360 | 1537 | 1539 // routine, trigger, event
            | 4091 | 4092 // sequence
        )
    )
}

/// What was said, with the server's number and state, without the driver's preface.
pub(super) fn said(error: &Driver) -> String {
    match error {
        Driver::Database(error) => match error.try_downcast_ref::<MySqlDatabaseError>() {
            Some(error) => match error.code() {
                Some(state) => format!("{} ({} {state})", error.message(), error.number()),
                None => format!("{} ({})", error.message(), error.number()),
            },
            None => error.to_string(),
        },
        Driver::Io(error) => error.to_string(),
        error => error.to_string(),
    }
}

/// For what the lock's session asks. `what` is what could not be done, and to what.
pub(super) fn session(error: &Driver, what: &str) -> SessionError {
    let message = format!("cannot {what}: {}", said(error));
    let (kind, remedy) = match error {
        Driver::Io(io) if io.kind() == io::ErrorKind::PermissionDenied => {
            (ErrorKind::Denied, "let this user open the server's socket")
        }
        Driver::Io(_) | Driver::Protocol(_) | Driver::WorkerCrashed => {
            return SessionError::Transient(said(error));
        }
        Driver::Tls(_) => (
            ErrorKind::Config,
            "set ssl-mode and ssl-ca in the database URL to what the server's certificate needs",
        ),
        Driver::Configuration(_) => (
            ErrorKind::Config,
            "write mysql://USER:PASSWORD@HOST:PORT/DATABASE",
        ),
        error => match number(error).map_or(Meaning::Other, meaning) {
            Meaning::Transient => return SessionError::Transient(said(error)),
            Meaning::Denied => (
                ErrorKind::Denied,
                "check user and password; the user needs CREATE, SELECT, INSERT, UPDATE and DELETE on the \
                 database, and what the migrations do",
            ),
            Meaning::NoDatabase => (
                ErrorKind::Config,
                "check the name, create the database, or set migrate.create = true",
            ),
            Meaning::ReadOnly => (ErrorKind::Config, WRITER),
            Meaning::Other => return SessionError::Final(Error::new(ErrorKind::Failed, message)),
        },
    };
    SessionError::Final(Error::new(kind, message).with_remedy(remedy))
}

/// The remedy for a replica.
pub(super) const WRITER: &str = "point MIGRATE_DATABASE_URL at the writer";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_pass_is_not_what_will_not() {
        for number in [1040, 1053, 1203, 1205, 1213, 1927, 2006, 9001] {
            assert_eq!(meaning(number), Meaning::Transient, "{number}");
        }
        for number in [1044, 1045, 1142, 1130, 1698] {
            assert_eq!(meaning(number), Meaning::Denied, "{number}");
        }
        assert_eq!(meaning(1049), Meaning::NoDatabase);
        assert_eq!(meaning(1290), Meaning::ReadOnly);
        assert_eq!(meaning(1064), Meaning::Other);
    }
}
