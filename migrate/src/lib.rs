//! Database migrations, exactly once across a fleet.

#![allow(dead_code, unused_imports)] // The parts come one by one; the flow that joins them is the last.

mod api;
mod db;
mod dir;
mod error;
mod event;
mod outcome;
mod release;
mod run;
mod sql;
#[cfg(test)]
mod testing;
mod url;

pub use api::Migrate;
pub use db::Release;
pub use dir::Migration;
pub use error::{Error, ErrorKind};
pub use event::{Event, Holder};
pub use outcome::{Outcome, Pending, Planned, Problem, Status, Unlocked};
pub use run::guard;
