//! What migrations cost: when there is nothing to do, and when many start together. On a PostgreSQL of its own.

use std::process::{Child, Command, Stdio};
use std::time::Instant;

use tempfile::TempDir;

use crate::Result;
use crate::peers::RUNMATE;
use crate::programs::{Postgres, find_program};
use crate::report::{Section, Target, ms};
use crate::stats::Samples;

const SKIPS: usize = 31;
const ROUNDS: usize = 11;
const LARGE_ROUNDS: usize = 3;
/// For a start that finds all done, in milliseconds.
const SKIP: f64 = 10.0;
/// How often who waits looks again, in milliseconds.
const POLL: f64 = 200.0;
const FLEET: f64 = 1.3;

pub fn run() -> Result<Section> {
    let lab = Lab::new()?;
    let (mut one, mut sixteen, mut sixty_four) = (Samples::default(), Samples::default(), Samples::default());
    for round in 0..ROUNDS {
        one.push(lab.fleet(&format!("one{round}"), 1)?);
        sixteen.push(lab.fleet(&format!("sixteen{round}"), 16)?);
    }
    for round in 0..LARGE_ROUNDS {
        sixty_four.push(lab.fleet(&format!("many{round}"), 64)?);
    }
    let mut skip = Samples::default();
    for _ in 0..SKIPS {
        skip.push(together(1, || lab.start("one0"))?);
    }
    let mut connect = Samples::default();
    for _ in 0..SKIPS {
        connect.push(together(1, || lab.psql("one0", "SELECT 1"))?);
    }
    let limit = FLEET * one.median() + POLL;
    let row = |what: &str, samples: &Samples| vec![what.to_owned(), ms(samples.median())];
    Ok(Section {
        title: "Migrations",
        how: format!(
            "`runmate migrate` with ten SQL files against PostgreSQL on loopback, in milliseconds from the first start to \
             the last end. An empty database each time ({ROUNDS} rounds, {LARGE_ROUNDS} with 64); at the end one where \
             all is done ({SKIPS} rounds), beside psql, which connects and asks for a constant."
        ),
        header: vec!["starts", "all ended"],
        rows: vec![
            row("1", &one),
            row("16 together", &sixteen),
            row("64 together", &sixty_four),
            row("1, nothing to do", &skip),
            row("psql, SELECT 1", &connect),
        ],
        targets: vec![
            Target {
                what: "migrations that are done, the whole program",
                wanted: format!("≤ {SKIP} ms"),
                measured: format!("{} ms", ms(skip.median())),
                met: skip.median() <= SKIP,
            },
            Target {
                what: "16 starts on an empty database",
                wanted: format!("≤ {FLEET} × one + {POLL} ms"),
                measured: format!("{} of {} ms", ms(sixteen.median()), ms(limit)),
                met: sixteen.median() <= limit,
            },
            Target {
                what: "64 starts on an empty database",
                wanted: "no error".to_owned(),
                measured: "none".to_owned(),
                // An error ends the benchmark.
                met: true,
            },
        ],
    })
}

struct Lab {
    server: Postgres,
    dir: TempDir,
}

impl Lab {
    fn new() -> Result<Lab> {
        let dir = TempDir::new()?;
        let migrations = dir.path().join("migrations");
        std::fs::create_dir(&migrations)?;
        for version in 1..=10 {
            let sql = format!(
                "CREATE TABLE t{version} (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), what text);\n\
                 INSERT INTO t{version} (id, what) SELECT id, repeat('x', 50) FROM generate_series(1, 5000) AS id;\n\
                 CREATE INDEX ON t{version} (at);\n"
            );
            std::fs::write(migrations.join(format!("{version:02}_t{version}.sql")), sql)?;
        }
        Ok(Lab {
            server: Postgres::start("bench", "bench"),
            dir,
        })
    }

    fn url(&self, database: &str) -> String {
        format!(
            "postgres://bench:bench@127.0.0.1:{}/{database}",
            self.server.port()
        )
    }

    /// Milliseconds from the first start to the last end.
    fn fleet(&self, database: &str, starts: usize) -> Result<f64> {
        together(1, || {
            self.psql("postgres", &format!("CREATE DATABASE {database}"))
        })?;
        together(starts, || self.start(database))
    }

    fn start(&self, database: &str) -> Command {
        let mut command = Command::new(RUNMATE);
        command.arg("migrate").current_dir(self.dir.path());
        command.env_clear().env("DATABASE_URL", self.url(database));
        command
    }

    fn psql(&self, database: &str, sql: &str) -> Command {
        let mut command = Command::new(find_program("psql"));
        command.args(["--no-psqlrc", "-qAtc", sql, &self.url(database)]);
        command
    }
}

/// Milliseconds until all of them have ended well.
fn together(count: usize, command: impl Fn() -> Command) -> Result<f64> {
    let started = Instant::now();
    let start = || {
        command()
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
    };
    let all: Vec<Child> = (0..count).map(|_| start()).collect::<std::io::Result<_>>()?;
    let mut ends = Vec::new();
    for child in all {
        ends.push(child.wait_with_output()?);
    }
    let took = started.elapsed();
    match ends.iter().find(|end| !end.status.success()) {
        Some(end) => Err(String::from_utf8_lossy(&end.stderr).into()),
        None => Ok(took.as_secs_f64() * 1e3),
    }
}
