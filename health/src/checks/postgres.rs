//! A PostgreSQL answers.

use super::Invalid;
use crate::check::{Check, Failure, Look};

/// A PostgreSQL answers.
#[derive(Debug)]
pub struct Postgres(());

impl Postgres {
    /// A check of a URL.
    ///
    /// # Errors
    /// If it is none.
    pub fn new(_url: &str) -> Result<Postgres, Invalid> {
        Ok(Postgres(()))
    }
}

impl Check for Postgres {
    fn look(&self) -> Look<'_> {
        Box::pin(async { Err(Failure::unknown("this check is not built yet")) })
    }
}
