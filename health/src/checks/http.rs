//! A web server answers well.

use std::error::Error;
use std::fmt;
use std::pin::pin;

use axum::http::{Uri, header};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;

use super::Invalid;
use super::peer::{Peer, Stream};
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
    peer: Peer,
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
        match Peer::of(&uri) {
            Ok(peer) => Ok(Http { uri, peer }),
            Err(Invalid(what)) => wrong(&what),
        }
    }

    /// Whether it needs neither TLS nor a name looked up.
    pub fn is_local(&self) -> bool {
        self.peer.is_local()
    }

    async fn get(&self) -> Result<u16, Failure> {
        let stream = self.peer.connect(&[]).await?;
        self.ask(stream).await
    }

    async fn ask(&self, stream: Box<dyn Stream>) -> Result<u16, Failure> {
        step(format!("waiting for {} to answer a GET", self.peer));
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream))
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
        let address = &self.peer;
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
                status => Err(Failure::new(format!("GET at {} answered {status}", self.peer))),
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
            .field("peer", &self.peer)
            .finish_non_exhaustive()
    }
}
