//! One run: wait for the database, take the lock, do the work, write down how it went.

mod command;
mod decide;
mod files;
pub mod guard;
mod identity;
mod look;
mod wait;

use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::db::{Ended, Ending, Key, Mode, Run, Seen, Session, SessionError};
use crate::dir::{Migration, Plan, plan};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::outcome::Outcome;
use crate::url::Target;

pub(crate) use command::Command;
pub(crate) use wait::Stop;

use decide::Verdict;
use identity::this_run;
use wait::Outage;

/// How often the session that holds the lock is asked whether it still does.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// How long the answer may take. Together with [`HEARTBEAT`] well below the time after which a server
/// gives up on a client that it cannot reach, so that we stop before anybody else begins.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long writing down the end may take, and saying goodbye; after a stop less, because somebody waits for it.
const FAREWELL: Duration = Duration::from_secs(5);
const FAREWELL_STOPPED: Duration = Duration::from_millis(1500);

/// How long a dead run's command is given to be ended by its guard, which began with that when the lock became
/// free.
const TAKEOVER_PAUSE: Duration = Duration::from_millis(500);

/// What to do.
#[derive(Debug)]
pub(crate) struct Job {
    pub target: Target,
    pub work: Work,
    pub key: Key,
    /// For the database and for the lock, together.
    pub wait: Duration,
    pub mode: Mode,
}

/// The work itself.
#[derive(Debug)]
pub(crate) enum Work {
    Files(Vec<Migration>),
    Command(Command),
}

/// A run in progress.
pub(crate) struct Runner<'a> {
    job: &'a Job,
    run: Run,
    report: &'a mut (dyn FnMut(Event) + Send),
    stop: Stop,
    /// When waiting ends.
    deadline: Instant,
    outage: Outage,
}

impl Job {
    /// Whether `_sqlx_migrations` matters.
    fn with_migrations(&self) -> bool {
        matches!(self.work, Work::Files(_))
    }

    /// What is left to do by the tables; nothing for a command.
    fn plan(&self, seen: &Seen) -> Result<Plan, Error> {
        match &self.work {
            Work::Files(files) => plan(files, &seen.applied, &seen.progress, self.target.kind, self.mode),
            Work::Command(_) => Ok(Plan::default()),
        }
    }
}

/// How waiting for the lock ended.
enum Turn<S> {
    /// Nothing to do: it has been done.
    Skip(S),
    /// The lock is ours, nobody is left over, and this is what there is.
    Held(S, Box<Seen>),
}

