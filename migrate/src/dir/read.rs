//! A directory's files, and what their names say.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::checksum::checksum;
use crate::error::{Error, ErrorKind};

/// A migration: one file of the directory, or one that the program brings along.
///
/// The name of its file is `VERSION_DESCRIPTION.sql`, or `VERSION_DESCRIPTION.up.sql` beside a `.down.sql`,
/// as sqlx has it. A file that begins with `-- no-transaction` runs statement by statement, outside of a
/// transaction (`CREATE INDEX CONCURRENTLY` needs that); on MySQL and MariaDB, where most of what a migration
/// does commits at once, all files run so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Migration {
    pub(crate) version: i64,
    pub(crate) description: String,
    pub(crate) file: String,
    pub(crate) sql: String,
    /// SHA-384 of the bytes as they are, as sqlx has it.
    pub(crate) checksum: Vec<u8>,
    /// The file begins with `-- no-transaction`.
    pub(crate) no_transaction: bool,
}

impl Migration {
    /// A migration that the program brings along.
    ///
    /// ```
    /// use runmate_migrate::Migration;
    ///
    /// // In a program: include_str!("../migrations/20240131_create_users.sql")
    /// let migration = Migration::new("20240131_create_users.sql", "CREATE TABLE users (id INT)")?;
    /// assert_eq!(migration.version(), 20240131);
    /// assert_eq!(migration.description(), "create users");
    /// # Ok::<(), runmate_migrate::Error>(())
    /// ```
    ///
    /// # Errors
    /// If the name is not that of a migration: of kind [`Config`](ErrorKind::Config).
    pub fn new(file_name: &str, sql: impl Into<String>) -> Result<Migration, Error> {
        let refuse = |why: &str| {
            Err(Error::new(
                ErrorKind::Config,
                format!("the migration {file_name:?} cannot be used: {why}"),
            )
            .with_remedy(format!("name it {NAMES}")))
        };
        match Name::parse(file_name) {
            Name::Up { version, description } => {
                Ok(Migration::with(version, description, file_name, sql.into()))
            }
            Name::Down => refuse("it takes another one back"),
            Name::NoNumber => refuse("its name does not begin with a version, an integer"),
            Name::Other => refuse("its name is not VERSION_DESCRIPTION.sql"),
        }
    }

    /// The number that its name begins with.
    pub fn version(&self) -> i64 {
        self.version
    }

    /// The rest of its name, in words.
    pub fn description(&self) -> &str {
        &self.description
    }

    fn with(version: i64, description: String, file: &str, sql: String) -> Migration {
        Migration {
            version,
            description,
            file: file.to_owned(),
            checksum: checksum(&sql),
            no_transaction: sql.starts_with("-- no-transaction"),
            sql,
        }
    }
}

/// What a remedy says about names.
const NAMES: &str =
    "VERSION_DESCRIPTION.sql, such as 20240131120000_create_users.sql or 12_create_users.up.sql";

/// What a file's name says, by the rules of sqlx.
#[derive(Debug, PartialEq, Eq)]
enum Name {
    Up {
        version: i64,
        description: String,
    },
    /// A migration's way back, which is not ours to run.
    Down,
    /// It would be a migration, if what stands before `_` were a number.
    NoNumber,
    Other,
}

impl Name {
    fn parse(name: &str) -> Name {
        let Some((version, rest)) = name.split_once('_') else {
            return Name::Other;
        };
        if !rest.ends_with(".sql") {
            return Name::Other;
        }
        let Ok(version) = version.parse() else {
            return Name::NoNumber;
        };
        if rest.ends_with(".down.sql") {
            return Name::Down;
        }
        let suffix = if rest.ends_with(".up.sql") {
            ".up.sql"
        } else {
            ".sql"
        };
        Name::Up {
            version,
            description: rest.trim_end_matches(suffix).replace('_', " "),
        }
    }
}

