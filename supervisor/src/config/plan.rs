//! What a config file means, after every default and preset was applied.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use runmate_lines::{LogFormat, Multiline, Style};
use runmate_secrets::{Form, Reference};

use super::{Health, Text};
use crate::machine::{Policy, ProcessId};

/// Where the configuration came from; shown in errors, in `check` and in the boot line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// A file.
    File(PathBuf),
    /// The TOML text of `$RUNMATE_CONFIG_INLINE`.
    Inline,
    /// None at all: only the command of the command line.
    CommandLine,
}

/// A validated configuration: all that `run` needs.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Where it came from.
    pub source: Source,
    /// The processes in the order of the file.
    pub processes: Vec<Process>,
    /// The process whose end ends the container.
    pub main: ProcessId,
    /// The rules of the whole.
    pub run: Run,
    /// The health endpoints.
    pub health: Health,
    /// The log output.
    pub logs: Logs,
    /// The traces.
    pub trace: Trace,
    /// What is to be resolved before the first process starts.
    pub secrets: Secrets,
    /// The migrations, if there are any: the last of the processes.
    pub migrate: Option<Migrate>,
    /// Things that are legal but probably not meant, each a full sentence.
    pub warnings: Vec<String>,
}

/// `[run]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Run {
    /// The platform named in the file or detected from the environment.
    pub platform: Platform,
    /// Exit codes that are turned into 0.
    pub success_codes: Vec<i32>,
    /// How long to keep serving after SIGTERM.
    pub drain_delay: Duration,
    /// From the start of a drain to the exit.
    pub stop_budget: Duration,
}

/// Where the container runs; decides the defaults of the drain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Platform {
    /// AWS App Runner.
    AppRunner,
    /// Amazon ECS on Fargate, Express Mode or EC2.
    Ecs,
    /// Google Cloud Run.
    CloudRun,
    /// Kubernetes.
    Kubernetes,
    /// Plain Docker, and everything unknown.
    Docker,
}

/// `[process.NAME]`, resolved.
#[derive(Clone, Debug)]
pub struct Process {
    /// Its name in the config.
    pub name: String,
    /// What to run.
    pub command: Command,
    /// What the machine needs to know.
    pub policy: Policy,
    /// The preset that was applied, by the name of its row in the table (`nginx`).
    pub preset: Option<&'static str>,
    /// How it shows that it is ready; the timeout stands in `policy.ready_within`.
    pub ready: Option<Ready>,
    /// Its working directory; `None` is runmate's own.
    pub cwd: Option<PathBuf>,
    /// Who it runs as; `None` is runmate's own user.
    pub user: Option<User>,
    /// Its umask; `None` is runmate's own.
    pub umask: Option<u32>,
    /// Variables set for it, expanded.
    pub env: BTreeMap<String, Text>,
    /// Which of runmate's own variables it gets.
    pub env_inherit: EnvInherit,
    /// Which secrets it gets.
    pub secrets: Sees,
    /// Its standard input.
    pub stdin: Stdin,
    /// How its output is written.
    pub format: LogFormat,
    /// Whether its output goes to stdout; if not, only to those that have its lines as their stdin.
    pub to_stdout: bool,
}

/// A command as the config gives it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Command {
    /// A list: the program and its arguments; never empty.
    Argv(Vec<String>),
    /// A string, run by `/bin/sh -c`.
    Shell(String),
    /// Not from the config: the helper that does what `[migrate]` says.
    Migrate,
}

/// `[migrate]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Migrate {
    /// The URL of the database; `None` only outside of a [`Plan`], where the command line may have it.
    pub database: Option<Text>,
    /// What migrates.
    pub work: MigrateWork,
    /// What the ledger records, if the config says so.
    pub release: Option<String>,
    /// What decides whether a command has to run again.
    pub inputs: Vec<PathBuf>,
    /// How long to wait for the database and for the lock.
    pub wait: Duration,
    /// How long a statement may wait for a lock; zero is for ever.
    pub lock_timeout: Duration,
    /// How long a statement may take; zero is as long as it takes.
    pub statement_timeout: Duration,
    /// Whether to create the database.
    pub create: bool,
    /// Whether the container starts even if the migrations failed.
    pub continues: bool,
}

/// What migrates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MigrateWork {
    /// The SQL files of a directory.
    Dir(PathBuf),
    /// A command.
    Command(Command),
}

/// A readiness probe.
#[derive(Clone, Debug)]
pub struct Ready {
    /// What is probed.
    pub probe: Probe,
    /// The longest pause between two probes.
    pub interval: Duration,
}

/// What a readiness probe looks at.
#[derive(Clone, Debug)]
pub enum Probe {
    /// A GET that answers 200 to 399.
    Http(HttpTarget),
    /// A TCP connection that is accepted.
    Tcp(SocketAddr),
    /// A command that exits 0.
    Exec(Command),
    /// A line of its output that matches.
    Log(regex_lite::Regex),
    /// A newline written to this file descriptor of the process (the convention of s6).
    Fd(i32),
}

