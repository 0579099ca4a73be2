//! Database URLs: which database, and how to name it without its password.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use percent_encoding::percent_decode_str;

use crate::error::{Error, ErrorKind};

/// Which kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Postgres,
    /// MySQL and MariaDB.
    MySql,
    Sqlite,
}

/// A database, and how to talk to it. `Debug` shows no password.
#[derive(Clone)]
pub(crate) struct Target {
    pub kind: Kind,
    /// With a scheme that the driver knows.
    pub url: String,
    /// Host, port and database, or the file: for people.
    pub name: String,
    /// Create the database if it is not there.
    pub create: bool,
    /// Nothing but questions will be asked: SQLite needs no right to write, and makes no file.
    pub read_only: bool,
    /// How long a statement of a migration may wait for a lock. Zero: for ever.
    pub lock_timeout: Duration,
    /// How long a statement of a migration may take. Zero: as long as it takes.
    pub statement_timeout: Duration,
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}", self.kind, self.name)
    }
}

impl Target {
    /// Reads a URL. Schemes that frameworks use for the same databases (`postgresql+psycopg`, `mysql2`) are
    /// understood, so that one variable serves both.
    pub fn parse(url: &str) -> Result<Target, Error> {
        let bad = |message: &str| {
            Error::new(ErrorKind::Config, message)
                .with_remedy("write postgres://USER:PASSWORD@HOST:PORT/DATABASE, mysql://... or sqlite:FILE")
        };
        let (scheme, rest) = url
            .split_once(':')
            .ok_or_else(|| bad("the database URL has no scheme"))?;
        let base = scheme.split('+').next().unwrap_or(scheme).to_ascii_lowercase();
        let (kind, scheme) = match base.as_str() {
            "postgres" | "postgresql" | "postgis" => (Kind::Postgres, "postgres"),
            "mysql" | "mysql2" | "mariadb" | "trilogy" => (Kind::MySql, "mysql"),
            "sqlite" | "sqlite3" => (Kind::Sqlite, "sqlite"),
            // A scheme holds no secret, but what was meant as something else may.
            _ if base.len() <= 20 && base.chars().all(|c| c.is_ascii_alphanumeric()) => {
                return Err(bad(&format!("the database URL's scheme {base:?} is not known")));
            }
            _ => return Err(bad("the database URL has no scheme that is known")),
        };
        let name = match kind {
            Kind::Sqlite => sqlite_file(rest)
                .ok_or_else(|| bad("an SQLite database in memory is gone before anybody could use it"))?
                .display()
                .to_string(),
            _ => server_name(rest).map_err(bad)?,
        };
        Ok(Target {
            kind,
            url: format!("{scheme}:{rest}"),
            name,
            create: false,
            read_only: false,
            lock_timeout: Duration::from_secs(5),
            statement_timeout: Duration::ZERO,
        })
    }
}

/// `//user:password@host:port/db?options` without user, password and options.
///
/// # Errors
/// If it has none of these parts, or one could be part of a password: then nothing of it can be shown.
fn server_name(rest: &str) -> Result<String, &'static str> {
    let rest = rest.strip_prefix("//").ok_or("the database URL has no host")?;
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let (authority, behind) = rest.split_at(end);
    let path = behind.split(['?', '#']).next().unwrap_or_default();
    let user = authority.contains('@');
    if path.contains('@') || !user && behind.contains('@') {
        return Err(
            "the database URL has an @ behind its host: in user and password, characters such as / ? # @ have to be \
             percent-encoded",
        );
    }
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    // A URL without a host may name it in an option (`?host=/run/postgresql`).
    let host = if host.is_empty() { "localhost" } else { host };
    Ok(match path.trim_start_matches('/') {
        "" => host.to_owned(),
        database => format!("{host}/{database}"),
    })
}

/// The file of an SQLite URL, as the driver understands it; `None` in memory.
pub(crate) fn sqlite_file(rest: &str) -> Option<PathBuf> {
    let path = rest.strip_prefix("//").unwrap_or(rest);
    let (path, options) = path.split_once('?').unwrap_or((path, ""));
    if path.is_empty() || path == ":memory:" || options.split('&').any(|option| option == "mode=memory") {
        return None;
    }
    let path = percent_decode_str(path).decode_utf8_lossy();
    Some(PathBuf::from(path.into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_frameworks_write_is_understood() {
        for (url, kind, driver) in [
            ("postgres://a:b@h/d", Kind::Postgres, "postgres://a:b@h/d"),
            (
                "postgresql+psycopg://a@h:1/d",
                Kind::Postgres,
                "postgres://a@h:1/d",
            ),
            ("mysql2://a@h/d?x=1", Kind::MySql, "mysql://a@h/d?x=1"),
            ("mariadb+pymysql://a@h/d", Kind::MySql, "mysql://a@h/d"),
            ("sqlite3:db.sqlite", Kind::Sqlite, "sqlite:db.sqlite"),
        ] {
            let target = Target::parse(url).expect(url);
            assert_eq!((target.kind, target.url.as_str()), (kind, driver));
        }
    }

    #[test]
    fn the_name_shows_no_password() {
        let name = |url| Target::parse(url).expect("a URL").name;
        assert_eq!(
            name("postgres://u:p%40ss@db.example.com:5433/app?sslmode=require"),
            "db.example.com:5433/app"
        );
        assert_eq!(name("mysql://u:p@ss@[::1]/app"), "[::1]/app");
        assert_eq!(name("postgres:///app?host=/run/postgresql"), "localhost/app");
        assert_eq!(name("sqlite:///srv/a%20b.db?mode=rwc"), "/srv/a b.db");
        let target = Target::parse("postgres://u:topsecret@h/d").expect("a URL");
        assert!(!format!("{target:?}").contains("topsecret"));
    }

    #[test]
    fn what_is_no_url_is_refused_without_showing_it() {
        for url in [
            "",
            "topsecret",
            "oracle://u:topsecret@h/d",
            "topsecret-and-long-and-odd:x",
            "postgres://u:top/secret@h/d",
            "postgres://u:top#secret@h/d",
            "mysql://u:12/topsecret@h/d",
            "postgres://u:x@top/secret@h/d",
            "sqlite::memory:",
            "sqlite:",
        ] {
            let error = Target::parse(url).expect_err(url);
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(!error.to_string().contains("secret"), "{error}");
            assert!(error.remedy().is_some());
        }
    }
}
