//! The harness of the crate's tests: runs `resolve.rs` with an environment of its own.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code)]

pub mod client;
pub mod credentials;
pub mod fault;
pub mod moto;

use std::io::Write;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use fault::FaultServer;

/// Ireland, where most of the tests' secrets are.
pub const REGION: &str = "eu-west-1";

/// A whole ARN of a secret.
pub fn secret_arn(region: &str, name: &str) -> String {
    format!("arn:aws:secretsmanager:{region}:123456789012:secret:{name}-AbCdEf")
}

/// The ARN of a parameter; the name begins with a slash if it has levels.
pub fn parameter_arn(region: &str, name: &str) -> String {
    let name = name.trim_start_matches('/');
    format!("arn:aws:ssm:{region}:123456789012:parameter/{name}")
}

/// A run of the resolver to be.
pub struct Resolve {
    command: Command,
    input: String,
}

/// What came of it.
pub struct Resolved {
    /// An entry per request, see `resolve.rs`.
    pub entries: Vec<Value>,
    /// How long it took, start and end of the program included.
    pub took: Duration,
}

impl Resolve {
    /// With an environment that has nothing but what is added.
    pub fn new() -> Resolve {
        let mut command = Command::new(program());
        command
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        Resolve {
            command,
            input: String::new(),
        }
    }

    /// With the environment for this server.
    pub fn with(server: &FaultServer) -> Resolve {
        let mut resolve = Resolve::new();
        resolve.command.envs(server.env());
        resolve
    }

    /// The same, inside another program, such as `unshare -n`.
    pub fn inside(mut self, program: &str, args: &[&str]) -> Resolve {
        let mut outer = Command::new(program);
        outer.args(args).arg(self.command.get_program()).env_clear();
        for (key, value) in self.command.get_envs() {
            outer.env(key, value.expect("none is removed"));
        }
        outer
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        self.command = outer;
        self
    }

    pub fn env(mut self, key: &str, value: &str) -> Resolve {
        self.command.env(key, value);
        self
    }

    pub fn timeout(self, timeout: Duration) -> Resolve {
        self.env("RESOLVE_TIMEOUT_MS", &timeout.as_millis().to_string())
    }

    /// Asks for a reference as text.
    pub fn get(self, name: &str, reference: &str) -> Resolve {
        self.get_as(name, "text", reference)
    }

    pub fn get_as(mut self, name: &str, form: &str, reference: &str) -> Resolve {
        self.input += &format!("{name}\t{form}\t{reference}\n");
        self
    }

    /// Starts it, for what has to happen meanwhile.
    pub fn start(mut self) -> Running {
        let started = Instant::now();
        let mut child = self.command.spawn().expect("the program starts");
        let mut stdin = child.stdin.take().expect("piped");
        stdin.write_all(self.input.as_bytes()).expect("it reads");
        Running { child, started }
    }

    /// Runs it to its end.
    pub fn run(self) -> Resolved {
        self.start().end()
    }
}

/// A run under way.
pub struct Running {
    child: Child,
    started: Instant,
}

impl Running {
    pub fn end(self) -> Resolved {
        let output = self.child.wait_with_output().expect("its output");
        let took = self.started.elapsed();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{stderr}");
        assert_eq!(stderr, "", "a library is quiet");
        Resolved {
            entries: serde_json::from_slice(&output.stdout).expect("JSON"),
            took,
        }
    }
}

impl Resolved {
    /// The entry of this name.
    pub fn entry(&self, name: &str) -> &Value {
        let entry = self.entries.iter().find(|entry| entry["name"] == name);
        entry.expect("an entry of this name")
    }

    /// The value of this name.
    pub fn value(&self, name: &str) -> &str {
        let entry = self.entry(name);
        entry["value"]
            .as_str()
            .unwrap_or_else(|| panic!("no value: {entry}"))
    }

    /// The kind of failure of this name.
    pub fn kind(&self, name: &str) -> &str {
        let entry = self.entry(name);
        entry["kind"]
            .as_str()
            .unwrap_or_else(|| panic!("no failure: {entry}"))
    }
}

/// Cargo builds it for `cargo test -p runmate-secrets`, but not for `--test NAME` alone.
fn program() -> PathBuf {
    let tests = std::env::current_exe().expect("this program");
    let path = tests
        .parent()
        .and_then(|deps| deps.parent())
        .expect("deps/ in a directory")
        .join("examples/resolve");
    assert!(
        path.exists(),
        "there is no {}; run cargo build -p runmate-secrets --example resolve",
        path.display()
    );
    path
}
