//! A MariaDB on 127.0.0.1 and on a Unix socket.

use std::net::TcpStream;
use std::process::Command;

use super::certificates::Authority;
use super::daemon::{Daemon, Dir, on_a_free_port};
use super::programs::find_program;
use super::{PASSWORD, PASSWORD_ENCODED};

pub struct MariaDb {
    dir: Dir,
    server: Option<Daemon>,
    pub port: u16,
}

impl MariaDb {
    /// The user is `app`, its password [`PASSWORD`].
    pub fn start() -> MariaDb {
        let dir = Dir::new("runmate-mariadb-");
        std::fs::create_dir(dir.file("tmp")).expect("a directory");
        let output = Command::new(find_program("mariadb-install-db"))
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
            ])
            .arg(format!("--datadir={}", dir.file("data").display()))
            .arg(format!("--user={}", user()))
            .env("TMPDIR", dir.file("tmp"))
            .output()
            .expect("mariadb-install-db starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        dir.write(
            "init.sql",
            &format!("CREATE OR REPLACE USER app@'%' IDENTIFIED BY '{PASSWORD}';\n"),
        );
        let authority = Authority::new();
        authority.issue(dir.path(), -1, 90);
        std::fs::copy(authority.root(), dir.file("root.pem")).expect("copy");
        let mut server = MariaDb {
            dir,
            server: None,
            port: 0,
        };
        let (daemon, port) = on_a_free_port(&server.dir.file("log"), |port| server.serve(port));
        (server.server, server.port) = (Some(daemon), port);
        server
    }

    fn serve(&self, port: u16) -> Option<Daemon> {
        let mut server = Command::new(find_program("mariadbd"));
        let option = |name: &str, file: &str| format!("--{name}={}", self.dir.file(file).display());
        server
            .args(["--no-defaults", "--bind-address=127.0.0.1", "--skip-name-resolve"])
            .args([
                "--innodb-buffer-pool-size=32M",
                "--innodb-flush-log-at-trx-commit=2",
                "--general-log",
            ])
            .arg(format!("--user={}", user()))
            .arg(format!("--port={port}"))
            .args([
                option("datadir", "data"),
                option("socket", "socket"),
                option("pid-file", "pid"),
            ])
            .args([
                option("init-file", "init.sql"),
                option("general-log-file", "general.log"),
            ])
            .args([option("ssl-cert", "cert.pem"), option("ssl-key", "key.pem")])
            .arg(option("tmpdir", "tmp"));
        let log = self.dir.file("log");
        let is_ready = || {
            let said = std::fs::read_to_string(&log).unwrap_or_default();
            said.contains("ready for connections") && TcpStream::connect(("127.0.0.1", port)).is_ok()
        };
        Daemon::start(&mut server, &log, libc::SIGTERM, is_ready)
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again, on its old port.
    pub fn start_again(&mut self) {
        self.server = Some(self.serve(self.port).expect("the port is still free"));
    }

    /// All that clients asked for, ever.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.dir.file("general.log")).unwrap_or_default()
    }

    pub fn url_at(&self, port: u16) -> String {
        format!("mysql://app:{PASSWORD_ENCODED}@127.0.0.1:{port}")
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    /// The root certificate of its own certificate.
    pub fn root(&self) -> String {
        self.dir.file("root.pem").display().to_string()
    }

    pub fn socket(&self) -> String {
        self.dir.file("socket").display().to_string()
    }
}

fn user() -> String {
    let output = Command::new("id").arg("-un").output().expect("id starts");
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}
