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
mod monitor;
mod outcomes;
mod ports;
mod probes;
mod secrets;
mod signals;
mod supervisor;

pub use boot::{Options, run};
pub(crate) use checks::for_one_look;
pub use exit::code as exit_code;
pub(crate) use exit::refuse_usage;
