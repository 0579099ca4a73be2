//! Runs whose stdout is the test's own: a reader that stops, a file, a full disk.

// Each test file is a crate of its own and uses the part it needs.
#![allow(dead_code)]

use std::fs::File;
use std::io::Read;
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::support::{PATIENCE, eventually, fixture_path, proc};

/// The writer, as the value of `command`; its arguments are separated by spaces, see `writer.rs`.
pub fn writer(args: &str) -> String {
    let path = fixture_path().with_file_name("writer");
    assert!(
        path.exists(),
        "there is no {}; run cargo build -p runmate --example writer",
        path.display()
    );
    let mut argv = vec![path.display().to_string()];
    argv.extend(args.split_ascii_whitespace().map(str::to_owned));
    // A JSON array of strings is a TOML array too.
    serde_json::to_string(&argv).expect("strings serialise")
}

/// A running runmate. When dropped, it is killed with everything below it.
pub struct Run {
    pub dir: TempDir,
    child: Child,
}

impl Run {
    /// Starts it with this config in a directory of its own.
    pub fn start(config: &str, stdout: impl Into<Stdio>) -> Run {
        let dir = tempfile::tempdir().expect("a temporary directory");
        Run::start_in(dir, config, stdout)
    }

    /// As [`Run::start`], in a directory that has been prepared.
    pub fn start_in(dir: TempDir, config: &str, stdout: impl Into<Stdio>) -> Run {
        let health = if config.contains("[health]") {
            ""
        } else {
            "\n[health]\nlisten = \"off\"\n"
        };
        std::fs::write(dir.path().join("runmate.toml"), config.to_owned() + health).expect("a config");
        let stderr = File::create(dir.path().join("stderr")).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runmate"));
        command
            .arg("run")
            .current_dir(dir.path())
            .env_clear()
            .env("PATH", "/usr/local/bin:/usr/bin:/bin")
            .stdin(Stdio::null())
            .stdout(stdout)
            .stderr(stderr);
        // SAFETY: the closure makes one system call. A run must not outlive its test, even a killed one.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn().expect("runmate starts");
        Run { dir, child }
    }

    pub fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Sends a signal.
    pub fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the child is not reaped before `exit_code` or the drop.
        unsafe { libc::kill(self.pid(), signal) };
    }

    /// Waits for a writer's report: the longest time it was held back.
    pub fn report(&self, name: &str) -> Duration {
        let path = self.path(name);
        let text = eventually(&format!("report {name}"), || std::fs::read_to_string(&path).ok());
        Duration::from_millis(text.parse().expect("milliseconds"))
    }

    /// The most memory it ever had, in KiB.
    pub fn peak_memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).expect("it lives");
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let line = line.expect("a peak").trim_end_matches("kB");
        line.trim().parse().expect("a number")
    }

    /// Waits for the end; the exit code. Nothing may have been said on stderr.
    pub fn exit_code(&mut self) -> i32 {
        let status = eventually("end of the run", || self.child.try_wait().expect("our child"));
        let stderr = std::fs::read_to_string(self.path("stderr")).expect("stderr");
        assert_eq!(stderr, "", "run writes to stdout only");
        status.code().expect("an exit code")
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        let below = match self.child.try_wait() {
            Ok(None) => proc::descendants(self.pid()),
            // Its pid may be somebody else's by now.
            _ => return,
        };
        let _ = self.child.kill();
        let _ = self.child.wait();
        below.iter().for_each(proc::Process::kill);
    }
}

/// How a reader reads. A reader that stops or dawdles is what the tests are about: its pauses are the
/// scenario, and nothing waits for them.
#[derive(Clone, Copy, Debug)]
pub enum Pace {
    Full,
    Stopped,
    /// So many bytes, then a pause.
    Slow(usize, Duration),
    /// Closes its end.
    Closed,
}

/// The reader of a run's stdout.
pub struct Tap {
    shared: Arc<Shared>,
}

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

