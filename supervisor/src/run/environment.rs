//! The environment and the command line of a child.

use std::ffi::OsString;

use crate::config::{Command, EnvInherit, Process};

/// Runmate's own environment, read once.
pub(super) type Inherited = Vec<(OsString, OsString)>;

/// What the process finds in its environment: inherited < its user's identity < `env`.
pub(super) fn of_process(process: &Process, inherited: &Inherited) -> Vec<(OsString, OsString)> {
    let wanted = |key: &OsString| match &process.env_inherit {
        EnvInherit::All => true,
        EnvInherit::None => false,
        EnvInherit::Only(names) => names.iter().any(|name| key == name.as_str()),
    };
    let mut env: Vec<_> = inherited.iter().filter(|(key, _)| wanted(key)).cloned().collect();
    let mut set = |key: &str, value: &str| {
        env.retain(|(known, _)| known != key);
        env.push((key.into(), value.into()));
    };
    // Another user with root's HOME would fail at its first dot file.
    if let Some(user) = &process.user {
        if let Some(home) = &user.home {
            set("HOME", home);
        }
        if let Some(name) = &user.name {
            set("USER", name);
            set("LOGNAME", name);
        }
    }
    for (key, value) in &process.env {
        set(key, value);
    }
    env
}

/// The argument vector of a command.
pub(super) fn argv(command: &Command) -> Vec<OsString> {
    match command {
        Command::Argv(argv) => argv.iter().map(OsString::from).collect(),
        Command::Shell(line) => ["/bin/sh", "-c", line].map(OsString::from).to_vec(),
    }
}
