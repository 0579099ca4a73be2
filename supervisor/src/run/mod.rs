//! The event loop: `event = select!; actions = machine.step(event); perform(actions)`.

mod boot;
mod environment;
pub(crate) mod exit;
mod health;
mod log;
mod ports;
mod probes;
mod signals;
mod supervisor;

pub use boot::{Options, run};
