//! What errors of the driver and the server mean. Pure.
//!
//! Codes: <https://www.postgresql.org/docs/current/errcodes-appendix.html>. PgBouncer has one code for nearly
//! everything (08P01), so its messages have to be read.

use std::io;

use sqlx::postgres::PgDatabaseError;

use crate::db::{ApplyError, SessionError};
use crate::error::{Error, ErrorKind};

/// Where the URL comes from, for remedies.
pub(super) const URL: &str = "MIGRATE_DATABASE_URL or [migrate] database";

/// What an error means for whoever connects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may pass.
    Transient,
    /// The database does not exist.
    Missing,
    /// The user may not.
    Denied,
    /// Something is set wrongly.
    Config,
    /// Anything else that the server said.
    Other,
}

/// What the server's refusal of a connection means.
pub(super) fn refused(code: &str, message: &str) -> Verdict {
    let says = |words: &[&str]| {
        let message = message.to_ascii_lowercase();
        words.iter().any(|word| message.contains(word))
    };
    match code {
        "3D000" => Verdict::Missing,
        "42501" => Verdict::Denied,
        // Not one of a server's own; PgBouncer's errors nearly all have it.
        "08P01"
            if says(&[
                "server_login_retry",
                "server login has been failing",
                "cannot connect",
            ]) =>
        {
            Verdict::Transient
        }
        "08P01" if says(&["startup parameter", "ssl", "tls", "config error", "pooling mode"]) => {
            Verdict::Config
        }
        "08P01" if says(&["no such database", "does not exist"]) => Verdict::Missing,
        "08P01"
            if says(&[
                "no such user",
                "authentication failed",
                "login rejected",
                "permission denied",
            ]) =>
        {
            Verdict::Denied
        }
        // "database is not currently accepting connections": somebody is about to allow them again.
        "57P01" | "57P02" | "57P03" | "57P05" | "57014" | "55000" => Verdict::Transient,
        _ => match code.get(..2) {
            Some("08" | "53" | "58" | "XX") => Verdict::Transient,
            Some("28") => Verdict::Denied,
            _ => Verdict::Config,
        },
    }
}

/// What the server's answer to one of our own statements means.
pub(super) fn answered(code: &str) -> Verdict {
    match code {
        "42501" => Verdict::Denied,
        // Read-only all at once: it was demoted, or somebody set it so.
        "25006" | "3F000" => Verdict::Config,
        "57P01" | "57P02" | "57P03" | "57P05" | "57014" | "40001" | "40P01" | "55P03" => Verdict::Transient,
        _ => match code.get(..2) {
            Some("08" | "53" | "58") => Verdict::Transient,
            _ => Verdict::Other,
        },
    }
}

/// Why a connection could not be had.
pub(super) fn connecting(error: &sqlx::Error, name: &str) -> SessionError {
    let what = |why: &str| format!("cannot connect to {name}: {why}");
    let config = |why: &str, remedy: &str| {
        SessionError::Final(Error::new(ErrorKind::Config, what(why)).with_remedy(remedy))
    };
    match error {
        sqlx::Error::Database(_) => {
            let (code, said) = server(error);
            let message = what(&said);
            let error = match refused(&code, &said) {
                Verdict::Transient => return SessionError::Transient(message),
                Verdict::Missing => Error::new(ErrorKind::Config, message).with_remedy(format!(
                    "create the database (create = true does), or correct {URL}"
                )),
                Verdict::Denied => Error::new(ErrorKind::Denied, message).with_remedy(format!(
                    "correct user and password in {URL}, or what the user may do"
                )),
                _ if said.contains("startup parameter") => Error::new(ErrorKind::Config, message)
                    .with_remedy(
                        "leave options out of the URL and out of PGOPTIONS, or connect past the pooler: set \
                     MIGRATE_DATABASE_URL to a direct connection",
                    ),
                _ => Error::new(ErrorKind::Config, message).with_remedy(format!("correct {URL}")),
            };
            SessionError::Final(error)
        }
        // What rustls has against a certificate comes as invalid data.
        sqlx::Error::Io(error) if error.kind() == io::ErrorKind::InvalidData => config(
            &error.to_string(),
            &format!("correct sslmode and sslrootcert in {URL}, or the server's certificate"),
        ),
        sqlx::Error::Io(error) => SessionError::Transient(what(&error.to_string())),
        sqlx::Error::Tls(error) => config(
            &format!("no TLS: {error}"),
            &format!("correct sslmode and sslrootcert in {URL}, or the server's certificate"),
        ),
        sqlx::Error::Configuration(error) => config(&error.to_string(), &format!("correct {URL}")),
        sqlx::Error::Protocol(error) => config(
            &format!("it does not answer as PostgreSQL does: {error}"),
            &format!("correct host and port in {URL}"),
        ),
        error => SessionError::Final(Error::new(ErrorKind::Internal, what(&error.to_string()))),
    }
}

