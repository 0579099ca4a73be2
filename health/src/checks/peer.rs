//! The other end of a connection, for whoever else talks to servers as the checks do.

use std::fmt;

use axum::http::Uri;
use axum::http::uri::Scheme;
use tokio::io::{AsyncRead, AsyncWrite};

use super::Invalid;
use super::address::Address;
use super::tls::Tls;
use crate::check::Failure;

/// A server by its URL: its address and whether it is talked to by TLS, verified with the system's roots (or those of
/// `SSL_CERT_FILE`).
///
/// It shows itself as `HOST:PORT`; what else is in the URL, which may be a key, is not kept.
#[derive(Debug)]
pub struct Peer {
    address: Address,
    /// `http` has none.
    tls: Option<Tls>,
}

/// Bytes in both directions, encrypted or not.
pub trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

impl Peer {
    /// The server of an `http://` or `https://` URL.
    ///
    /// # Errors
    /// If it is no such URL, or has a user name and password in it.
    pub fn of(uri: &Uri) -> Result<Peer, Invalid> {
        let wrong = |what: &str| Err(Invalid(what.to_owned()));
        let encrypted = uri.scheme() == Some(&Scheme::HTTPS);
        let (Some(authority), true) = (uri.authority(), encrypted || uri.scheme() == Some(&Scheme::HTTP))
        else {
            return wrong("this is no URL with http:// or https://");
        };
        if authority.as_str().contains('@') {
            return wrong("this URL may have no user name and password in it");
        }
        let host = authority.host();
        let port = match authority.as_str().strip_prefix(host) {
            Some("" | ":") if encrypted => ":443",
            Some("" | ":") => ":80",
            port => port.unwrap_or_default(),
        };
        let Ok(address) = Address::parse(&format!("{host}{port}")) else {
            return wrong("the host or port of this URL is none");
        };
        Ok(Peer {
            address,
            tls: encrypted.then(Tls::default),
        })
    }

    /// Whether it needs neither TLS nor a name looked up.
    pub fn is_local(&self) -> bool {
        self.tls.is_none() && self.address.literal().is_some()
    }

    /// A connection. `protocols` are what is offered in a TLS handshake (ALPN): `h2`, if that is what is going to be
    /// spoken.
    ///
    /// # Errors
    /// A clause about what went wrong.
    pub async fn connect(&self, protocols: &[&str]) -> Result<Box<dyn Stream>, Failure> {
        let stream = self.address.connect().await?;
        match &self.tls {
            None => Ok(Box::new(stream)),
            Some(tls) => Ok(Box::new(tls.connect(stream, &self.address, protocols).await?)),
        }
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.address.fmt(f)
    }
}
