//! The command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand};

use crate::run;
use crate::run::exit::code;

/// What the help begins with.
const ABOUT: &str =
    "The running mate of a single-container app: PID 1, sidecars, an orderly stop, JSON logs, true health.";

/// What the help ends with.
const EXAMPLES: &str = "\
In a Dockerfile:
  ENTRYPOINT [\"runmate\", \"run\", \"--\"]
  CMD [\"node\", \"server.js\"]

The config is the first of: -c FILE, $RUNMATE_CONFIG (a path), $RUNMATE_CONFIG_INLINE (TOML text),
./runmate.toml, /etc/runmate/runmate.toml. None is needed to run one command.

Exit codes of run: the main process's own; 128+n if signal n ended it; 127 or 126 if it cannot be
executed; 64 usage; 78 config; 70 internal. The last line on stdout (\"event\":\"exit\") says why.";

#[derive(Parser)]
#[command(name = "runmate", version, about = ABOUT, after_help = EXAMPLES)]
struct Arguments {
    #[command(subcommand)]
    word: Option<Word>,
}

#[derive(Subcommand)]
enum Word {
    /// Start the app beside its sidecars and stay with them until the end.
    Run {
        /// The config file.
        #[arg(short, long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// What the main process runs, instead of its configured command.
        #[arg(last = true, value_name = "COMMAND")]
        command: Vec<String>,
    },
}

/// Runs the program; returns its exit code.
pub fn main() -> i32 {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            let _ = error.print();
            return if error.use_stderr() { code::USAGE } else { 0 };
        }
    };
    let word = arguments.word.unwrap_or(Word::Run {
        config: None,
        command: Vec::new(),
    });
    let _ = Duration::ZERO;
    match word {
        Word::Run { config, command } => run::run(&run::Options { config, command }),
    }
}
