//! From references in the environment to values in exactly those processes that may see them; or to a
//! refusal that says all that is wrong, and nothing of any value.

#[path = "../../../secrets/tests/support/client.rs"]
mod client;
#[path = "../../../secrets/tests/support/fault.rs"]
mod fault;
#[path = "../../../secrets/tests/support/moto.rs"]
mod moto;
#[path = "../support/programs.rs"]
mod programs;
// These tests use a part of it only.
#[allow(unused_imports)]
#[path = "../support/mod.rs"]
mod support;

mod commands;
mod database;
mod emulator;
mod failures;
mod files;
mod forms;
mod limits;
mod memory;
mod offline;
mod scopes;
mod variables;
mod waiting;

use fault::FaultServer;
use serde_json::Value;
use support::{Runmate, Setup, process};

/// A secret's ARN.
pub fn secret(name: &str) -> String {
    format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{name}-AbCdEf")
}

/// A parameter's ARN.
pub fn parameter(name: &str) -> String {
    format!("arn:aws:ssm:eu-west-1:123456789012:parameter{name}")
}

/// A run that finds this server instead of AWS.
pub fn with_server(config: &str, server: &FaultServer) -> Setup {
    let mut setup = Setup::new(config);
    for (key, value) in server.env() {
        setup = setup.env(key, &value);
    }
    setup
}

/// A main process that says its environment, secrets included, and goes on until it is told to stop.
pub fn app(more: &str) -> String {
    format!("[logs]\nmask = false\n{}", process("app", "env wait TERM", more))
}

/// The environment that a process (running the fixture's `env`) found.
pub fn env_of(run: &Runmate, process: &str) -> Value {
    let line = run.wait_for(&format!("environment of {process}"), |line| {
        line["process"] == process && line["env"].is_object()
    });
    line["env"].clone()
}

/// Ends a run in good health.
pub fn stop(run: &Runmate) -> support::Exit {
    run.signal(libc::SIGTERM);
    run.exit()
}

/// Checks that something is in no line of the log.
pub fn assert_unsaid(exit: &support::Exit, values: &[&str]) {
    for line in &exit.lines {
        let line = line.to_string();
        for value in values {
            assert!(!line.contains(value), "{value} in {line}");
        }
    }
}
