//! A MySQL or MariaDB answers.

use std::fmt;
use std::str::FromStr;

use sqlx::error::DatabaseError;
use sqlx::mysql::{MySqlConnectOptions, MySqlConnection, MySqlDatabaseError};
use sqlx::{ConnectOptions, Executor};

use super::Invalid;
use super::confidential::Confidential;
use super::sql::{Asking, Kind, Place, STATEMENT, Server, with_scheme};
use crate::check::{Check, ComponentType, Look};

/// Passes if a MySQL or MariaDB answers a `SELECT 1`.
///
/// One connection is kept, so that a look costs the server one round trip. A connection that is broken is replaced
/// within the same look. Every five minutes it is replaced anyway, so that a changed password or a full server is
/// noticed.
pub struct MySql(Server<MySqlConnection>);

impl MySql {
    /// A check of `mysql://USER:PASSWORD@HOST:PORT/DATABASE`; the database may be left out.
    ///
    /// `mariadb://` and what frameworks make of them (`mysql2://`, `mysql+pymysql://`) do as well, with the options
    /// of [`MySqlConnectOptions`]: `ssl-mode`, `socket` for a Unix socket, and others.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn new(url: &str) -> Result<MySql, Invalid> {
        let wrong =
            || Invalid("this is no URL of a MySQL; write mysql://USER:PASSWORD@HOST:PORT/DATABASE".into());
        let schemes = ["mysql", "mysql2", "mariadb", "trilogy"];
        let known = with_scheme(url, &schemes, "mysql").ok_or_else(wrong)?;
        let options = MySqlConnectOptions::from_str(&known).map_err(|_| wrong())?;
        // The driver leaves the brackets of an IPv6 address where they are, and then looks that up as a name.
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        let place = Place::new(
            &host,
            options.get_port(),
            options.get_socket().map(|path| path.as_path()),
        );
        let options = options
            .host(&host)
            // Nothing is to be set before the one statement.
            .pipes_as_concat(false)
            .no_engine_substitution(false)
            .timezone(None)
            .set_names(false)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        Ok(MySql(Server::new(options, place, Confidential::of(url)?)))
    }
}

impl Kind for MySqlConnection {
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
