//! Host and port, and the addresses behind them.

use std::io;
use std::net::{IpAddr, SocketAddr, ToSocketAddrs};

use tokio::net::TcpStream;

use super::Invalid;
use crate::check::{Failure, Offload};

/// A host, by name or address, and a port.
#[derive(Debug)]
pub struct Address {
    host: String,
    port: u16,
    lookup: Offload<io::Result<Vec<SocketAddr>>>,
}

impl Address {
    /// Reads `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    ///
    /// # Errors
    /// If it is none of these.
    pub fn parse(text: &str) -> Result<Address, Invalid> {
        let wrong = || {
            Invalid(format!(
                "{text:?} is no host with a port; write one such as \"db.example.com:5432\""
            ))
        };
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
        let is_host = host.parse::<IpAddr>().is_ok() || !host.is_empty() && host.chars().all(plain);
        if !is_host {
            return Err(wrong());
        }
        Ok(Address::new(host, port))
    }

    pub(crate) fn new(host: &str, port: u16) -> Address {
        Address {
            host: host.to_owned(),
            port,
            lookup: Offload::default(),
        }
    }

    /// The address, if it is a literal one and no name has to be looked up.
    pub fn literal(&self) -> Option<SocketAddr> {
        let ip = self.host.parse().ok()?;
        Some(SocketAddr::new(ip, self.port))
    }

    /// All addresses. A lookup that hangs costs one thread, however often this is called.
    pub(crate) async fn look_up(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(address) = self.literal() {
            return Ok(vec![address]);
        }
        let name = (self.host.clone(), self.port);
        let found = self
            .lookup
            .run(move || name.to_socket_addrs().map(Vec::from_iter))
            .await?;
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(Failure::new(format!("{} has no address", self.host))),
            Err(error) => Err(Failure::new(format!("cannot look up {}: {error}", self.host))),
        }
    }

    /// A connection to the first address that accepts one.
    pub(crate) async fn connect(&self) -> Result<TcpStream, Failure> {
        let mut last = None;
        for address in self.look_up().await? {
            match TcpStream::connect(address).await {
                // Where nobody listens, the kernel may choose the very port as our side of the connection, and
                // TCP then connects it to itself (RFC 9293, simultaneous open).
                Ok(stream) if stream.local_addr().ok() == Some(address) => {}
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some((address, error)),
            }
        }
        Err(Failure::new(match last {
            Some((address, error)) => format!("cannot connect to {address}: {error}"),
            None => format!("nobody listens on {}:{}", self.host, self.port),
        }))
    }
}
