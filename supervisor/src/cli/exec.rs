//! `runmate exec`: resolve the secrets, then become the command.

use std::ffi::OsString;
use std::path::Path;

use crate::config::{self, Inputs};
use crate::helper::{self, Answers};
use crate::process::{self, Output, Spec, StdinFrom};
use crate::run::environment::{self, Environment, Inherited};
use crate::run::exit_code;
use crate::secrets::{self, Files, Owner, Settled};

/// Becomes the command; returns only if it cannot: the exit code.
pub(super) fn exec(file: Option<&Path>, command: Vec<String>) -> i32 {
    let argv: Vec<OsString> = command.iter().map(OsString::from).collect();
    let env = match environment(file, command) {
        Ok(env) => env,
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
    let error = process::become_program(&spec);
    eprintln!("runmate exec: {}", error.explain(&spec));
    error.exit_code()
}

/// What the command finds; or the exit code and all that is wrong, a line each.
fn environment(file: Option<&Path>, command: Vec<String>) -> Result<Environment, (i32, String)> {
    let say = |why: String| format!("runmate exec: {why}");
    let env = super::environment();
    let plan = config::load(&Inputs::of_this_container(file, command, &env))
        .map_err(|errors| (exit_code::CONFIG, errors.to_string()))?;
    let inherited: Inherited = std::env::vars_os().collect();
    for warning in &plan.warnings {
        eprintln!("{}", say(warning.clone()));
    }
    // What stands in the `env` of a process is that process's own.
    let wanted = plan
        .secrets
        .wanted
        .iter()
        .filter(|secret| secret.of_process.is_none());
    let answers = match secrets::job(&plan.secrets, wanted) {
        None => Answers::new(),
        Some(job) => {
            process::hold_secrets().map_err(|error| {
                let why = format!("cannot protect this process's memory: {error}");
                (exit_code::INTERNAL, say(why))
            })?;
            helper::resolve(&job).map_err(|why| (exit_code::INTERNAL, say(why)))?
        }
    };
    let Settled {
        mut values,
        for_files,
        missing,
        absent,
    } = secrets::settle(&plan.secrets, answers);
    for absent in &absent {
        eprintln!("{}; going on without it", say(absent.report.message.clone()));
    }
    if !missing.is_empty() {
        let lines = missing.iter().map(|missing| say(missing.report.message.clone()));
        let lines: Vec<String> = lines.collect();
        return Err((secrets::exit_code_for(&missing), lines.join("\n")));
    }
    if !for_files.is_empty() {
        let owner = Owner::ourselves();
        let files = Files::create().map_err(|why| (exit_code::CONFIG, say(why)))?;
        for (name, value) in &for_files {
            let path = files
                .write(name, value, owner)
                .map_err(|why| (exit_code::CONFIG, say(why)))?;
            values.put_path(name, owner, path);
        }
        // The command reads them when we are no more.
        files.keep();
    }
    let env = environment::of_command(&inherited, &plan.secrets, &values);
    environment::check_size(&env).map_err(|why| (exit_code::CONFIG, say(why)))?;
    Ok(env)
}
