//! Doing it: in the process of `runmate migrate`, or in the helper that `run` starts.

use std::ffi::OsString;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use runmate_migrate::{Error, ErrorKind, Migrate};
use signal_hook_tokio::Signals;

use crate::event_loop;
use crate::helper;
use crate::process::sys;
use crate::run::exit_code;

use super::report::{Reporter, in_full, summary};
use super::{Settings, Style, Work};

/// How long `check` waits for a database.
const LOOK: Duration = Duration::from_secs(5);

/// What `runmate migrate` is asked to do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Word {
    #[default]
    Run,
    Plan,
    Status,
    /// `applied`: the statement in doubt counts as done.
    Repair {
        applied: bool,
    },
    Unlock,
}

/// Does it; returns the exit code. Must be called while the program has one thread. `env` is the whole
/// environment of a command, if it is not this process's own.
pub(crate) fn perform(word: Word, settings: Settings, env: Option<Vec<(OsString, OsString)>>) -> i32 {
    let reporter = Reporter(settings.style);
    let asked_to_stop = Arc::new(AtomicI32::new(0));
    let done = event_loop::block_on(async {
        let stop = stop_signals(Arc::clone(&asked_to_stop))
            .map_err(|error| format!("cannot handle signals: {error}"))?;
        Ok(word_of(word, settings, env, &reporter, stop).await)
    });
    match done.flatten() {
        Ok(Ok(())) => 0,
        Ok(Err(error)) => {
            let code = match (error.kind(), asked_to_stop.load(Ordering::Relaxed)) {
                (ErrorKind::Stopped, signal @ 1..) => 128 + signal,
                (kind, _) => kind.exit_code(),
            };
            reporter.error(&error, code);
            code
        }
        Err(why) => {
            eprintln!("runmate migrate: {why}");
            exit_code::INTERNAL
        }
    }
}

/// Looks at the database and what there is to do, for `check`: a sentence; or what is wrong, and the exit code
/// of the migrations. Must be called while the program has one thread.
pub(crate) fn look(mut settings: Settings) -> Result<String, (String, i32)> {
    settings.wait = settings.wait.min(LOOK);
    let result: Result<Result<_, Error>, String> = event_loop::block_on(async {
        let migrate = builder(settings)?;
        let database = migrate.database().to_owned();
        Ok((database, migrate.plan().await?))
    });
    match result.map_err(|why| (why, exit_code::INTERNAL))? {
        Ok((database, plan)) => Ok(format!("{database}: {}", summary(&plan))),
        Err(error) => Err((in_full(&error), error.kind().exit_code())),
    }
}

/// The calls of the library that stand for the settings.
fn builder(settings: Settings) -> Result<Migrate, Error> {
    let Settings {
        database,
        work,
        release,
        inputs,
        wait,
        lock_timeout,
        statement_timeout,
        create,
        grace,
        style,
    } = settings;
    let mut migrate = Migrate::new(&database)?
        .wait(wait)
        .lock_timeout(lock_timeout)
        .statement_timeout(statement_timeout)
        .create(create)
        .inputs(inputs)
        // An object a line, and nothing in between: a command may end in the middle of one.
        .command_stdout_to_stderr(style == Style::Json);
    if let Some(release) = release {
        migrate = migrate.release(release);
    }
    Ok(match work {
        Work::Dir(dir) => migrate.dir(dir),
        Work::Command(argv) => migrate.command(argv, helper::command(helper::GUARD), grace),
    })
}

async fn word_of(
    word: Word,
    settings: Settings,
    env: Option<Vec<(OsString, OsString)>>,
    reporter: &Reporter,
    stop: Pin<Box<dyn Future<Output = ()> + Send>>,
) -> Result<(), Error> {
    let events = Reporter(reporter.0);
    let mut migrate = builder(settings)?
        .on_event(move |event| events.event(&event))
        .stop_when(stop);
    if let Some(env) = env {
        migrate = migrate.command_env(env);
    }
    match word {
        Word::Run => reporter.outcome(&migrate.run().await?),
        Word::Repair { applied } => reporter.outcome(&migrate.repair(applied).await?),
        Word::Plan => reporter.plan(&migrate.plan().await?),
        Word::Status => reporter.status(&migrate.status().await?),
        Word::Unlock => reporter.unlocked(&migrate.unlock().await?),
    }
    Ok(())
}

/// Done when a signal asks us to stop; which one is left in `which`.
fn stop_signals(which: Arc<AtomicI32>) -> io::Result<Pin<Box<dyn Future<Output = ()> + Send>>> {
    // A handler is in place before it knows what to do: without this, a signal in between is lost.
    sys::block_signals()?;
    let mut signals = Signals::new([libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP])?;
    sys::unblock_signals()?;
    Ok(Box::pin(async move {
        let signal =
            std::future::poll_fn(|context| futures_core::Stream::poll_next(Pin::new(&mut signals), context));
        if let Some(signal) = signal.await {
            which.store(signal, Ordering::Relaxed);
        }
    }))
}
