//! Somebody accepts a connection.

use super::Invalid;
use super::address::Address;
use crate::check::{Check, Look, Observation};

/// Passes if a TCP connection is accepted. The connection is closed at once, nothing is sent.
#[derive(Debug)]
pub struct Tcp(Address);

impl Tcp {
    /// A check of `HOST:PORT`.
    ///
    /// # Errors
    /// If it is no host with a port.
    pub fn new(address: &str) -> Result<Tcp, Invalid> {
        Address::parse(address).map(Tcp)
    }

    /// Whether no name has to be looked up.
    pub fn is_local(&self) -> bool {
        self.0.literal().is_some()
    }
}

impl Check for Tcp {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            self.0.connect().await?;
            Ok(Observation::default())
        })
    }
}
