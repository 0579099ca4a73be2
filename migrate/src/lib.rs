//! Database migrations, exactly once across a fleet.

#![allow(dead_code, unused_imports)] // The parts come one by one; the flow that joins them is the last.

mod db;
mod dir;
mod error;
mod event;
mod release;
mod sql;
#[cfg(test)]
mod testing;
mod url;

pub use db::Release;
pub use dir::Migration;
pub use error::{Error, ErrorKind};
pub use event::{Event, Holder};
