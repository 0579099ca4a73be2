//! What the checks of databases have in common: one connection that is kept, and one statement a look.

use std::future::Future;
use std::io::ErrorKind;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use sqlx::error::DatabaseError;
use sqlx::{ConnectOptions, Connection, Error};
use zeroize::Zeroizing;

use super::Invalid;
use super::address::Address;
use super::confidential::Confidential;
use super::kept::{Aged, Kept};
use super::shortage::{shortage, shortage_of_tcp, system_error};
use super::tls;
use super::url::{Family, ServerUrl};
use super::words::one_line;
use crate::check::{Failure, Looked, Observation, Offload, step};

/// A statement rather than the driver's ping: that is answered by MySQL's proxies themselves, also when no database is
/// behind them (ProxySQL does), and PostgreSQL has none; the driver's, an empty `Sync`, leads nowhere beyond the
/// protocol. A statement is also seen by who counts them.
pub(super) const STATEMENT: &str = "SELECT 1";

/// A question under way.
pub(super) type Asking<'a> = Pin<Box<dyn Future<Output = Result<(), Error>> + Send + 'a>>;

/// A kind of database.
pub(super) trait Kind: Connection + 'static {
    /// Its URLs.
    const FAMILY: Family;

    /// Whether a check can be made of this URL. It asks nobody: the supervisor, which must not, calls it.
    fn accepts(url: &ServerUrl) -> Result<(), Invalid>;

    /// What the driver makes of the URL, of variables and of files; may block. The URL was accepted.
    fn options(url: &ServerUrl) -> Result<(Self::Options, Place), Invalid>;

    /// Runs [`STATEMENT`]. The same words for all of them; but only where the type is known does the compiler see that
    /// it can go to another thread.
    fn ask(&mut self) -> Asking<'_>;

    /// What the server calls an error.
    fn code(error: &dyn DatabaseError) -> Option<String>;
}

/// A database server, and the connection to it.
pub(super) struct Server<C: Kind> {
    url: Arc<Zeroizing<String>>,
    known: OnceLock<Known<C>>,
    getting_known: Offload<Result<Known<C>, Invalid>>,
    kept: Kept<C>,
}

/// What is made of the URL by the first look.
struct Known<C: Kind> {
    options: C::Options,
    place: Place,
    confidential: Confidential,
}

/// Where a server listens.
pub(super) enum Place {
    Network(Address),
    /// For people.
    Socket(String),
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
    pub fn new(url: &str) -> Result<Server<C>, Invalid> {
        C::accepts(&C::FAMILY.read(url)?)?;
        Ok(Server {
            url: Arc::new(Zeroizing::new(url.to_owned())),
            known: OnceLock::new(),
            getting_known: Offload::default(),
            kept: Kept::default(),
        })
    }

    /// The host that the URL names, or a socket; in the query it has these names, the first of which wins.
    pub fn host(&self, names: &[&str]) -> Option<String> {
        let url = C::FAMILY.read(&self.url).ok()?;
        let host = names.iter().find_map(|name| url.query(&[name]));
        let host = host.unwrap_or(&url.host).to_owned();
        Some(host).filter(|host| !host.is_empty())
    }

    /// On a thread: without a user in the URL, PostgreSQL's driver asks the system for the name of the account, and
    /// the system may ask a directory service.
    async fn known(&self) -> Result<&Known<C>, Failure> {
        if let Some(known) = self.known.get() {
            return Ok(known);
        }
        step("reading what the URL needs from this system");
        let url = Arc::clone(&self.url);
        let made = self.getting_known.run(move || Known::of(&url)).await?;
        let made = made.map_err(|invalid| Failure::new(invalid.to_string()))?;
        Ok(self.known.get_or_init(|| made))
    }

    /// One statement over the connection that is there; if it is broken, one attempt with a new one.
    pub async fn look(&self) -> Looked {
        if let Some(mut kept) = self.kept.take()
            && self.ask(&mut kept.connection).await.is_ok()
        {
            self.keep(kept).await;
            return Ok(Observation::default());
        }
        let known = self.known().await?;
        // The driver looks names up in a pool of threads that lookups which hang would fill; here one thread is the
        // most that they cost.
        if let Place::Network(address) = &known.place {
            address.look_up().await?;
        }
        step(format!("connecting to and logging in at {}", known.place));
        let mut fresh = match known.options.connect().await {
            Ok(connection) => Aged::new(connection),
            Err(error) => return Err(known.not_connected(&error).await),
        };
        let asked = self.ask(&mut fresh.connection).await;
        asked.map_err(|error| known.failed(&error))?;
        self.keep(fresh).await;
        Ok(Observation::default())
    }

    async fn ask(&self, connection: &mut C) -> Result<(), Error> {
        if let Some(known) = self.known.get() {
            step(format!("waiting for {} to answer {STATEMENT}", known.place));
        }
        connection.ask().await
    }

    async fn keep(&self, connection: Aged<C>) {
        if let Some(old) = self.kept.put(connection) {
            // It goes either way; this is to say goodbye, or the server would count it as one that was lost.
            let _ = old.close().await;
        }
    }
}

impl<C: Kind> Known<C> {
    fn of(url: &str) -> Result<Known<C>, Invalid> {
        let (options, place) = C::options(&C::FAMILY.read(url)?)?;
        Ok(Known {
            options,
            place,
            confidential: Confidential::of(url),
        })
    }

    async fn not_connected(&self, error: &Error) -> Failure {
        // The driver tells of the last address only, which may be one of IPv6 where that is turned off.
        if let Place::Network(address) = &self.place
            && system_error(error).and_then(shortage_of_tcp).is_some()
            && let Err(failure) = address.connect().await
        {
            return failure;
        }
        self.failed(error)
    }

    fn failed(&self, error: &Error) -> Failure {
        let place = &self.place;
        if let Some(lack) = system_error(error).and_then(shortage) {
            return Failure::unknown(format!("cannot connect to {place}: {lack}"));
        }
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
            Error::Io(error) => one_line(&match tls::reason(error) {
                Some(reason) => format!("TLS with {place}: {reason}"),
                None => format!("cannot connect to {place}: {error}"),
            }),
            Error::Tls(error) => {
                format!("TLS with {place}: {}", scrub(without_line(&error.to_string())))
            }
            error => format!("asking {place}: {}", scrub(without_line(&error.to_string()))),
        })
    }
}

/// Without the line of the driver's code behind it: `(sqlx_postgres::connection::tls:95)`.
fn without_line(text: &str) -> &str {
    match text.rsplit_once(" (sqlx_") {
        Some((said, line)) if line.ends_with(')') && !line.contains(' ') => said,
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::without_line;

    #[test]
    fn the_line_of_the_drivers_code_is_not_told() {
        assert_eq!(
            without_line("server does not support TLS (sqlx_postgres::connection::tls:95)"),
            "server does not support TLS"
        );
        for text in ["no", "no (at all)", "no (sqlx_x:1) more)"] {
            assert_eq!(without_line(text), text);
        }
    }
}
