//! A MySQL or MariaDB answers.

use std::fmt;

use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError, MySqlSslMode};
use sqlx::{ConnectOptions, Executor};

use super::Invalid;
use super::address::Address;
use super::sql::{Asking, Kind, Place, STATEMENT, Server};
use super::url::{Family, ServerUrl};
use crate::check::{Check, ComponentType, Look};

/// The values of `ssl-mode` (MySQL's manual, Command Options for Encrypted Connections), with the words that PostgreSQL
/// and its drivers have for the same.
const SSL_MODES: &[(&str, MySqlSslMode)] = &[
    ("disabled", MySqlSslMode::Disabled),
    ("preferred", MySqlSslMode::Preferred),
    ("required", MySqlSslMode::Required),
    ("verify-ca", MySqlSslMode::VerifyCa),
    ("verify-identity", MySqlSslMode::VerifyIdentity),
    ("disable", MySqlSslMode::Disabled),
    ("prefer", MySqlSslMode::Preferred),
    ("require", MySqlSslMode::Required),
    ("no-verify", MySqlSslMode::Required),
    ("verify-full", MySqlSslMode::VerifyIdentity),
];

/// Passes if a MySQL or MariaDB answers a `SELECT 1`.
///
/// One connection is kept, so that a look costs the server one round trip. A connection that is broken is replaced
/// within the same look. Every five minutes it is replaced anyway, so that a changed password or a full server is
/// noticed.
pub struct MySql(Server<MySqlConnection>);

impl MySql {
    /// A check of `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; the database may be left out.
    ///
    /// `mariadb://` and what frameworks make of them (`mysql2://`, `mysql+pymysql://`) do as well, with `ssl-mode`,
    /// `ssl-ca`, `ssl-cert`, `ssl-key` (or `sslmode` and so on) and `socket`, for a Unix socket, behind a `?`; others
    /// are passed over. No variable is read.
    ///
    /// # Errors
    /// If it is no such URL, names several hosts, or has a port or an `ssl-mode` that is none.
    pub fn new(url: &str) -> Result<MySql, Invalid> {
        Server::new(url).map(MySql)
    }

    /// The host that the URL names, or the file of a socket; `None`: this machine.
    pub fn host(&self) -> Option<String> {
        self.0.host(&["socket"])
    }
}

/// `None` without one; an error if it is none.
fn ssl_mode(url: &ServerUrl) -> Result<Option<MySqlSslMode>, Invalid> {
    let Some(written) = url.query(&["ssl-mode", "sslmode"]) else {
        return Ok(None);
    };
    let written = written.to_ascii_lowercase().replace('_', "-");
    let found = SSL_MODES.iter().find(|(mode, _)| *mode == written);
    let found = found.map(|(_, mode)| Some(*mode));
    found.ok_or_else(|| {
        let modes: Vec<&str> = SSL_MODES.iter().map(|(mode, _)| *mode).collect();
        MySqlConnection::FAMILY.wrong_part(&format!("ssl-mode is none of {}", modes.join(", ")))
    })
}

impl Kind for MySqlConnection {
    const FAMILY: Family = Family {
        name: "a MySQL",
        schemes: &["mysql", "mysql2", "mariadb", "trilogy"],
        example: "mysql://USER:PASSWORD@HOST:PORT/DATABASE",
    };

    fn accepts(url: &ServerUrl) -> Result<(), Invalid> {
        if url.host.starts_with('/') {
            return Err(
                Self::FAMILY.wrong_part("there is no host (a socket is written ?socket=/run/mysqld.sock)")
            );
        }
        ssl_mode(url).map(drop)
    }

    fn options(url: &ServerUrl) -> Result<(MySqlConnectOptions, Place), Invalid> {
        let mut options = MySqlConnectOptions::new();
        if !url.host.is_empty() {
            options = options.host(&url.host);
        }
        if let Some(port) = url.port {
            options = options.port(port);
        }
        if let Some(user) = &url.user {
            options = options.username(user);
        }
        if let Some(password) = &url.password {
            options = options.password(password);
        }
        if !url.path.is_empty() {
            options = options.database(&url.path);
        }
        if let Some(mode) = ssl_mode(url)? {
            options = options.ssl_mode(mode);
        }
        if let Some(file) = url.query(&["ssl-ca", "sslca"]) {
            options = options.ssl_ca(file);
        }
        if let Some(file) = url.query(&["ssl-cert", "sslcert"]) {
            options = options.ssl_client_cert(file);
        }
        if let Some(file) = url.query(&["ssl-key", "sslkey"]) {
            options = options.ssl_client_key(file);
        }
        let place = match url.query(&["socket"]) {
            Some(file) => {
                options = options.socket(file);
                Place::Socket(file.to_owned())
            }
            None => Place::Network(Address::new(options.get_host(), options.get_port())),
        };
        let options = options
            // Nothing is to be set before the one statement.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        Ok((options, place))
    }

    fn ask(&mut self) -> Asking<'_> {
        Box::pin(async { self.execute(STATEMENT).await.map(drop) })
    }

    fn code(error: &dyn DatabaseError) -> Option<String> {
        let error = error.try_downcast_ref::<MySqlDatabaseError>()?;
        Some(format!("error {}", error.number()))
    }
}

impl Check for MySql {
    fn look(&self) -> Look<'_> {
        Box::pin(self.0.look())
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::Datastore
    }
}

impl fmt::Debug for MySql {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySql").finish_non_exhaustive()
    }
}
