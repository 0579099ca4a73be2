//! Between the config and the first process: secrets are resolved by a helper, and every process gets its
//! environment. Signals are heard, and health is served, all the while.

use std::convert::Infallible;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep, sleep_until, timeout};
use zeroize::Zeroizing;

use super::checks::Checks;
use super::errands::{ErrandId, Outcome};
use super::exit::code;
use super::log;
use super::signals::SignalStream;
use super::supervisor::Supervisor;
use crate::config;
use crate::helper::{self, ANSWER_FD, Answers, Job, Report};
use crate::machine::End;
use crate::migrate;
use crate::output::{Level, Line, Masks, Sink};
use crate::process::{self, Output, Spec, StdinFrom, sys};
use crate::secrets::environment::{self, Inherited};
use crate::secrets::{self, Files, Missing, Settled, Values};
use crate::trace::Context;

/// What it came to.
pub(super) enum Prepared {
    /// Every process has its environment.
    Ready,
    /// A stop was asked for; the machine knows.
    Stopped,
    /// Nothing may be started.
    Failed(Refusal),
}

/// Why nothing may be started.
pub(super) struct Refusal {
    pub code: i32,
    pub why: String,
}

impl Refusal {
    fn config(why: String) -> Refusal {
        Refusal {
            code: code::CONFIG,
            why,
        }
    }

    fn internal(why: String) -> Refusal {
        Refusal {
            code: code::INTERNAL,
            why,
        }
    }
}

/// Resolves what the plan wants and gives every process its environment.
pub(super) async fn prepare(
    supervisor: &mut Supervisor,
    signals: &mut SignalStream,
    inherited: &Inherited,
) -> Prepared {
    let plan = supervisor.plan();
    let answers = match secrets::job(&plan.secrets) {
        None => Answers::new(),
        Some(job) => {
            let since = Instant::now();
            let span = supervisor.telemetry().secrets(job.requests.len());
            let answers = match ask(supervisor, signals, inherited, job, span).await {
                Asked::Answered(answers) => answers,
                Asked::Stopped => return Prepared::Stopped,
                Asked::Failed(refusal) => return Prepared::Failed(refusal),
            };
            say_resolved(supervisor.sink(), &answers, since.elapsed(), span);
            answers
        }
    };
    match hand_out(supervisor, &plan, inherited, answers) {
        Ok(()) => {
            supervisor.telemetry().secrets_done();
            Prepared::Ready
        }
        Err(refusal) => Prepared::Failed(refusal),
    }
}

enum Asked {
    Answered(Answers),
    Stopped,
    Failed(Refusal),
}

/// Runs the helper.
async fn ask(
    supervisor: &mut Supervisor,
    signals: &mut SignalStream,
    inherited: &Inherited,
    mut job: Job,
    span: Option<Context>,
) -> Asked {
    let by = Instant::now() + job.timeout;
    // The helper is to give up first: it knows whom it waited for.
    job.timeout -= (job.timeout / 10).min(MARGIN);
    // Before the first value is there.
    if let Err(error) = process::hold_secrets() {
        return Asked::Failed(Refusal::internal(format!(
            "cannot protect this process's memory: {error}"
        )));
    }
    let mut helper = match start(supervisor, inherited, &job) {
        Ok(helper) => helper,
        Err(why) => return Asked::Failed(Refusal::internal(why)),
    };
    let mut bytes = Zeroizing::new(Vec::new());
    let sink = supervisor.shared_sink();
    let read = tokio::select! {
        biased;
        () = until_stopped(supervisor, signals) => Read::Stopped,
        result = read_all(&helper.answer, &mut bytes) => Read::Done(result),
        () = sleep_until(by) => Read::TimedOut,
        never = say_slow(&sink, &job, span) => match never {},
    };
    match read {
        Read::Done(Ok(())) => {}
        Read::Done(Err(error)) => {
            supervisor.children().give_up(helper.id);
            return Asked::Failed(Refusal::internal(format!(
                "cannot read the answer of the helper that resolves secrets: {error}"
            )));
        }
        Read::Stopped => {
            supervisor.children().give_up(helper.id);
            return Asked::Stopped;
        }
        Read::TimedOut => {
            supervisor.children().give_up(helper.id);
            return Asked::Failed(Refusal {
                code: code::UNAVAILABLE,
                why: format!(
                    "the secrets were not resolved within secrets.timeout of {}",
                    config::units::show(supervisor.plan().secrets.timeout)
                ),
            });
        }
    }
    if let Some(answers) = helper::read_answers(&bytes) {
        return Asked::Answered(answers);
    }
    let mut end = helper.end();
    let _ = timeout(MARGIN, async {
        while end.is_none() && !supervisor.is_stopping() {
            let signal = signals.next().await;
            supervisor.signal(signal);
            end = helper.end();
        }
    })
    .await;
    if supervisor.is_stopping() {
        return Asked::Stopped;
    }
    let how = end.map_or_else(|| "closed its answer too early".to_owned(), log::end_in_words);
    let hint = match end {
        Some(End::Killed(_)) => "the container may be short of memory",
        _ => "a fault inside runmate; please report it",
    };
    Asked::Failed(Refusal::internal(format!(
        "the helper that resolves secrets {how} before it had answered: {hint}"
    )))
}

