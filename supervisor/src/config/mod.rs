//! From TOML text to a [`Plan`]: all errors at once, each with file, line and key.
mod plan;
pub use plan::{
    Command, EnvInherit, Health, HttpTarget, LogFormat, Logs, Plan, Platform, Probe, Process, Ready, Run,
    Source, Stdin, User,
};
