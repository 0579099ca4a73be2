//! How a run is prepared and started.

use std::ffi::OsString;
use std::io::{BufRead, BufReader, Read};
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::Arc;
use std::time::Instant;

use tempfile::TempDir;

use super::{Runmate, Shared, free_address};

/// A run to be: a directory of its own, a config, an environment with nothing but `PATH`.
pub struct Setup {
    dir: TempDir,
    command: Command,
    args: Vec<OsString>,
    config: Option<String>,
    health: Option<SocketAddr>,
    any_output: bool,
}

impl Setup {
    /// With a `runmate.toml` in the working directory. Health is off unless the text has a `[health]`.
    pub fn new(config: &str) -> Setup {
        let mut setup = Setup::without_config();
        setup.config = Some(config.to_owned());
        setup
    }

    /// With no config at all.
    pub fn without_config() -> Setup {
        let dir = tempfile::tempdir().expect("a temporary directory");
        // Children may run as somebody else.
        std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runmate"));
        command.env_clear().current_dir(dir.path());
        command.env(
            "PATH",
            "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        );
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        // SAFETY: the closure makes one system call. A run must not outlive its test, even if that is killed.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        Setup {
            dir,
            command,
            args: vec!["run".into()],
            config: None,
            health: None,
            any_output: false,
        }
    }

    /// The whole command line instead of `run`.
    pub fn args<S: Into<OsString>>(mut self, args: impl IntoIterator<Item = S>) -> Setup {
        self.args = args.into_iter().map(Into::into).collect();
        self
    }

    /// Adds a variable to runmate's environment.
    pub fn env(mut self, key: &str, value: &str) -> Setup {
        self.command.env(key, value);
        self
    }

    /// Adds a `[health]` section with an address of its own and public details; see [`Runmate::get`].
    pub fn with_health(mut self) -> Setup {
        self.health = Some(free_address());
        self
    }

    /// Lines need not be JSON: those that are not come as strings.
    pub fn any_output(mut self) -> Setup {
        self.any_output = true;
        self
    }

    /// The working directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The command as it will be run, for what this builder does not offer.
    pub fn command(&mut self) -> &mut Command {
        &mut self.command
    }

    fn write_config(&mut self) {
        if let Some(config) = &self.config {
            let health = match self.health {
                Some(address) => format!("\n[health]\nlisten = \"{address}\"\ndetails = \"public\"\n"),
                None if config.contains("[health") => String::new(),
                None => "\n[health]\nlisten = \"off\"\n".to_owned(),
            };
            std::fs::write(self.dir.path().join("runmate.toml"), config.to_owned() + &health).expect("write");
        }
        self.command.args(&self.args);
    }

    /// Runs a short command such as `check` to its end.
    pub fn output(mut self) -> Output {
        self.write_config();
        self.command.output().expect("runmate starts")
    }

    /// Starts it.
    pub fn start(mut self) -> Runmate {
        self.write_config();
        let started = Instant::now();
        let mut child = self.command.spawn().expect("runmate starts");
        let shared = Arc::new(Shared::default());
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let mut stderr = child.stderr.take().expect("piped");
        let pid = child.id() as i32;
        let any_output = self.any_output;
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            for line in stdout.split(b'\n') {
                state.update(|state| state.take_line(&line.expect("stdout can be read"), any_output));
            }
            state.update(|state| state.stdout_ended = true);
        });
        let state = Arc::clone(&shared);
        std::thread::spawn(move || {
            let mut text = Vec::new();
            let _ = stderr.read_to_end(&mut text);
            let text = String::from_utf8_lossy(&text).into_owned();
            state.update(|state| state.stderr = Some(text));
        });
        let state = Arc::clone(&shared);
        std::thread::spawn(move || await_end(child, &state));
        Runmate {
            pid,
            started,
            shared,
            health: self.health,
            dir: self.dir,
        }
    }
}

/// Waits without reaping, so that the pid stays ours until nobody can signal it any more.
fn await_end(mut child: Child, shared: &Shared) {
    // SAFETY: a zeroed siginfo_t is valid, and so is the pointer to it.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        libc::waitid(libc::P_PID, child.id(), &mut info, libc::WEXITED | libc::WNOWAIT);
    }
    shared.update(|state| state.status = child.wait().ok());
}