/// A plain-http URL with a literal address: PID 1 never resolves names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpTarget {
    /// Where to connect.
    pub address: SocketAddr,
    /// The value of the Host header, as written in the URL.
    pub host: String,
    /// Path and query, starting with `/`.
    pub path: String,
}

/// Numeric identity of a process, resolved from the image's `/etc/passwd` and `/etc/group`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// User id.
    pub uid: u32,
    /// Primary group id.
    pub gid: u32,
    /// Supplementary groups.
    pub groups: Vec<u32>,
    /// Home directory where `/etc/passwd` names one: becomes `$HOME`.
    pub home: Option<String>,
    /// Login name where `/etc/passwd` has one: becomes `$USER` and `$LOGNAME`.
    pub name: Option<String>,
}

/// Which of runmate's own environment variables a process gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum EnvInherit {
    /// All.
    All,
    /// None.
    None,
    /// Those named.
    Only(Vec<String>),
}

/// Which secrets a process gets.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sees {
    /// All.
    All,
    /// Those named.
    Only(Vec<String>),
}

impl Plan {
    /// The task that migrates, if there is one.
    pub fn migration(&self) -> Option<ProcessId> {
        let mut processes = self.processes.iter();
        processes
            .position(|process| process.command == Command::Migrate)
            .map(ProcessId)
    }
}

impl Process {
    /// Whether the variable of this secret is among its own.
    pub fn sees(&self, secret: &Secret) -> bool {
        match (&secret.of_process, &self.secrets) {
            (Some(process), _) => *process == self.name,
            (None, Sees::All) => true,
            (None, Sees::Only(names)) => names.contains(&secret.name),
        }
    }

    /// Whether its environment holds the value, under the secret's own name or within another variable.
    pub fn holds(&self, secret: &Secret) -> bool {
        let mut texts = self.env.values().flat_map(Text::secrets);
        self.sees(secret) || texts.any(|name| name == secret.name)
    }
}

/// Standard input of a process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stdin {
    /// `/dev/null`.
    Null,
    /// Runmate's own; when it is a terminal, the process becomes its foreground job.
    Inherit,
    /// The JSON lines of these processes.
    Logs(Vec<ProcessId>),
}

/// `[logs]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logs {
    /// The format of runmate's own lines, and of processes that name none.
    pub format: LogFormat,
    /// The names and the shape of the fields of JSON lines.
    pub style: Style,
    /// Fields that the user wants called otherwise, by their words in every style.
    pub fields: BTreeMap<String, String>,
    /// Whether values of secrets are replaced in what processes print.
    pub mask: bool,
    /// Which tracebacks are joined to one event.
    pub multiline: Multiline,
    /// The longest line written, envelope included, in bytes; longer ones go out as parts.
    pub max_line: usize,
    /// How long a full stdout may hold a process back before lines are dropped and counted.
    pub blocked: Duration,
}

/// `[trace]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trace {
    /// Where traces go.
    pub exporter: Exporter,
    /// The name of the service.
    pub service: String,
    /// Whether services find the trace in their environment, too; tasks always do.
    pub carrier: bool,
    /// Why none will be sent, though the environment asks for it: a sentence.
    pub doubt: Option<String>,
}

/// Where traces go. An endpoint that is `None` is left to the environment, and then to the default.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub enum Exporter {
    /// Nowhere: no trace is made.
    Off,
    /// To an OpenTelemetry collector, by gRPC.
    OtlpGrpc(Option<String>),
    /// To an OpenTelemetry collector, by HTTP and protobuf.
    OtlpHttp(Option<String>),
    /// To the OTLP endpoint of AWS X-Ray, signed, without a collector.
    Xray(Option<String>),
}

/// `[secrets]` and the references of the environment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// How long all of it may take.
    pub timeout: Duration,
    /// The file of `$RUNMATE_SECRETS_FILE`, which then has all values.
    pub file: Option<PathBuf>,
    /// What is to be resolved; each name once.
    pub wanted: Vec<Secret>,
}

/// A variable that gets the value of a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secret {
    /// The variable; `process.NAME.env.VARIABLE` if it belongs to one process.
    pub name: String,
    /// What stands for the value; `None`: nothing does here, and `otherwise` applies.
    pub reference: Option<Reference>,
    /// How the variable holds it.
    pub form: Form,
    /// What happens if it cannot be resolved.
    pub otherwise: Otherwise,
    /// Whether it was found beside a `[secrets.NAME]` of the same reference. That one is what was asked for: this
    /// one is there if it can be, and nothing is said if not.
    pub beside: bool,
    /// The process whose `env` holds the reference, if it stands there: nobody else gets the value.
    pub of_process: Option<String>,
}

/// What happens if a secret cannot be resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Otherwise {
    /// Nothing is started.
    Fail,
    /// The variable is absent.
    Absent,
    /// The variable has this value.
    Default(String),
}