/// Says once that it takes long: a platform may stop us before the timeout, and nobody would know why.
async fn say_slow(sink: &Sink, job: &Job, span: Option<Context>) -> Infallible {
    sleep(SLOW).await;
    let names: Vec<&str> = job.requests.iter().map(|request| request.name.as_str()).collect();
    let message = format!(
        "secrets are not resolved after {}; trying for {} in all: {}",
        log::human(SLOW),
        config::units::show(job.timeout),
        names.join(", ")
    );
    sink.line(&Line::new(Level::Warn, "secrets_slow", message).within(span));
    pending().await
}

/// What the wait for the answer came to.
enum Read {
    Done(io::Result<()>),
    Stopped,
    TimedOut,
}

/// The part of the timeout that PID 1 keeps for itself; and how long the end of a helper is waited for that
/// closed its pipe.
const MARGIN: Duration = Duration::from_millis(250);
/// Calls take milliseconds; after this something is wrong.
const SLOW: Duration = Duration::from_secs(3);

/// A helper that was started.
struct Helper {
    id: ErrandId,
    /// The end of the pipe that its answer comes out of.
    answer: Receiver,
    outcome: oneshot::Receiver<Outcome>,
}

impl Helper {
    /// How it ended, once it was reaped.
    fn end(&mut self) -> Option<End> {
        self.outcome.try_recv().ok()?.ok()
    }
}

/// Starts the helper.
fn start(supervisor: &mut Supervisor, inherited: &Inherited, job: &Job) -> Result<Helper, String> {
    let cannot = |why: String| format!("cannot start the helper that resolves secrets: {why}");
    let stdin = sys::file_of(&job.to_bytes()).map_err(|error| cannot(error.to_string()))?;
    let spec = Spec {
        argv: helper::command(helper::SECRETS),
        env: inherited.clone(),
        cwd: None,
        user: None,
        umask: None,
        stdin: StdinFrom::File(Rc::new(stdin)),
        output: Output::Null,
        out_fd: Some(ANSWER_FD),
    };
    let id = ErrandId::next();
    let (reply, outcome) = oneshot::channel();
    let out = supervisor
        .children()
        .start_helper(&spec, id, reply)
        .map_err(|error| cannot(error.explain(&spec)))?;
    let answer = Receiver::from_owned_fd(out).map_err(|error| cannot(error.to_string()))?;
    Ok(Helper { id, answer, outcome })
}

/// Returns once the machine was told to stop.
async fn until_stopped(supervisor: &mut Supervisor, signals: &mut SignalStream) {
    while !supervisor.is_stopping() {
        let signal = signals.next().await;
        supervisor.signal(signal);
    }
}

async fn read_all(pipe: &Receiver, bytes: &mut Vec<u8>) -> io::Result<()> {
    let mut piece = Zeroizing::new([0; 8 << 10]);
    loop {
        pipe.readable().await?;
        match pipe.try_read(&mut piece[..]) {
            Ok(0) => return Ok(()),
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(error),
        }
    }
}

