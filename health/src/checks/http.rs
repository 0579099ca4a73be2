//! A web server answers well.

use std::error::Error;
use std::fmt;
use std::pin::pin;

use axum::http::uri::Scheme;
use axum::http::{Uri, header};
use hyper::client::conn::http1;
use hyper::rt::{Read, Write};
use hyper_util::rt::TokioIo;

use super::Invalid;
use super::address::Address;
use super::tls::Tls;
use super::words::one_line;
use crate::check::{Check, ComponentType, Failure, Look, Observation, step};

/// Passes if a GET is answered with a status from 200 to 399. Redirects are not followed, the body is not read, and
/// each look has a connection of its own, closed after it.
///
/// `https` verifies the certificate with the system's roots (or those of `SSL_CERT_FILE`).
///
/// What it reports holds neither the path nor the query, which may have a key in them.
pub struct Http {
    uri: Uri,
    address: Address,
    /// `http` has none.
    tls: Option<Tls>,
}

impl Http {
    /// A check of an `http://` or `https://` URL.
    ///
    /// # Errors
    /// If it is no such URL, or has a user name and password in it.
    pub fn new(url: &str) -> Result<Http, Invalid> {
        let wrong = |what: &str| {
            Err(Invalid(format!(
                "{what}; write one such as \"https://api.example.com/up\""
            )))
        };
        let Ok(uri) = url.parse::<Uri>() else {
            return wrong("this is no URL");
        };
        let scheme = uri.scheme();
        let encrypted = scheme == Some(&Scheme::HTTPS);
        let (Some(authority), true) = (uri.authority(), encrypted || scheme == Some(&Scheme::HTTP)) else {
            return wrong("this is no URL with http:// or https://");
        };
        if authority.as_str().contains('@') {
            return wrong("a URL to check may have no user name and password in it");
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
        Ok(Http {
            address,
            tls: encrypted.then(Tls::default),
            uri,
        })
    }

    /// Whether it needs neither TLS nor a name looked up.
    pub fn is_local(&self) -> bool {
        self.tls.is_none() && self.address.literal().is_some()
    }

    async fn get(&self) -> Result<u16, Failure> {
        let stream = self.address.connect().await?;
        match &self.tls {
            None => self.ask(TokioIo::new(stream)).await,
            Some(tls) => {
                let stream = tls.connect(stream, &self.address).await?;
                self.ask(TokioIo::new(stream)).await
            }
        }
    }

    async fn ask(&self, stream: impl Read + Write + Send + Unpin + 'static) -> Result<u16, Failure> {
        step(format!("waiting for {} to answer a GET", self.address));
        let (mut sender, connection) = http1::handshake(stream)
            .await
            .map_err(|error| self.failed(&error))?;
        let path = self.uri.path_and_query().map_or("/", |path| path.as_str());
        let host = self.uri.authority().map_or("", |authority| authority.as_str());
        let request = axum::http::Request::get(path)
            .header(header::HOST, host)
            .header(
                header::USER_AGENT,
                concat!("runmate-health/", env!("CARGO_PKG_VERSION")),
            )
            .header(header::ACCEPT, "*/*")
            .header(header::CONNECTION, "close")
            .body(String::new())
            .map_err(|_| Failure::unknown("the URL cannot be asked for"))?;
        let mut answer = pin!(sender.send_request(request));
        let answered = tokio::select! {
            answered = &mut answer => answered,
            // It carries the question and the answer, and may end with handing that over.
            _ = connection => answer.await,
        };
        match answered {
            Ok(answer) => Ok(answer.status().as_u16()),
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&self, error: &hyper::Error) -> Failure {
        let address = &self.address;
        Failure::new(if error.is_parse() {
            format!("what {address} answered is not HTTP/1")
        } else if error.is_incomplete_message() || error.is_canceled() {
            format!("{address} closed the connection without an answer")
        } else {
            // Behind "connection error" stands which.
            let cause = error
                .source()
                .map_or_else(|| error.to_string(), ToString::to_string);
            one_line(&format!("asking {address}: {cause}"))
        })
    }
}

impl Check for Http {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            match self.get().await? {
                200..=399 => Ok(Observation::default()),
                status => Err(Failure::new(format!("GET at {} answered {status}", self.address))),
            }
        })
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::Component
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http")
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}
