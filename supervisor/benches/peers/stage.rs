//! Where one contender plays one round: a directory of its own, the pipe for the reports of its
//! children, and the process itself. Every wait ends.

use std::fs::{self, File, OpenOptions};
use std::io::Read;
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

use crate::{Result, os};

/// The longest wait for anything. Making 20,000 orphans takes long where nobody reaps them.
const PATIENCE: Duration = Duration::from_secs(45);

/// A directory and a pipe.
pub struct Stage {
    directory: tempfile::TempDir,
    pipe: PathBuf,
    reports: File,
    /// What was read and not asked for yet.
    pending: Vec<Report>,
    /// The beginning of a report whose end was not read yet.
    carry: String,
}

/// What a child said.
#[derive(Debug)]
pub struct Report {
    pub what: String,
    /// A time on the shared clock, or a count.
    pub value: u64,
    /// Who said so, in its own PID namespace.
    pub pid: u32,
}

impl Stage {
    pub fn new() -> Result<Stage> {
        let directory = tempfile::tempdir()?;
        let pipe = directory.path().join("reports");
        os::make_fifo(&pipe)?;
        // Open for writing too, so that it never blocks and never ends.
        let reports = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_NONBLOCK)
            .open(&pipe)?;
        Ok(Stage {
            directory,
            pipe,
            reports,
            pending: Vec::new(),
            carry: String::new(),
        })
    }

    /// Where the contender may put its files.
    pub fn path(&self) -> &Path {
        self.directory.path()
    }

    /// Where the children report.
    pub fn pipe(&self) -> &Path {
        &self.pipe
    }

    /// Writes a file into the directory.
    pub fn write(&self, name: &str, text: &str) -> Result<PathBuf> {
        let path = self.directory.path().join(name);
        fs::write(&path, text)?;
        Ok(path)
    }

    /// Waits for `count` reports of a kind.
    pub fn expect(&mut self, what: &str, count: usize) -> Result<Vec<Report>> {
        (0..count).map(|_| self.expect_any(&[what])).collect()
    }

    /// Waits for one report of any of these kinds.
    pub fn expect_any(&mut self, kinds: &[&str]) -> Result<Report> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            self.read()?;
            let wanted = |report: &Report| kinds.contains(&report.what.as_str());
            if let Some(index) = self.pending.iter().position(wanted) {
                return Ok(self.pending.remove(index));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(format!("no report of {} within {PATIENCE:?}", kinds.join(" or ")).into());
            }
            os::readable(&self.reports, left);
        }
    }

    fn read(&mut self) -> Result<()> {
        let mut buffer = [0; 4096];
        match self.reports.read(&mut buffer) {
            Ok(count) => self.carry.push_str(std::str::from_utf8(&buffer[..count])?),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error.into()),
        }
        while let Some(end) = self.carry.find('\n') {
            let line: String = self.carry.drain(..=end).collect();
            let mut words = line.split_ascii_whitespace();
            let mut next = || words.next().ok_or("a torn report");
            self.pending.push(Report {
                what: next()?.to_owned(),
                value: next()?.parse()?,
                pid: next()?.parse()?,
            });
        }
        Ok(())
    }
}

/// A process of ours. It is killed when it is dropped before its end.
pub struct Running {
    child: Child,
    end: OwnedFd,
    reaped: bool,
    /// Just before it was started.
    pub began: u64,
}

impl Running {
    pub fn start(command: &mut Command) -> Result<Running> {
        let began = os::now();
        let child = command
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        Ok(Running {
            end: os::pidfd(child.id())?,
            child,
            reaped: false,
            began,
        })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    pub fn signal(&self, signal: i32) {
        os::kill(self.child.id(), signal);
    }

    /// Waits for its end and says when that was and how much CPU time it had used.
    pub fn wait(mut self) -> Result<(u64, Duration)> {
        if !os::readable(&self.end, PATIENCE) {
            return Err(format!("still running after {PATIENCE:?}").into());
        }
        let ended = os::now();
        let cpu = os::cpu_time(self.child.id())?;
        self.child.wait()?;
        self.reaped = true;
        Ok((ended, cpu))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.reaped {
            // Reaped right after, so the pid cannot belong to anybody else.
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
