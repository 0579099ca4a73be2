//! What makes one run the same as another: a hash over all that decides what it does.
//!
//! The same content gives the same fingerprint on every machine: neither absolute paths nor times go in.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use crate::db::Key;
use crate::dir::{Migration, hexadecimal, with_lf};
use crate::error::{Error, ErrorKind};

/// How much of a fingerprint stands for it where people read it.
const SHORT: usize = 12;

/// What SQL files are recorded under.
pub(crate) fn key_of_migrations(migrations: &[Migration], release: Option<String>, what: String) -> Key {
    let fingerprint = of_migrations(migrations);
    Key {
        release: release.unwrap_or_else(|| fingerprint[..SHORT].to_owned()),
        fingerprint,
        what,
        skippable: true,
    }
}

/// What a command is recorded under.
///
/// # Errors
/// If an input cannot be read.
pub(crate) fn key_of_command(
    argv: &[String],
    release: Option<String>,
    inputs: &[PathBuf],
) -> Result<Key, Error> {
    let fingerprint = of_command(argv, release.as_deref(), inputs)?;
    Ok(Key {
        skippable: release.is_some() || !inputs.is_empty(),
        release: release.unwrap_or_else(|| fingerprint[..SHORT].to_owned()),
        fingerprint,
        what: format!("command {}", argv.join(" ")),
    })
}

/// For what is no run.
pub(crate) fn no_key() -> Key {
    Key {
        release: String::new(),
        fingerprint: String::new(),
        what: String::new(),
        skippable: false,
    }
}

/// Of SQL files: their versions and their text, line endings aside. Hexadecimal.
pub(crate) fn of_migrations(migrations: &[Migration]) -> String {
    let mut hash = Fields::new("migrations");
    for migration in migrations {
        hash.add(&migration.version.to_be_bytes());
        hash.add(with_lf(&migration.sql).as_bytes());
    }
    hash.finish()
}

/// Of a command: its arguments, the release if one is given, and its inputs (files, or directories with all
/// that is below them). Hexadecimal.
pub(crate) fn of_command(
    argv: &[String],
    release: Option<&str>,
    inputs: &[PathBuf],
) -> Result<String, Error> {
    let mut hash = Fields::new("command");
    hash.add(&(argv.len() as u64).to_be_bytes());
    for argument in argv {
        hash.add(argument.as_bytes());
    }
    match release {
        Some(release) => {
            hash.add(b"release");
            hash.add(release.as_bytes());
        }
        None => hash.add(b"no release"),
    }
    for input in inputs {
        hash.add(b"input");
        add_input(&mut hash, input, Path::new(""), &mut BTreeSet::new()).map_err(|(path, error)| {
            Error::new(
                ErrorKind::Config,
                format!(
                    "the input {} of the command cannot be read: {error}",
                    path.display()
                ),
            )
            .with_remedy("name files or directories that are in the image and that this user may read")
        })?;
    }
    Ok(hash.finish())
}

/// Adds a file, or a directory's files in the order of their names. `below`: where it is in the input.
/// Links are followed, each directory once: links that go round in circles end.
fn add_input(
    hash: &mut Fields,
    path: &Path,
    below: &Path,
    seen: &mut BTreeSet<PathBuf>,
) -> Result<(), (PathBuf, io::Error)> {
    let cannot = |error| (path.to_owned(), error);
    let metadata = match fs::metadata(path) {
        // A link to nothing is part of a directory like everything else; as an input itself it is an error.
        Err(error)
            if error.kind() == io::ErrorKind::NotFound && path.is_symlink() && below != Path::new("") =>
        {
            hash.add(b"dangling");
            hash.add(below.as_os_str().as_bytes());
            return Ok(());
        }
        metadata => metadata.map_err(cannot)?,
    };
    if metadata.is_file() {
        hash.add(b"file");
        hash.add(below.as_os_str().as_bytes());
        hash.add(&content(path).map_err(cannot)?);
    } else if metadata.is_dir() {
        if !seen.insert(path.canonicalize().map_err(cannot)?) {
            return Ok(());
        }
        let mut names = BTreeSet::new();
        for entry in fs::read_dir(path).map_err(cannot)? {
            names.insert(entry.map_err(cannot)?.file_name());
        }
        for name in names {
            add_input(hash, &path.join(&name), &below.join(&name), seen)?;
        }
    }
    // Sockets and the like have no content.
    Ok(())
}

/// A hash over a file's bytes.
fn content(path: &Path) -> io::Result<[u8; 32]> {
    let mut file = File::open(path)?;
    let mut hash = Sha256::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        match file.read(&mut buffer)? {
            0 => return Ok(hash.finalize().into()),
            length => hash.update(&buffer[..length]),
        }
    }
}

/// A hash over a list of fields: where one ends and the next begins counts.
struct Fields(Sha256);

impl Fields {
    fn new(kind: &str) -> Fields {
        let mut fields = Fields(Sha256::new());
        fields.add(kind.as_bytes());
        fields
    }

    fn add(&mut self, field: &[u8]) {
        self.0.update((field.len() as u64).to_be_bytes());
        self.0.update(field);
    }

