//! What is left to do, decided from the files and the database's tables alone.

use crate::db::{Applied, Mode, Progress};
use crate::dir::Migration;
use crate::error::Error;
use crate::url::Kind;

/// What is to do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// In the order of versions.
    pub steps: Vec<Step>,
}

/// A migration to apply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Step {
    /// Its place in the list of files.
    pub index: usize,
    /// How many of its statements are done already.
    pub done: u32,
}

pub(crate) fn plan(
    files: &[Migration],
    applied: &[Applied],
    progress: &[Progress],
    kind: Kind,
    mode: Mode,
) -> Result<Plan, Error> {
    let _ = (files, applied, progress, kind, mode);
    unimplemented!()
}
