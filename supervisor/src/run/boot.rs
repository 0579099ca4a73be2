//! From `main` to the last line: signals installed → config → processes in order → up → drain → exit.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::panic::AssertUnwindSafe;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::task::LocalSet;
use tokio::time::{Instant, Interval, MissedTickBehavior, sleep_until, timeout_at};

use super::exit::{self, code};
use super::health;
use super::probes::Message;
use super::secrets::{self, Prepared};
use super::serve;
use super::signals::SignalStream;
use super::supervisor::{GROUP_POLL, Supervisor};
use super::telemetry::{LAST_EXPORT, Telemetry};
use crate::config::{self, Inputs, LogFormat, Source};
use crate::event_loop;
use crate::machine::{Event, Machine, Plan};
use crate::output::{Level, Line, Look, Names, Sink, SinkOptions};
use crate::process::sys;
use crate::secrets::environment::Inherited;
use crate::trace::Context;

/// What the command line says.
#[derive(Clone, Debug, Default)]
pub struct Options {
    /// The file of `-c`.
    pub config: Option<PathBuf>,
    /// The command after `--`; empty if there is none.
    pub command: Vec<String>,
}

/// How much output may wait for a slow stdout before processes are held back.
const QUEUE: usize = 512 << 10;
/// A large pipe to the platform's log collector means fewer, larger writes.
const STDOUT_PIPE: i32 = 1 << 20;
/// Durations in the health answers are never older than this.
const HEALTH_REFRESH: Duration = Duration::from_secs(5);
/// However little of the stop budget is left, the last line gets this long.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// Runs a container from its first signal handler to its last line; returns the exit code.
pub fn run(options: &Options) -> i32 {
    let zero = Instant::now();
    let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => return fail_early(zero, &format!("cannot start the event loop: {error}")),
    };
    std::panic::set_hook(Box::new(|panic| exit::say_panic(&panic.to_string())));
    // All of it runs on the main thread: children follow the death of the thread that made them.
    let run = || LocalSet::new().block_on(&runtime, supervise(options, zero));
    match std::panic::catch_unwind(AssertUnwindSafe(run)) {
        Ok(exit_code) => exit_code,
        // Nothing of it is used any more. The children die with us.
        Err(_) => fail_early(
            zero,
            "a fault inside runmate; please report it with the line before",
        ),
    }
}

