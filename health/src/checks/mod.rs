//! The built-in checks.
//!
//! Each is made from what a config would say, and refuses what it cannot look at with an [`Invalid`]. What they
//! report holds no URL, no password and nothing else of a secret.

mod address;
mod tcp;

pub use address::Address;
pub use tcp::Tcp;

use std::fmt;

/// Why a check cannot be made of what was given. Holds nothing of a URL, which may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