/// What a directory holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Directory {
    /// In the order of versions, at least one.
    pub migrations: Vec<Migration>,
    /// Names of files that end in `.sql` and are no migrations, as sqlx sees it: worth a word.
    pub ignored: Vec<String>,
}

/// Reads a directory in the format of sqlx.
pub(crate) fn read(dir: &Path) -> Result<Directory, Error> {
    let shown = dir.display();
    let config = |message: String, remedy: &str| Error::new(ErrorKind::Config, message).with_remedy(remedy);
    let unreadable = |error: io::Error| {
        let message = format!("the directory of migrations {shown} cannot be read: {error}");
        match error.kind() {
            io::ErrorKind::NotFound => config(
                message,
                "name the directory with --dir or as migrate.dir; is it copied into the image?",
            ),
            io::ErrorKind::NotADirectory => config(message, "name the directory, not one of its files"),
            _ => config(message, "give the user that runs this the right to read it"),
        }
    };
    let mut migrations = Vec::new();
    let mut ignored = Vec::new();
    for entry in fs::read_dir(dir).map_err(unreadable)? {
        let entry = entry.map_err(unreadable)?;
        let path = entry.path();
        let name = entry.file_name().to_string_lossy().into_owned();
        let parsed = Name::parse(&name);
        if !name.ends_with(".sql") || parsed == Name::Down {
            continue;
        }
        let cannot = |error: io::Error| {
            config(
                format!("the migration {} cannot be read: {error}", path.display()),
                "give the user that runs this the right to read it",
            )
        };
        // By what a link points to, too.
        if !fs::metadata(&path).map_err(cannot)?.is_file() {
            continue;
        }
        match parsed {
            Name::Up { version, description } => {
                let sql = String::from_utf8(fs::read(&path).map_err(cannot)?).map_err(|error| {
                    let before = &error.as_bytes()[..error.utf8_error().valid_up_to()];
                    let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
                    config(
                        format!("the migration {} is not UTF-8 (line {line})", path.display()),
                        "convert it, for instance with: iconv -f latin1 -t utf-8",
                    )
                })?;
                migrations.push(Migration::with(version, description, &name, sql));
            }
            Name::NoNumber => {
                return Err(config(
                    format!(
                        "the file {} does not begin with a version, an integer",
                        path.display()
                    ),
                    &format!("name it {NAMES}, or move it out of the directory"),
                ));
            }
            Name::Down | Name::Other => ignored.push(name),
        }
    }
    ignored.sort();
    if migrations.is_empty() {
        let beside = match ignored.as_slice() {
            [] => String::new(),
            names => format!("; it ignores {}", names.join(", ")),
        };
        return Err(config(
            format!("the directory {shown} holds no migration{beside}"),
            &format!("name files {NAMES}"),
        ));
    }
    Ok(Directory {
        migrations: in_order(migrations)?,
        ignored,
    })
}

/// The same migrations in the order of versions. Two of one version are an error, and so is text that is none.
pub(crate) fn in_order(migrations: Vec<Migration>) -> Result<Vec<Migration>, Error> {
    let mut sorted: BTreeMap<i64, Migration> = BTreeMap::new();
    for migration in migrations {
        // No database takes one in a text; each has a riddle of its own for it.
        if let Some((before, _)) = migration.sql.split_once('\0') {
            let line = before.matches('\n').count() + 1;
            let message = format!("the migration {} has a NUL byte in line {line}", migration.file);
            return Err(Error::new(ErrorKind::Config, message).with_remedy("save it as UTF-8 text"));
        }
        if let Some(other) = sorted.get(&migration.version) {
            let mut names = [other.file.as_str(), migration.file.as_str()];
            names.sort_unstable();
            return Err(Error::new(
                ErrorKind::Config,
                format!(
                    "two migrations have version {}: {}",
                    migration.version,
                    names.join(" and ")
                ),
            )
            .with_remedy("give the one that was applied nowhere yet another version"));
        }
        sorted.insert(migration.version, migration);
    }
    Ok(sorted.into_values().collect())
}

#[cfg(test)]
mod tests;
