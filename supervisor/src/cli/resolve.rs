//! Resolving secrets in a command that lives for one purpose: `exec` and `migrate`.

use crate::config;
use crate::helper::{self, Answers};
use crate::process;
use crate::run::exit_code;
use crate::secrets::environment::Environment;
use crate::secrets::{self, Files, Owner, Settled, Values};

/// What a command finds.
pub(super) struct Resolved {
    /// Its environment, if it is not this process's own.
    pub env: Option<Environment>,
    /// Removed when dropped.
    pub files: Option<Files>,
}

/// The values of the secrets, and the files that some are in; or the exit code and all that is wrong, a line
/// each. `word` is the command's, for messages. Must be called while the program has one thread.
pub(super) fn resolve(
    word: &str,
    secrets: &config::Secrets,
) -> Result<(Values, Option<Files>), (i32, String)> {
    let say = |why: String| format!("runmate {word}: {why}");
    let config = |why: String| (exit_code::CONFIG, say(why));
    let internal = |why: String| (exit_code::INTERNAL, say(why));
    let answers = match secrets::job(secrets) {
        None => Answers::new(),
        Some(job) => {
            process::hold_secrets()
                .map_err(|error| internal(format!("cannot protect this process's memory: {error}")))?;
            helper::resolve(&job).map_err(internal)?
        }
    };
    let Settled {
        mut values,
        for_files,
        missing,
        absent,
    } = secrets::settle(secrets, answers);
    for absent in &absent {
        eprintln!("{}", say(absent.report.message.clone()));
    }
    if !missing.is_empty() {
        let lines = missing.iter().map(|missing| say(missing.report.message.clone()));
        let lines: Vec<String> = lines.collect();
        return Err((secrets::exit_code_for(&missing), lines.join("\n")));
    }
    let mut files = None;
    if !for_files.is_empty() {
        let owner = Owner::ourselves();
        let written = files.insert(Files::create().map_err(config)?);
        for (name, value) in &for_files {
            let path = written.write(name, value, owner).map_err(config)?;
            values.put_path(name, owner, path);
        }
    }
    Ok((values, files))
}
