//! The only half that touches the operating system's processes: starting them, the one waiter,
//! signals, and what `/proc` and the cgroup tell.

mod cgroup;
mod exec;
mod listeners;
mod memory;
mod orphans;
mod protect;
mod spawn;
pub(crate) mod sys;
mod terminal;
mod waiter;

pub use cgroup::OomCounter;
pub use exec::become_program;
pub use listeners::{Holder, Listener, listeners, missing_listener};
pub use memory::forget_start_up_code;
pub use orphans::{kill_tree, ourselves_and_descendants, parent_of, signal_descendants};
pub use protect::hold_secrets;
pub use spawn::{Output, SpawnError, Spawned, Spec, StdinFrom, spawn};
pub use terminal::Terminal;
pub use waiter::{Reaped, reap};
