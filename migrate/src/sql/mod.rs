//! SQL text to statements, by a tokenizer.

mod blocks;
#[cfg(test)]
mod properties;
mod scan;
mod split;
#[cfg(test)]
mod tests;

use sha2::{Digest, Sha256};

use crate::dir::hexadecimal;

pub(crate) use split::split;

/// Which rules.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Dialect {
    Postgres,
    MySql,
}

/// One statement of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Statement {
    /// Its text as it stands in the file, comments within included, without the delimiter and without blanks
    /// or comments around it.
    pub text: String,
    /// The line of the file it begins on, from 1.
    pub line: u32,
}

/// A text that is no SQL, as far as can be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SplitError {
    pub line: u32,
    pub message: String,
}

/// A hash over the first statements, by which it is known later that they are still the same. Line endings
/// do not count. Hexadecimal.
pub(crate) fn prefix_hash(statements: &[Statement]) -> String {
    let mut hash = Sha256::new();
    for statement in statements {
        let text = statement.text.replace("\r\n", "\n");
        // The length first: two statements are not the same as one that looks like both.
        hash.update((text.len() as u64).to_be_bytes());
        hash.update(text);
    }
    hexadecimal(hash.finalize())
}
