//! Where the database is, and whether it can be written to.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::sqlite::SqliteConnectOptions;

use super::error::WRITABLE;
use crate::error::{Error, ErrorKind};
use crate::url::Target;

/// A database file that can be written to, or be made; or one that can be read, or is not there.
#[derive(Debug, Clone)]
pub(super) struct Place {
    /// For people.
    pub name: String,
    /// The lock's file.
    pub lock: PathBuf,
    /// There is something to be opened.
    pub exists: bool,
    options: SqliteConnectOptions,
}

impl Place {
    /// Finds the file by its real path, so that all who name it in different ways meet at one lock. (Hard
    /// links have different ones; SQLite itself is not safe with them.)
    pub fn find(target: &Target) -> Result<Place, Error> {
        let config =
            |message: String, remedy: &str| Error::new(ErrorKind::Config, message).with_remedy(remedy);
        let options = SqliteConnectOptions::from_str(&target.url).map_err(|error| {
            config(
                format!(
                    "cannot understand the URL of the SQLite database {}: {error}",
                    target.name
                ),
                "write sqlite:FILE",
            )
        })?;
        if read_only(&target.url) && !target.read_only {
            return Err(config(
                format!("the URL of the SQLite database {} says read-only", target.name),
                "take mode=ro or immutable out of the URL, or set MIGRATE_DATABASE_URL",
            ));
        }
        let path = real(options.get_filename(), &target.name)?;
        if path.is_dir() {
            return Err(config(
                format!("{} is a directory, not an SQLite database", path.display()),
                "name a file in it",
            ));
        }
        // The file is never opened here: closing it would drop the locks that other connections of this
        // process have on it.
        let exists = path.exists();
        if !target.read_only {
            if exists {
                writable(&path)?;
            }
            writable(path.parent().unwrap_or(Path::new("/")))?;
        }
        let mut lock = path.clone().into_os_string();
        lock.push(".runmate-lock");
        Ok(Place {
            name: target.name.clone(),
            lock: lock.into(),
            exists,
            options: options
                .filename(path)
                .create_if_missing(!target.read_only)
                .read_only(target.read_only)
                .disable_statement_logging(),
        })
    }

    /// How to read it where not even SQLite's own files can be made beside it, which it wants for a database
    /// with a write-ahead log. None if there is something in such a file that belongs to the database.
    pub fn unchanging(&self) -> Option<SqliteConnectOptions> {
        let beside = |suffix: &str| {
            let mut path = self.options.get_filename().as_os_str().to_owned();
            path.push(suffix);
            Path::new(&path).metadata().is_ok_and(|meta| meta.len() > 0)
        };
        let whole = !beside("-wal") && !beside("-journal");
        whole.then(|| self.options(Duration::ZERO).immutable(true))
    }

    /// How to open it. The journal mode is left as it is; all else is as sqlx has it (foreign keys are
    /// enforced), because that is what the files were written for.
    pub fn options(&self, busy: Duration) -> SqliteConnectOptions {
        self.options
            .clone()
            .busy_timeout(busy.min(Duration::from_secs(3600)))
    }
}

/// What the driver keeps to itself.
fn read_only(url: &str) -> bool {
    let options = url.split_once('?').map_or("", |(_, options)| options);
    options
        .split('&')
        .any(|option| matches!(option, "mode=ro" | "immutable=1" | "immutable=true"))
}

/// The path without links. The file may not be there yet, its directory must.
fn real(path: &Path, name: &str) -> Result<PathBuf, Error> {
    let failed = |path: &Path, error: io::Error| {
        let message = format!(
            "cannot find the SQLite database {name}: {}: {error}",
            path.display()
        );
        match error.kind() {
            io::ErrorKind::PermissionDenied => Error::new(ErrorKind::Denied, message).with_remedy(WRITABLE),
            _ => Error::new(ErrorKind::Config, message).with_remedy("name a file in a directory that exists"),
        }
    };
    match path.canonicalize() {
        Ok(path) => return Ok(path),
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(path, error)),
        Err(_) => {}
    }
    // A link to a file that is not there yet: the lock belongs beside the file.
    if let Ok(link) = path.read_link() {
        let to = path.parent().unwrap_or(Path::new("")).join(link);
        return match to.symlink_metadata() {
            Ok(meta) if meta.is_symlink() => Err(failed(&to, io::Error::other("too many symbolic links"))),
            _ => real(&to, name),
        };
    }
    let file = path
        .file_name()
        .ok_or_else(|| failed(path, io::Error::other("this names no file")))?;
    let dir = match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    };
    match dir.canonicalize() {
        Ok(dir) => Ok(dir.join(file)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(Error::new(
            ErrorKind::Config,
            format!(
                "the directory {} of the SQLite database {name} does not exist",
                dir.display()
            ),
        )
        .with_remedy("create it, or mount a volume there")),
        Err(error) => Err(failed(dir, error)),
    }
}

/// Asks the kernel, which knows about users, modes and read-only file systems.
fn writable(path: &Path) -> Result<(), Error> {
    let text = CString::new(path.as_os_str().as_bytes()).map_err(|_| {
        Error::new(
            ErrorKind::Config,
            "the path of the SQLite database holds a zero byte",
        )
    })?;
    // SAFETY: the path is a C string that lives until the call returns; nothing else is passed.
    let answer = unsafe { libc::faccessat(libc::AT_FDCWD, text.as_ptr(), libc::W_OK, libc::AT_EACCESS) };
    if answer == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    let message = format!("cannot write to {}: {error}", path.display());
    Err(match error.raw_os_error() {
        Some(libc::EROFS) => Error::new(ErrorKind::Config, message)
            .with_remedy("mount a writable volume there, or name a file on one"),
        _ => Error::new(ErrorKind::Denied, message).with_remedy(WRITABLE),
    })
}
