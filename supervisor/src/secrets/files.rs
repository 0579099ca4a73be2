//! Secrets as files: in memory, each readable by the one user it is for.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use runmate_secrets::Secret;

use crate::process::sys;

/// Where they are: a file system in memory that even an image from scratch has.
const PARENT: &str = "/dev/shm";

/// Whom a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Owner {
    pub uid: u32,
    pub gid: u32,
}

impl Owner {
    /// Those who run as we do.
    pub fn ourselves() -> Owner {
        Owner {
            uid: sys::effective_uid(),
            gid: sys::effective_gid(),
        }
    }
}

/// A directory of our own. Removed when this is dropped.
pub(crate) struct Files {
    root: PathBuf,
}

impl Files {
    /// Makes the directory.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn create() -> Result<Files, String> {
        let explain = |error| format!("cannot make a directory under {PARENT}: {error}; {REMEDY}");
        // The number is free in this container, or left over from a runmate that was killed.
        for attempt in 0..100 {
            let root = Path::new(PARENT).join(format!("runmate-{}.{attempt}", std::process::id()));
            if root.exists() {
                continue;
            }
            return make_directory(&root).map(|()| Files { root }).map_err(explain);
        }
        Err(format!("{PARENT} is full of directories runmate-*; remove them"))
    }

    /// Writes a secret for a user; gives the path.
    ///
    /// # Errors
    /// A sentence with the remedy.
    pub fn write(&self, name: &str, value: &Secret, owner: Owner) -> Result<String, String> {
        let dir = self.root.join(format!("{}-{}", owner.uid, owner.gid));
        let path = dir.join(name);
        let written = make_directory(&dir).and_then(|()| write_new(&path, value, owner));
        match written {
            // Made of ASCII only.
            Ok(()) => Ok(path.to_string_lossy().into_owned()),
            Err(error) => Err(format!("cannot write {}: {error}; {REMEDY}", path.display())),
        }
    }
}

const REMEDY: &str = "a secret with as = \"file\" needs a writable file system in memory there";

/// It stays ours, so that root without the right to override permissions can still write and remove files
/// in it. What keeps others out is the mode of each file.
fn make_directory(dir: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o711).create(dir) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error),
        // Whatever the umask took away: other users must get through.
        Ok(()) => fs::set_permissions(dir, Permissions::from_mode(0o711)),
    }
}

fn write_new(path: &Path, value: &Secret, owner: Owner) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o400)
        .open(path)?;
    file.write_all(value.expose())?;
    give(&file, owner)
}

/// Only root may, and only root needs to.
fn give(file: &File, owner: Owner) -> io::Result<()> {
    let now = file.metadata()?;
    if (now.uid(), now.gid()) == (owner.uid, owner.gid) {
        return Ok(());
    }
    fchown(file, Some(owner.uid), Some(owner.gid)).map_err(|error| {
        let what = format!(
            "cannot give it to user {}, which takes root or CAP_CHOWN: {error}",
            owner.uid
        );
        io::Error::new(error.kind(), what)
    })
}

impl Drop for Files {
    fn drop(&mut self) {
        // What cannot be removed goes with the container.
        let _ = fs::remove_dir_all(&self.root);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_for_its_owner_and_goes_with_us() {
        let owner = Owner::ourselves();
        let files = Files::create().unwrap();
        let path = files.write("KEY", &Secret::new("value"), owner).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"value");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o400);
        let other = files.write("OTHER", &Secret::new([0, 255]), owner).unwrap();
        assert_eq!(fs::read(other).unwrap(), [0, 255]);
        if owner.uid == 0 {
            // Of the same user, and not the same file.
            let group = Owner { gid: 1, ..owner };
            let of_group = files.write("KEY", &Secret::new("value"), group).unwrap();
            assert_ne!(of_group, path);
            assert_eq!(fs::metadata(of_group).unwrap().gid(), 1);
        }
        let parent = Path::new(&path).parent().unwrap().to_owned();
        assert_eq!(fs::metadata(&parent).unwrap().mode() & 0o777, 0o711);
        let again = Files::create().unwrap();
        assert_ne!(again.root, files.root);
        drop(files);
        assert!(!parent.exists());
    }
}
