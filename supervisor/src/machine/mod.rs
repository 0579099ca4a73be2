//! The pure half: every decision about order, readiness, restarts, drain and exit code.
mod plan;
pub use plan::{Backoff, Kind, OnExit, Plan, Policy, ProcessId, Restart, Scope, Stop};
