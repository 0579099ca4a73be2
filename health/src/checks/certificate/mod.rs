//! A certificate is valid, and will be for some time.

mod server;
mod validity;

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio_rustls::rustls::pki_types::CertificateDer;
use tokio_rustls::rustls::pki_types::pem::PemObject;

use self::validity::Validity;
use super::Invalid;
use super::address::Address;
use super::shortage::shortage;
use crate::check::{Check, ComponentType, Failure, Look, Looked, Measured, Observation, Offload, step};

const MEASURES: &str = "validFor";

/// No file of certificates is as large.
const LARGEST: u64 = 4 << 20;

const DAY: u64 = 24 * 60 * 60;

/// Passes while a certificate is valid and will be for some time, so that there is time to renew it. Measures
/// `validFor`, in seconds until its end, negative after it.
///
/// Only its time is looked at, not who issued it and for which name. Without a time of its own, 14 days have to be
/// left.
#[derive(Debug)]
pub struct Certificate {
    source: Source,
    min_valid: Duration,
}

#[derive(Debug)]
enum Source {
    File {
        path: PathBuf,
        reading: Offload<io::Result<Vec<Vec<u8>>>>,
    },
    Server(Address),
}

impl Certificate {
    /// A check of the certificates in a PEM file, the whole chain: the one that ends first counts. The file is read at
    /// each look.
    pub fn of_file(path: impl Into<PathBuf>) -> Certificate {
        Certificate::of(Source::File {
            path: path.into(),
            reading: Offload::default(),
        })
    }

    /// A check of the certificate that a TLS server at `HOST:PORT` shows to who asks for that host. TLS has to come
    /// first: what begins in plain text (STARTTLS, PostgreSQL, MySQL) cannot be looked at.
    ///
    /// # Errors
    /// If it is no host with a port.
    pub fn of_server(address: &str) -> Result<Certificate, Invalid> {
        Ok(Certificate::of(Source::Server(Address::parse(address)?)))
    }

    fn of(source: Source) -> Certificate {
        Certificate {
            source,
            min_valid: Duration::from_secs(14 * DAY),
        }
    }

    /// It has to be valid for so long yet.
    pub fn min_valid(self, min_valid: Duration) -> Certificate {
        Certificate { min_valid, ..self }
    }

    async fn certificates(&self) -> Result<Vec<Vec<u8>>, Failure> {
        match &self.source {
            Source::Server(address) => Ok(vec![server::certificate(address).await?]),
            Source::File { path, reading } => {
                step(format!("reading {}", path.display()));
                let file = path.clone();
                let read = reading.run(move || read(&file)).await?;
                let shown = path.display();
                let read = read.map_err(|error| match shortage(&error) {
                    Some(lack) => Failure::unknown(format!("cannot read {shown}: {lack}")),
                    None => Failure::new(format!("cannot read {shown}: {error}")),
                })?;
                if read.is_empty() {
                    return Err(Failure::new(format!("{shown} holds no certificate in PEM")));
                }
                Ok(read)
            }
        }
    }

    fn judge(&self, certificates: &[Vec<u8>], now: Duration) -> Looked {
        let count = certificates.len();
        let name = |index: usize| match &self.source {
            Source::Server(address) => format!("the certificate of {address}"),
            Source::File { path, .. } if count == 1 => format!("the certificate in {}", path.display()),
            Source::File { path, .. } => {
                format!("certificate {} of {count} in {}", index + 1, path.display())
            }
        };
        let read = certificates.iter().enumerate().map(|(index, der)| {
            let validity = Validity::of(der);
            validity.map_err(|error| Failure::new(format!("{} cannot be read: {error}", name(index))))
        });
        let mut all = read.collect::<Result<Vec<_>, _>>()?.into_iter().enumerate();
        let later = all.clone().find(|(_, validity)| validity.begins > now);
        let Some((index, first)) = all.by_ref().min_by_key(|(_, validity)| validity.ends) else {
            return Err(Failure::unknown("there is no certificate"));
        };
        let measured = Measured {
            what: MEASURES.into(),
            // Exact for longer than any certificate lasts.
            value: first.ends.as_secs() as f64 - now.as_secs() as f64,
            unit: "s".into(),
        };
        let why = if first.ends < now {
            format!("{} expired {} ago", name(index), days(now - first.ends))
        } else if let Some((index, later)) = later {
            format!(
                "{} is not valid for another {}",
                name(index),
                days(later.begins - now)
            )
        } else if first.ends - now < self.min_valid {
            let (left, needed) = (days(first.ends - now), days(self.min_valid));
            format!("{} ends in {left}, {needed} have to be left", name(index))
        } else {
            return Ok(Observation::of(measured));
        };
        Err(Failure::new(why).with(measured))
    }
}

/// In the largest unit that is not a fraction: days, hours, minutes or seconds.
fn days(duration: Duration) -> String {
    let seconds = duration.as_secs();
    let (count, unit) = match seconds {
        DAY.. => (seconds / DAY, "day"),
        3600.. => (seconds / 3600, "hour"),
        60.. => (seconds / 60, "minute"),
        _ => (seconds, "second"),
    };
    format!("{count} {unit}{}", if count == 1 { "" } else { "s" })
}

/// The certificates of a PEM file; other things in it, such as the key, are passed over.
fn read(path: &Path) -> io::Result<Vec<Vec<u8>>> {
    let mut text = Vec::new();
    File::open(path)?.take(LARGEST).read_to_end(&mut text)?;
    CertificateDer::pem_slice_iter(&text)
        .map(|certificate| match certificate {
            Ok(certificate) => Ok(certificate.to_vec()),
            // Not the error: it may quote the file.
            Err(_) => Err(io::Error::new(io::ErrorKind::InvalidData, "it is not whole PEM")),
        })
        .collect()
}

impl Check for Certificate {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            let certificates = self.certificates().await?;
            let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
            self.judge(&certificates, now.unwrap_or_default())
        })
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::Component
    }

    fn measures(&self) -> Option<&str> {
        Some(MEASURES)
    }
}

#[cfg(test)]
mod tests;
