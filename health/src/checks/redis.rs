//! A Redis answers.

use std::fmt;
use std::path::PathBuf;

use percent_encoding::percent_decode_str;
use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, ErrorKind, RedisConnectionInfo, RedisError};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::UnixStream;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::Invalid;
use super::address::Address;
use super::confidential::Confidential;
use super::kept::{Aged, Kept};
use super::shortage::shortage;
use super::tls::Tls;
use super::url::{Family, pairs};
use crate::check::{Check, ComponentType, Failure, Look, Looked, Observation, step};

/// Passes if a Redis, or what speaks its protocol (Valkey, Dragonfly, ElastiCache), answers a `PING`. A replica passes,
/// too; one that is still loading its data does not.
///
/// One connection is kept, so that a look costs one round trip. A connection that is broken is replaced within the
/// same look. Every five minutes it is replaced anyway, so that a changed password or a full server is noticed.
///
/// `rediss` verifies the certificate with the system's roots (or those of `SSL_CERT_FILE`).
pub struct Redis {
    place: Place,
    login: Login,
    url: Zeroizing<String>,
    kept: Kept<Connection>,
}

/// What is said once there is a connection.
#[derive(Default)]
struct Login {
    user: Option<Zeroizing<String>>,
    password: Option<Zeroizing<String>>,
    database: i64,
}

const DEFAULT_PORT: u16 = 6379;

const FAMILY: Family = Family {
    name: "a Redis",
    schemes: &["redis", "rediss", "valkey", "valkeys"],
    example: "redis://USER:PASSWORD@HOST:PORT, or rediss://... for TLS",
};

enum Place {
    Network(Address),
    Encrypted(Address, Tls),
    Socket(PathBuf),
}

