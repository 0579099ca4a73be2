//! Whole documents in, plans or error lines out.
mod bad;
mod bad_process;
mod checks;
mod format;
mod forwarding;
mod good;
mod health;
mod logs;
mod properties;
mod search;
mod secrets;
mod trace;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::*;

/// A file system with accounts, and an environment.
struct World {
    root: tempfile::TempDir,
    env: BTreeMap<String, String>,
    command: Vec<String>,
}

impl World {
    fn new() -> World {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc/runmate")).unwrap();
        fs::write(
            root.path().join("etc/passwd"),
            "www-data:x:33:33::/var/www:/bin/sh\n",
        )
        .unwrap();
        fs::write(root.path().join("etc/group"), "adm:x:4:www-data\n").unwrap();
        fs::create_dir(root.path().join("srv")).unwrap();
        World {
            root,
            env: BTreeMap::new(),
            command: Vec::new(),
        }
    }

    fn env(mut self, name: &str, value: &str) -> World {
        self.env.insert(name.to_owned(), value.to_owned());
        self
    }

    fn command(mut self, argv: &[&str]) -> World {
        self.command = argv.iter().map(|argument| argument.to_string()).collect();
        self
    }

    /// Writes a file below the root; `srv` is the working directory.
    fn file(self, path: &str, text: &str) -> World {
        fs::write(self.root.path().join(path), text).unwrap();
        self
    }

    fn with<T>(&self, file: Option<&str>, run: impl FnOnce(&Inputs) -> T) -> T {
        let cwd = self.root.path().join("srv");
        run(&Inputs {
            file: file.map(Path::new),
            command: self.command.clone(),
            env: &self.env,
            root: self.root.path(),
            cwd: &cwd,
        })
    }

    /// Loads what the search finds.
    fn search(&self) -> Result<Plan, ConfigErrors> {
        self.with(None, load)
    }

    /// Resolves a text as the file `runmate.toml`.
    fn read(&self, text: &str) -> Result<Plan, ConfigErrors> {
        self.with(None, |inputs| build(inputs, Source::Inline, "runmate.toml", text))
    }
}

/// The plan of a text in a bare environment.
fn plan(text: &str) -> Plan {
    World::new()
        .read(text)
        .unwrap_or_else(|errors| panic!("{text}\n{errors}"))
}

/// The error lines of a text, without the name of the file.
fn errors(world: &World, text: &str) -> Vec<String> {
    let errors = world.read(text).map(|_| ()).expect_err(text);
    let line = |error: &ConfigError| {
        let line = error.to_string();
        let line = line.strip_prefix("runmate.toml:").unwrap_or(&line).to_owned();
        line.replace(&world.root.path().display().to_string(), "")
    };
    errors.errors.iter().map(line).collect()
}

fn argv(words: &[&str]) -> Command {
    Command::Argv(words.iter().map(|word| word.to_string()).collect())
}
