//! A directory's files, and what their names say.

use std::path::Path;

use crate::error::Error;

/// A migration: one file of the directory, or one that the program brings along.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) file: String,
    pub(crate) sql: String,
    /// SHA-384 of the bytes as they are, as sqlx has it.
    pub(crate) checksum: Vec<u8>,
    /// The file begins with `-- no-transaction`.
    pub(crate) no_transaction: bool,
}

pub(crate) fn read(dir: &Path) -> Result<Vec<Migration>, Error> {
    let _ = dir;
    unimplemented!()
}
