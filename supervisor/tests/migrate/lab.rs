//! A directory of migrations, a database, and any number of runmates.

use std::fmt::Write as _;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::programs::{Postgres, find_program};
use crate::support::PATIENCE;

const USER: &str = "app";
const PASSWORD: &str = "p@ss:w/rd%";
const PASSWORD_ENCODED: &str = "p%40ss%3Aw%2Frd%25";

/// A PostgreSQL server of a test's own.
pub struct Server(Postgres);

impl Server {
    pub fn start() -> Server {
        Server(Postgres::start(USER, PASSWORD))
    }

    /// The URL of a database; `postgres` is there from the beginning.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://{USER}:{PASSWORD_ENCODED}@127.0.0.1:{}/{database}",
            self.port()
        )
    }

    pub fn port(&self) -> u16 {
        self.0.port()
    }

    /// Makes an empty database; gives its URL.
    pub fn database(&self, name: &str) -> String {
        psql(&self.url("postgres"), &format!("CREATE DATABASE {name}"));
        self.url(name)
    }
}

/// Runs SQL and gives what it answers, a line per row, fields separated by `|`.
pub fn psql(url: &str, sql: &str) -> String {
    let output = Command::new(find_program("psql"))
        .args(["--no-psqlrc", "-v", "ON_ERROR_STOP=1", "-qAtX", "-c", sql, url])
        .output()
        .expect("psql starts");
    assert!(
        output.status.success(),
        "{sql}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until something holds.
pub fn wait_until<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {PATIENCE:?}: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// A working directory with migrations.
pub struct Lab {
    dir: TempDir,
}

/// A `runmate migrate` that runs, with everything it writes.
pub struct Running {
    child: Option<Child>,
    pub started: Instant,
    out: PathBuf,
}

/// How it ended.
pub struct Ended {
    pub code: Option<i32>,
    pub took: Duration,
    /// stdout and stderr together, in the order they were written.
    pub said: String,
}

impl Lab {
    pub fn new() -> Lab {
        Lab {
            dir: tempfile::tempdir().expect("a temporary directory"),
        }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn write(&self, name: &str, text: &str) {
        let path = self.path(name);
        std::fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
        std::fs::write(path, text).expect("write");
    }

    pub fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Ten migrations; each leaves one row in `log` every time it is applied.
    pub fn ten_migrations(&self) {
        for version in 1..=10 {
            let mut sql = String::new();
            if version == 1 {
                sql.push_str("CREATE TABLE log (version int);\n");
            }
            let _ = writeln!(sql, "CREATE TABLE t{version} (id int PRIMARY KEY);");
            let _ = writeln!(sql, "INSERT INTO t{version} VALUES ({version});");
            let _ = writeln!(sql, "INSERT INTO log VALUES ({version});");
            self.write(&format!("migrations/{version:02}_t{version}.sql"), &sql);
        }
    }

    /// Starts `runmate migrate` with these arguments.
    pub fn start(&self, url: &str, args: &[&str]) -> Running {
        self.start_with(url, args, |_| {})
    }

    pub fn start_with(&self, url: &str, args: &[&str], more: impl FnOnce(&mut Command)) -> Running {
        static COUNT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
        let number = COUNT.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        let out = self.path(&format!("out.{number}"));
        let file = std::fs::File::create(&out).expect("a file");
        let mut command = Command::new(env!("CARGO_BIN_EXE_runmate"));
        command.arg("migrate").args(args).current_dir(self.dir.path());
        command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin");
        command.env("DATABASE_URL", url).env("LAB", self.dir.path());
        command.stdin(Stdio::null());
        command.stdout(file.try_clone().expect("a copy")).stderr(file);
        // SAFETY: the closure makes one system call. A run must not outlive its test, even if that is killed.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        more(&mut command);
        Running {
            child: Some(command.spawn().expect("runmate starts")),
            started: Instant::now(),
            out,
        }
    }

    /// Runs it to its end.
    pub fn migrate(&self, url: &str, args: &[&str]) -> Ended {
        self.start(url, args).end()
    }

    /// Runs it to its end, which has to be a good one.
    pub fn migrated(&self, url: &str, args: &[&str]) -> Ended {
        let ended = self.migrate(url, args);
        assert_eq!(ended.code, Some(0), "{}", ended.said);
        ended
    }
}

impl Running {
    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("it runs").id() as i32
    }

    pub fn signal(&self, signal: i32) {
        // SAFETY: no memory is involved; the child is not reaped yet.
        unsafe { libc::kill(self.pid(), signal) };
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.out).unwrap_or_default()
    }

    /// Waits until it has said something.
    pub fn wait_for(&self, words: &str) {
        wait_until(&format!("{words:?} in\n{}", self.said()), || {
            self.said().contains(words).then_some(())
        });
    }

    /// Waits for its end.
    pub fn end(mut self) -> Ended {
        let mut child = self.child.take().expect("it runs");
        let status: ExitStatus = wait_until("an end", || child.try_wait().expect("wait"));
        Ended {
            code: status.code(),
            took: self.started.elapsed(),
            said: self.said(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Whether a process is there and no zombie.
pub fn is_alive(pid: i32) -> bool {
    let stat = std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"));
    stat.is_ok_and(|stat| {
        !stat
            .rsplit_once(") ")
            .is_some_and(|(_, rest)| rest.starts_with('Z'))
    })
}