/// A connection and the task that serves it.
struct Connection {
    to: MultiplexedConnection,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Redis {
    /// A check of `redis://USER:PASSWORD@HOST:PORT/NUMBER` (of which only the host is needed), of `rediss://` with
    /// TLS, or of a Unix socket, `unix:/run/redis.sock` or `redis+unix:///run/redis.sock?pass=PASSWORD`. Valkey's
    /// names for them (`valkey://`) do as well. Behind the `?` of a URL with a host, `db=NUMBER` is read, and what is
    /// for other drivers is passed over.
    ///
    /// # Errors
    /// If it is no such URL, names several hosts, has a port or a number of a database that is none, or asks not to
    /// verify the certificate (`#insecure`).
    pub fn new(url: &str) -> Result<Redis, Invalid> {
        if url.ends_with("#insecure") {
            return Err(Invalid(
                "#insecure is not supported; let SSL_CERT_FILE name a file with the server's root certificate".into(),
            ));
        }
        let (place, login) = match socket(url) {
            Some(file) => of_socket(file)?,
            None => of_server(url)?,
        };
        Ok(Redis {
            place,
            login,
            url: Zeroizing::new(url.to_owned()),
            kept: Kept::default(),
        })
    }

    /// The host that the URL names, or the file of a socket.
    pub fn host(&self) -> String {
        match &self.place {
            Place::Network(address) | Place::Encrypted(address, _) => address.host().to_owned(),
            Place::Socket(path) => path.display().to_string(),
        }
    }

    async fn ask(&self) -> Looked {
        if let Some(mut kept) = self.kept.take()
            && self.ping(&mut kept.connection).await.is_ok()
        {
            self.kept.put(kept);
            return Ok(Observation::default());
        }
        let mut fresh = match &self.place {
            Place::Network(address) => self.log_in(address.connect().await?).await?,
            Place::Encrypted(address, tls) => {
                let stream = address.connect().await?;
                self.log_in(tls.connect(stream, address, &[]).await?).await?
            }
            Place::Socket(path) => {
                step(format!("connecting to {}", self.place));
                let stream = UnixStream::connect(path).await;
                let stream = stream.map_err(|error| match shortage(&error) {
                    Some(lack) => Failure::unknown(format!("cannot connect to {}: {lack}", self.place)),
                    None => Failure::new(format!("cannot connect to {}: {error}", self.place)),
                })?;
                self.log_in(stream).await?
            }
        };
        self.ping(&mut fresh).await.map_err(|error| self.failed(&error))?;
        self.kept.put(Aged::new(fresh));
        Ok(Observation::default())
    }

    async fn ping(&self, connection: &mut Connection) -> Result<(), RedisError> {
        step(format!("waiting for {} to answer a PING", self.place));
        connection.run(&redis::cmd("PING")).await
    }

    async fn log_in(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin + Send + 'static,
    ) -> Result<Connection, Failure> {
        step(format!("logging in at {}", self.place));
        // How long a look may take is not the driver's to say.
        let config = AsyncConnectionConfig::new().set_response_timeout(None);
        // Nobody is logged in yet: the driver would not tell what the server says to that.
        let nobody = RedisConnectionInfo::default().set_skip_set_lib_name();
        let connected = MultiplexedConnection::new_with_config(&nobody, stream, config).await;
        let (to, served) = connected.map_err(|error| self.failed(&error))?;
        let task = tokio::spawn(served).abort_handle();
        let mut connection = Connection { to, task };
        if let Some(password) = &self.login.password {
            let refused = |error: RedisError| self.login_refused(&error);
            let user = self.login.user.as_ref().map(|user| user.as_str());
            connection.authenticate(user, password).await.map_err(refused)?;
        }
        if self.login.database != 0 {
            let asked = connection
                .run(redis::cmd("SELECT").arg(self.login.database))
                .await;
            asked.map_err(|error| self.failed(&error))?;
        }
        Ok(connection)
    }

    fn failed(&self, error: &RedisError) -> Failure {
        let place = &self.place;
        Failure::new(match (error.code(), error.kind()) {
            (Some("NOAUTH" | "NOPERM"), _) => return self.login_refused(error),
            (Some(_), _) => format!("{place} says: {}", self.said(error)),
            (None, ErrorKind::Io) if error.is_connection_dropped() => {
                format!("{place} closed the connection")
            }
            (None, ErrorKind::Parse) => format!("what {place} answered is not Redis's protocol"),
            (None, _) => format!("asking {place}: {}", self.said(error)),
        })
    }

    fn login_refused(&self, error: &RedisError) -> Failure {
        match error.code() {
            Some(_) => Failure::new(format!("{} refuses the login: {}", self.place, self.said(error))),
            None => self.failed(error),
        }
    }

    /// The server's words and its code, or the driver's.
    fn said(&self, error: &RedisError) -> String {
        let confidential = Confidential::of(&self.url);
        let (Some(code), detail) = (error.code(), error.detail()) else {
            return confidential.scrub(&error.to_string());
        };
        let detail = detail.unwrap_or("an error");
        format!("{} ({})", confidential.scrub(detail), confidential.scrub(code))
    }
}

/// What stands behind the scheme of a Unix socket's URL.
fn socket(url: &str) -> Option<&str> {
    let (scheme, file) = url.trim().split_once(':')?;
    let known = ["unix", "redis+unix", "valkey+unix"].contains(&scheme);
    known.then(|| file.strip_prefix("//").unwrap_or(file))
}

/// `PATH?db=NUMBER&user=USER&pass=PASSWORD`.
fn of_socket(file: &str) -> Result<(Place, Login), Invalid> {
    let (path, query) = file.split_once('?').unwrap_or((file, ""));
    if !path.starts_with('/') {
        return Err(Invalid(
            "there is no path of a socket in this URL; write unix:/run/redis.sock".into(),
        ));
    }
    let path = percent_decode_str(path).decode_utf8_lossy().into_owned();
    let mut login = Login::default();
    for (name, value) in pairs(query) {
        match name.as_str() {
            "db" => login.database = database(&value)?,
            "user" => login.user = Some(value),
            "pass" => login.password = Some(value),
            _ => {}
        }
    }
    Ok((Place::Socket(path.into()), login))
}

fn of_server(text: &str) -> Result<(Place, Login), Invalid> {
    let url = FAMILY.read(text)?;
    if url.host.is_empty() || url.host.starts_with('/') {
        return Err(FAMILY.wrong_part("there is no host"));
    }
    let address = Address::new(&url.host, url.port.unwrap_or(DEFAULT_PORT));
    let place = match FAMILY.scheme(text) {
        // TLS is ours: the driver is to see the stream in it.
        Some(("rediss" | "valkeys", _)) => Place::Encrypted(address, Tls::default()),
        _ => Place::Network(address),
    };
    let login = Login {
        // redis-py's and ioredis's way to say it comes first, as it does there.
        database: match url.query(&["db"]).unwrap_or(url.path.trim_matches('/')) {
            "" => 0,
            number => database(number)?,
        },
        user: url.user,
        password: url.password,
    };
    Ok((place, login))
}

fn database(number: &str) -> Result<i64, Invalid> {
    let number = number.parse();
    number.map_err(|_| FAMILY.wrong_part("what should be the number of a database is none"))
}

impl Connection {
    async fn authenticate(&mut self, user: Option<&str>, password: &str) -> Result<(), RedisError> {
        let asked = match user {
            None => return self.run(redis::cmd("AUTH").arg(password)).await,
            Some(user) => self.run(redis::cmd("AUTH").arg(user).arg(password)).await,
        };
        match asked {
            // Before version 6 there was one password and no users.
            Err(error)
                if error
                    .detail()
                    .is_some_and(|said| said.contains("wrong number of arguments")) =>
            {
                self.run(redis::cmd("AUTH").arg(password)).await
            }
            asked => asked,
        }
    }

    async fn run(&mut self, command: &redis::Cmd) -> Result<(), RedisError> {
        command.exec_async(&mut self.to).await
    }
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::Network(address) | Place::Encrypted(address, _) => address.fmt(f),
            Place::Socket(path) => path.display().fmt(f),
        }
    }
}

impl Check for Redis {
    fn look(&self) -> Look<'_> {
        Box::pin(self.ask())
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::Datastore
    }
}

impl fmt::Debug for Redis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Redis").finish_non_exhaustive()
    }
}
