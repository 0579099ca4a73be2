//! `[process.NAME]`: one process, with all defaults that depend on its kind and on being main.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use runmate_secrets::Reference;
use toml::de::DeValue;

use crate::machine::{Backoff, Kind, OnExit, Policy, Restart, Scope, Stop};
use crate::signal::Signal;

use super::reader::{Table, Value};
use super::{Command, EnvInherit, LogFormat, Probe, Process, Ready, Sees, Stdin, Text, User};
use super::{forwarding, keys, presets, ready, secrets, signals, units, users};

/// The formats by their names in the config.
pub(super) const FORMATS: &[(&str, LogFormat)] = &[
    ("json", LogFormat::Json),
    ("text", LogFormat::Text),
    ("raw", LogFormat::Raw),
    ("inherit", LogFormat::Inherit),
];

/// What must be known of all processes before one of them can be read.
pub(super) struct Header<'a> {
    pub(super) name: String,
    /// `None`: the process that a bare COMMAND makes.
    pub(super) table: Option<Table<'a>>,
    pub(super) kind: Kind,
    /// What `main` says, if anything.
    pub(super) main: Option<bool>,
}

impl<'a> Header<'a> {
    /// The head of a table under `[process]`.
    pub(super) fn read(name: &str, value: &Value<'a>) -> Option<Header<'a>> {
        let good = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        if name.is_empty() || !name.bytes().all(good) {
            value.error("a name of a process is made of letters, digits, '_', '.' and '-'; rename it");
        } else if name == "runmate" {
            value.error("the name runmate marks the supervisor's own lines; rename the process");
        }
        let table = value.table(Some(keys::PROCESS), "a table such as [process.app]")?;
        let kinds = [("service", Kind::Service), ("task", Kind::Task)];
        let kind = table
            .get("kind")
            .and_then(|value| value.choice(&kinds))
            .unwrap_or(Kind::Service);
        let main = table.get("main").and_then(|value| value.bool());
        Some(Header {
            name: name.to_owned(),
            table: Some(table),
            kind,
            main,
        })
    }

    /// The process of a command line without a config.
    pub(super) fn of_command_line() -> Header<'a> {
        Header {
            name: "app".to_owned(),
            table: None,
            kind: Kind::Service,
            main: None,
        }
    }

    /// The value of one of its keys.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.table.as_ref().and_then(|table| table.get(name))
    }
}

/// What a process takes from outside its own table.
pub(super) struct Context<'c> {
    /// Where `etc/passwd` is.
    pub(super) root: &'c Path,
    /// Whether it is the main process.
    pub(super) main: bool,
    /// The COMMAND that stands for its own, if any.
    pub(super) command: Option<&'c [String]>,
    /// The format of `[logs]`.
    pub(super) format: LogFormat,
}

/// The process. `after` is left to the caller, who knows the others; what is wrong is recorded.
pub(super) fn read(header: &Header, context: &Context) -> Process {
    let command = match context.command {
        Some(argv) => Command::Argv(argv.to_vec()),
        None => own_command(header, context),
    };
    let (stop, preset) = stop(header, &command);
    let readiness = header.get("ready").and_then(|value| {
        if header.kind == Kind::Task {
            value.error("a task is ready when it has succeeded; remove this, or make it a service");
            return None;
        }
        ready::read(&value)
    });
    let (format, to_stdout) = header
        .get("logs")
        .and_then(|value| logs(&value))
        .unwrap_or_default();
    let format = format.unwrap_or(context.format);
    if let (
        Some((
            Ready {
                probe: Probe::Log(_), ..
            },
            _,
        )),
        LogFormat::Inherit,
    ) = (&readiness, format)
        && let Some(value) = header.get("ready")
    {
        value.error(
            "cannot wait for a line: with logs.format \"inherit\" none passes through runmate; change either",
        );
    }
    let (probe, ready_within) = readiness.unzip();
    let restart = restart(header, context);
    let on_exit = on_exit(header, context, restart);
    let signals = match header.get("signals") {
        Some(value) => signals::forwards(&value),
        None if context.main => signals::main_default(stop.signal),
        None => Vec::new(),
    };
    Process {
        name: header.name.clone(),
        policy: Policy {
            kind: header.kind,
            after: Vec::new(),
            ready_within,
            restart,
            backoff: header
                .get("backoff")
                .and_then(|value| backoff(&value))
                .unwrap_or_default(),
            on_exit,
            stop,
            signals,
        },
        preset,
        ready: probe,
        cwd: header
            .get("cwd")
            .and_then(|value| value.filled("a directory"))
            .map(PathBuf::from),
        user: header.get("user").and_then(|value| user(&value, context.root)),
        umask: header.get("umask").and_then(|value| umask(&value)),
        env: header
            .get("env")
            .and_then(|value| env(&value))
            .unwrap_or_default(),
        env_inherit: header
            .get("env_inherit")
            .and_then(|value| env_inherit(&value))
            .unwrap_or(EnvInherit::All),
        secrets: header
            .get("secrets")
            .and_then(|value| secrets::sees(&value))
            .unwrap_or(if context.main {
                Sees::All
            } else {
                Sees::Only(Vec::new())
            }),
        stdin: header
            .get("stdin")
            .and_then(|value| forwarding::stdin(&value))
            .unwrap_or(Stdin::Null),
        format,
        to_stdout: to_stdout.unwrap_or(true),
        command,
    }
}

