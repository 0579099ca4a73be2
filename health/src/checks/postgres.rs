//! A PostgreSQL answers.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor};
use zeroize::Zeroizing;

use super::Invalid;
use super::address::Address;
use super::sql::{Asking, Kind, Place, STATEMENT, Server};
use super::url::{Family, ServerUrl};
use crate::check::{Check, ComponentType, Look};

/// The values of `sslmode` (PostgreSQL's manual, libpq, Connection Strings), and node-postgres's for a server that is
/// not verified, which libpq calls `require`.
const SSL_MODES: &[&str] = &[
    "disable",
    "allow",
    "prefer",
    "require",
    "verify-ca",
    "verify-full",
    "no-verify",
];

const SSL_MODE: &[&str] = &["sslmode", "ssl-mode"];

/// What the driver has a use for. Others are for other drivers (`pgbouncer`, `connection_limit`), and are not handed to
/// this one, which would log them.
const KNOWN: &[&str] = &[
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
    "application_name",
    "options",
];

/// Passes if a PostgreSQL answers a `SELECT 1`.
///
/// One connection is kept, so that a look costs the server one round trip; it calls itself `runmate-health`
/// (`application_name`) unless the URL says otherwise. A connection that is broken is replaced within the same look.
/// Every five minutes it is replaced anyway, so that a changed password or a full server is noticed.
///
/// A database that pauses when nobody is connected (Aurora Serverless) never does while it is checked.
pub struct Postgres(Server<PgConnection>);

impl Postgres {
    /// A check of `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
    ///
    /// `postgresql://` and what frameworks make of it (`postgresql+psycopg://`) do as well, with libpq's `sslmode`,
    /// `sslrootcert`, `sslcert`, `sslkey`, `host` (`/run/postgresql` for a Unix socket), `hostaddr`, `port`, `dbname`,
    /// `user`, `password`, `application_name` and `options` behind a `?`; others are passed over. What is missing comes
    /// from the variables `PGHOSTADDR`, `PGHOST`, `PGPORT`, `PGUSER`, `PGPASSWORD`, `PGPASSFILE`, `PGDATABASE`,
    /// `PGSSLMODE`, `PGSSLROOTCERT`, `PGSSLCERT`, `PGSSLKEY`, `PGAPPNAME` and `PGOPTIONS`, which the first look reads.
    ///
    /// # Errors
    /// If it is no such URL, names several hosts, or has a port, an `sslmode` or a `hostaddr` that is none. This asks
    /// neither the system nor a server.
    pub fn new(url: &str) -> Result<Postgres, Invalid> {
        Server::new(url).map(Postgres)
    }

    /// The host that the URL names, or the directory of a socket; `None`: the one of `PGHOST`, or a socket.
    pub fn host(&self) -> Option<String> {
        self.0.host(&["hostaddr", "host"])
    }
}

impl Kind for PgConnection {
    const FAMILY: Family = Family {
        name: "a PostgreSQL",
        schemes: &["postgres", "postgresql", "postgis"],
        example: "postgres://USER:PASSWORD@HOST:PORT/DATABASE",
    };

    fn accepts(url: &ServerUrl) -> Result<(), Invalid> {
        if let Some(host) = url.query(&["host"]) {
            Self::FAMILY.host(host)?;
        }
        if let Some(port) = url.query(&["port"]) {
            Self::FAMILY.port(port)?;
        }
        let address = url.query(&["hostaddr"]);
        if address.is_some_and(|address| address.parse::<IpAddr>().is_err()) {
            return Err(Self::FAMILY.wrong_part("hostaddr is no IP address"));
        }
        let mode = url.query(SSL_MODE);
        if mode.is_some_and(|mode| !SSL_MODES.contains(&mode)) {
            let modes = SSL_MODES.join(", ");
            return Err(Self::FAMILY.wrong_part(&format!("sslmode is none of {modes}")));
        }
        Ok(())
    }

    fn options(url: &ServerUrl) -> Result<(PgConnectOptions, Place), Invalid> {
        let options = PgConnectOptions::from_str(&for_the_driver(url))
            .map_err(|_| Self::FAMILY.wrong_part("the driver does not take an option"))?;
        let name = options
            .get_application_name()
            .unwrap_or("runmate-health")
            .to_owned();
        let host = options.get_host();
        // Without a host, the driver takes the directory of a socket for one.
        let place = match options.get_socket() {
            Some(directory) => Place::Socket(directory.display().to_string()),
            None if host.starts_with('/') => Place::Socket(host.to_owned()),
            None => Place::Network(Address::new(host, options.get_port())),
        };
        let options = options
            .application_name(&name)
            // pgbouncer refuses what it does not know.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        Ok((options, place))
    }

    fn ask(&mut self) -> Asking<'_> {
        Box::pin(async { self.execute(STATEMENT).await.map(drop) })
    }

    fn code(error: &dyn DatabaseError) -> Option<String> {
        error.code().map(|state| format!("SQLSTATE {state}"))
    }
}

/// The URL in the words of the driver: all of it in the query, where each part has a place, whatever is missing.
fn for_the_driver(url: &ServerUrl) -> Zeroizing<String> {
    let mut text = Zeroizing::new("postgres:?".to_owned());
    let mut add = |name: &str, value: &str| {
        for (word, end) in [(name, '='), (value, '&')] {
            text.extend(utf8_percent_encode(word, NON_ALPHANUMERIC));
            text.push(end);
        }
    };
    if !url.host.is_empty() {
        add("host", &url.host);
    }
    if let Some(port) = url.port {
        add("port", &port.to_string());
    }
    if let Some(user) = &url.user {
        add("user", user);
    }
    if let Some(password) = &url.password {
        add("password", password);
    }
    if !url.path.is_empty() {
        add("dbname", &url.path);
    }
    match url.query(SSL_MODE) {
        Some("no-verify") => add("sslmode", "require"),
        Some(mode) => add("sslmode", mode),
        None => {}
    }
    for (name, value) in url.pairs() {
        // The roots of the system, which are the driver's default.
        let roots = name == "sslrootcert" && value == "system";
        if !roots && (KNOWN.contains(&name) || name.starts_with("options[")) {
            add(name, value);
        }
    }
    text
}

impl Check for Postgres {
    fn look(&self) -> Look<'_> {
        Box::pin(self.0.look())
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::Datastore
    }
}

impl fmt::Debug for Postgres {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Postgres").finish_non_exhaustive()
    }
}