fn say_resolved(sink: &Sink, answers: &Answers, took: Duration, span: Option<Context>) {
    let resolved = answers
        .values()
        .filter(|answer| matches!(answer, helper::Answer::Value(_)))
        .count();
    let of = answers.len();
    let message = format!("{resolved} of {of} secrets resolved in {}", log::human(took));
    sink.line(
        &Line::new(Level::Info, "secrets", message)
            .with("resolved", resolved as u64)
            .with("took", log::seconds(took))
            .within(span),
    );
}

/// Values into files and environments.
fn hand_out(
    supervisor: &mut Supervisor,
    plan: &config::Plan,
    inherited: &Inherited,
    answers: Answers,
) -> Result<(), Refusal> {
    let Settled {
        mut values,
        for_files,
        missing,
        absent,
    } = secrets::settle(&plan.secrets, answers);
    let span = supervisor.telemetry().current();
    supervisor.telemetry().give_secrets(plan, &values);
    for missing in &absent {
        let what = missing.report.message.clone();
        supervisor
            .sink()
            .line(&line(Level::Warn, "secret_absent", missing, what).within(span));
    }
    if !missing.is_empty() {
        for missing in &missing {
            let what = missing.report.message.clone();
            supervisor
                .sink()
                .line(&line(Level::Error, "secret_error", missing, what).within(span));
        }
        return Err(Refusal {
            code: secrets::exit_code_for(&missing),
            why: secrets::summary(&missing, plan.secrets.wanted.len()),
        });
    }
    if plan.logs.mask {
        let contents = for_files.iter().map(|(_, value)| value.expose());
        if let Some(masks) = Masks::new(values.texts().chain(contents)) {
            supervisor.sink().hide(masks);
        }
    }
    if !for_files.is_empty() {
        let files = Files::create().map_err(Refusal::config)?;
        let write = |name: &str, value: &_, owner| files.write(name, value, owner);
        secrets::place_files(plan, &for_files, &mut values, write).map_err(Refusal::config)?;
        supervisor.keep_files(files);
    }
    let environments = environment::of_all(plan, inherited, &values);
    let token = secrets::health_token(plan, &values);
    let migration = migration(plan, &values);
    let checks = Checks::settle(plan, &values, inherited, supervisor.monitor().is_served());
    match (environments, token, migration, checks) {
        (Ok(environments), Ok(token), Ok(migration), Ok(checks)) => {
            supervisor.children().give_environments(environments);
            supervisor.monitor().give_checks(checks);
            if let Some(settings) = migration {
                supervisor.children().give_migration(settings);
            }
            if let Some(token) = token {
                supervisor.monitor().set_token(token);
            }
            Ok(())
        }
        (environments, token, migration, checks) => {
            let wrong: Vec<String> = environments
                .err()
                .into_iter()
                .flatten()
                .chain(token.err())
                .chain(migration.err())
                .chain(checks.err().into_iter().flatten())
                .collect();
            for why in &wrong {
                supervisor
                    .sink()
                    .line(&Line::new(Level::Error, "config_error", why.as_str()).within(span));
            }
            Err(Refusal::config(wrong.join("; ")))
        }
    }
}

/// What the task that migrates has to do, as a file for its stdin.
fn migration(plan: &config::Plan, values: &Values) -> Result<Option<OwnedFd>, String> {
    let Some(settings) = migrate::settings(plan, values)? else {
        return Ok(None);
    };
    let bytes = Zeroizing::new(settings.to_bytes());
    let file =
        sys::file_of(&bytes).map_err(|error| format!("cannot hand over what is to be migrated: {error}"))?;
    Ok(Some(file))
}

/// What is said of a secret that has no value.
fn line(level: Level, event: &'static str, missing: &Missing, what: String) -> Line {
    let Report {
        reference,
        region,
        action,
        kind,
        cause,
        ..
    } = &missing.report;
    Line::new(level, event, what)
        .with("variable", missing.name.as_str())
        .with("reference", reference.as_str())
        .with_some("region", region.as_deref())
        .with_some("action", action.as_deref())
        .with("reason", kind.as_str())
        .with("cause", cause.as_str())
}
