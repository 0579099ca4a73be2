//! The pure half: every decision about order, readiness, restarts, drain and exit code.
//!
//! [`Machine::step`] takes the time and one [`Event`], changes the state and says what to do as a
//! list of [`Action`]s; [`Machine::deadline`] says when it wants to be called again at the latest.
//! There is no clock, no system call and no tokio in here, which is why every reachable state of a
//! small plan can be enumerated (`tests/`).
//!
//! | file | holds |
//! |---|---|
//! | `plan` | what is decided about: policies and limits |
//! | `event` | what comes in (`Event`), what goes out (`Action`, `Report`) |
//! | `state` | the states of a process and of the whole; each owns its data |
//! | `step` | the dispatch, and everything while the container runs |
//! | `stop` | how one process is asked to stop, and killed |
//! | `restart` | delays and limits of restarts |
//! | `drain` | from the decision to stop until the exit |
//! | `view` | what health is told |

mod drain;
mod event;
mod plan;
mod restart;
mod state;
mod step;
mod stop;
#[cfg(test)]
mod tests;
mod view;

pub use event::{Action, Cause, End, Event, Fault, Pid, Report, Target, Time};
pub use plan::{Backoff, Kind, OnExit, Plan, Policy, ProcessId, Restart, Scope, Stop};
pub use state::Machine;
pub use view::{Phase, ProcessView, View};
