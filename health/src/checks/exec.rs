//! A command succeeds.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{ExitStatus, Stdio};

use tokio::process::{Child, Command};

use super::Invalid;
use super::shortage::shortage_of_processes;
use crate::check::{Check, Failure, Look, Observation};

/// Passes if a command exits with 0. Its output is thrown away, its input is empty, and it has a process group of its
/// own, which is killed as a whole when it takes longer than it may.
///
/// What it reports names the program, but none of its arguments, which may have a password in them.
///
/// For programs that leave their children to tokio. Not for a process that reaps by itself (`waitpid(-1)`): the exit
/// status would be lost.
pub struct Exec {
    program: OsString,
    arguments: Vec<OsString>,
}

impl Exec {
    /// A check of a program, looked for in `PATH`, and its arguments. No shell is involved.
    ///
    /// # Errors
    /// If there is no program.
    pub fn new<S: Into<OsString>>(argv: impl IntoIterator<Item = S>) -> Result<Exec, Invalid> {
        let mut argv = argv.into_iter().map(Into::into);
        match argv.next().filter(|program: &OsString| !program.is_empty()) {
            Some(program) => Ok(Exec {
                program,
                arguments: argv.collect(),
            }),
            None => Err(Invalid("a check by a command needs the command".into())),
        }
    }

    /// For messages.
    fn name(&self) -> String {
        let file = Path::new(&self.program).file_name();
        file.unwrap_or(&self.program).to_string_lossy().into_owned()
    }

    async fn run(&self) -> io::Result<ExitStatus> {
        let child = Command::new(&self.program)
            .args(&self.arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            // Then tokio reaps it, too.
            .kill_on_drop(true)
            .spawn()?;
        Group(child).0.wait().await
    }
}

/// A child that leads its own process group.
struct Group(Child);

impl Drop for Group {
    fn drop(&mut self) {
        // It has no id any more once it was waited for; until then nobody else can have it.
        let id = self.0.id().and_then(|id| i32::try_from(id).ok());
        if let Some(id) = id.filter(|id| *id > 1) {
            // SAFETY: no memory is involved.
            unsafe { libc::kill(-id, libc::SIGKILL) };
        }
    }
}

impl Check for Exec {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            let name = self.name();
            let status = self.run().await;
            let status = status.map_err(|error| match shortage_of_processes(&error) {
                Some(lack) => Failure::unknown(format!("cannot run {name}: {lack}")),
                None => Failure::new(format!("cannot run {name}: {error}")),
            })?;
            match (status.code(), status.signal()) {
                (Some(0), _) => Ok(Observation::default()),
                (Some(code), _) => Err(Failure::new(format!("{name} exited with {code}"))),
                (None, signal) => {
                    let signal = signal.unwrap_or_default();
                    Err(Failure::new(format!("{name} was ended by signal {signal}")))
                }
            }
        })
    }
}

impl fmt::Debug for Exec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exec")
            .field("program", &self.program)
            .finish_non_exhaustive()
    }
}
