//! Migrations as the binary offers them: the task of `[migrate]` and the command `runmate migrate` are the same
//! work with the same words. The work itself is the library's.

mod perform;
mod report;
mod settings;

pub(crate) use perform::{Word, look, perform};
pub(crate) use report::{Reporter, Style};
pub(crate) use settings::{GRACE, Settings, Work, settings};