/// Why a statement of our own failed. `doing`: "cannot read the ledger".
pub(super) fn asking(error: &sqlx::Error, doing: &str, name: &str) -> SessionError {
    let sqlx::Error::Database(_) = error else {
        return match error {
            sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::Protocol(_) => {
                SessionError::Transient(format!("{doing} of {name}: the connection broke ({error})"))
            }
            error => SessionError::Final(Error::new(
                ErrorKind::Internal,
                format!("{doing} of {name}: {error}"),
            )),
        };
    };
    let (code, said) = server(error);
    let message = format!("{doing} of {name}: {said}");
    SessionError::Final(match answered(&code) {
        Verdict::Transient => return SessionError::Transient(message),
        Verdict::Denied => Error::new(ErrorKind::Denied, message).with_remedy(
            "grant the migrating user CREATE and USAGE on the schema and all rights on the tables _runmate_releases, \
             _runmate_progress and _sqlx_migrations",
        ),
        Verdict::Config if code == "25006" => read_only(name, "it refuses to write"),
        Verdict::Config => Error::new(ErrorKind::Config, message)
            .with_remedy("create the schema that search_path names, or set search_path for the user"),
        _ => Error::new(ErrorKind::Failed, message)
            .with_remedy("see whether _runmate_releases, _runmate_progress or _sqlx_migrations were altered"),
    })
}

/// A server that takes no writes.
pub(super) fn read_only(name: &str, why: &str) -> Error {
    Error::new(ErrorKind::Config, format!("cannot migrate {name}: {why}"))
        .with_remedy("set MIGRATE_DATABASE_URL to the writer")
}

/// The SQLSTATE of an error; empty if it is none of the server's.
pub(super) fn code(error: &sqlx::Error) -> String {
    let error = error.as_database_error();
    error
        .and_then(|error| error.code())
        .unwrap_or_default()
        .into_owned()
}

/// SQLSTATE, and what the server said with it: message, detail, hint and the code.
pub(super) fn server(error: &sqlx::Error) -> (String, String) {
    let Some(server) = error
        .as_database_error()
        .and_then(|error| error.try_downcast_ref::<PgDatabaseError>())
    else {
        return (String::new(), error.to_string());
    };
    let mut said = server.message().to_owned();
    for more in [server.detail(), server.hint()].into_iter().flatten() {
        said.push_str("; ");
        said.push_str(&more.replace('\n', " "));
    }
    said.push_str(&format!(" ({})", server.code()));
    (server.code().to_owned(), said)
}

/// True if the session behind it is gone.
pub(super) fn broken(error: &sqlx::Error) -> bool {
    match error {
        sqlx::Error::Io(_) | sqlx::Error::Tls(_) | sqlx::Error::WorkerCrashed => true,
        sqlx::Error::Database(_) => {
            let code = code(error);
            // 08: a pooler says so when the server's side broke.
            code.starts_with("08") || matches!(code.as_str(), "57P01" | "57P02" | "57P05" | "25P03")
        }
        _ => false,
    }
}

