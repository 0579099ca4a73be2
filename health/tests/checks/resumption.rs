//! A server that would resume sessions, whatever became of its certificate. nginx would not, once it has another; a
//! certificate that ends while the server runs is what this stands for.

use std::path::Path;
use std::sync::{Arc, Mutex};

use runmate_health::checks::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::server::{ClientHello, ResolvesServerCert};
use tokio_rustls::rustls::sign::CertifiedKey;

use crate::support::certificates::Authority;
use crate::support::daemon::Dir;
use crate::support::{alone, block_on, given, passes, why};

/// The certificate that is shown.
#[derive(Debug)]
struct Shown(Mutex<Arc<CertifiedKey>>);

impl ResolvesServerCert for Shown {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.0.lock().unwrap().clone())
    }
}

fn certificate(authority: &Authority, days: (i64, i64)) -> Arc<CertifiedKey> {
    let dir = Dir::new("runmate-certificate-");
    let (certificate, key) = authority.issue(dir.path(), days.0, days.1);
    let certificate = CertificateDer::from_pem_file(certificate).unwrap();
    let key = PrivateKeyDer::from_pem_file(key).unwrap();
    Arc::new(CertifiedKey::from_der(vec![certificate], key, &ring::default_provider()).unwrap())
}

/// Answers each request with 204, and gives its port.
async fn serve(shown: Arc<Shown>) -> u16 {
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(shown);
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else {
                continue;
            };
            let _ = stream.read(&mut [0; 4096]).await;
            let _ = stream
                .write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
                .await;
            let _ = stream.shutdown().await;
        }
    });
    port
}

#[test]
fn a_certificate_that_expires_between_two_looks_fails_the_second() {
    alone(
        "resumption::a_certificate_that_expires_between_two_looks_fails_the_second",
        &[],
        || {
            let authority = Authority::new();
            (vec![("SSL_CERT_FILE", authority.root())], authority)
        },
        || {
            block_on(async {
                let root = given("SSL_CERT_FILE");
                let authority = Authority::at(Path::new(&root).parent().unwrap());
                let shown = Arc::new(Shown(Mutex::new(certificate(&authority, (-1, 90)))));
                let port = serve(Arc::clone(&shown)).await;
                let check = Http::new(&format!("https://localhost:{port}/")).unwrap();
                passes(&check).await;
                *shown.0.lock().unwrap() = certificate(&authority, (-10, -4));
                let failure = why(&check).await;
                assert!(failure.contains("certificate expired"), "{failure}");
            });
        },
    );
}
