//! The lock: the operating system's, on a file of its own.
//!
//! Never on the database: whoever closes any descriptor of a file drops all POSIX locks of the process on
//! it, SQLite's own included.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read};
use std::os::fd::{AsRawFd, RawFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
use std::time::Duration;

use super::error::WRITABLE;
use crate::error::{Error, ErrorKind};
use crate::event::Holder;

/// More than we ever write.
const LONGEST: u64 = 4096;

/// A lock that is held as long as this lives. The standard library opens files with O_CLOEXEC, so no child
/// inherits it: the lock ends when this process does, whatever it has started.
#[derive(Debug)]
pub(super) struct Lock {
    file: File,
}

impl Lock {
    /// Tries once. `None`: somebody else has it.
    pub fn try_take(path: &Path) -> Result<Option<Lock>, Error> {
        let file = open(path).map_err(|error| failed(path, &error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(failed(path, &error)),
        }
        let lock = Lock { file };
        // It may have been deleted since it was opened: then others lock another one. We never delete it.
        Ok(lock.is_at(path).then_some(lock))
    }

    /// For a guard, which keeps the lock until all of a command has ended.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// True if the file at the path is the one that we have locked.
    pub fn is_at(&self, path: &Path) -> bool {
        match (self.file.metadata(), path.metadata()) {
            (Ok(ours), Ok(there)) => ours.dev() == there.dev() && ours.ino() == there.ino(),
            _ => false,
        }
    }

    /// Tells those who wait who has it. That is only a courtesy: failing to is no failure.
    pub fn sign(&self, run: &str, host: &str, release: &str, since: i64) {
        let line = |text: &str| text.replace(['\n', '\r'], " ");
        let text = format!("{}\n{}\n{}\n{since}\n", line(run), line(host), line(release));
        if self.file.write_all_at(text.as_bytes(), 0).is_ok() {
            let _ = self.file.set_len(text.len() as u64);
        }
    }

    /// Gives it back. The file stays, because a deleted file locks nobody out.
    pub fn release(self) {
        let _ = self.file.set_len(0);
        let _ = self.file.unlock();
    }
}

/// Who signed last. It may be dead.
pub(super) fn holder(path: &Path, now: i64) -> Option<Holder> {
    let mut text = String::new();
    File::open(path)
        .ok()?
        .take(LONGEST)
        .read_to_string(&mut text)
        .ok()?;
    let mut lines = text.lines();
    let (run, host, release, since) = (lines.next()?, lines.next()?, lines.next()?, lines.next()?);
    let since: i64 = since.parse().ok()?;
    Some(Holder {
        run: run.to_owned(),
        host: host.to_owned(),
        release: release.to_owned(),
        held: Duration::from_micros(u64::try_from(now - since).unwrap_or(0)),
    })
}

fn open(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    match options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .open(path)
    {
        // Another user made it. It can be locked all the same, only not be signed.
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied && path.exists() => File::open(path),
        answer => answer,
    }
}

fn failed(path: &Path, error: &io::Error) -> Error {
    let message = format!("cannot lock {}: {error}", path.display());
    match error.kind() {
        io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Denied, message).with_remedy(WRITABLE),
        io::ErrorKind::ReadOnlyFilesystem => {
            Error::new(ErrorKind::Config, message).with_remedy("mount a writable volume there")
        }
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            Error::new(ErrorKind::Unavailable, message).with_remedy("make room on its disk")
        }
        _ => Error::new(ErrorKind::Config, message)
            .with_remedy("put the database on a file system that has locks"),
    }
}
