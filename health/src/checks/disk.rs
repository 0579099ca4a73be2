//! There is room on a file system.

use std::ffi::CString;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::amount::bytes;
use crate::check::{Check, ComponentType, Failure, Look, Looked, Measured, Observation, Offload, step};

const MEASURES: &str = "free";

/// Of the inodes at least this many percent have to be free, when it is bytes that are asked for.
const FREE_INODES: u8 = 1;

/// Passes while there is room on the file system of a path: as much as an ordinary user may take (what is
/// reserved for root does not count), and inodes to make files of. Measures `free`, in bytes.
///
/// Without a limit of its own, 10 percent have to be free.
#[derive(Debug)]
pub struct Disk {
    path: PathBuf,
    limit: Limit,
    asking: Offload<io::Result<Space>>,
}

#[derive(Clone, Copy, Debug)]
enum Limit {
    Bytes(u64),
    Percent(u8),
}

/// What statvfs(3) says.
#[derive(Clone, Copy, Debug, Default)]
struct Space {
    total: u64,
    /// For an ordinary user.
    free: u64,
    /// 0 where files need no inodes of a fixed number (btrfs).
    inodes: u64,
    free_inodes: u64,
}

impl Disk {
    /// A check of the file system that `path` is on. While the path does not exist, the check fails.
    pub fn new(path: impl Into<PathBuf>) -> Disk {
        Disk {
            path: path.into(),
            limit: Limit::Percent(10),
            asking: Offload::default(),
        }
    }

    /// This many bytes have to be free, and 1 percent of the inodes. Replaces what was asked for in percent.
    pub fn min_free_bytes(self, bytes: u64) -> Disk {
        Disk {
            limit: Limit::Bytes(bytes),
            ..self
        }
    }

    /// This many percent have to be free, of the bytes and of the inodes. More than 100 counts as 100. Replaces what
    /// was asked for in bytes.
    pub fn min_free_percent(self, percent: u8) -> Disk {
        Disk {
            limit: Limit::Percent(percent.min(100)),
            ..self
        }
    }

    fn judge(&self, space: Space) -> Looked {
        let path = self.path.display();
        let measured = Measured {
            what: MEASURES.into(),
            // Exact up to 8 PiB.
            value: space.free as f64,
            unit: "bytes".into(),
        };
        let (needed, percent) = match self.limit {
            Limit::Bytes(bytes) => (bytes, FREE_INODES),
            Limit::Percent(percent) => (part(space.total, percent), percent),
        };
        if space.free < needed {
            let free = bytes(space.free);
            let needed = bytes(needed);
            return Err(Failure::new(format!("{path} has {free} free, {needed} are needed")).with(measured));
        }
        if space.free_inodes < part(space.inodes, percent) {
            let Space {
                inodes, free_inodes, ..
            } = space;
            let why = format!(
                "{path} has {free_inodes} of {inodes} inodes free, {percent} % are needed: it holds too many files"
            );
            return Err(Failure::new(why).with(measured));
        }
        Ok(Observation::of(measured))
    }
}

/// So many percent of a number, rounded up.
fn part(whole: u64, percent: u8) -> u64 {
    let part = (u128::from(whole) * u128::from(percent)).div_ceil(100);
    u64::try_from(part).unwrap_or(u64::MAX)
}

impl Check for Disk {
    fn look(&self) -> Look<'_> {
        Box::pin(async {
            step(format!("asking how full {} is", self.path.display()));
            let path = self.path.clone();
            // On a thread: the server of a network disk may be gone.
            match self.asking.run(move || ask(&path)).await? {
                Ok(space) => self.judge(space),
                Err(error) => {
                    let path = self.path.display();
                    Err(Failure::new(format!("cannot see how full {path} is: {error}")))
                }
            }
        })
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::System
    }

    fn measures(&self) -> Option<&str> {
        Some(MEASURES)
    }
}

fn ask(path: &Path) -> io::Result<Space> {
    let path = CString::new(path.as_os_str().as_bytes())?;
    // SAFETY: zeroes are a valid statvfs; the path ends with a NUL and outlives the call.
    let (result, said) = unsafe {
        let mut said: libc::statvfs = std::mem::zeroed();
        (libc::statvfs(path.as_ptr(), &mut said), said)
    };
    if result != 0 {
        return Err(io::Error::last_os_error());
    }
    // Blocks are counted in fragments (POSIX, sys/statvfs.h). The types differ from target to target.
    #[allow(clippy::unnecessary_cast)]
    Ok(Space {
        total: (said.f_blocks as u64).saturating_mul(said.f_frsize as u64),
        free: (said.f_bavail as u64).saturating_mul(said.f_frsize as u64),
        inodes: said.f_files as u64,
        free_inodes: said.f_favail as u64,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const SPACE: Space = Space {
        total: 1000 << 20,
        free: 150 << 20,
        inodes: 1000,
        free_inodes: 150,
    };

    fn why(disk: Disk, space: Space) -> Option<String> {
        let disk = disk.judge(space);
        disk.err().map(|failure| {
            assert_eq!(
                failure.measured.map(|measured| measured.what),
                Some("free".into())
            );
            failure.why
        })
    }

    #[test]
    fn bytes_or_percent_have_to_be_free() {
        let disk = || Disk::new("/tmp");
        assert_eq!(why(disk(), SPACE), None);
        assert_eq!(why(disk().min_free_percent(15), SPACE), None);
        assert_eq!(
            why(disk().min_free_percent(16), SPACE).as_deref(),
            Some("/tmp has 150.0 MiB free, 160.0 MiB are needed")
        );
        assert_eq!(why(disk().min_free_bytes(150 << 20), SPACE), None);
        assert_eq!(
            why(disk().min_free_bytes(2 << 30), SPACE).as_deref(),
            Some("/tmp has 150.0 MiB free, 2.0 GiB are needed")
        );
    }

    #[test]
    fn inodes_run_out_too() {
        let few = Space {
            free_inodes: 99,
            ..SPACE
        };
        let disk = || Disk::new("/srv");
        assert_eq!(
            why(disk(), few).as_deref(),
            Some("/srv has 99 of 1000 inodes free, 10 % are needed: it holds too many files")
        );
        assert_eq!(why(disk().min_free_bytes(1), few), None);
        let none = Space {
            free_inodes: 9,
            ..SPACE
        };
        assert!(why(disk().min_free_bytes(1), none).is_some());
        // btrfs has none to run out of.
        let unlimited = Space {
            inodes: 0,
            free_inodes: 0,
            ..SPACE
        };
        assert_eq!(why(disk(), unlimited), None);
    }

    #[tokio::test]
    async fn a_real_file_system_is_measured() {
        let seen = Disk::new("/").min_free_bytes(1).look().await.unwrap();
        assert!(seen.measured.unwrap().value > 0.0);
        let all = Disk::new("/").min_free_percent(100);
        assert!(all.look().await.unwrap_err().measured.is_some());
    }

    #[tokio::test]
    async fn a_path_that_is_not_there_fails() {
        let failure = Disk::new("/nowhere/at/all").look().await.unwrap_err();
        assert_eq!(
            failure.why,
            "cannot see how full /nowhere/at/all is: No such file or directory (os error 2)"
        );
    }
}
