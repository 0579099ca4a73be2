//! `runmate migrate`: the migrations of `[migrate]`, or of the command line, by themselves.

use std::path::{Path, PathBuf};

use crate::config::{self, Inputs, MigrateWork};
use crate::migrate::{self, Reporter, Settings, Style, Word, perform};
use crate::run::exit_code;
use crate::secrets::environment;

use super::resolve::{self, Resolved};

/// What the command line says beside the word.
#[derive(Default)]
pub(super) struct Options {
    pub config: Option<PathBuf>,
    pub database_url: Option<String>,
    pub dir: Option<PathBuf>,
    pub release: Option<String>,
    pub input: Vec<PathBuf>,
    pub json: bool,
    pub command: Vec<String>,
}

/// Does it; returns the exit code.
pub(super) fn migrate(word: Word, options: Options) -> i32 {
    let style = if options.json { Style::Json } else { Style::Text };
    match prepare(options) {
        Ok((settings, resolved)) => {
            let Resolved { env, files } = resolved;
            let code = perform(word, settings, env);
            drop(files);
            code
        }
        Err((code, why)) => {
            match style {
                Style::Json => Reporter(style).refusal(&why, code),
                Style::Text => eprintln!("{why}"),
            }
            code
        }
    }
}

fn prepare(options: Options) -> Result<(Settings, Resolved), (i32, String)> {
    let say = |why: &str| format!("runmate migrate: {why}");
    if options.dir.is_some() && !options.command.is_empty() {
        return Err((exit_code::USAGE, say("give --dir or a COMMAND, not both")));
    }
    let env = super::environment();
    let file: Option<&Path> = options.config.as_deref();
    let (mut config, mut secrets, warnings) =
        config::load_migrate(&Inputs::of_this_container(file, Vec::new(), &env))
            .map_err(|errors| (exit_code::CONFIG, errors.to_string()))?;
    for warning in &warnings {
        eprintln!("{}", say(warning));
    }
    if let Some(dir) = options.dir {
        config.work = MigrateWork::Dir(dir);
    }
    if !options.command.is_empty() {
        config.work = MigrateWork::Command(config::Command::Argv(options.command));
    }
    config.release = options
        .release
        .filter(|release| !release.is_empty())
        .or(config.release);
    if !options.input.is_empty() {
        config.inputs = options.input;
    }
    if matches!(config.work, MigrateWork::Dir(_)) && !config.inputs.is_empty() {
        let why = "the files of a directory are compared in any case; --input is for a COMMAND";
        return Err((exit_code::USAGE, say(why)));
    }
    let database = match options.database_url {
        Some(url) => config::Text::from(url.as_str()),
        None => config.database.clone().ok_or_else(|| {
            let why = "there is no database; set MIGRATE_DATABASE_URL or DATABASE_URL, write [migrate] database \
                       in runmate.toml, or give --database-url";
            (exit_code::CONFIG, say(why))
        })?,
    };
    // SQL files need the database and nothing else: what is not asked for cannot be denied.
    if matches!(config.work, MigrateWork::Dir(_)) {
        secrets
            .wanted
            .retain(|secret| database.secrets().any(|name| name == secret.name));
    }
    let (values, files) = resolve::resolve("migrate", &secrets)?;
    let database = database
        .fill(|name| values.get(name, crate::secrets::Owner::ourselves()))
        .map_err(|absent| (exit_code::CONFIG, say(&format!("migrate.database: {absent}"))))?;
    config::check_database_url(&database).map_err(|why| (exit_code::CONFIG, say(&why)))?;
    let command_env = match config.work {
        MigrateWork::Command(_) => {
            let inherited = std::env::vars_os().collect();
            let env = environment::of_command(&inherited, &secrets, &values);
            environment::check_size(&env).map_err(|why| (exit_code::CONFIG, say(&why)))?;
            Some(env)
        }
        MigrateWork::Dir(_) => None,
    };
    let style = if options.json { Style::Json } else { Style::Text };
    let settings = Settings::new(&config, database, migrate::GRACE, style);
    Ok((
        settings,
        Resolved {
            env: command_env,
            files,
        },
    ))
}
