//! The docker command line, and containers that clean up after themselves.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub use crate::images::Images;

/// Made by scripts/setup-tests.sh.
pub const DEBIAN: &str = "runmate-test/debian:12";

/// Long enough for a busy machine; what takes longer is broken.
pub const PATIENCE: Duration = Duration::from_secs(30);

/// Runs `docker ARGS` and returns its standard output; a failure ends the test with what docker said.
#[track_caller]
pub fn docker(args: &[&str]) -> String {
    let output = try_docker(args);
    assert!(
        output.status.success(),
        "docker {} failed:\n{}{}",
        args.join(" "),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// Runs `docker ARGS`, whatever comes of it.
pub fn try_docker(args: &[&str]) -> Output {
    require_docker();
    raw_docker(args)
}

pub fn raw_docker(args: &[&str]) -> Output {
    Command::new("docker")
        .args(args)
        // The classic builder is in every version; BuildKit needs a plugin that Debian does not ship.
        .env("DOCKER_BUILDKIT", "0")
        .stdin(Stdio::null())
        .output()
        .expect("docker can be started")
}

/// Ends the test with a remedy if Docker or the base image is missing, and clears away, once, what
/// killed runs have left behind.
#[track_caller]
pub fn require_docker() {
    static FOUND: OnceLock<Result<(), String>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let output = Command::new("docker")
            .args(["image", "inspect", DEBIAN])
            .output()
            .map_err(|error| format!("cannot start docker: {error}"))?;
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).trim_end().to_owned());
        }
        remove_leftovers();
        Ok(())
    });
    if let Err(why) = found {
        panic!(
            "{why}\nthe container tests need Docker and a Debian image: run `make test`, or \
             `scripts/setup-tests.sh` once before `cargo test -p runmate --test docker`"
        );
    }
}

/// Names carry the pid of the test run they belong to.
fn name(what: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "runmate-test-{what}-{}-{}",
        std::process::id(),
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

fn remove_leftovers() {
    let alive = |pid: Option<&str>| pid.is_some_and(|pid| Path::new("/proc").join(pid).exists());
    let listed = |args: &[&str]| {
        String::from_utf8_lossy(&raw_docker(args).stdout)
            .lines()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    for container in listed(&[
        "ps",
        "-a",
        "--filter",
        "name=^runmate-test-",
        "--format",
        "{{.Names}}",
    ]) {
        if !alive(container.rsplit('-').nth(1)) {
            raw_docker(&["rm", "-f", "-v", &container]);
        }
    }
    for image in listed(&["images", "runmate-test-*", "--format", "{{.Repository}}:{{.Tag}}"]) {
        if !alive(image.rsplit(':').next()) {
            raw_docker(&["rmi", &image]);
        }
    }
}

/// A container, removed at the end of its test; if the test failed, its log is shown first.
pub struct Container {
    name: String,
}

impl Container {
    /// `docker run -d OPTIONS IMAGE COMMAND`
    #[track_caller]
    pub fn run(image: &str, options: &[&str], command: &[&str]) -> Container {
        let container = Container { name: name("c") };
        let mut args = vec!["run", "-d", "--name", &container.name];
        args.extend(options);
        args.push(image);
        args.extend(command);
        // A command that cannot be executed is runmate's to report, not docker's: `run -d` succeeds.
        docker(&args);
        container
    }

    /// A name for a container that the test starts by itself; removed like the others.
    pub fn named() -> Container {
        require_docker();
        Container { name: name("c") }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// A field of `docker inspect`, by a Go template.
    #[track_caller]
    pub fn inspect(&self, template: &str) -> String {
        docker(&["inspect", "-f", template, &self.name])
    }

    /// Its address on Docker's bridge: no port proxy stands between.
    #[track_caller]
    pub fn address(&self) -> Ipv4Addr {
        let text = self.inspect("{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}");
        text.parse()
            .unwrap_or_else(|_| panic!("no address: {text:?}\n{}", self.everything_said()))
    }

    /// Runs a command inside.
    pub fn exec(&self, command: &[&str]) -> Output {
        let mut args = vec!["exec", &self.name];
        args.extend(command);
        try_docker(&args)
    }

    /// Runs a shell line inside; its standard output.
    #[track_caller]
    pub fn shell(&self, line: &str) -> String {
        let output = self.exec(&["sh", "-c", line]);
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub fn signal(&self, signal: &str) {
        docker(&["kill", "-s", signal, &self.name]);
    }

    /// `docker stop` with Docker's default patience of 10 s; how long it took.
    #[track_caller]
    pub fn stop(&self) -> Duration {
        self.stopper()()
    }

    /// The same, to be called on another thread.
    pub fn stopper(&self) -> impl FnOnce() -> Duration + Send + use<> {
        let name = self.name.clone();
        move || {
            let began = Instant::now();
            docker(&["stop", "-t", "10", &name]);
            began.elapsed()
        }
    }

    /// Waits for its end; the exit code.
    #[track_caller]
    pub fn wait(&self) -> i32 {
        self.until("it ends", |container| {
            container.inspect("{{.State.Status}}") == "exited"
        });
        self.exit_code()
    }

    #[track_caller]
    pub fn exit_code(&self) -> i32 {
        self.inspect("{{.State.ExitCode}}").parse().expect("an exit code")
    }

    /// Polls until a condition holds.
    #[track_caller]
    pub fn until(&self, what: &str, condition: impl Fn(&Container) -> bool) {
        let deadline = Instant::now() + PATIENCE;
        while !condition(self) {
            assert!(
                Instant::now() < deadline,
                "waited {PATIENCE:?} in vain until {what}"
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until some line's message is this text.
    #[track_caller]
    pub fn until_said(&self, message: &str) {
        self.until(&format!("{message:?} is in the log"), |container| {
            container.said(message)
        });
    }

    /// Whether some line's message is this text.
    pub fn said(&self, message: &str) -> bool {
        self.stdout()
            .lines()
            .any(|line| serde_json::from_str::<Value>(line).is_ok_and(|value| value["message"] == message))
    }

    /// What it wrote to standard output.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&try_docker(&["logs", &self.name]).stdout).into_owned()
    }

    /// Every line as JSON; a line that is not, or anything on standard error, fails the test.
    #[track_caller]
    pub fn log(&self) -> Vec<Value> {
        let output = try_docker(&["logs", &self.name]);
        assert_eq!(
            String::from_utf8_lossy(&output.stderr),
            "",
            "runmate writes to stdout only"
        );
        let text = String::from_utf8(output.stdout).expect("the log is UTF-8");
        text.lines()
            .map(|line| match serde_json::from_str(line) {
                Ok(value @ Value::Object(_)) => value,
                other => panic!("not a JSON object ({other:?}): {line}"),
            })
            .collect()
    }

    /// The last line of a container that has ended; it must be the exit event.
    #[track_caller]
    pub fn exit_line(&self) -> Value {
        let last = self.log().pop().expect("at least one line");
        assert_eq!(
            last["event"], "exit",
            "the last line must be the exit event: {last}"
        );
        last
    }

    fn everything_said(&self) -> String {
        let output = raw_docker(&["logs", "--tail", "60", &self.name]);
        let text = [output.stdout, output.stderr].concat();
        format!(
            "the last lines of {}:\n{}",
            self.name,
            String::from_utf8_lossy(&text)
        )
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let state = raw_docker(&["inspect", "-f", "{{json .State}}", &self.name]);
            eprintln!(
                "{}{}",
                self.everything_said(),
                String::from_utf8_lossy(&state.stdout)
            );
        }
        raw_docker(&["rm", "-f", "-v", &self.name]);
    }
}
