//! A real PostgreSQL for tests: one server for all tests of a program, one database for each test.

use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::{MetadataExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use sqlx::postgres::{PgConnectOptions, PgConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};

use crate::db::{Key, Run};
use crate::url::Target;

/// With signs that URLs have to escape, and that no message may show.
pub(crate) const PASSWORD: &str = "top/secret@1";
const PASSWORD_IN_URL: &str = "top%2Fsecret%401";

/// A server in a directory of its own. A shell watches over it and ends it when this program ends, however
/// that comes about.
pub(crate) struct Server {
    pub port: u16,
    dir: PathBuf,
    guard: Child,
}

/// Runs `$@` until its standard input ends; then ends it with signal `$1` and removes directory `$0`.
const GUARD: &str = r#"
    trap '' INT
    dir=$0 signal=$1; shift
    "$@" </dev/null & pid=$!
    cat >/dev/null
    kill -"$signal" $pid 2>/dev/null; wait $pid; rm -rf "$dir"
"#;

impl Server {
    /// Starts a program that prints `ready` to its standard error once it takes connections.
    fn start(dir: &Path, signal: &str, command: &[String], ready: &str, port: u16) -> Option<Server> {
        let mut guard = Command::new("/bin/sh");
        guard
            .args(["-c", GUARD])
            .arg(dir)
            .arg(signal)
            .args(command)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped());
        let mut guard = as_ordinary_user(&mut guard).spawn().expect("sh starts");
        let stderr = BufReader::new(guard.stderr.take().expect("piped"));
        let (sender, started) = mpsc::channel();
        let ready = ready.to_owned();
        // Read to its end, so that the server never waits for a reader.
        std::thread::spawn(move || {
            for line in stderr.lines().map_while(Result::ok) {
                if line.contains(&ready) {
                    let _ = sender.send(());
                }
            }
        });
        let server = Server {
            port,
            dir: dir.to_owned(),
            guard,
        };
        started
            .recv_timeout(Duration::from_secs(60))
            .ok()
            .map(|()| server)
    }

    /// Starts PostgreSQL on the data directory `data` within `dir`.
    fn postgres(dir: &Path) -> Option<Server> {
        let port = free_port();
        let mut command = vec![program("postgres"), "-D".to_owned(), path(&dir.join("data"))];
        for setting in [
            &format!("port={port}"),
            "listen_addresses=127.0.0.1",
            "unix_socket_directories=",
            "fsync=off",
            "synchronous_commit=off",
            "max_connections=200",
            "shared_buffers=32MB",
            // It locks tables when it likes.
            "autovacuum=off",
        ] {
            command.extend(["-c".to_owned(), setting.to_owned()]);
        }
        Server::start(dir, "QUIT", &command, "ready to accept", port)
    }

    /// The server that all tests share.
    pub fn shared() -> &'static Server {
        static SHARED: OnceLock<Server> = OnceLock::new();
        SHARED.get_or_init(|| {
            let dir = directory();
            let secret = dir.join("password");
            std::fs::write(&secret, PASSWORD).expect("write");
            run(Command::new(program("initdb"))
                .args([
                    "--username=postgres",
                    "--auth=scram-sha-256",
                    "--no-sync",
                    "--locale=C",
                    "--encoding=UTF8",
                ])
                .arg("--pwfile")
                .arg(&secret)
                .arg("-D")
                .arg(dir.join("data")));
            // Somebody else may take the port in between.
            let started = (0..10).find_map(|_| Server::postgres(&dir));
            started.expect("PostgreSQL starts on one of ten free ports")
        })
    }

    /// A standby that follows this server.
    pub fn standby(&self) -> Server {
        let dir = directory();
        run(Command::new(program("pg_basebackup"))
            .env("PGPASSWORD", PASSWORD)
            .args([
                "-h",
                "127.0.0.1",
                "-U",
                "postgres",
                "-R",
                "--checkpoint=fast",
                "--no-sync",
                "-p",
            ])
            .arg(self.port.to_string())
            .arg("-D")
            .arg(dir.join("data")));
        let started = (0..10).find_map(|_| Server::postgres(&dir));
        started.expect("a standby starts on one of ten free ports")
    }

    /// A PgBouncer in front of this server. It takes any user.
    pub fn pgbouncer(&self, pool_mode: &str, more: &str) -> Server {
        let dir = directory();
        let started = (0..10).find_map(|_| {
            let port = free_port();
            let config = format!(
                "[databases]\n* = host=127.0.0.1 port={} user=postgres password={PASSWORD}\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = {pool_mode}\n{more}\n",
                self.port
            );
            std::fs::write(dir.join("pgbouncer.ini"), config).expect("write");
            let command = [program("pgbouncer"), path(&dir.join("pgbouncer.ini"))];
            Server::start(&dir, "KILL", &command, "process up", port)
        });
        started.expect("PgBouncer starts on one of ten free ports")
    }

    /// The URL of a database, through this server.
    pub fn url(&self, database: &str) -> String {
        format!(
            "postgres://postgres:{PASSWORD_IN_URL}@127.0.0.1:{}/{database}",
            self.port
        )
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.guard.stdin.take());
        let _ = self.guard.wait();
        // The shell has done it, unless it was killed.
        let _ = std::fs::remove_dir_all(&self.dir);
    }
}

