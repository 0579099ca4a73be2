//! Waiting: for the database, for our turn, and never past a stop or the deadline.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::db::{Session, SessionError};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::run::{Runner, identity};
use crate::url::Kind;

/// How often those who wait say so.
pub(super) const REPORT_EVERY: Duration = Duration::from_secs(5);

/// After how long a holder that has not said who it is is worth a word.
pub(super) const ANONYMOUS: Duration = Duration::from_secs(1);

/// The first and the longest pause between attempts to connect.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// How long until the lock is tried again: often at first, because most migrations are quick.
pub(super) fn poll(waited: Duration) -> Duration {
    let pause = match waited.as_secs() {
        0..10 => Duration::from_millis(200),
        10..60 => Duration::from_millis(500),
        _ => Duration::from_secs(1),
    };
    jittered(pause)
}

/// Between three quarters and all of it, so that a fleet does not ask in step.
pub(super) fn jittered(pause: Duration) -> Duration {
    pause.mul_f64(0.75 + 0.25 * identity::random_fraction())
}

pub(super) async fn sleep(pause: Duration) -> Result<(), SessionError> {
    tokio::time::sleep(pause).await;
    Ok(())
}

/// The caller's wish to stop. Once made, it stays.
pub(crate) struct Stop {
    wish: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl Stop {
    pub fn new(wish: impl Future<Output = ()> + Send + 'static) -> Stop {
        Stop {
            wish: Some(Box::pin(wish)),
        }
    }

    /// Returns when a stop is wished for, and at once ever after.
    pub async fn wished(&mut self) {
        if let Some(wish) = &mut self.wish {
            wish.await;
            self.wish = None;
        }
    }
}

pub(super) fn stopped() -> Error {
    Error::new(ErrorKind::Stopped, "stopped as asked")
}

impl Runner<'_> {
    /// Does something that may be dropped halfway: nothing has been begun yet.
    pub(super) async fn unless_stopped<T>(
        &mut self,
        action: impl Future<Output = Result<T, SessionError>>,
    ) -> Result<T, SessionError> {
        tokio::select! {
            biased;
            () = self.stop.wished() => Err(stopped().into()),
            result = action => result,
        }
    }

    /// Connects, as soon as that is possible.
    pub(super) async fn connect<S: Session>(&mut self) -> Result<S, Error> {
        loop {
            // At least one attempt gets its time, however short the time to wait is.
            let until = self.deadline.max(Instant::now() + LONGEST_PAUSE);
            let attempt = async {
                match timeout_at(until, S::connect(&self.job.target, &self.run)).await {
                    Ok(result) => result,
                    Err(_) => Err(SessionError::Transient("no answer".to_owned())),
                }
            };
            let attempt = tokio::select! {
                biased;
                () = self.stop.wished() => return Err(stopped()),
                result = attempt => result,
            };
            match attempt {
                Ok(session) => return Ok(session),
                Err(SessionError::Final(error)) => return Err(error),
                Err(SessionError::Transient(cause)) => self.trouble(cause).await?,
            }
        }
    }

    /// Says that the database cannot be used, if that is news, and gives it some time; more each time.
    pub(super) async fn trouble(&mut self, cause: String) -> Result<(), Error> {
        let outage = &mut self.outage;
        let pause = jittered(outage.pause);
        outage.pause = (outage.pause * 2).min(LONGEST_PAUSE);
        let is_due = outage.said_at.is_none_or(|at| at.elapsed() >= REPORT_EVERY);
        if cause != outage.said || is_due {
            outage.said_at = Some(Instant::now());
            outage.said.clone_from(&cause);
            (self.report)(Event::WaitingForDatabase {
                database: self.job.target.name.clone(),
                cause: cause.clone(),
            });
        }
        if Instant::now() + pause > self.deadline {
            return Err(self.unavailable(&cause));
        }
        tokio::select! {
            biased;
            () = self.stop.wished() => Err(stopped()),
            () = tokio::time::sleep(pause) => Ok(()),
        }
    }

    fn unavailable(&self, cause: &str) -> Error {
        let name = &self.job.target.name;
        let wait = self.job.wait.as_secs_f64();
        let message = format!("the database {name} could not be used within {wait:.0}s: {cause}");
        Error::new(ErrorKind::Unavailable, message).with_remedy(match self.job.target.kind {
            Kind::Sqlite => {
                "find out which process has it locked, or is still undoing something; [migrate] wait sets how \
                 long to wait"
            }
            _ => {
                "check that the host and port are right, that the server runs, lets this container in (security \
                 group, network) and has connections left (a run takes three); [migrate] wait sets how long to wait"
            }
        })
    }
}

/// What was said of a database that cannot be used, and how long to wait next.
pub(super) struct Outage {
    said: String,
    said_at: Option<Instant>,
    pause: Duration,
}

impl Outage {
    pub fn new() -> Outage {
        Outage {
            said: String::new(),
            said_at: None,
            pause: FIRST_PAUSE,
        }
    }
}
