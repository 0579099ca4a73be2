//! Directories of SQL files, in the format of sqlx.

mod checksum;
mod plan;
mod read;

pub(crate) use checksum::{hexadecimal, with_lf};
pub(crate) use plan::{Plan, Step, plan};
pub use read::Migration;
pub(crate) use read::{in_order, read};
