//! TLS, the client's half of it.

#[cfg(feature = "_verified")]
mod verified;

use std::io;

use tokio_rustls::rustls::pki_types::ServerName;

use super::words::one_line;
use crate::check::Failure;

#[cfg(feature = "_verified")]
pub(super) use verified::Tls;

pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(format!("{host} is no name that a certificate could be for")))
}

/// What went wrong in a handshake. The words are those of our side or an alert's name, never the server's own.
pub(super) fn failure(host: &str, error: &io::Error) -> Failure {
    Failure::new(one_line(&format!("TLS with {host}: {error}")))
}
