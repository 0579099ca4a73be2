//! `runmate exec`: resolve the secrets, then become the command.

use std::ffi::OsString;
use std::path::Path;

use crate::config::{self, Inputs};
use crate::process::{self, Output, Spec, StdinFrom, sys};
use crate::run::exit_code;
use crate::secrets::Files;
use crate::secrets::environment::{self, Environment, Inherited};

use super::resolve;

/// Becomes the command; returns only if it cannot: the exit code.
pub(super) fn exec(file: Option<&Path>, command: Vec<String>) -> i32 {
    let argv: Vec<OsString> = command.iter().map(OsString::from).collect();
    // As PID 1 we would otherwise resolve on, whoever asks us to stop.
    sys::end_on_stop_signals();
    let (env, files) = match environment(file, command) {
        Ok(found) => found,
        Err((code, why)) => {
            eprintln!("{why}");
            return code;
        }
    };
    let spec = Spec {
        argv,
        env,
        cwd: None,
        user: None,
        umask: None,
        stdin: StdinFrom::Inherit,
        output: Output::Inherit,
        out_fd: None,
    };
    // If all goes well nobody is left to remove the files: the command reads them.
    let error = process::become_program(&spec);
    drop(files);
    eprintln!("runmate exec: {}", error.explain(&spec));
    error.exit_code()
}

/// What the command finds; or the exit code and all that is wrong, a line each.
fn environment(
    file: Option<&Path>,
    command: Vec<String>,
) -> Result<(Environment, Option<Files>), (i32, String)> {
    let say = |why: String| format!("runmate exec: {why}");
    let config = |why: String| (exit_code::CONFIG, say(why));
    let env = super::environment();
    let plan = config::load(&Inputs::of_this_container(file, command, &env))
        .map_err(|errors| (exit_code::CONFIG, errors.to_string()))?;
    let inherited: Inherited = std::env::vars_os().collect();
    for warning in &plan.warnings {
        eprintln!("{}", say(warning.clone()));
    }
    let mut secrets = plan.secrets;
    // What stands in the `env` of a process is that process's own.
    secrets.wanted.retain(|secret| secret.of_process.is_none());
    let (values, files) = resolve::resolve("exec", &secrets)?;
    let env = environment::of_command(&inherited, &secrets, &values);
    environment::check_size(&env).map_err(config)?;
    Ok((env, files))
}
