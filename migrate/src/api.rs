//! The calls.

use std::ffi::OsString;
use std::fmt;
use std::future::Future;
use std::path::PathBuf;
use std::time::Duration;

use crate::db::{AnySession, Mode};
use crate::dir::{self, Migration};
use crate::error::{Error, ErrorKind};
use crate::event::Event;
use crate::outcome::{Outcome, Planned, Status, Unlocked};
use crate::release;
use crate::run::{Command, Job, Runner, Stop, Work};
use crate::url::Target;

/// What to migrate, and how.
///
/// ```no_run
/// # async fn example() -> Result<(), runmate_migrate::Error> {
/// use runmate_migrate::Migrate;
///
/// let url = "postgres://app:password@db.example.com/app";
/// Migrate::new(url)?.dir("migrations").run().await?;
/// # Ok(())
/// # }
/// ```
///
/// Needs a tokio runtime with time and I/O enabled.
pub struct Migrate {
    target: Target,
    source: Source,
    release: Option<String>,
    inputs: Vec<PathBuf>,
    wait: Duration,
    report: Box<dyn FnMut(Event) + Send>,
    stop: Stop,
    /// The whole environment of a command, if it is not our own.
    env: Option<Vec<(OsString, OsString)>>,
    stdout_to_stderr: bool,
}

enum Source {
    Dir(PathBuf),
    Embedded(Vec<Migration>),
    Command(Command),
}

impl fmt::Debug for Migrate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migrate")
            .field("target", &self.target)
            .finish_non_exhaustive()
    }
}

impl Migrate {
    /// For the database behind a URL: `postgres://`, `mysql://` (MariaDB as well) or `sqlite:FILE`.
    /// Migrations come from the directory `migrations` unless something else is said.
    ///
    /// # Errors
    /// [`ErrorKind::Config`] if the URL is none that is known. Whether the database can be reached shows
    /// later.
    pub fn new(url: &str) -> Result<Migrate, Error> {
        Ok(Migrate {
            target: Target::parse(url)?,
            source: Source::Dir("migrations".into()),
            release: None,
            inputs: Vec::new(),
            wait: Duration::from_secs(600),
            report: Box::new(drop),
            stop: Stop::new(std::future::pending()),
            env: None,
            stdout_to_stderr: false,
        })
    }

    /// Applies the SQL files of a directory, in the format of sqlx: `VERSION_DESCRIPTION.sql`.
    pub fn dir(mut self, dir: impl Into<PathBuf>) -> Migrate {
        self.source = Source::Dir(dir.into());
        self
    }

    /// Applies migrations that the program brings along.
    pub fn migrations(mut self, migrations: impl IntoIterator<Item = Migration>) -> Migrate {
        self.source = Source::Embedded(migrations.into_iter().collect());
        self
    }

    /// Runs a command under the lock. It is started by `guard`: a program and its first arguments that end up
    /// in [`guard::main`](crate::guard::main) with the command behind them. After a stop it gets SIGTERM, and
    /// SIGKILL when `grace` is over.
    pub fn command<A: Into<OsString>, G: Into<OsString>>(
        mut self,
        argv: impl IntoIterator<Item = A>,
        guard: impl IntoIterator<Item = G>,
        grace: Duration,
    ) -> Migrate {
        self.source = Source::Command(Command {
            argv: argv.into_iter().map(Into::into).collect(),
            env: None,
            guard: guard.into_iter().map(Into::into).collect(),
            stdout_to_stderr: false,
            grace,
        });
        self
    }

    /// The whole environment of a command, instead of this process's own.
    pub fn command_env(mut self, env: impl IntoIterator<Item = (OsString, OsString)>) -> Migrate {
        self.env = Some(env.into_iter().collect());
        self
    }

    /// Has a command write to our standard error what it writes to its standard output.
    pub fn command_stdout_to_stderr(mut self, to_stderr: bool) -> Migrate {
        self.stdout_to_stderr = to_stderr;
        self
    }

    /// What the ledger records, such as a commit. Without one: a hash of the files, or of the inputs. A
    /// command with neither is never skipped.
    pub fn release(mut self, release: impl Into<String>) -> Migrate {
        self.release = Some(release.into()).filter(|release| !release.is_empty());
        self
    }

    /// Files and directories that decide whether a command has to run again.
    pub fn inputs<P: Into<PathBuf>>(mut self, inputs: impl IntoIterator<Item = P>) -> Migrate {
        self.inputs = inputs.into_iter().map(Into::into).collect();
        self
    }

    /// How long to wait for the database and for the lock, together. Default 10 minutes.
    pub fn wait(mut self, wait: Duration) -> Migrate {
        self.wait = wait;
        self
    }

    /// How long a statement of a migration may wait for a lock before it is given up and tried again later,
    /// so that what queues up behind it can go on. Default 5 s; zero: for ever.
    pub fn lock_timeout(mut self, timeout: Duration) -> Migrate {
        self.target.lock_timeout = timeout;
        self
    }

    /// How long a statement of a migration may take. Default and zero: as long as it takes.
    pub fn statement_timeout(mut self, timeout: Duration) -> Migrate {
        self.target.statement_timeout = timeout;
        self
    }

    /// Creates the database if it is not there. SQLite files always are.
    pub fn create(mut self, create: bool) -> Migrate {
        self.target.create = create;
        self
    }

    /// Tells what happens, as it happens. Called from within the run: it must not block.
    pub fn on_event(mut self, report: impl FnMut(Event) + Send + 'static) -> Migrate {
        self.report = Box::new(report);
        self
    }

    /// When this future is done, the running statement is cancelled, the lock given back, and the call ends
    /// with [`ErrorKind::Stopped`].
    pub fn stop_when(mut self, stop: impl Future<Output = ()> + Send + 'static) -> Migrate {
        self.stop = Stop::new(stop);
        self
    }