/// The command of the table; an empty one, and an error, if there is none.
fn own_command(header: &Header, context: &Context) -> Command {
    let value = header.get("command");
    if let (None, Some(table)) = (&value, &header.table) {
        let or = if context.main {
            ", or give a COMMAND after \"runmate run --\""
        } else {
            ""
        };
        let remedy = format!("is missing; write command = [\"PROGRAM\", \"ARGUMENT\"]{or}");
        table.doc.missing(Some(table.at), &table.path("command"), remedy);
    }
    value
        .and_then(|value| command(&value))
        .unwrap_or_else(|| Command::Argv(Vec::new()))
}

/// A list, expanded, or a string, which is left to sh as it is.
pub(super) fn command(value: &Value) -> Option<Command> {
    let remedy = "a list such as [\"node\", \"server.js\"], or a string for /bin/sh";
    if let DeValue::String(_) = value.value {
        let text = value.raw(remedy)?;
        if text.trim().is_empty() {
            value.error(format!("cannot be empty; write {remedy}"));
            return None;
        }
        return Some(Command::Shell(text.to_owned()));
    }
    let elements = value.list(remedy)?;
    let argv: Vec<Option<String>> = elements
        .iter()
        .map(|element| element.string("a string in quotes"))
        .collect();
    let argv: Vec<String> = argv.into_iter().collect::<Option<_>>()?;
    match argv.first() {
        None => value.error(format!("cannot be empty; write {remedy}")),
        Some(program) if program.is_empty() => value.error("the program's name is empty; write it first"),
        Some(_) => return Some(Command::Argv(argv)),
    }
    None
}

fn restart(header: &Header, context: &Context) -> Restart {
    let choices = [
        ("always", Restart::Always),
        ("on-failure", Restart::OnFailure),
        ("never", Restart::Never),
    ];
    let default = match header.kind {
        Kind::Service if !context.main => Restart::Always,
        _ => Restart::Never,
    };
    let Some(value) = header.get("restart") else {
        return default;
    };
    let restart = value.choice(&choices).unwrap_or(default);
    if restart == Restart::Always && header.kind == Kind::Task {
        value.error("a task that is always restarted never ends; write \"on-failure\", or make it a service");
    }
    restart
}

fn on_exit(header: &Header, context: &Context, restart: Restart) -> OnExit {
    let sidecar = header.kind == Kind::Service && !context.main;
    let default = if sidecar && restart == Restart::Never {
        OnExit::Ignore
    } else {
        OnExit::Shutdown
    };
    let Some(value) = header.get("on_exit") else {
        return default;
    };
    let found = value
        .choice(&[("shutdown", OnExit::Shutdown), ("ignore", OnExit::Ignore)])
        .unwrap_or(default);
    if found == OnExit::Ignore && context.main {
        value.error("the end of the main process ends the container; remove this, or make another one main");
    }
    found
}

fn backoff(value: &Value) -> Option<Backoff> {
    let table = value.table(
        Some(keys::BACKOFF),
        "a table such as { min = \"500ms\", max = \"30s\" }",
    )?;
    let default = Backoff::default();
    let backoff = Backoff {
        min: table
            .get("min")
            .and_then(|value| value.duration())
            .unwrap_or(default.min),
        max: table
            .get("max")
            .and_then(|value| value.duration())
            .unwrap_or(default.max),
        reset: table
            .get("reset")
            .and_then(|value| value.duration())
            .unwrap_or(default.reset),
        restarts: table
            .get("restarts")
            .and_then(|value| value.integer(0, u32::MAX.into()))
            .and_then(|count| u32::try_from(count).ok())
            .unwrap_or(default.restarts),
        within: table
            .get("within")
            .and_then(|value| value.some_time())
            .unwrap_or(default.within),
    };
    if backoff.min > backoff.max {
        let (min, max) = (units::show(backoff.min), units::show(backoff.max));
        value.error(format!(
            "min {min} is longer than max {max}; write a max of at least {min}"
        ));
    }
    Some(backoff)
}

