//! A Redis on 127.0.0.1, with TLS on a second port, and on a Unix socket.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;

use super::certificates::Authority;
use super::daemon::{Daemon, Dir, free_port, on_a_free_port};
use super::programs::find_program;
use super::{PASSWORD, PASSWORD_ENCODED};

pub struct Redis {
    dir: Dir,
    server: Option<Daemon>,
    pub port: u16,
    pub tls_port: u16,
}

impl Redis {
    /// Its password is [`PASSWORD`]; its certificate is this authority's.
    pub fn start(authority: &Authority) -> Redis {
        let dir = Dir::new("runmate-redis-");
        authority.issue(dir.path(), -1, 90);
        let mut redis = Redis {
            dir,
            server: None,
            port: 0,
            tls_port: free_port(),
        };
        let log = redis.dir.file("log");
        let (server, port) = on_a_free_port(&log, |port| {
            redis.tls_port = free_port();
            redis.serve(port)
        });
        (redis.server, redis.port) = (Some(server), port);
        redis
    }

    fn serve(&self, port: u16) -> Option<Daemon> {
        let file = |name: &str| self.dir.file(name).display().to_string();
        let config = format!(
            "bind 127.0.0.1\nport {port}\ntls-port {}\ntls-cert-file {}\ntls-key-file {}\ntls-auth-clients no\n\
             unixsocket {}\nrequirepass \"{PASSWORD}\"\nsave \"\"\nappendonly no\ndir {}\n",
            self.tls_port,
            file("cert.pem"),
            file("key.pem"),
            file("socket"),
            self.dir.path().display(),
        );
        let config = self.dir.write("redis.conf", &config);
        let mut server = Command::new(find_program("redis-server"));
        let is_ready =
            || TcpStream::connect(("127.0.0.1", port)).is_ok() && UnixStream::connect(file("socket")).is_ok();
        Daemon::start(server.arg(config), &self.dir.file("log"), libc::SIGTERM, is_ready)
    }

    pub fn stop(&mut self) {
        self.server = None;
    }

    /// Starts it again, on its old ports.
    pub fn start_again(&mut self) {
        self.server = Some(self.serve(self.port).expect("the port is still free"));
    }

    pub fn url(&self) -> String {
        self.url_at(self.port)
    }

    pub fn url_at(&self, port: u16) -> String {
        format!("redis://:{PASSWORD_ENCODED}@127.0.0.1:{port}")
    }

    pub fn socket(&self) -> String {
        self.dir.file("socket").display().to_string()
    }

    /// What redis-cli says.
    pub fn ask(&self, command: &[&str]) -> String {
        let output = Command::new(find_program("redis-cli"))
            .args(["-s", &self.socket(), "--no-auth-warning", "-a", PASSWORD])
            .args(command)
            .output()
            .expect("redis-cli starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }
}
