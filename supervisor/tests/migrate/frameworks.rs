//! What other people migrate with, wrapped as commands: alembic, Django, Rails.
//!
//! Without a lock, of 16 starts at once on an empty database between 1 and 15 succeed, as it happens, and some
//! leave rows or ledger entries twice; all 16 never did.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use crate::lab::{Ended, Lab, Server, psql};

/// How many containers start together.
const STARTS: usize = 16;

/// How often. In one round of four nothing can be skipped, and every start runs the command.
fn rounds() -> usize {
    let rounds = std::env::var("MIGRATE_FRAMEWORK_ROUNDS").ok();
    rounds
        .map(|rounds| rounds.parse().expect("MIGRATE_FRAMEWORK_ROUNDS is a number"))
        .unwrap_or(8)
}

/// A small project with ten migrations. One adds three products, another adds ten to the stock of each: both
/// would show if they ran twice.
struct Project {
    name: &'static str,
    command: Vec<String>,
    /// Files that decide whether it has to run again.
    inputs: &'static str,
    products: &'static str,
    /// Says `10|10` if each of the ten is recorded once.
    ledger: &'static str,
}

impl Project {
    fn dir(&self) -> PathBuf {
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/migrate/fixtures");
        PathBuf::from(fixtures).join(self.name)
    }

    /// Starts all at once; each has to end well.
    fn start_all(&self, lab: &Lab, url: &str, skippable: bool) -> Vec<Ended> {
        let mut args = if skippable {
            vec!["--input", self.inputs]
        } else {
            vec![]
        };
        args.push("--");
        args.extend(self.command.iter().map(String::as_str));
        let start = || {
            lab.start_with(url, &args, |command| {
                // The fixtures stay as they are.
                command
                    .current_dir(self.dir())
                    .env("PYTHONDONTWRITEBYTECODE", "1");
            })
        };
        let all: Vec<_> = (0..STARTS).map(|_| start()).collect();
        let all: Vec<Ended> = all.into_iter().map(|running| running.end()).collect();
        for ended in &all {
            assert_eq!(ended.code, Some(0), "{}", ended.said);
        }
        all
    }

    fn proves_itself(&self) {
        // One framework at a time: each start of these costs half a second of a processor.
        static ALONE: Mutex<()> = Mutex::new(());
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        let (lab, server) = (Lab::new(), Server::start());
        for round in 0..rounds() {
            let skippable = round % 4 != 3;
            let name = format!("round{round}");
            let create = format!("CREATE DATABASE {name} ENCODING 'UTF8' TEMPLATE template0");
            psql(&server.url("postgres"), &create);
            let url = server.url(&name);
            self.start_all(&lab, &url, skippable);
            let table = self.products;
            assert_eq!(
                psql(&url, &format!("SELECT name, stock FROM {table} ORDER BY name")),
                "ink|10\npad|10\npen|10"
            );
            assert_eq!(psql(&url, self.ledger), "10|10");
            let runs = if skippable { 1 } else { STARTS };
            assert_eq!(
                psql(
                    &url,
                    "SELECT state, count(*) FROM _runmate_releases GROUP BY state"
                ),
                format!("done|{runs}")
            );
            let overlapping = "SELECT count(*) FROM _runmate_releases AS a JOIN _runmate_releases AS b \
                               ON a.run < b.run AND a.started_at < b.finished_at AND b.started_at < a.finished_at";
            assert_eq!(psql(&url, overlapping), "0");
            psql(&server.url("postgres"), &format!("DROP DATABASE {name}"));
        }
    }
}

/// A program of the Python environment that `scripts/setup-tests.sh` makes.
fn python_program(name: &str) -> String {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .unwrap_or_default();
    let program = cache.join("runmate-tests/frameworks/bin").join(name);
    assert!(
        program.exists(),
        "there is no {}; run scripts/setup-tests.sh, which puts it there",
        program.display()
    );
    program.display().to_string()
}

#[test]
fn sixteen_with_alembic() {
    let project = Project {
        name: "alembic",
        command: vec![python_program("alembic"), "upgrade".to_owned(), "head".to_owned()],
        inputs: "versions",
        products: "products",
        // It remembers the last one only.
        ledger: "SELECT 10 * count(*), max(version_num)::int FROM alembic_version",
    };
    project.proves_itself();
}

#[test]
fn sixteen_with_django() {
    let project = Project {
        name: "django",
        command: vec![
            python_program("python"),
            "manage.py".to_owned(),
            "migrate".to_owned(),
        ],
        inputs: "shop/migrations",
        products: "shop_product",
        ledger: "SELECT count(*), count(DISTINCT name) FROM django_migrations",
    };
    project.proves_itself();
}

#[test]
fn sixteen_with_rails() {
    let project = Project {
        name: "rails",
        command: vec!["ruby".to_owned(), "migrate.rb".to_owned()],
        inputs: "migrations",
        products: "products",
        ledger: "SELECT count(*), count(DISTINCT version) FROM schema_migrations",
    };
    project.proves_itself();
}