/// How it is stopped, and the preset that chose the signal.
fn stop(header: &Header, command: &Command) -> (Stop, Option<&'static str>) {
    let table = header.get("stop").and_then(|value| {
        value.table(
            Some(keys::STOP),
            "a table such as { signal = \"SIGTERM\", grace = \"20s\" }",
        )
    });
    let get = |name| table.as_ref().and_then(|table| table.get(name));
    let (preset, scope) = match command {
        Command::Argv(argv) => (
            argv.first().and_then(|argv0| presets::find(argv0)),
            Scope::Process,
        ),
        Command::Shell(_) => (None, Scope::Group),
        Command::Migrate => (None, Scope::Process),
    };
    let (signal, preset) = match (get("signal"), preset) {
        (Some(value), _) => (signals::stop(&value).unwrap_or(Signal::TERM), None),
        (None, Some((name, signal))) => (signal, Some(name)),
        (None, None) => (Signal::TERM, None),
    };
    let scopes = [("process", Scope::Process), ("group", Scope::Group)];
    let stop = Stop {
        signal,
        grace: get("grace").and_then(|value| value.duration()),
        scope: get("scope")
            .and_then(|value| value.choice(&scopes))
            .unwrap_or(scope),
    };
    (stop, preset)
}

fn user(value: &Value, root: &Path) -> Option<User> {
    let text = value.filled("a name, a number, USER:GROUP or UID:GID in quotes")?;
    value.check(users::resolve(&text, root))
}

fn umask(value: &Value) -> Option<u32> {
    let remedy = "an octal number in quotes such as \"0027\"";
    let text = value.filled(remedy)?;
    let octal = text
        .bytes()
        .all(|b| matches!(b, b'0'..=b'7'))
        .then(|| u32::from_str_radix(&text, 8).ok());
    let found = octal.flatten().filter(|mask| *mask <= 0o777);
    value.check(found.ok_or_else(|| format!("{text:?} is no umask; write {remedy}")))
}

/// The variables; their values never appear in errors.
fn env(value: &Value) -> Option<BTreeMap<String, Text>> {
    let table = value.table(None, "a table such as { LANG = \"C.UTF-8\" }")?;
    let mut env = BTreeMap::new();
    for (name, value) in table.entries() {
        if !variable_name(&value, name) {
            continue;
        }
        let Some(text) = value.text("the value in quotes") else {
            continue;
        };
        if let Some(Err(error)) = text.literal().map(Reference::parse)
            && !secrets::is_excluded(value.doc, name)
        {
            value.error(format!("{}; or name it in secrets.exclude", error.message));
        }
        env.insert(name.to_owned(), text);
    }
    Some(env)
}

/// Whether the system can hold a variable of this name; if not, that is recorded.
fn variable_name(value: &Value, name: &str) -> bool {
    let good = !name.is_empty() && !name.contains(['=', '\0']);
    if !good {
        value.error(format!(
            "{name:?} cannot name a variable; write a name without '=' and NUL"
        ));
    }
    good
}

fn env_inherit(value: &Value) -> Option<EnvInherit> {
    match value.value {
        DeValue::Boolean(true) => Some(EnvInherit::All),
        DeValue::Boolean(false) => Some(EnvInherit::None),
        _ => {
            let names = value.list("true, false or a list of names")?;
            let name = |value: &Value| {
                let name = value.string("the name of a variable in quotes")?;
                variable_name(value, &name).then_some(name)
            };
            Some(EnvInherit::Only(names.iter().filter_map(name).collect()))
        }
    }
}

/// The format, and whether the lines go to stdout.
fn logs(value: &Value) -> Option<(Option<LogFormat>, Option<bool>)> {
    let table = value.table(Some(keys::PROCESS_LOGS), "a table such as { format = \"json\" }")?;
    let format = table.get("format").and_then(|value| value.choice(FORMATS));
    let stdout = table.get("stdout").and_then(|value| value.bool());
    Some((format, stdout))
}