impl<'a> Runner<'a> {
    pub fn new(job: &'a Job, report: &'a mut (dyn FnMut(Event) + Send), stop: Stop) -> Runner<'a> {
        Runner {
            job,
            run: this_run(),
            report,
            stop,
            deadline: Instant::now() + job.wait,
            outage: Outage::new(),
        }
    }

    /// From the beginning to the end.
    pub async fn run<S: Session>(mut self) -> Result<Outcome, Error> {
        let started = Instant::now();
        match self.turn::<S>().await? {
            Turn::Skip(session) => {
                farewell(session).await;
                Ok(Outcome::skipped(&self.job.key, &self.run))
            }
            Turn::Held(session, seen) => self.hold(session, &seen, started).await,
        }
    }

    /// Waits until it is our turn, or until there is nothing left to do.
    async fn turn<S: Session>(&mut self) -> Result<Turn<S>, Error> {
        let mut since = None;
        loop {
            let session = self.connect().await?;
            match self.turn_with(session, &mut since).await {
                Ok(turn) => return Ok(turn),
                // Nothing is held: a new connection, and the same again.
                Err(SessionError::Transient(cause)) => self.trouble(cause).await?,
                Err(SessionError::Final(error)) => return Err(error),
            }
        }
    }

    async fn turn_with<S: Session>(
        &mut self,
        mut session: S,
        since: &mut Option<i64>,
    ) -> Result<Turn<S>, SessionError> {
        let waiting_since = Instant::now();
        let mut next_report = waiting_since;
        loop {
            let seen = self
                .unless_stopped(session.look(&self.job.key, self.job.with_migrations()))
                .await?;
            let since = *since.get_or_insert(seen.now);
            match decide::before(self.job, &seen, since) {
                Verdict::Skip => return Ok(Turn::Skip(session)),
                Verdict::Share(failure) => {
                    farewell(session).await;
                    return Err(decide::shared(&failure).into());
                }
                Verdict::Go => {}
            }
            if self.unless_stopped(session.try_lock()).await? {
                return self.locked(session, since, waiting_since).await;
            }
            let waited = waiting_since.elapsed();
            // Who has just got the lock has not said so yet.
            let known = seen.holder.is_some() || waited >= wait::ANONYMOUS;
            if known && Instant::now() >= next_report {
                next_report = Instant::now() + wait::REPORT_EVERY;
                (self.report)(Event::WaitingForLock {
                    holder: seen.holder.clone(),
                    waited,
                });
            }
            if Instant::now() >= self.deadline {
                farewell(session).await;
                return Err(decide::lock_timeout(self.job, seen.holder.as_ref()).into());
            }
            let pause = wait::poll(waited).min(self.deadline.saturating_duration_since(Instant::now()));
            self.unless_stopped(wait::sleep(pause)).await?;
        }
    }

    /// The lock was free. Whoever had it before may have done our work, or left something behind.
    async fn locked<S: Session>(
        &mut self,
        mut session: S,
        since: i64,
        waiting_since: Instant,
    ) -> Result<Turn<S>, SessionError> {
        let (ended, seen) = match self.fenced(&mut session).await {
            Ok(fenced) => fenced,
            Err(error) => {
                farewell(session).await;
                return Err(error);
            }
        };
        match decide::before(self.job, &seen, since) {
            Verdict::Skip => return Ok(Turn::Skip(session)),
            Verdict::Share(failure) => {
                farewell(session).await;
                return Err(decide::shared(&failure).into());
            }
            Verdict::Go => {}
        }
        (self.report)(Event::Locked {
            run: self.run.id.clone(),
            waited: waiting_since.elapsed(),
        });
        if ended.sessions > 0 {
            let Ended { sessions, runs } = ended;
            (self.report)(Event::LeftoversEnded { sessions, runs });
        }
        Ok(Turn::Held(session, Box::new(seen)))
    }

    /// Nobody else at work, and what there is to see then.
    async fn fenced<S: Session>(&mut self, session: &mut S) -> Result<(Ended, Seen), SessionError> {
        let mut ended = self.unless_stopped(session.fence()).await?;
        let look = session.look(&self.job.key, self.job.with_migrations());
        let seen = self.unless_stopped(look).await?;
        // Recorded as running, and it has no lock: it died. If it was a command, its last session may have been
        // opened a moment ago.
        if seen.holder.is_some() && matches!(self.job.work, Work::Command(_)) {
            self.unless_stopped(wait::sleep(TAKEOVER_PAUSE)).await?;
            let more = self.unless_stopped(session.fence()).await?;
            ended.sessions += more.sessions;
            ended.runs.extend(more.runs);
        }
        Ok((ended, seen))
    }

    /// With the lock: the work, and what the ledger says about it.
    async fn hold<S: Session>(
        mut self,
        mut session: S,
        seen: &Seen,
        started: Instant,
    ) -> Result<Outcome, Error> {
        let begun = self.unless_stopped(session.begin(&self.job.key)).await;
        let result = match begun {
            Ok(()) => match &self.job.work {
                Work::Files(files) => self.files(&mut session, files, seen).await,
                Work::Command(command) => self.command(&mut session, command).await.map(|()| Vec::new()),
            },
            Err(error) => Err(decide::lost(error)),
        };
        let lost = result
            .as_ref()
            .is_err_and(|error| error.kind() == ErrorKind::LockLost);
        // Who has lost the lock has no say any more, neither in the ledger nor about the lock.
        if !lost {
            let detail = result.as_ref().err().map(ToString::to_string).unwrap_or_default();
            let ending = match &result {
                Ok(_) => Ending::Done,
                Err(error) if error.kind() == ErrorKind::Stopped => Ending::Stopped,
                Err(error) => Ending::Failed {
                    exit_code: error.kind().exit_code(),
                    detail: &detail,
                },
            };
            let patience = match ending {
                Ending::Stopped => FAREWELL_STOPPED,
                _ => FAREWELL,
            };
            let noted = timeout(patience, session.finish(ending)).await;
            let _ = timeout(patience, session.close()).await;
            if result.is_ok() {
                decide::noted(noted)?;
            }
        }
        let applied = result?;
        Ok(Outcome::done(
            &self.job.key,
            &self.run,
            applied,
            started.elapsed(),
        ))
    }
}

/// Gives the lock back if it is held, and closes; not for ever.
async fn farewell<S: Session>(session: S) {
    // Whatever it comes to: the server notices the end of the connection as well.
    let _ = timeout(FAREWELL, session.close()).await;
}
