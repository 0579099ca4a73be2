//! A MariaDB of our own: one server for all tests of a binary, one database for each test.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use sqlx::mysql::{MySqlConnectOptions, MySqlConnection};
use sqlx::{AssertSqlSafe, ConnectOptions, Connection};
use tempfile::TempDir;

use crate::url::Target;

/// Makes a server, says where it is, and ends it as soon as whoever asked for it is gone, by whatever end: then
/// the pipe that is its input closes.
const KEEPER: &str = r#"
set -eu
dir=$1; shift
# A server that starts removes what it takes for its own old files, from the directory of all of them.
mkdir "$dir/tmp"
export TMPDIR="$dir/tmp"
user=$(id -un)
mariadb-install-db --no-defaults --auth-root-authentication-method=normal --skip-test-db \
    --datadir="$dir/data" --user="$user" >"$dir/install.log" 2>&1
mariadbd --no-defaults --user="$user" --datadir="$dir/data" --socket="$dir/socket" --pid-file="$dir/pid" \
    --tmpdir="$dir/tmp" --skip-networking --innodb-buffer-pool-size=32M --innodb-flush-log-at-trx-commit=2 "$@" >"$dir/log" 2>&1 </dev/null &
server=$!
read -r _ || true
kill -9 "$server"
wait "$server" || true
rm -rf "$dir"
"#;

/// A server in a directory of its own. It ends with the process, or when it is dropped.
pub(crate) struct Server {
    dir: PathBuf,
    keeper: Child,
}

impl Server {
    /// The server that all tests share.
    pub fn shared() -> &'static Server {
        static SERVER: OnceLock<Server> = OnceLock::new();
        SERVER.get_or_init(|| Server::start(&[]))
    }

    /// A server for one test, with options of its own.
    pub fn start(options: &[&str]) -> Server {
        // Kept by name: the keeper removes it when the server has let go of it.
        let dir = TempDir::with_prefix("runmate-mariadb-")
            .expect("a directory")
            .keep();
        let path = std::env::var("PATH").unwrap_or_default();
        let keeper = Command::new("sh")
            .args(["-c", KEEPER, "sh"])
            .arg(&dir)
            .args(options)
            .env("PATH", format!("{path}:/usr/sbin:/usr/local/sbin"))
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .expect("cannot start sh");
        let mut server = Server { dir, keeper };
        server.wait();
        server
    }

    fn wait(&mut self) {
        let deadline = Instant::now() + Duration::from_secs(60);
        // The socket is there before anybody listens, so it is knocked at.
        while std::os::unix::net::UnixStream::connect(self.dir.join("socket")).is_err() {
            let gone = self.keeper.try_wait().expect("the keeper").is_some();
            assert!(
                !gone && Instant::now() < deadline,
                "MariaDB did not start (run scripts/setup-tests.sh): {}{}",
                self.log("install.log"),
                self.log("log")
            );
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self, name: &str) -> String {
        std::fs::read_to_string(self.dir.join(name)).unwrap_or_default()
    }

    /// A URL for root and a database that may not exist.
    pub fn url(&self, database: &str) -> String {
        format!(
            "mysql://root@localhost/{database}?socket={}/socket",
            self.dir.display()
        )
    }

    /// A new database.
    pub async fn database(&self) -> Database {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name = format!("test{}", COUNT.fetch_add(1, Ordering::Relaxed));
        let mut root = connect(&self.url("mysql")).await;
        execute(&mut root, &format!("CREATE DATABASE {name}")).await;
        root.close().await.expect("to close");
        Database {
            url: self.url(&name),
            name,
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.keeper.stdin.take());
        let _ = self.keeper.wait();
    }
}

/// A database for one test.
pub(crate) struct Database {
    pub name: String,
    pub url: String,
}

impl Database {
    pub fn target(&self) -> Target {
        let mut target = Target::parse(&self.url).expect("a URL");
        // Longer than any test waits for anything.
        target.lock_timeout = Duration::from_secs(60);
        target
    }

    pub async fn connect(&self) -> MySqlConnection {
        connect(&self.url).await
    }
}

pub(crate) async fn connect(url: &str) -> MySqlConnection {
    let options: MySqlConnectOptions = url.parse().expect("a URL");
    options
        .disable_statement_logging()
        .connect()
        .await
        .expect("MariaDB")
}

pub(crate) async fn execute(connection: &mut MySqlConnection, sql: &str) {
    let sql = sqlx::raw_sql(AssertSqlSafe(sql));
    sql.execute(connection).await.expect("the statement");
}

/// A whole number that a statement gives.
pub(crate) async fn ask(connection: &mut MySqlConnection, sql: &str) -> i64 {
    let sql = format!("SELECT CAST(({sql}) AS SIGNED)");
    sqlx::query_scalar(AssertSqlSafe(sql))
        .fetch_one(connection)
        .await
        .expect("a number")
}