    /// The database, without user and password: for messages.
    pub fn database(&self) -> &str {
        &self.target.name
    }

    /// Migrates, or finds that it has been done.
    ///
    /// To end it early, use [`stop_when`](Migrate::stop_when). If the future is dropped instead, the lock is given up
    /// at once, while the server may still be busy with the last statement; the next run ends that first.
    ///
    /// # Errors
    /// Every [`ErrorKind`]; each says what became of the database.
    pub async fn run(self) -> Result<Outcome, Error> {
        self.work(Mode::Run).await
    }

    /// Goes on with a migration that is half done, which [`run`](Migrate::run) refuses on MySQL, then with
    /// the rest. `applied`: the statement that failed, or whose end is not known, counts as done.
    ///
    /// # Errors
    /// As [`run`](Migrate::run).
    pub async fn repair(self, applied: bool) -> Result<Outcome, Error> {
        if matches!(self.source, Source::Command(_)) {
            return Err(no_files("repair"));
        }
        self.work(Mode::Repair { applied }).await
    }

    async fn work(self, mode: Mode) -> Result<Outcome, Error> {
        let (job, mut report, stop) = self.job(mode)?;
        let runner = Runner::new(&job, &mut *report, stop);
        runner.run::<AnySession>().await
    }

    /// What [`run`](Migrate::run) would do. Changes nothing, and takes no lock.
    ///
    /// # Errors
    /// Those of reaching the database, and [`ErrorKind::Drift`] or [`ErrorKind::Dirty`] where `run` would
    /// refuse.
    pub async fn plan(self) -> Result<Planned, Error> {
        let (status, error) = self.see(false).await?;
        match (status.planned, error) {
            (Some(planned), _) => Ok(planned),
            (None, Some(error)) => Err(error),
            (None, None) => Err(Error::new(
                ErrorKind::Internal,
                "neither a plan nor a reason why not",
            )),
        }
    }

    /// Where things stand. Changes nothing. If a run is recorded as running, it tries for a moment whether the lock is
    /// free, because then that run is dead.
    ///
    /// # Errors
    /// Those of reaching the database; what is wrong within it is part of the status.
    pub async fn status(self) -> Result<Status, Error> {
        Ok(self.see(true).await?.0)
    }

    async fn see(self, releases: bool) -> Result<(Status, Option<Error>), Error> {
        let (mut job, mut report, stop) = self.job(Mode::Run)?;
        // Looking at a database that is not there must not make one.
        job.target.create = false;
        job.target.read_only = true;
        let runner = Runner::new(&job, &mut *report, stop);
        runner.see::<AnySession>(releases).await
    }

    /// Ends the sessions of whoever holds the lock, so that others can go on: for a run that hangs or is
    /// frozen. A run that lives notices, stops, and ends with [`ErrorKind::LockLost`].
    ///
    /// # Errors
    /// Those of reaching the database, and [`ErrorKind::Denied`] if its user may not end sessions. On SQLite
    /// nothing can be ended from here; the error names the process.
    pub async fn unlock(self) -> Result<Unlocked, Error> {
        let Migrate {
            target,
            wait,
            mut report,
            stop,
            ..
        } = self;
        let job = Job {
            target,
            work: Work::Files(Vec::new()),
            key: release::no_key(),
            wait,
            mode: Mode::Run,
        };
        let runner = Runner::new(&job, &mut *report, stop);
        runner.unlock::<AnySession>().await
    }

    #[allow(clippy::type_complexity)] // Three parts with three owners; a name would explain nothing.
    fn job(self, mode: Mode) -> Result<(Job, Box<dyn FnMut(Event) + Send>, Stop), Error> {
        let Migrate {
            target,
            source,
            release,
            inputs,
            wait,
            mut report,
            stop,
            env,
            stdout_to_stderr,
        } = self;
        let is_command = matches!(source, Source::Command(_));
        if !is_command && !inputs.is_empty() {
            return Err(Error::new(ErrorKind::Config, "inputs are for a command")
                .with_remedy("leave them out: SQL files are compared in any case"));
        }
        let (work, key) = match source {
            Source::Dir(path) => {
                let read = dir::read(&path)?;
                for name in read.ignored {
                    let message = format!("{name} is no migration: names are VERSION_DESCRIPTION.sql");
                    report(Event::Note { message });
                }
                let what = format!("dir {}", path.display());
                let key = release::key_of_migrations(&read.migrations, release, what);
                (Work::Files(read.migrations), key)
            }
            Source::Embedded(migrations) => {
                let migrations = dir::in_order(migrations)?;
                let key = release::key_of_migrations(&migrations, release, "embedded".to_owned());
                (Work::Files(migrations), key)
            }
            Source::Command(mut command) => {
                command.env = env;
                command.stdout_to_stderr = stdout_to_stderr;
                if command.argv.first().is_none_or(|program| program.is_empty()) {
                    return Err(Error::new(ErrorKind::Config, "the migration command is empty"));
                }
                let argv: Vec<String> = command
                    .argv
                    .iter()
                    .map(|arg| arg.to_string_lossy().into_owned())
                    .collect();
                let key = release::key_of_command(&argv, release, &inputs)?;
                (Work::Command(command), key)
            }
        };
        Ok((
            Job {
                target,
                work,
                key,
                wait,
                mode,
            },
            report,
            stop,
        ))
    }
}

fn no_files(word: &str) -> Error {
    Error::new(
        ErrorKind::Config,
        format!("{word} is for SQL files; a command knows its own state"),
    )
    .with_remedy("mend what the command left behind with its own tool; the next start runs it again")
}
