//! A certificate is valid for some time yet.

use super::Invalid;
use crate::check::{Check, Failure, Look};

/// A certificate is valid for some time yet.
#[derive(Debug)]
pub struct Certificate(());

impl Certificate {
    /// A check of a PEM file.
    pub fn of_file(_path: impl Into<std::path::PathBuf>) -> Certificate {
        Certificate(())
    }

    /// A check of a TLS server, `HOST:PORT`.
    ///
    /// # Errors
    /// If it is no host with a port.
    pub fn of_server(_address: &str) -> Result<Certificate, Invalid> {
        Ok(Certificate(()))
    }

    /// It has to be valid for so long.
    pub fn min_valid(self, _duration: std::time::Duration) -> Certificate {
        self
    }
}

impl Check for Certificate {
    fn look(&self) -> Look<'_> {
        Box::pin(async { Err(Failure::unknown("this check is not built yet")) })
    }
}
