//! runmate beside its peers, in one run on one machine: `make bench`.
//!
//! Contenders take turns, round by round, so that whatever else the machine does hits all of them
//! alike. Prints Markdown; with `--write`, or with BENCH_WRITE set, `docs/benchmarks.md` is renewed.

mod child;
mod crash;
mod health;
mod life;
mod logs;
mod memory;
mod migrations;
mod orphans;
mod os;
mod peers;
mod report;
mod secrets;
mod size;
mod stage;
mod static_server;
mod stats;

// What the tests use, too.
#[path = "../../tests/support/programs.rs"]
mod programs;
// What the tests of secrets use, too.
#[path = "../../../secrets/tests/support/client.rs"]
mod client;
#[path = "../../../secrets/tests/support/moto.rs"]
mod moto;

use std::error::Error;
use std::process::ExitCode;

use report::Section;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

/// A scenario: its name on the command line, and what measures it.
type Scenario = (&'static str, fn() -> Result<Section>);

const SCENARIOS: [Scenario; 9] = [
    ("size", size::run),
    ("memory", memory::run),
    ("life", life::run),
    ("crash", crash::run),
    ("orphans", orphans::run),
    ("logs", logs::run),
    ("health", health::run),
    ("secrets", secrets::run),
    ("migrations", migrations::run),
];

fn main() -> ExitCode {
    // Before anything else: a child's first act is to look at the clock.
    let started = os::now();
    let mut arguments = std::env::args_os().skip(1).peekable();
    if arguments.next_if(|word| word == child::WORD).is_some() {
        let played = child::main(started, arguments);
        return if played.is_some() {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        };
    }
    if arguments.next_if(|word| word == static_server::WORD).is_some() {
        return match static_server::main(arguments) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                eprintln!("static server: {error}");
                ExitCode::FAILURE
            }
        };
    }
    match bench(arguments.filter_map(|word| word.into_string().ok()).collect()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("bench: {error}");
            ExitCode::FAILURE
        }
    }
}

/// `words`: `--write`, and the names of scenarios if not all are wanted.
fn bench(mut words: Vec<String>) -> Result<()> {
    // Cargo adds this one.
    words.retain(|word| word != "--bench");
    let write = std::env::var_os("BENCH_WRITE").is_some() || words.iter().any(|word| word == "--write");
    words.retain(|word| word != "--write");
    if let Some(unknown) = words
        .iter()
        .find(|word| !SCENARIOS.iter().any(|(name, _)| name == word))
    {
        return Err(format!(
            "no scenario is called {unknown}; there are {}",
            SCENARIOS.map(|(name, _)| name).join(", ")
        )
        .into());
    }
    if write && !words.is_empty() {
        return Err("docs/benchmarks.md is renewed as a whole; leave out the scenarios' names".into());
    }
    peers::check_installed()?;
    let mut sections = Vec::new();
    for (name, run) in SCENARIOS {
        if words.is_empty() || words.iter().any(|word| word == name) {
            eprintln!("bench: {name} …");
            sections.push(run().map_err(|error| format!("{name}: {error}"))?);
        }
    }
    let text = report::render(&sections);
    print!("{text}");
    if write {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../docs/benchmarks.md");
        std::fs::write(path, &text).map_err(|error| format!("cannot write {path}: {error}"))?;
    }
    Ok(())
}
