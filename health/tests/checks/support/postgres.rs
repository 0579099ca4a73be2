//! A PostgreSQL on 127.0.0.1 and on a Unix socket, which writes down every statement.

use std::io::Write;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;
use std::process::Command;

use super::certificates::Authority;
use super::daemon::{Daemon, Dir, on_a_free_port};
use super::programs::find_program;
use super::{PASSWORD, PASSWORD_ENCODED};

pub struct Postgres {
    dir: Dir,
    server: Option<Daemon>,
    pub port: u16,
}

impl Postgres {
    /// The user is `app`, its password [`PASSWORD`], over the network and the socket.
    pub fn start() -> Postgres {
        let dir = Dir::new("runmate-postgres-");
        let data = dir.file("data");
        let secret = dir.write("password", PASSWORD);
        let user = postgres_user();
        std::fs::create_dir(&data).expect("a directory");
        for path in [dir.path(), &data, &secret] {
            own(path, user);
        }
        let mut initdb = Command::new(find_program("initdb"));
        initdb
            .args([
                "--username",
                "app",
                "--auth",
                "scram-sha-256",
                "--no-sync",
                "--locale",
                "C",
            ])
            .arg("--pwfile")
            .arg(&secret)
            .arg("-D")
            .arg(&data);
        let output = run_as(&mut initdb, user).output().expect("initdb starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let authority = Authority::new();
        let (certificate, key) = authority.issue(dir.path(), -1, 90);
        std::fs::copy(authority.root(), dir.file("root.pem")).expect("copy");
        own(&key, user);
        let mut settings = std::fs::OpenOptions::new();
        let mut settings = settings
            .append(true)
            .open(data.join("postgresql.conf"))
            .expect("open");
        writeln!(
            settings,
            "listen_addresses = '127.0.0.1'\nunix_socket_directories = '{}'\nfsync = off\nlog_statement = all\n\
             log_connections = on\nlog_disconnections = on\nssl = on\nssl_cert_file = '{}'\nssl_key_file = '{}'",
            dir.path().display(),
            certificate.display(),
            key.display()
        )
        .expect("write");
        let mut postgres = Postgres {
            dir,
            server: None,
            port: 0,
        };
        let (server, port) = on_a_free_port(&postgres.dir.file("log"), |port| postgres.serve(port));
        (postgres.server, postgres.port) = (Some(server), port);
        postgres
    }

    fn serve(&self, port: u16) -> Option<Daemon> {
        let mut server = Command::new(find_program("postgres"));
        server
            .arg("-D")
            .arg(self.dir.file("data"))
            .args(["-p", &port.to_string()]);
        let log = self.dir.file("log");
        let is_ready = || self.log().contains("ready to accept connections");
        // SIGINT: the server ends its sessions and itself.
        Daemon::start(run_as(&mut server, postgres_user()), &log, libc::SIGINT, is_ready)
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again, on its old port, with a new log.
    pub fn start_again(&mut self) {
        self.server = Some(self.serve(self.port).expect("the port is still free"));
    }

    /// What it has written since it was started.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.file("log")).unwrap_or_default()
    }

    /// The root certificate of its own certificate.
    pub fn root(&self) -> String {
        self.dir.file("root.pem").display().to_string()
    }

    pub fn dir(&self) -> String {
        self.dir.path().display().to_string()
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// Through something in front of it.
    pub fn url_at(&self, port: u16) -> String {
        format!("postgres://app:{PASSWORD_ENCODED}@127.0.0.1:{port}/postgres")
    }

    /// A pgbouncer in front of it that takes in anybody, and its port. It shares one connection.
    pub fn pgbouncer(&self) -> (Daemon, u16) {
        let log = self.dir.file("pgbouncer.log");
        on_a_free_port(&log, |port| {
            let config = format!(
                "[databases]\n* = host=127.0.0.1 port={} user=app password='{PASSWORD}'\n[pgbouncer]\n\
                 listen_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
                 pool_mode = transaction\ndefault_pool_size = 1\nserver_login_retry = 0\n",
                self.port
            );
            let config = self.dir.write("pgbouncer.ini", &config);
            let mut pgbouncer = Command::new(find_program("pgbouncer"));
            run_as(pgbouncer.arg(config), postgres_user());
            let answers = || TcpStream::connect(("127.0.0.1", port)).is_ok();
            Daemon::start(&mut pgbouncer, &log, libc::SIGKILL, answers)
        })
    }

    /// Runs a statement with psql.
    pub fn execute(&self, sql: &str) {
        let output = Command::new(find_program("psql"))
            .args(["-X", "-v", "ON_ERROR_STOP=1", "-c", sql, &self.url()])
            .output()
            .expect("psql starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
    }
}

/// It refuses to run as root: whom it runs as then.
fn postgres_user() -> Option<(u32, u32)> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let line = passwd.lines().find_map(|line| line.strip_prefix("postgres:"));
    let line = line.expect("a user postgres; run scripts/setup-tests.sh");
    let mut ids = line.split(':').skip(1).map(|id| id.parse().expect("a number"));
    Some((ids.next()?, ids.next()?))
}

fn own(path: &std::path::Path, user: Option<(u32, u32)>) {
    if let Some((uid, gid)) = user {
        chown(path, Some(uid), Some(gid)).expect("chown");
    }
}

fn run_as(command: &mut Command, user: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = user {
        // It changes into its working directory again, which may be closed to this user.
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}
