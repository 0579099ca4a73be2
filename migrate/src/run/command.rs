//! The work of a command: it runs while the lock is held, and never a moment longer.
//!
//! The command is not our child but that of a guard (see [`guard`](crate::guard)), which ends it with all
//! that it started should we die, freeze, or lose the lock.

use std::ffi::OsString;
use std::io::{PipeWriter, Write};
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use tokio::process::Child;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until, timeout};

use crate::db::Session;
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::run::files::held;
use crate::run::guard::{self, Word};
use crate::run::{HEARTBEAT, Runner, wait};

/// How long everything may take to be gone once it was killed.
const KILLED: Duration = Duration::from_secs(5);

/// A command that migrates.
#[derive(Debug, Clone)]
pub(crate) struct Command {
    /// The program and its arguments.
    pub argv: Vec<OsString>,
    /// Its whole environment, if not our own.
    pub env: Option<Vec<(OsString, OsString)>>,
    /// A program and its first arguments that end up in [`guard::main`].
    pub guard: Vec<OsString>,
    /// Its standard output goes where our errors go, because ours is for somebody who reads it.
    pub stdout_to_stderr: bool,
    /// How long it may take after SIGTERM.
    pub grace: Duration,
}

impl Runner<'_> {
    pub(super) async fn command<S: Session>(
        &mut self,
        session: &mut S,
        command: &Command,
    ) -> Result<(), Error> {
        let (mut child, mut line) = command.start(session.command_env(), session.lock_descriptor())?;
        (self.report)(Event::CommandStarted {
            command: command
                .argv
                .iter()
                .map(|arg| arg.to_string_lossy().into_owned())
                .collect(),
            pid: child.id().unwrap_or_default(),
        });
        let mut beat = interval(HEARTBEAT);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut kill_at = None;
        loop {
            tokio::select! {
                biased;
                status = child.wait() => {
                    let status = status.map_err(|error| internal(&format!("cannot wait for the command: {error}")))?;
                    return match kill_at {
                        Some(_) => Err(wait::stopped()),
                        None => command.verdict(status),
                    };
                }
                () = self.stop.wished(), if kill_at.is_none() => {
                    (self.report)(Event::Stopping);
                    line.say(Word::Stop);
                    kill_at = Some(Instant::now() + command.grace);
                }
                () = sleep_until(kill_at.unwrap_or_else(Instant::now)), if kill_at.is_some() => {
                    line.say(Word::Kill);
                    return match timeout(KILLED, child.wait()).await {
                        Ok(_) => Err(wait::stopped()),
                        Err(_) => Err(internal("the command does not end although it was killed")),
                    };
                }
                _ = beat.tick() => match held(session).await {
                    Ok(()) => line.say(Word::Alive),
                    Err(lost) => {
                        line.say(Word::Kill);
                        let _ = timeout(KILLED, child.wait()).await;
                        return Err(lost);
                    }
                }
            }
        }
    }
}

/// What the guard hears from us. When it is closed, by us or by our death, the guard ends everything.
struct Line(PipeWriter);

impl Line {
    fn say(&mut self, word: Word) {
        // A guard that is gone needs no words; its end is noticed where it is waited for.
        let _ = self.0.write_all(&[word as u8]);
    }
}

impl Command {
    fn start(&self, more: Vec<(String, String)>, lock: Option<RawFd>) -> Result<(Child, Line), Error> {
        let (reader, writer) =
            std::io::pipe().map_err(|error| internal(&format!("cannot make a pipe: {error}")))?;
        let Some((program, args)) = self.guard.split_first() else {
            return Err(internal("a command needs a guard"));
        };
        let mut command = tokio::process::Command::new(program);
        command.args(args).args(&self.argv);
        if let Some(env) = &self.env {
            command
                .env_clear()
                .envs(env.iter().map(|(key, value)| (key, value)));
        }
        command.envs(more);
        command.stdin(Stdio::null());
        if self.stdout_to_stderr {
            let stderr = std::io::stderr().as_fd().try_clone_to_owned();
            let stderr = stderr.map_err(|error| internal(&format!("cannot copy a descriptor: {error}")))?;
            command.stdout(stderr);
        }
        // A group of its own: a Ctrl-C at a terminal is for us to pass on.
        command.process_group(0);
        // Above both places, so that neither is taken from the other.
        let line = above(&reader, guard::LOCK)?;
        let lock = match lock {
            Some(lock) => Some(above(&lock, guard::LOCK)?),
            None => None,
        };
        let places = (line.as_raw_fd(), lock.as_ref().map(AsRawFd::as_raw_fd));
        // SAFETY: system calls on numbers; no memory of ours is touched between fork and exec.
        unsafe {
            command.pre_exec(move || {
                let done = libc::dup2(places.0, guard::LINE);
                let done = match places.1 {
                    Some(lock) => done.min(libc::dup2(lock, guard::LOCK)),
                    None => done,
                };
                match done {
                    -1 => Err(std::io::Error::last_os_error()),
                    _ => Ok(()),
                }
            })
        };
        let child = command
            .spawn()
            .map_err(|error| internal(&format!("cannot start the guard of the command: {error}")))?;
        Ok((child, Line(writer)))
    }

    fn verdict(&self, status: ExitStatus) -> Result<(), Error> {
        let program = self
            .argv
            .first()
            .map(|arg| arg.to_string_lossy().into_owned())
            .unwrap_or_default();
        let how = match (status.code(), status.signal()) {
            (Some(0), _) => return Ok(()),
            (Some(guard::NOT_STARTED), _) => "cannot be executed; the reason is above".to_owned(),
            (Some(guard::ABANDONED), _) => format!(
                "was ended because this process gave no sign of life for {}s",
                guard::PATIENCE.as_secs()
            ),
            (Some(guard::NOT_ENDED), _) => {
                "started something that does not end although it was killed".to_owned()
            }
            (Some(code), _) => format!("exited with code {code}"),
            (None, signal) => format!("died of signal {}", signal.unwrap_or_default()),
        };
        Err(Error::new(
            ErrorKind::Failed,
            format!("the migration command {program} {how}"),
        )
        .with_remedy("its own output says why; the next start runs it again"))
    }
}

/// A copy of a descriptor with a number above `than`, closed in programs that are started.
fn above(descriptor: &impl AsRawFd, than: RawFd) -> Result<OwnedFd, Error> {
    // SAFETY: no memory is involved; the copy belongs to nobody else.
    unsafe {
        match libc::fcntl(descriptor.as_raw_fd(), libc::F_DUPFD_CLOEXEC, than + 1) {
            -1 => Err(internal(&format!(
                "cannot copy a descriptor: {}",
                std::io::Error::last_os_error()
            ))),
            copy => Ok(OwnedFd::from_raw_fd(copy)),
        }
    }
}

fn internal(message: &str) -> Error {
    Error::new(ErrorKind::Internal, message)
}