struct State {
    pace: Pace,
    read: Vec<u8>,
    ended: bool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        change(&mut self.lock());
        self.changed.notify_all();
    }

    /// Waits until `look` finds something; `None` after [`PATIENCE`].
    fn wait<T>(&self, mut look: impl FnMut(&State) -> Option<T>) -> Option<T> {
        let deadline = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            if let Some(found) = look(&state) {
                return Some(found);
            }
            let left = deadline.checked_duration_since(Instant::now())?;
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(|poisoned| poisoned.into_inner()).0;
        }
    }

    fn read_all(&self, mut from: impl Read) {
        let mut buffer = vec![0; 64 << 10];
        loop {
            let mut state = self.lock();
            while matches!(state.pace, Pace::Stopped) {
                state = self
                    .changed
                    .wait(state)
                    .unwrap_or_else(|poisoned| poisoned.into_inner());
            }
            let pace = state.pace;
            drop(state);
            let (most, pause) = match pace {
                Pace::Closed => return,
                Pace::Slow(most, pause) => (most.min(buffer.len()), pause),
                Pace::Full | Pace::Stopped => (buffer.len(), Duration::ZERO),
            };
            let count = from.read(&mut buffer[..most]).expect("stdout can be read");
            self.update(|state| {
                state.read.extend_from_slice(&buffer[..count]);
                state.ended = count == 0;
            });
            if count == 0 {
                return;
            }
            std::thread::sleep(pause);
        }
    }
}

impl Tap {
    /// A reader of `from`, which is the other end of the stdout of a run.
    pub fn new(from: impl Read + Send + 'static, pace: Pace) -> Tap {
        let state = State {
            pace,
            read: Vec::new(),
            ended: false,
        };
        let shared = Arc::new(Shared {
            state: Mutex::new(state),
            changed: Condvar::new(),
        });
        let reader = Arc::clone(&shared);
        std::thread::spawn(move || reader.read_all(from));
        Tap { shared }
    }

    /// Starts a run behind a pipe.
    pub fn on(config: &str, pace: Pace) -> (Run, Tap) {
        Tap::in_dir(tempfile::tempdir().expect("a temporary directory"), config, pace)
    }

    /// As [`Tap::on`], in a directory that has been prepared.
    pub fn in_dir(dir: TempDir, config: &str, pace: Pace) -> (Run, Tap) {
        let (read, write) = std::io::pipe().expect("a pipe");
        let run = Run::start_in(dir, config, write);
        (run, Tap::new(read, pace))
    }

    pub fn pace(&self, pace: Pace) {
        self.shared.update(|state| state.pace = pace);
    }

    /// Waits until a line has been read that has this text in it.
    pub fn wait_for(&self, text: &str) {
        let mut searched = 0;
        let found = self.shared.wait(|state| {
            let fresh = &state.read[searched..];
            let found = memchr::memmem::find(fresh, text.as_bytes());
            searched = state.read.len().saturating_sub(text.len());
            match found {
                Some(_) => Some(true),
                None => state.ended.then_some(false),
            }
        });
        assert_eq!(found, Some(true), "no {text:?} in {}", self.tail());
    }

    /// How much was read so far.
    pub fn count(&self) -> usize {
        self.shared.lock().read.len()
    }

    /// Waits for the end of the stream; everything that was read.
    pub fn finish(self) -> Vec<u8> {
        let ended = self.shared.wait(|state| state.ended.then_some(()));
        assert!(ended.is_some(), "no end of stdout: {}", self.tail());
        std::mem::take(&mut self.shared.lock().read)
    }

    fn tail(&self) -> String {
        let state = self.shared.lock();
        let from = state.read.len().saturating_sub(4096);
        String::from_utf8_lossy(&state.read[from..]).into_owned()
    }
}

/// Makes a pipe as small as it can be, which it is not before the run has started: runmate asks for a
/// large one.
pub fn shrink(pipe: &impl AsRawFd) {
    // SAFETY: no memory is involved.
    let size = unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, 4096) };
    assert!(size >= 0, "shrink: {}", std::io::Error::last_os_error());
}

/// Writes a file into a directory that a run is going to be started in.
pub fn input(name: &str, bytes: &[u8]) -> TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    std::fs::write(Path::join(dir.path(), name), bytes).expect("an input file");
    dir
}