/// A database of one test.
pub(crate) struct Database {
    pub name: String,
    pub url: String,
}

impl Database {
    /// A new one on the shared server.
    pub async fn new() -> Database {
        static NUMBER: AtomicU32 = AtomicU32::new(1);
        let server = Server::shared();
        let name = format!("test{}", NUMBER.fetch_add(1, Ordering::Relaxed));
        let mut admin = connect(&server.url("postgres")).await;
        run_sql(&mut admin, &format!("CREATE DATABASE {name}")).await;
        Database {
            url: server.url(&name),
            name,
        }
    }

    pub fn target(&self) -> Target {
        Target::parse(&self.url).expect("a URL")
    }

    /// An ordinary connection.
    pub async fn client(&self) -> PgConnection {
        connect(&self.url).await
    }

    /// An ordinary connection of this name.
    pub async fn named(&self, application: &str) -> PgConnection {
        let options: PgConnectOptions = self.url.parse().expect("a URL");
        options
            .application_name(application)
            .extra_float_digits(None)
            .connect()
            .await
            .expect("connects")
    }
}

pub(crate) async fn connect(url: &str) -> PgConnection {
    let options: PgConnectOptions = url.parse().expect("a URL");
    // PgBouncer refuses what the driver sends otherwise.
    let options = options.extra_float_digits(None);
    PgConnection::connect_with(&options).await.expect("connects")
}

pub(crate) async fn run_sql(connection: &mut PgConnection, sql: &str) {
    sqlx::raw_sql(AssertSqlSafe(sql))
        .execute(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"));
}

/// The first column of the first row.
pub(crate) async fn value<T>(connection: &mut PgConnection, sql: &str) -> T
where
    T: for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
{
    use sqlx::Row;
    sqlx::raw_sql(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
        .get(0)
}

/// Waits until a query says true.
pub(crate) async fn until(connection: &mut PgConnection, sql: &str) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !value::<bool>(connection, sql).await {
        assert!(Instant::now() < deadline, "not within 30 s: {sql}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

pub(crate) fn a_run(id: &str) -> Run {
    Run {
        id: id.to_owned(),
        host: "host 1".to_owned(),
    }
}

pub(crate) fn a_key(release: &str) -> Key {
    Key {
        release: release.to_owned(),
        fingerprint: format!("f-{release}"),
        what: "dir migrations".to_owned(),
        skippable: true,
    }
}

fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("an address").port()
}

/// A port at which nobody listens.
pub(crate) fn closed_port() -> u16 {
    let port = free_port();
    assert!(TcpStream::connect(("127.0.0.1", port)).is_err());
    port
}

fn path(path: &Path) -> String {
    path.to_str().expect("UTF-8").to_owned()
}

/// Finds a program, also where not everyone's `PATH` leads: sbin, and Debian's PostgreSQL servers.
fn program(name: &str) -> String {
    let var = std::env::var_os("PATH").unwrap_or_default();
    let servers = std::fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten();
    let servers = servers.map(|version| version.path().join("bin"));
    let found = std::env::split_paths(&var)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(servers)
        .map(|dir| dir.join(name))
        .find(|file| file.metadata().is_ok_and(|data| data.mode() & 0o111 != 0));
    path(
        &found.unwrap_or_else(|| {
            panic!("there is no {name} here; run scripts/setup-tests.sh, which installs it")
        }),
    )
}

/// A directory for a server, which belongs to the user that it runs as.
fn directory() -> PathBuf {
    let dir = tempfile::tempdir().expect("a temporary directory").keep();
    if let Some((uid, gid)) = ordinary_user() {
        chown(&dir, Some(uid), Some(gid)).expect("chown");
    }
    dir
}

fn run(command: &mut Command) {
    let mut child = as_ordinary_user(command)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut said = String::new();
    let stderr = child.stderr.as_mut().expect("piped");
    stderr.read_to_string(&mut said).expect("it speaks UTF-8");
    assert!(child.wait().expect("it ends").success(), "{command:?}: {said}");
}

/// These servers refuse to run as root.
fn as_ordinary_user(command: &mut Command) -> &mut Command {
    if let Some((uid, gid)) = ordinary_user() {
        // They change into the working directory again, which may be closed to this user.
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}

/// Whom root runs them as: Debian's own user for PostgreSQL.
fn ordinary_user() -> Option<(u32, u32)> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let mut users = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let user = users.find(|fields| fields.first() == Some(&"postgres"));
    let user = user.expect("a user postgres; run scripts/setup-tests.sh");
    Some((
        user[2].parse().expect("a number"),
        user[3].parse().expect("a number"),
    ))
}
