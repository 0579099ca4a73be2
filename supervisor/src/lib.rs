//! runmate, the running mate of a single-container app: the supervision library behind the
//! `runmate` binary.
//!
//! | module | does |
//! |---|---|
//! | [`config`] | TOML and environment to a plan, all errors at once |
//! | [`machine`] | pure decisions: order, readiness, restarts, drain, exit code |
//! | [`process`] | spawn, the one waiter, signals, `/proc` |
//! | [`readiness`] | probes |
//! | [`output`] | pipes to JSON lines on stdout |
//! | [`run`] | the event loop that joins them |
//! | `event_loop` | its tasks, and a loop of its own for a command or helper that needs one only for an answer |
//! | `helper` | children of the same binary for what must not run in PID 1 |
//! | `migrate` | the task of `[migrate]` and `runmate migrate` |
//! | [`trace`] | what happened as spans, for whoever shows traces |
//! | `secrets` | resolved values and who gets them |
//! | [`cli`] | the command line |

#![deny(clippy::disallowed_methods)]

pub mod cli;
pub mod config;
mod event_loop;
mod helper;
pub mod lookup;
pub mod machine;
mod migrate;
pub mod output;
pub mod process;
pub mod readiness;
pub mod run;
mod secrets;
pub mod signal;
pub mod trace;