async fn supervise(options: &Options, zero: Instant) -> i32 {
    let mut signals = match SignalStream::install() {
        Ok(signals) => signals,
        Err(error) => return fail_early(zero, &format!("cannot handle signals: {error}")),
    };
    let inherited: Inherited = std::env::vars_os().collect();
    let config = match load(options, &inherited) {
        Ok(config) => config,
        Err(errors) => return refuse(zero, &errors).await,
    };
    let sink = match start_sink(SinkOptions {
        look: Look {
            format: config.logs.format,
            names: Arc::new(Names::new(config.logs.style, &config.logs.fields)),
        },
        capacity: QUEUE,
        blocked: config.logs.blocked,
    }) {
        Ok(sink) => Rc::new(sink),
        Err(error) => return fail_early(zero, &format!("cannot start the log writer: {error}")),
    };
    sink.hear_libraries();
    let mut telemetry = Telemetry::new(&config, &inherited, zero);
    say_hello(&sink, &config, telemetry.current());
    let listener = match config.health.listen.map(health::bind) {
        None => None,
        Some(Ok(listener)) => Some(listener),
        Some(Err(why)) if config.health.explicit => {
            sink.line(
                &Line::new(
                    Level::Error,
                    "config_error",
                    format!("health.listen: {why}; name another address, or \"off\""),
                )
                .with("key", "health.listen"),
            );
            let why = format!("health.listen: {why}");
            return leave(&sink, &mut telemetry, zero, code::CONFIG, "config", &why).await;
        }
        Some(Err(why)) => {
            let message =
                format!("no health endpoints: {why}; set health.listen to another address, or to \"off\"");
            sink.line(&Line::new(Level::Warn, "health_off", message));
            None
        }
    };
    for signal in config
        .processes
        .iter()
        .flat_map(|process| process.policy.signals.iter().map(|(got, _)| *got))
    {
        if let Err(error) = signals.add(signal) {
            sink.line(&Line::new(
                Level::Warn,
                "signal_off",
                format!("cannot handle {signal}: {error}"),
            ));
        }
    }
    if std::process::id() != 1
        && let Err(error) = sys::become_subreaper()
    {
        sink.line(&Line::new(
            Level::Warn,
            "no_subreaper",
            format!("cannot adopt orphans: {error}"),
        ));
    }

    // Checks that restart a process do so even if nobody can ask for what they find.
    let restarts = config.health.checks.iter().any(|check| check.restart.is_some());
    let health = (listener.is_some() || restarts).then(|| health::endpoints(&config.health));
    let machine = Machine::new(machine_plan(&config));
    let port = inherited.iter().find(|(key, _)| key == "PORT");
    let port = port.and_then(|(_, value)| value.to_str()).map(str::to_owned);
    let (mut supervisor, messages) =
        Supervisor::new(config, machine, port, Rc::clone(&sink), telemetry, zero);
    // A stop that came while we read the config comes before the first process.
    while let Some(signal) = signals.pending().await {
        supervisor.signal(signal);
    }
    if let Some(health) = health {
        supervisor.publish_to(health.clone(), listener.is_some());
        if let Some(listener) = listener {
            let served = serve::serve(health, listener, Rc::clone(&sink));
            event_loop::spawn(async { drop(served.await) });
        }
    }
    if !supervisor.is_stopping() {
        match secrets::prepare(&mut supervisor, &mut signals, &inherited).await {
            Prepared::Ready => supervisor.start(),
            Prepared::Stopped => {}
            Prepared::Failed(refusal) => {
                let telemetry = supervisor.telemetry();
                return leave(&sink, telemetry, zero, refusal.code, "secrets", &refusal.why).await;
            }
        }
    }
    drop(inherited);
    supervisor.watch_port();

    turn(&mut supervisor, &mut signals, messages).await;
    end(supervisor, &sink).await
}

/// The loop itself.
async fn turn(
    supervisor: &mut Supervisor,
    signals: &mut SignalStream,
    mut messages: mpsc::UnboundedReceiver<Message>,
) {
    // They go on through whatever else happens; a sleep made anew in each turn might never end.
    let mut group_poll = periodic(GROUP_POLL);
    let mut health_refresh = periodic(HEALTH_REFRESH);
    while supervisor.exit().is_none() {
        let deadline = supervisor.deadline();
        let watches_groups = supervisor.watches_groups();
        tokio::select! {
            biased;
            signal = signals.next() => supervisor.signal(signal),
            Some(message) = messages.recv() => supervisor.message(message),
            () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                supervisor.feed(Event::Tick);
            }
            _ = group_poll.tick(), if watches_groups => supervisor.check_groups(),
            _ = health_refresh.tick() => supervisor.refresh_health(),
        }
    }
}

fn periodic(period: Duration) -> Interval {
    let mut interval = tokio::time::interval(period);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    interval
}

/// Everything the processes wrote comes out, then the last line.
async fn end(mut supervisor: Supervisor, sink: &Sink) -> i32 {
    let Some((exit_code, cause)) = supervisor.exit() else {
        return code::INTERNAL;
    };
    let patience = Instant::now() + sink.patience();
    let flush_by = match supervisor.stop_by() {
        Some(stop_by) => patience.min(stop_by).max(Instant::now() + LAST_WORDS),
        None => patience,
    };
    let streams = supervisor.take_streams();
    // Empty, not ended: a process that escaped us may hold a pipe open for ever.
    let flushed = timeout_at(flush_by, async {
        for stream in &streams {
            stream.finish().await;
        }
    });
    // The last line must find its time behind it.
    let export_by = Instant::now() + LAST_EXPORT;
    let export_by = match supervisor.stop_by() {
        Some(stop_by) => export_by.min(stop_by - LAST_WORDS),
        None => export_by,
    };
    let (said, _) = tokio::join!(supervisor.telemetry().last_export(export_by), flushed);
    said.iter().for_each(|line| sink.line(line));
    supervisor.children().feeds().say_losses();
    sink.last_line(&supervisor.exit_line(exit_code, cause));
    sink.flush(flush_by.max(Instant::now() + LAST_WORDS)).await;
    exit_code
}

