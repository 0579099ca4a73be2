//! What can be seen and done without the lock: plan, status, unlock.

use crate::db::{Key, Seen, Session, SessionError};
use crate::dir;
use crate::error::{Error, ErrorKind};
use crate::outcome::{Pending, Planned, Problem, Status, Unlocked};
use crate::run::{Runner, Work, farewell};

impl Runner<'_> {
    pub async fn see<S: Session>(mut self, releases: bool) -> Result<(Status, Option<Error>), Error> {
        let mut session = self.connect::<S>().await?;
        let seen = self
            .unless_stopped(session.look(&self.job.key, matches!(self.job.work, Work::Files(_))))
            .await
            .map_err(unreachable)?;
        // Nobody's, if it can be had: the run that is recorded died. It is given back with the session.
        let is_dead = seen.holder.is_some() && matches!(session.try_lock().await, Ok(true));
        let holder = seen.holder.clone().filter(|_| !is_dead);
        let releases = match releases {
            true => self
                .unless_stopped(session.releases(20))
                .await
                .map_err(unreachable)?,
            false => Vec::new(),
        };
        farewell(session).await;
        let releases = releases
            .into_iter()
            .map(|mut release| {
                if is_dead && release.state == "running" {
                    release.state = "lost".to_owned();
                }
                release
            })
            .collect();
        let (planned, error) = match self.planned(&seen) {
            Ok(planned) => (Some(planned), None),
            Err(error) => (None, Some(error)),
        };
        let status = Status {
            database: self.job.target.name.clone(),
            planned,
            problem: error.as_ref().map(|error| Problem {
                kind: error.kind().name().to_owned(),
                message: error.to_string(),
                remedy: error.remedy().map(str::to_owned),
            }),
            applied: seen.applied.iter().filter(|row| row.success).count(),
            newest: seen
                .applied
                .iter()
                .filter(|row| row.success)
                .map(|row| row.version)
                .max(),
            holder,
            releases,
        };
        Ok((status, error))
    }

    fn planned(&self, seen: &Seen) -> Result<Planned, Error> {
        let Key {
            release,
            what,
            skippable,
            ..
        } = &self.job.key;
        let Work::Files(files) = &self.job.work else {
            return Ok(Planned {
                pending: Vec::new(),
                up_to_date: *skippable && seen.done,
                release: release.clone(),
                what: what.clone(),
            });
        };
        let plan = dir::plan(
            files,
            &seen.applied,
            &seen.progress,
            self.job.target.kind,
            self.job.mode,
        )?;
        let pending: Vec<Pending> = plan
            .steps
            .iter()
            .filter_map(|step| {
                let file = files.get(step.index)?;
                Some(Pending {
                    version: file.version,
                    file: file.file.clone(),
                    done: step.done,
                })
            })
            .collect();
        Ok(Planned {
            up_to_date: pending.is_empty(),
            pending,
            release: release.clone(),
            what: what.clone(),
        })
    }

    pub async fn unlock<S: Session>(mut self) -> Result<Unlocked, Error> {
        let mut session = self.connect::<S>().await?;
        let ended = self
            .unless_stopped(session.end_holder())
            .await
            .map_err(unreachable)?;
        farewell(session).await;
        Ok(Unlocked {
            sessions: ended.sessions,
            runs: ended.runs,
        })
    }
}

/// A connection that breaks while it is only asked something.
fn unreachable(error: SessionError) -> Error {
    match error {
        SessionError::Transient(cause) => Error::new(
            ErrorKind::Unavailable,
            format!("the connection to the database broke: {cause}"),
        ),
        SessionError::Final(error) => error,
    }
}
