//! Host and port, and the addresses behind them.

use std::fmt;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs};
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::timeout;

use super::Invalid;
use super::shortage::{shortage, shortage_of_sockets, shortage_of_tcp};
use crate::check::{Failure, Offload, step};

/// So long one of several addresses has to accept a connection before the next is tried, or one where nobody answers
/// (a dead replica, IPv6 without a route) would use up the whole look. The last has what is left of it.
const FOR_ONE: Duration = Duration::from_secs(1);

/// A host, by name or address, and a port.
#[derive(Debug)]
pub(crate) struct Address {
    host: String,
    port: u16,
    lookup: Offload<io::Result<Vec<SocketAddr>>>,
}

impl Address {
    /// Reads `HOST:PORT`, `ADDRESS:PORT` or `[ADDRESS]:PORT`.
    ///
    /// # Errors
    /// If it is none of these.
    pub(crate) fn parse(text: &str) -> Result<Address, Invalid> {
        // Without the text: it may have been meant as a URL, with a password in it.
        let wrong =
            || Invalid("this is no host with a port; write one such as \"db.example.com:5432\"".to_owned());
        let (host, port) = text.rsplit_once(':').ok_or_else(wrong)?;
        let port = port.parse().ok().filter(|port| *port > 0).ok_or_else(wrong)?;
        let host = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'))
            .unwrap_or(host);
        if !is_host(host) {
            return Err(wrong());
        }
        Ok(Address::new(host, port))
    }

    /// The name or address, without brackets.
    #[cfg(any(feature = "_verified", feature = "certificate"))]
    pub(crate) fn host(&self) -> &str {
        &self.host
    }

    pub(crate) fn new(host: &str, port: u16) -> Address {
        Address {
            host: host.to_owned(),
            port,
            lookup: Offload::default(),
        }
    }

    /// The addresses, if no name has to be looked up: a literal one, or those of localhost, which is always the
    /// loopback interface (RFC 6761, section 6.3).
    pub(crate) fn literal(&self) -> Option<Vec<SocketAddr>> {
        let ips: Vec<IpAddr> = if self.host.eq_ignore_ascii_case("localhost") {
            vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]
        } else {
            vec![self.host.parse().ok()?]
        };
        Some(ips.into_iter().map(|ip| SocketAddr::new(ip, self.port)).collect())
    }

    /// All addresses. A lookup that hangs costs one thread, however often this is called.
    pub(crate) async fn look_up(&self) -> Result<Vec<SocketAddr>, Failure> {
        if let Some(addresses) = self.literal() {
            return Ok(addresses);
        }
        step(format!("looking up {}", self.host));
        let name = (self.host.clone(), self.port);
        let found = self
            .lookup
            .run(move || name.to_socket_addrs().map(Vec::from_iter))
            .await?;
        match found {
            Ok(addresses) if !addresses.is_empty() => Ok(addresses),
            Ok(_) => Err(Failure::new(format!("{} has no address", self.host))),
            Err(error) => Err(match shortage(&error).or_else(shortage_of_sockets) {
                Some(lack) => Failure::unknown(format!("cannot look up {}: {lack}", self.host)),
                None => Failure::new(format!("cannot look up {}: {error}", self.host)),
            }),
        }
    }

    /// A connection to the first address that accepts one.
    pub(crate) async fn connect(&self) -> Result<TcpStream, Failure> {
        self.connect_to_one_of(self.look_up().await?).await
    }

    async fn connect_to_one_of(&self, addresses: Vec<SocketAddr>) -> Result<TcpStream, Failure> {
        let (mut first, mut lacking, mut certain) = (None, None, true);
        let last = addresses.last().copied();
        for address in addresses {
            step(format!("connecting to {address}"));
            let connected = TcpStream::connect(address);
            let connected = match Some(address) == last {
                true => connected.await,
                false => timeout(FOR_ONE, connected)
                    .await
                    .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())),
            };
            match connected {
                // Where nobody listens, the kernel may choose the very port as our side of the connection, and
                // TCP then connects it to itself (RFC 9293, simultaneous open).
                Ok(stream) if stream.local_addr().ok() == Some(address) => {}
                Ok(stream) => return Ok(stream),
                Err(error) => match shortage_of_tcp(&error) {
                    Some(lack) => {
                        lacking = lacking.or(Some(format!("cannot connect to {address}: {lack}")));
                        // Where IPv6 is turned off, it has no address to connect from; that alone is no reason to
                        // doubt what the other addresses say.
                        let no_ipv6 = address.is_ipv6() && error.kind() == io::ErrorKind::AddrNotAvailable;
                        certain &= no_ipv6;
                    }
                    None => first = first.or(Some((address, error))),
                },
            }
        }
        Err(match (first, lacking) {
            // One that could not be tried might have accepted.
            (None, Some(why)) => Failure::unknown(why),
            (Some(_), Some(why)) if !certain => Failure::unknown(why),
            (Some((address, error)), _) => Failure::new(format!("cannot connect to {address}: {error}")),
            (None, None) => Failure::new(format!("nobody listens on {self}")),
        })
    }
}

/// Whether this can be the name or address of a host.
pub(super) fn is_host(host: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-._".contains(c);
    host.parse::<IpAddr>().is_ok() || !host.is_empty() && host.chars().all(plain)
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.host.contains(':') {
            write!(f, "[{}]:{}", self.host, self.port)
        } else {
            write!(f, "{}:{}", self.host, self.port)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_with_ports_are_read() {
        for (text, shown, literal) in [
            ("db.example.com:5432", "db.example.com:5432", false),
            ("127.0.0.1:80", "127.0.0.1:80", true),
            ("[::1]:80", "[::1]:80", true),
            ("localhost:6379", "localhost:6379", true),
        ] {
            let address = Address::parse(text).expect(text);
            assert_eq!(
                (address.to_string().as_str(), address.literal().is_some()),
                (shown, literal)
            );
        }
    }

    #[test]
    fn what_is_no_host_with_a_port_is_refused() {
        for text in [
            "",
            "db",
            "db:",
            "db:0",
            "db:65536",
            ":80",
            "[]:80",
            "a b:80",
            "u:secret@db:80",
            "http://db:80",
        ] {
            let error = Address::parse(text).expect_err(text).to_string();
            assert!(!error.contains("secret"), "{error}");
        }
    }

    /// An address that takes no more connections and does not say so, and the sockets that fill it.
    async fn silent() -> (SocketAddr, impl Sized) {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        let mut waiting = Vec::new();
        while let Ok(connected) = timeout(Duration::from_millis(500), TcpStream::connect(address)).await {
            waiting.push(connected.unwrap());
        }
        (address, (listener, waiting))
    }

    #[tokio::test]
    async fn an_address_where_nobody_answers_leaves_time_for_the_next() {
        let (silent, _kept) = silent().await;
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let good = listener.local_addr().unwrap();
        let name = Address::new("db.example.com", 1);
        let stream = timeout(
            Duration::from_secs(30),
            name.connect_to_one_of(vec![silent, good]),
        )
        .await;
        let stream = stream.expect("a connection in time").unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        // The last of them is waited for as long as the look lasts.
        let look = timeout(FOR_ONE * 2, name.connect_to_one_of(vec![silent])).await;
        assert!(look.is_err(), "{look:?}");
    }
}
