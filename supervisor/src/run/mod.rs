//! The event loop: `event = select!; actions = machine.step(event); perform(actions)`.

mod boot;
mod checks;
mod children;
mod commands;
mod errands;
mod exit;
mod health;
mod keeper;
mod log;
mod looks;
mod metrics;
mod monitor;
mod outcomes;
mod ports;
mod probes;
mod secrets;
mod serve;
mod signals;
mod supervisor;
mod telemetry;

pub use boot::{Options, run};
pub use exit::code as exit_code;
pub(crate) use exit::refuse_usage;
pub(crate) use looks::look_at_all;
