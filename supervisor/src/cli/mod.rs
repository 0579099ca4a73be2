//! The command line: one file per command.

mod check;
mod exec;
mod looks;
mod migrate;
mod probe;
mod resolve;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use crate::helper;
use crate::run::{self, exit_code};

const ABOUT: &str =
    "The running mate of a single-container app: PID 1, sidecars, an orderly stop, JSON logs, true health.";

const AFTER_HELP: &str = "\
In a Dockerfile, this is all:
  ENTRYPOINT [\"runmate\", \"run\", \"--\"]
  CMD [\"node\", \"server.js\"]

The config is the first of -c FILE, $RUNMATE_CONFIG (a path), $RUNMATE_CONFIG_INLINE (TOML text),
./runmate.toml and /etc/runmate/runmate.toml. One command alone needs none.

`runmate` alone means `runmate run`.";

const AFTER_RUN_HELP: &str = "\
Signals: SIGTERM, SIGINT and SIGQUIT start the drain; the second one signals every process at once,
the third kills. HUP, USR1, USR2 and WINCH go to the main process, others as `signals` says.

Exit codes: the main process's own; 128+n if signal n ended it; 127 not found, 126 not executable;
64 usage, 78 config (a missing secret included), 77 denied, 69 a service unavailable, 70 internal.
The last line on stdout (\"event\":\"exit\") says why.

Config, smallest:
  [process.app]
  command = [\"gunicorn\", \"-b\", \"127.0.0.1:8000\", \"app:app\"]
  ready   = { http = \"http://127.0.0.1:8000/up\" }

  [process.nginx]
  command = [\"nginx\", \"-g\", \"daemon off;\"]
  after   = [\"app\"]";

const AFTER_EXEC_HELP: &str = "\
COMMAND finds all secrets in its environment, and takes over this process: for a console, a one-off task,
or an image that has a supervisor already. Errors go to stderr.

Exit codes: those of COMMAND; 127 not found, 126 not executable; 64 usage; if the secrets cannot be
resolved 78 missing or misconfigured, 77 denied, 69 unavailable.";

const AFTER_MIGRATE_HELP: &str = "\
The database is --database-url, [migrate] database, $MIGRATE_DATABASE_URL or $DATABASE_URL; one that holds
the ARN of a secret is resolved. SQL files are VERSION_NAME.sql, the format and the table of sqlx.

  runmate migrate                                  apply what is in ./migrations
  runmate migrate plan                             show what that would be
  runmate migrate --input db -- rake db:migrate    any other tool, once per change of db/

Exit codes: 0 done or nothing to do; 1 failed; 65 drift: files and database contradict each other;
69 database unavailable; 75 the lock was not free in time; 76 the lock was lost; 79 a migration is half
done: see runmate migrate status; 64 usage, 77 denied, 78 config.";

/// What an ENTRYPOINT without `run` comes to.
const ENTRYPOINT: &str = "ENTRYPOINT [\"runmate\", \"run\", \"--\"]";

#[derive(Parser)]
#[command(name = "runmate", version, about = ABOUT, after_help = AFTER_HELP)]
struct Arguments {
    #[command(subcommand)]
    word: Option<Word>,
}

#[derive(Subcommand)]
enum Word {
    /// Start the app beside its sidecars and stay with them until the end
    #[command(after_help = AFTER_RUN_HELP)]
    Run {
        /// The config file
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// What the main process runs instead of its configured command
        #[arg(value_name = "COMMAND", trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Validate the config, commands, users and ports, and show what would be run
    Check {
        /// The config file
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Also ask for every secret and the database, and look once at what health checks look at; never shows a value
        #[arg(long)]
        online: bool,
        /// Print JSON instead of text
        #[arg(long)]
        json: bool,
        /// What the main process would run instead of its configured command
        #[arg(value_name = "COMMAND", trailing_var_arg = true)]
        command: Vec<String>,
    },
    /// Resolve the secrets, then become COMMAND: no supervision
    #[command(after_help = AFTER_EXEC_HELP)]
    Exec {
        /// The config file
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// What to become
        #[arg(value_name = "COMMAND", trailing_var_arg = true, required = true)]
        command: Vec<String>,
    },
    /// Migrate the database, once across the fleet: SQL files, or any COMMAND under a lock
    #[command(after_help = AFTER_MIGRATE_HELP)]
    Migrate {
        /// The config file, for [migrate] and [secrets]
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// postgres://, mysql:// or sqlite:FILE; others can read it here, so prefer the environment
        #[arg(long, value_name = "URL")]
        database_url: Option<String>,
        /// The directory of SQL files; default: migrations
        #[arg(long, value_name = "DIR")]
        dir: Option<PathBuf>,
        /// What the run is recorded under: a release that is done is skipped
        #[arg(long, value_name = "ID")]
        release: Option<String>,
        /// A file or directory that decides whether COMMAND has to run again
        #[arg(long, value_name = "PATH")]
        input: Vec<PathBuf>,
        /// What to do
        #[arg(value_enum, default_value_t = MigrateWord::Run)]
        word: MigrateWord,
        /// With repair: the statement in doubt was applied; go on behind it
        #[arg(long)]
        applied: bool,
        /// Print JSON lines instead of text
        #[arg(long)]
        json: bool,
        /// What migrates, instead of SQL files
        #[arg(value_name = "COMMAND", last = true)]
        command: Vec<String>,
    },
    /// Ask the health endpoints, for a container HEALTHCHECK: exit 0 if healthy, 1 if not
    Probe {
        /// The config file, for the port
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// What to GET; default: /healthz on loopback at the configured port
        #[arg(value_name = "URL")]
        url: Option<String>,
    },
    /// What runmate starts itself: resolves what stdin names
    #[command(name = helper::SECRETS, hide = true)]
    HelperSecrets,
    /// What runmate starts itself: looks when it is asked to on stdin
    #[command(name = helper::CHECKS, hide = true)]
    HelperChecks,
    /// What runmate starts itself: exports the traces that stdin holds
    #[command(name = helper::EXPORT, hide = true)]
    HelperExport,
    /// What runmate starts itself: migrates as stdin says
    #[command(name = helper::MIGRATE, hide = true)]
    HelperMigrate,
}

/// The words of `runmate migrate`.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum MigrateWord {
    /// Apply what is pending, or wait for whoever is at it
    Run,
    /// Show what run would do; changes nothing
    Plan,
    /// Show what is applied, pending, half done, and who is at it
    Status,
    /// Go on with a migration that is half done, then with the rest
    Repair,
    /// End the sessions of whoever holds the lock: for a run that hangs
    Unlock,
}

/// Runs the program; returns its exit code.
pub fn main() -> i32 {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    // Before clap: what follows may be anything, options of another program included.
    if arguments.get(1).is_some_and(|word| word == helper::GUARD) {
        return runmate_migrate::guard::main(arguments.into_iter().skip(2));
    }
    let runs = arguments.get(1).is_none_or(|word| word == "run");
    match Arguments::try_parse_from(&arguments) {
        Ok(arguments) => match arguments.word {
            None => run::run(&run::Options::default()),
            Some(Word::Run { config, command }) => run::run(&run::Options { config, command }),
            Some(Word::Check {
                config,
                json,
                command,
                online,
            }) => check::check(config.as_deref(), command, json, online),
            Some(Word::Exec { config, command }) => exec::exec(config.as_deref(), command),
            Some(Word::Migrate {
                config,
                database_url,
                dir,
                release,
                input,
                word,
                applied,
                json,
                command,
            }) => {
                if applied && word != MigrateWord::Repair {
                    eprintln!(
                        "runmate migrate: --applied is for repair; write runmate migrate repair --applied"
                    );
                    return exit_code::USAGE;
                }
                let word = match word {
                    MigrateWord::Run => crate::migrate::Word::Run,
                    MigrateWord::Plan => crate::migrate::Word::Plan,
                    MigrateWord::Status => crate::migrate::Word::Status,
                    MigrateWord::Repair => crate::migrate::Word::Repair { applied },
                    MigrateWord::Unlock => crate::migrate::Word::Unlock,
                };
                let options = migrate::Options {
                    config,
                    database_url,
                    dir,
                    release,
                    input,
                    json,
                    command,
                };
                migrate::migrate(word, options)
            }
            Some(Word::HelperChecks) => helper::checks_main(),
            Some(Word::HelperExport) => helper::export_main(),
            Some(Word::HelperMigrate) => helper::migrate_main(),
            Some(Word::HelperSecrets) => helper::secrets_main(),
            Some(Word::Probe { config, url }) => probe::probe(config.as_deref(), url.as_deref()),
        },
        Err(error) => refuse(&error, runs),
    }
}

fn refuse(error: &clap::Error, runs: bool) -> i32 {
    if !error.use_stderr() {
        // --help or --version.
        let _ = error.print();
        return 0;
    }
    if runs {
        // Where the platform shows only stdout, and only JSON of it, this is the one place to see it.
        let text = error.to_string();
        let first = text
            .lines()
            .next()
            .unwrap_or_default()
            .trim_start_matches("error: ")
            .to_owned();
        run::refuse_usage(&format!("{first}; write {ENTRYPOINT} or see runmate run --help"));
        return exit_code::USAGE;
    }
    if error.kind() == ErrorKind::InvalidSubcommand {
        let word = std::env::args_os().nth(1).unwrap_or_default();
        let word = word.to_string_lossy();
        eprintln!("runmate: `{word}` is not a command of runmate; to run a program, write\n{ENTRYPOINT}");
        return exit_code::USAGE;
    }
    let _ = error.print();
    exit_code::USAGE
}

/// The environment as the config sees it: what is not UTF-8 can be inherited, not referred to.
fn environment() -> BTreeMap<String, String> {
    std::env::vars_os()
        .filter_map(|(key, value)| Some((key.into_string().ok()?, value.into_string().ok()?)))
        .collect()
}

/// How long a `probe` may take in all.
const PROBE_TIMEOUT: Duration = Duration::from_secs(2);
