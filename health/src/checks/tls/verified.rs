//! A server whose certificate is verified with the system's roots.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rustls_native_certs::load_native_certs;
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::client::Resumption;
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto};

use super::{failure, server_name};
use crate::check::{Failure, Offload, step};
use crate::checks::address::Address;

/// How long roots are trusted without being read again: who replaces them in a running container expects that it
/// is noticed.
const ROOTS_LAST: Duration = Duration::from_secs(5 * 60);

/// All checks share what was read: some hundred kilobytes.
static LOADED: Mutex<Option<(Instant, Arc<ClientConfig>)>> = Mutex::new(None);

type Loaded = Result<Arc<ClientConfig>, String>;

/// The client's half of TLS.
#[derive(Debug, Default)]
pub(in crate::checks) struct Tls {
    loading: Offload<Loaded>,
}

impl Tls {
    /// Shakes hands with a host, and offers it these protocols (ALPN).
    pub async fn connect(
        &self,
        stream: TcpStream,
        address: &Address,
        protocols: &[&str],
    ) -> Result<TlsStream<TcpStream>, Failure> {
        step("reading the certificates that are trusted");
        let config = self.config().await?;
        let connector = TlsConnector::from(config);
        let protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
        let connector = connector.with_alpn(protocols);
        let name = server_name(address.host())?;
        step(format!("setting up TLS with {address}"));
        let shaken = connector.connect(name, stream).await;
        shaken.map_err(|error| failure(address, &error))
    }

    async fn config(&self) -> Result<Arc<ClientConfig>, Failure> {
        let kept = LOADED.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((read, config)) = kept
            && read.elapsed() < ROOTS_LAST
        {
            return Ok(config);
        }
        let config = self.loading.run(load).await?.map_err(Failure::unknown)?;
        let mut place = LOADED.lock().unwrap_or_else(PoisonError::into_inner);
        *place = Some((Instant::now(), Arc::clone(&config)));
        Ok(config)
    }
}

fn load() -> Loaded {
    let mut roots = RootCertStore::empty();
    // Some of those that systems ship are too old to be read; the others are what matters.
    roots.add_parsable_certificates(load_native_certs().certs);
    if roots.is_empty() {
        return Err(
            "no certificates to verify a server with: add the package ca-certificates to the image, or let \
             SSL_CERT_FILE name a file with them"
                .into(),
        );
    }
    let mut config = ClientConfig::builder_with_provider(Arc::new(crypto::ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| error.to_string())?
        .with_root_certificates(roots)
        .with_no_client_auth();
    // A resumed session verifies nothing: an expired certificate would pass.
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}