fn machine_plan(config: &config::Plan) -> Plan {
    Plan {
        policies: config
            .processes
            .iter()
            .map(|process| process.policy.clone())
            .collect(),
        main: config.main,
        drain_delay: config.run.drain_delay,
        stop_budget: config.run.stop_budget,
        success_codes: config.run.success_codes.clone(),
        // Containers of a fleet start at different moments, and that is all jitter needs.
        jitter_seed: std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .map_or(1, |since| since.as_nanos() as u64 | 1),
    }
}

fn load(options: &Options, inherited: &Inherited) -> Result<config::Plan, config::ConfigErrors> {
    let text = |value: &OsString| value.to_str().map(str::to_owned);
    let env: BTreeMap<String, String> = inherited
        .iter()
        .filter_map(|(key, value)| Some((text(key)?, text(value)?)))
        .collect();
    config::load(&Inputs::of_this_container(
        options.config.as_deref(),
        options.command.clone(),
        &env,
    ))
}

fn start_sink(options: SinkOptions) -> io::Result<Sink> {
    // A copy: the children that inherit stdout get the original.
    let stdout = io::stdout().as_fd().try_clone_to_owned()?;
    sys::enlarge_pipe(stdout.as_raw_fd(), STDOUT_PIPE);
    Sink::start(stdout, options)
}

fn say_hello(sink: &Sink, config: &config::Plan, span: Option<Context>) {
    let source = match &config.source {
        Source::File(path) => path.display().to_string(),
        Source::Inline => "RUNMATE_CONFIG_INLINE".to_owned(),
        Source::CommandLine => "command line".to_owned(),
    };
    let pid = std::process::id();
    let line = Line::new(
        Level::Info,
        "boot",
        format!("runmate {}", env!("CARGO_PKG_VERSION")),
    )
    .with("config", source)
    .with("platform", config.run.platform.to_string())
    .with("pid", pid);
    sink.line(&line.within(span));
    for warning in &config.warnings {
        let line = Line::new(Level::Warn, "config_warning", warning.as_str());
        sink.line(&line.within(span));
    }
    if pid != 1 {
        let message = "not PID 1; adopting orphans as a child subreaper";
        sink.line(&Line::new(Level::Info, "not_pid_1", message).within(span));
    }
}

/// The configuration is wrong: every error is a line, and nothing is started.
async fn refuse(zero: Instant, errors: &config::ConfigErrors) -> i32 {
    let options = SinkOptions {
        look: Look {
            format: LogFormat::Json,
            names: Arc::default(),
        },
        capacity: QUEUE,
        blocked: Duration::from_secs(5),
    };
    let sink = match start_sink(options) {
        Ok(sink) => sink,
        Err(error) => return fail_early(zero, &format!("cannot start the log writer: {error}")),
    };
    for error in &errors.errors {
        let line = Line::new(Level::Error, "config_error", error.to_string())
            .with("file", error.file.as_str())
            .with_some("line", error.line)
            .with_some("key", error.key.as_deref());
        sink.line(&line);
    }
    let why = match errors.errors.as_slice() {
        [error] => error.to_string(),
        errors => format!("{} errors in the configuration", errors.len()),
    };
    leave(&sink, &mut Telemetry::off(), zero, code::CONFIG, "config", &why).await
}

/// An end before any process was started.
async fn leave(
    sink: &Sink,
    telemetry: &mut Telemetry,
    zero: Instant,
    exit_code: i32,
    cause: &str,
    why: &str,
) -> i32 {
    telemetry.refused(why, exit_code);
    let said = telemetry.last_export(Instant::now() + LAST_EXPORT).await;
    said.iter().for_each(|line| sink.line(line));
    let line = exit::line(Level::Error, exit_code, cause, why, zero.elapsed());
    sink.last_line(&line.within(telemetry.current()));
    sink.flush(Instant::now() + sink.patience().max(LAST_WORDS)).await;
    exit_code
}

/// An end before there is a log writer.
fn fail_early(zero: Instant, why: &str) -> i32 {
    exit::write_directly(code::INTERNAL, "internal", why, zero.elapsed());
    code::INTERNAL
}
