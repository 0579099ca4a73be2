//! A PostgreSQL answers.

use std::fmt;
use std::str::FromStr;

use sqlx::error::DatabaseError;
use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{ConnectOptions, Executor};

use super::Invalid;
use super::confidential::Confidential;
use super::sql::{Asking, Kind, Place, STATEMENT, Server, with_scheme};
use crate::check::{Check, ComponentType, Look};

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
    /// `postgresql://` and what frameworks make of it (`postgresql+psycopg://`) do as well, with the options of
    /// [`PgConnectOptions`]: `sslmode`, `host=/run/postgresql` for a Unix socket, and others. What is missing comes
    /// from the variables of libpq (`PGHOST`, `PGPASSWORD`, ...) and `.pgpass`.
    ///
    /// # Errors
    /// If it is no such URL.
    pub fn new(url: &str) -> Result<Postgres, Invalid> {
        let wrong = || {
            Invalid(
                "this is no URL of a PostgreSQL; write postgres://USER:PASSWORD@HOST:PORT/DATABASE".into(),
            )
        };
        let schemes = ["postgres", "postgresql", "postgis"];
        let known = with_scheme(url, &schemes, "postgres").ok_or_else(wrong)?;
        let options = PgConnectOptions::from_str(&known).map_err(|_| wrong())?;
        let name = options
            .get_application_name()
            .unwrap_or("runmate-health")
            .to_owned();
        // The driver leaves the brackets of an IPv6 address where they are, and then looks that up as a name.
        let host = options.get_host().trim_matches(['[', ']']).to_owned();
        let place = Place::new(
            &host,
            options.get_port(),
            options.get_socket().map(|path| path.as_path()),
        );
        let options = match &place {
            Place::Network(_) => options.host(&host),
            Place::Socket(_) => options,
        };
        let options = options
            .application_name(&name)
            // pgbouncer refuses what it does not know.
            .extra_float_digits(None)
            .statement_cache_capacity(0)
            .disable_statement_logging();
        Ok(Postgres(Server::new(options, place, Confidential::of(url)?)))
    }
}

impl Kind for PgConnection {
    fn ask(&mut self) -> Asking<'_> {
        Box::pin(async { self.execute(STATEMENT).await.map(drop) })
    }

    fn code(error: &dyn DatabaseError) -> Option<String> {
        error.code().map(|state| format!("SQLSTATE {state}"))
    }
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