/// What is said when a session ended that did the work. `doing`: "cannot apply 1_a.sql".
pub(super) fn gone(doing: &str, error: &sqlx::Error, state: &str) -> ApplyError {
    let how = match error {
        sqlx::Error::Database(_) => "the server ended the connection",
        _ => "the connection to the server broke",
    };
    let message = format!("{doing}: {how}: {}; {state}", server(error).1);
    ApplyError::Failed(Error::new(ErrorKind::Failed, message).with_remedy(
        "see in the server's log why (a shutdown, a crash, a failover, or somebody ended the session); once it \
         answers, start again",
    ))
}

/// True if the session can still be used: it is there, and it is not in the middle of a COPY, which the driver
/// knows nothing of.
pub(super) fn usable(error: &sqlx::Error) -> bool {
    !broken(error) && !matches!(error, sqlx::Error::Protocol(_))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passes_and_what_does_not() {
        for (code, message, verdict) in [
            ("57P03", "the database system is starting up", Verdict::Transient),
            ("53300", "sorry, too many clients already", Verdict::Transient),
            (
                "57P01",
                "terminating connection due to administrator command",
                Verdict::Transient,
            ),
            ("08006", "", Verdict::Transient),
            (
                "28P01",
                "password authentication failed for user \"app\"",
                Verdict::Denied,
            ),
            ("28000", "no pg_hba.conf entry for host", Verdict::Denied),
            ("42501", "permission denied for database \"app\"", Verdict::Denied),
            ("3D000", "database \"app\" does not exist", Verdict::Missing),
            ("0A000", "unsupported frontend protocol", Verdict::Config),
            // PgBouncer.
            ("08P01", "pgbouncer cannot connect to server", Verdict::Transient),
            (
                "08P01",
                "server login has been failing, cached error: password authentication failed (server_login_retry)",
                Verdict::Transient,
            ),
            ("08P01", "query_wait_timeout", Verdict::Transient),
            (
                "08P01",
                "no more connections allowed (max_client_conn)",
                Verdict::Transient,
            ),
            ("08P01", "unsupported startup parameter: options", Verdict::Config),
            ("08P01", "SSL required", Verdict::Config),
            ("08P01", "no such database: app", Verdict::Missing),
            ("08P01", "database \"app\" does not exist", Verdict::Missing),
            ("08P01", "no such user: app", Verdict::Denied),
            ("08P01", "SASL authentication failed", Verdict::Denied),
        ] {
            assert_eq!(refused(code, message), verdict, "{code} {message}");
        }
    }

    #[test]
    fn a_session_that_ended_is_spoken_of_as_that() {
        let error = sqlx::Error::Io(io::ErrorKind::UnexpectedEof.into());
        let ApplyError::Failed(error) = gone("cannot apply 1_a.sql", &error, "nothing of it is applied")
        else {
            panic!("it failed")
        };
        let said = error.to_string();
        assert!(said.starts_with("cannot apply 1_a.sql: the connection to the server broke: "));
        assert!(said.ends_with("; nothing of it is applied"), "{said}");
    }

    #[test]
    fn errors_of_the_driver() {
        let kind = |error: sqlx::Error| match connecting(&error, "db.example.com/app") {
            SessionError::Transient(message) => {
                assert!(message.contains("db.example.com/app"), "{message}");
                None
            }
            SessionError::Final(error) => {
                assert!(
                    error
                        .remedy()
                        .is_some_and(|remedy| remedy.contains("MIGRATE_DATABASE_URL"))
                );
                Some(error.kind())
            }
        };
        let io = |kind| sqlx::Error::Io(io::Error::new(kind, "it"));
        assert_eq!(kind(io(io::ErrorKind::ConnectionRefused)), None);
        assert_eq!(kind(io(io::ErrorKind::UnexpectedEof)), None);
        assert_eq!(kind(io(io::ErrorKind::InvalidData)), Some(ErrorKind::Config));
        assert_eq!(kind(sqlx::Error::Tls("it".into())), Some(ErrorKind::Config));
        assert_eq!(kind(sqlx::Error::Protocol("it".into())), Some(ErrorKind::Config));
        assert_eq!(
            kind(sqlx::Error::Configuration("it".into())),
            Some(ErrorKind::Config)
        );
    }
}
