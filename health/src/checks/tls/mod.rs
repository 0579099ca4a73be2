//! TLS, the client's half of it.

#[cfg(feature = "_verified")]
mod verified;

use std::io;

#[cfg(any(feature = "_verified", feature = "certificate"))]
use tokio_rustls::rustls::pki_types::ServerName;
use tokio_rustls::rustls::{CertificateError, Error};

#[cfg(any(feature = "_verified", feature = "certificate"))]
use super::address::Address;
#[cfg(any(feature = "_verified", feature = "certificate"))]
use super::words::one_line;
#[cfg(any(feature = "_verified", feature = "certificate"))]
use crate::check::Failure;

#[cfg(feature = "_verified")]
pub(super) use verified::Tls;

#[cfg(any(feature = "_verified", feature = "certificate"))]
pub(super) fn server_name(host: &str) -> Result<ServerName<'static>, Failure> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Failure::new(format!("{host} is no name that a certificate could be for")))
}

/// What went wrong in a handshake. The words are those of our side or an alert's name, never the server's own.
#[cfg(any(feature = "_verified", feature = "certificate"))]
pub(super) fn failure(address: &Address, error: &io::Error) -> Failure {
    let reason = reason(error).unwrap_or_else(|| match error.kind() {
        io::ErrorKind::UnexpectedEof => "it closed the connection".to_owned(),
        _ => error.to_string(),
    });
    Failure::new(one_line(&format!("TLS with {address}: {reason}")))
}

/// What TLS itself has against a connection, if that is what an error is about.
pub(super) fn reason(error: &io::Error) -> Option<String> {
    let error = error.get_ref()?.downcast_ref::<Error>()?;
    Some(match error {
        Error::InvalidMessage(_) => "what it says is not TLS".to_owned(),
        // The library's own words have the names of its types around it.
        Error::InvalidCertificate(CertificateError::Other(other)) => match other.0.to_string().as_str() {
            "CaUsedAsEndEntity" => {
                "invalid peer certificate: it is that of an authority, not of a server (CaUsedAsEndEntity)"
                    .to_owned()
            }
            other => format!("invalid peer certificate: {other}"),
        },
        error => error.to_string(),
    })
}