    fn finish(self) -> String {
        hexadecimal(self.0.finalize())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn migration(name: &str, sql: &str) -> Migration {
        Migration::new(name, sql).expect("a name")
    }

    fn argv(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn of_migrations_versions_and_texts_count() {
        let hash = |files: &[(&str, &str)]| {
            let files: Vec<Migration> = files.iter().map(|(name, sql)| migration(name, sql)).collect();
            of_migrations(&files)
        };
        let first = hash(&[("1_a.sql", "a;\nb;\n"), ("2_b.sql", "c")]);
        assert_eq!(first.len(), 64);
        assert_eq!(first, hash(&[("01_other.sql", "a;\r\nb;\r\n"), ("2_b.sql", "c")]));
        for other in [
            hash(&[("1_a.sql", "a;\nb;\n")]),
            hash(&[("1_a.sql", "a;\nb;\n"), ("3_b.sql", "c")]),
            hash(&[("1_a.sql", "a;\nb;\n"), ("2_b.sql", "d")]),
            hash(&[("1_a.sql", "a;\nb;\nc"), ("2_b.sql", "")]),
        ] {
            assert_ne!(first, other);
        }
    }

    #[test]
    fn of_a_command_all_that_it_is_made_of_counts() {
        let dir = tempfile::tempdir().expect("a directory");
        let write = |name: &str, text: &str| {
            let path = dir.path().join(name);
            fs::write(&path, text).expect("a file");
            path
        };
        let (a, b) = (write("a", "1"), write("b", "2"));
        let of = |words: &[&str], release, inputs: &[&PathBuf]| {
            let inputs: Vec<PathBuf> = inputs.iter().map(|path| (*path).clone()).collect();
            of_command(&argv(words), release, &inputs).expect("a fingerprint")
        };
        let all = [
            of(&["x", "y"], None, &[]),
            of(&["x y"], None, &[]),
            of(&["x"], Some("y"), &[]),
            of(&["x", "y"], Some(""), &[]),
            of(&["x", "y"], Some("1"), &[]),
            of(&["x", "y"], None, &[&a]),
            of(&["x", "y"], None, &[&b]),
            of(&["x", "y"], None, &[&a, &b]),
            of(&["x", "y"], None, &[&b, &a]),
        ];
        let different: BTreeSet<&String> = all.iter().collect();
        assert_eq!(different.len(), all.len());
        assert_eq!(all[0], of(&["x", "y"], None, &[]));
    }

    /// Makes the same tree in two places, changes one of the two, and says if the fingerprints differ.
    fn differs(change: impl Fn(&Path)) -> bool {
        let make = || {
            let dir = tempfile::tempdir().expect("a directory");
            let at = dir.path();
            fs::create_dir_all(at.join("b/c")).expect("a directory");
            for name in ["a.sql", "b.sql", "b/1", "b/c/2"] {
                fs::write(at.join(name), name).expect("a file");
            }
            symlink("..", at.join("b/up")).expect("a link");
            symlink("nowhere", at.join("b/dangling")).expect("a link");
            dir
        };
        let of = |dir: &Path| of_command(&[], None, &[dir.to_owned()]).expect("a fingerprint");
        let (one, other) = (make(), make());
        assert_eq!(of(one.path()), of(other.path()));
        change(other.path());
        of(one.path()) != of(other.path())
    }

    #[test]
    fn of_a_directory_names_and_contents_count_and_nothing_else() {
        let rename =
            |dir: &Path, from: &str, to: &str| fs::rename(dir.join(from), dir.join(to)).expect("renamed");
        assert!(differs(|dir| rename(dir, "b/1", "b/3")));
        assert!(differs(|dir| rename(dir, "b/1", "1")));
        assert!(differs(
            |dir| fs::write(dir.join("b/c/2"), "other").expect("written")
        ));
        assert!(differs(|dir| fs::write(dir.join("b/c/3"), "").expect("written")));
        assert!(differs(|dir| fs::remove_file(dir.join("b/1")).expect("removed")));
        assert!(differs(
            |dir| fs::remove_file(dir.join("b/dangling")).expect("removed")
        ));
        // A later time of the same content.
        assert!(!differs(|dir| {
            let file = File::options().write(true).open(dir.join("b/1")).expect("a file");
            file.set_modified(std::time::UNIX_EPOCH).expect("a time");
        }));
        // A link in place of the file that it points to.
        let elsewhere = tempfile::tempdir().expect("a directory");
        assert!(!differs(|dir| {
            let target = elsewhere.path().join("1");
            fs::copy(dir.join("b/1"), &target).expect("copied");
            fs::remove_file(dir.join("b/1")).expect("removed");
            symlink(target, dir.join("b/1")).expect("a link");
        }));
        // What git does not keep.
        assert!(!differs(
            |dir| fs::create_dir(dir.join("empty")).expect("a directory")
        ));
    }

    #[test]
    fn links_between_directories_come_to_an_end() {
        let dir = tempfile::tempdir().expect("a directory");
        // Each of twelve directories links to all the others: as many ways through as there are orders.
        for from in 0..12 {
            let at = dir.path().join(format!("{from}"));
            fs::create_dir(&at).expect("a directory");
            for to in 0..12 {
                symlink(format!("../{to}"), at.join(format!("to{to}"))).expect("a link");
            }
        }
        of_command(&[], None, &[dir.path().to_owned()]).expect("it ends");
    }

    #[test]
    fn an_input_that_is_missing_is_named() {
        let dir = tempfile::tempdir().expect("a directory");
        symlink("nowhere", dir.path().join("link")).expect("a link");
        for name in ["missing", "link"] {
            let error = of_command(&[], None, &[dir.path().join(name)]).expect_err("missing");
            assert_eq!(error.kind(), ErrorKind::Config);
            assert!(
                error.to_string().contains(name) && error.remedy().is_some(),
                "{error}"
            );
        }
    }
}
