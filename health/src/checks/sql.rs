//! What the checks of databases have in common: one connection that is kept, and one statement a look.

use std::future::Future;
use std::io::ErrorKind;
use std::path::Path;
use std::pin::Pin;

use sqlx::error::DatabaseError;
use sqlx::{ConnectOptions, Connection, Error};
use tokio_rustls::rustls;

use super::Address;
use super::confidential::Confidential;
use super::kept::{Aged, Kept};
use super::words::one_line;
use crate::check::{Failure, Looked, Observation};

/// A statement rather than the driver's ping: that is answered by MySQL's proxies themselves, also when no database is
/// behind them (ProxySQL does), and PostgreSQL has none; the driver's, an empty `Sync`, leads nowhere beyond the
/// protocol. A statement is also seen by who counts them.
pub(super) const STATEMENT: &str = "SELECT 1";

/// A question under way.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A kind of database.
pub(super) trait Kind: Connection {
    /// Runs [`STATEMENT`]. The same words for all of them; but only where the type is known does the compiler see that
    /// it can go to another thread.
    fn ask(&mut self) -> Asking<'_>;

    /// What the server calls an error.
    fn code(error: &dyn DatabaseError) -> Option<String>;
}

/// A database server, and the connection to it.
pub(super) struct Server<C: Kind> {
    options: C::Options,
    place: Place,
    confidential: Confidential,
    kept: Kept<C>,
}

/// Where a server listens.
pub(super) enum Place {
    Network(Address),
    /// For people.
    Socket(String),
}

impl Place {
    pub fn new(host: &str, port: u16, socket: Option<&Path>) -> Place {
        match socket {
            Some(path) => Place::Socket(path.display().to_string()),
            None => Place::Network(Address::new(host, port)),
        }
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Place::Network(address) => address.fmt(f),
            Place::Socket(path) => f.write_str(path),
        }
    }
}

impl<C: Kind> Server<C> {
    pub fn new(options: C::Options, place: Place, confidential: Confidential) -> Server<C> {
        Server {
            options,
            place,
            confidential,
            kept: Kept::default(),
        }
    }

    /// One statement over the connection that is there; if it is broken, one attempt with a new one.
    pub async fn look(&self) -> Looked {
        if let Some(mut kept) = self.kept.take()
            && kept.connection.ask().await.is_ok()
        {
            self.keep(kept).await;
            return Ok(Observation::default());
        }
        // The driver looks names up in a pool of threads that lookups which hang would fill; here one thread is the
        // most that they cost.
        if let Place::Network(address) = &self.place {
            address.look_up().await?;
        }
        let connection = self
            .options
            .connect()
            .await
            .map_err(|error| self.failed(&error))?;
        let mut fresh = Aged::new(connection);
        let asked = fresh.connection.ask().await;
        asked.map_err(|error| self.failed(&error))?;
        self.keep(fresh).await;
        Ok(Observation::default())
    }

    async fn keep(&self, connection: Aged<C>) {
        if let Some(old) = self.kept.put(connection) {
            // It goes either way; this is to say goodbye, or the server would count it as one that was lost.
            let _ = old.close().await;
        }
    }

    fn failed(&self, error: &Error) -> Failure {
        let place = &self.place;
        let scrub = |text: &str| self.confidential.scrub(text);
        Failure::new(match error {
            Error::Database(error) => {
                let said = scrub(error.message());
                let code = C::code(&**error).map_or(String::new(), |code| format!(" ({code})"));
                // Class 28 of the SQL standard, invalid authorization; MySQL has it, too.
                if error.code().is_some_and(|state| state.starts_with("28")) {
                    format!("{place} refuses the login: {said}{code}")
                } else {
                    format!("{place} says: {said}{code}")
                }
            }
            Error::Io(error) if error.kind() == ErrorKind::UnexpectedEof => {
                format!("{place} closed the connection")
            }
            Error::Io(error) if error.get_ref().is_some_and(|error| error.is::<rustls::Error>()) => {
                one_line(&format!("TLS with {place}: {error}"))
            }
            Error::Io(error) => one_line(&format!("cannot connect to {place}: {error}")),
            Error::Tls(error) => format!("TLS with {place}: {}", scrub(&error.to_string())),
            error => format!("asking {place}: {}", scrub(&error.to_string())),
        })
    }
}

/// The URL with the scheme that the driver knows, if it is one of `schemes`, with or without the driver that
/// SQLAlchemy has behind a plus (`postgresql+psycopg`).
pub(super) fn with_scheme(url: &str, schemes: &[&str], scheme: &str) -> Option<String> {
    let (written, rest) = url.split_once("://")?;
    let base = written.split('+').next().unwrap_or(written);
    let known = schemes.iter().any(|scheme| base.eq_ignore_ascii_case(scheme));
    known.then(|| format!("{scheme}://{rest}"))
}
