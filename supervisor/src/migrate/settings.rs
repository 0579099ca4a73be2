//! What is to be migrated and how, with every value in it; it goes to the helper as JSON.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::config::{self, LogFormat, MigrateWork};
use crate::secrets::{Owner, Values, environment};

use super::Style;

/// How long a command may take after SIGTERM where nobody says otherwise: what Docker grants, and a little
/// for us to write down what happened.
pub(crate) const GRACE: Duration = Duration::from_secs(8);

/// The part of the stop budget that the helper that migrates keeps for itself.
const RECORD: Duration = Duration::from_secs(2);

/// What the task of `[migrate]` has to do, if there is one.
///
/// # Errors
/// If a secret in the database's URL is absent, or what comes out is no URL; a sentence with the key.
pub(crate) fn settings(plan: &config::Plan, values: &Values) -> Result<Option<Settings>, String> {
    let Some(migrate) = &plan.migrate else {
        return Ok(None);
    };
    let wrong = |why: String| format!("migrate.database: {why}");
    let database = migrate.database.clone().unwrap_or_default();
    let database = database
        .fill(|name| values.get(name, Owner::ourselves()))
        .map_err(|absent| wrong(absent.to_string()))?;
    config::check_database_url(&database).map_err(wrong)?;
    let style = match plan.logs.format {
        LogFormat::Json => Style::Json,
        _ => Style::Text,
    };
    // A command is killed before the helper is, which then still has time to write down what happened.
    let budget = plan.run.stop_budget;
    let grace = budget.saturating_sub(RECORD).max(budget / 2);
    Ok(Some(Settings::new(migrate, database, grace, style)))
}

/// All that a run needs. Holds the database's password: no `Debug`.
#[derive(Serialize, Deserialize)]
pub(crate) struct Settings {
    pub database: String,
    pub work: Work,
    pub release: Option<String>,
    pub inputs: Vec<PathBuf>,
    pub wait: Duration,
    pub lock_timeout: Duration,
    pub statement_timeout: Duration,
    pub create: bool,
    /// From SIGTERM to SIGKILL for a command.
    pub grace: Duration,
    pub style: Style,
}

/// What migrates.
#[derive(Serialize, Deserialize)]
pub(crate) enum Work {
    Dir(PathBuf),
    Command(Vec<OsString>),
}

impl Settings {
    /// What the config says, for this database.
    pub fn new(config: &config::Migrate, database: String, grace: Duration, style: Style) -> Settings {
        Settings {
            database,
            work: match &config.work {
                MigrateWork::Dir(dir) => Work::Dir(dir.clone()),
                MigrateWork::Command(command) => Work::Command(environment::argv(command)),
            },
            release: config.release.clone(),
            inputs: config.inputs.clone(),
            wait: config.wait,
            lock_timeout: config.lock_timeout,
            statement_timeout: config.statement_timeout,
            create: config.create,
            grace,
            style,
        }
    }

    pub fn to_bytes(&self) -> Vec<u8> {
        // Nothing in it can fail to be written: no maps, no floats.
        serde_json::to_vec(self).unwrap_or_default()
    }

    /// `None` if these are not the bytes of settings.
    pub fn from_bytes(bytes: &[u8]) -> Option<Settings> {
        serde_json::from_slice(bytes).ok()
    }
}
