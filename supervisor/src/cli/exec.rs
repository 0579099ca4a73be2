//! `runmate exec`: resolve the secrets, then become the command.

use std::ffi::OsString;
use std::path::Path;

use crate::config::{self, Inputs};
use crate::helper::{self, Answers};
use crate::process::{self, Output, Spec, StdinFrom, sys};
use crate::run::exit_code;
use crate::secrets::environment::{self, Environment, Inherited};
use crate::secrets::{self, Files, Owner, Settled};

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
    let internal = |why: String| (exit_code::INTERNAL, say(why));
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
    let answers = match secrets::job(&secrets) {
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
    } = secrets::settle(&secrets, answers);
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
    let env = environment::of_command(&inherited, &secrets, &values);
    environment::check_size(&env).map_err(config)?;
    Ok((env, files))
}
