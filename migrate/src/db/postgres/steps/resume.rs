//! Where to go on with a file that was left.

use std::time::Duration;

use sqlx::Row;

use super::failure::LOOK;
use super::{Steps, unit};
use crate::db::postgres::index::{self, Found};
use crate::db::postgres::words::{Kind, kind};
use crate::db::postgres::worker::{PgWorker, execute, internal};
use crate::db::postgres::{connect, text};
use crate::db::{ApplyError, Mode, Progress};
use crate::error::{Error, ErrorKind};
use crate::sql::prefix_hash;

impl PgWorker {
    /// Notes that the file was begun, and reads how far it has come.
    pub(super) async fn take_up(&mut self, steps: &mut Steps<'_>) -> Result<Progress, ApplyError> {
        let version = steps.migration.version;
        let sql = format!(
            "INSERT INTO {migrations} (version, description, success, checksum, execution_time) \
             VALUES ({version}, {}, false, {}, -1) ON CONFLICT (version) DO NOTHING; \
             INSERT INTO {progress} (version, done, prefix, in_doubt) VALUES ({version}, 0, {}, false) \
             ON CONFLICT (version) DO NOTHING; \
             SELECT done, prefix, in_doubt, error FROM {progress} WHERE version = {version}",
            text::quote(&steps.migration.description),
            text::bytes(&steps.migration.checksum),
            text::quote(&prefix_hash(&[])),
            migrations = self.migrations,
            progress = self.progress,
        );
        let rows = connect::ask(&mut self.connection, &sql)
            .await
            .map_err(|error| self.own(&error))?;
        let read = || -> Result<Progress, sqlx::Error> {
            let row = rows.last().ok_or(sqlx::Error::RowNotFound)?;
            let done: i32 = row.try_get(0)?;
            Ok(Progress {
                version,
                done: u32::try_from(done).unwrap_or(0),
                prefix: row.try_get(1)?,
                in_doubt: row.try_get(2)?,
                error: row.try_get(3)?,
            })
        };
        read().map_err(|error| internal(format!("cannot read the progress of version {version}: {error}")))
    }

    /// Decides where to go on, and brings the session to where it was there.
    pub(super) async fn settle(
        &mut self,
        steps: &mut Steps<'_>,
        progress: &Progress,
        mode: Mode,
    ) -> Result<usize, ApplyError> {
        let at = progress.done as usize;
        let before = steps.statements.get(..at);
        if before.is_none_or(|before| prefix_hash(before) != progress.prefix) {
            let message = format!(
                "cannot go on with {}: its first {at} statements are applied, and they have changed since",
                steps.migration.file
            );
            let error = Error::new(ErrorKind::Dirty, message)
                .with_remedy("restore them, and change only what follows; then start again");
            return Err(ApplyError::Failed(error));
        }
        // Settings last as long as the session, which is a new one.
        for number in 0..at {
            let text = steps.statements[number].text.clone();
            if kind(&text) == Kind::Setting {
                let (_, result) = execute(&mut self.connection, &text).await;
                result.map_err(|error| self.refused(steps, number, &error, Duration::ZERO, ""))?;
            }
        }
        if at == steps.statements.len() {
            return Ok(at);
        }
        let stopped = progress.in_doubt || progress.error.is_some();
        if stopped && mode == (Mode::Repair { applied: true }) {
            let end = unit(&steps.statements, at).map_or(at + 1, |unit| unit.end);
            let sql = self.advanced(steps, end);
            self.note_down(&sql).await.map_err(|error| self.own(&error))?;
            steps.note(format!("{} is taken as applied", steps.at(at)));
            return Ok(end);
        }
        if !progress.in_doubt {
            return Ok(at);
        }
        if self.took_effect(steps, progress, mode).await? {
            let sql = self.advanced(steps, at + 1);
            self.note_down(&sql).await.map_err(|error| self.own(&error))?;
            steps.note(format!("{} had come to its end in an earlier run", steps.at(at)));
            return Ok(at + 1);
        }
        Ok(at)
    }

    /// Whether a statement that a run died in took effect; false if it can be executed (again).
    async fn took_effect(
        &mut self,
        steps: &mut Steps<'_>,
        progress: &Progress,
        mode: Mode,
    ) -> Result<bool, ApplyError> {
        let at = progress.done as usize;
        match kind(&steps.statements[at].text) {
            Kind::CreateIndexConcurrently(index) if index.name.is_some() => {
                let found = index::find(&mut self.connection, &index).await;
                match found.map_err(|error| self.own(&error))? {
                    Some(Found { valid: true, .. }) => Ok(true),
                    Some(invalid) => {
                        let polite = self.polite(steps, at);
                        if polite {
                            self.patient().await.map_err(|error| self.own(&error))?;
                        }
                        let result = self.drop_invalid(&invalid, steps.report).await;
                        result.map_err(|error| self.refused(steps, at, &error, Duration::ZERO, ""))?;
                        if polite {
                            self.impatient().await.map_err(|error| self.own(&error))?;
                        }
                        Ok(false)
                    }
                    None => Ok(false),
                }
            }
            Kind::DropIndexConcurrently(name) => index::exists(&mut self.connection, &name)
                .await
                .map(|exists| !exists)
                .map_err(|error| self.own(&error)),
            Kind::Repeatable | Kind::Other { repeatable: true } => Ok(false),
            _ if mode != Mode::Run => Ok(false),
            _ => {
                let why = match &progress.error {
                    Some(error) => format!(
                        "it failed in an earlier run ({error}), and it cannot be told whether a part of it is applied"
                    ),
                    None => {
                        "an earlier run died in it, and it cannot be told whether it took effect".to_owned()
                    }
                };
                Err(steps.dirty(at, &why, LOOK))
            }
        }
    }
}
