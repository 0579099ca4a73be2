//! The one waiter for every child: managed, adopted, or started for a probe.
//!
//! `waitpid(-1)` takes exit statuses from whoever else waits, so nobody else may: no
//! `Child::wait`, no `tokio::process`. It runs on the thread that spawns, because the standard
//! library's `spawn` itself waits for a child whose exec failed.

use std::io;

use super::sys;
use crate::machine::{End, Pid};

/// A child that was reaped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reaped {
    /// Which.
    pub pid: Pid,
    /// How it ended.
    pub end: End,
}

/// Reaps every dead child (SIGCHLD coalesces: one signal may stand for many) and says whether any
/// child is left.
pub fn reap(mut each: impl FnMut(Reaped)) -> bool {
    loop {
        match sys::wait_any() {
            Ok(Some((pid, end))) => each(Reaped { pid, end }),
            Ok(None) => return true,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            // ECHILD. Any other error would mean the same: there is nothing to wait for.
            Err(_) => return false,
        }
    }
}
