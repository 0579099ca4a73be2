//! Other people's programs that tests run: where they are, and a PostgreSQL of a test's own.

#![allow(dead_code)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use tempfile::TempDir;

/// Finds a program, also where not everyone's `PATH` leads: sbin, and Debian's PostgreSQL servers.
///
/// # Panics
/// If it is nowhere; says how to get it.
pub fn find_program(name: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let servers = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten();
    let servers = servers.flatten().map(|version| version.path().join("bin"));
    let dirs = std::env::split_paths(&path)
        .chain(["/usr/sbin".into(), "/sbin".into()])
        .chain(servers);
    let found = dirs.map(|dir| dir.join(name)).find(|file| {
        let executable = |file: &Path| file.metadata().is_ok_and(|data| data.mode() & 0o111 != 0);
        executable(file)
    });
    found.unwrap_or_else(|| panic!("there is no {name} here; run scripts/setup-tests.sh, which installs it"))
}

/// A PostgreSQL with a cluster of its own, on 127.0.0.1 and ::1; it ends, and its data with it, when
/// dropped.
pub struct Postgres {
    server: Child,
    port: u16,
    addresses: String,
    dir: TempDir,
}

impl Postgres {
    /// Makes a cluster whose superuser has this name and password, and waits until it takes connections.
    pub fn start(user: &str, password: &str) -> Postgres {
        Postgres::start_on(user, password, &["127.0.0.1", "::1"])
    }

    /// The same on these addresses.
    pub fn start_on(user: &str, password: &str, addresses: &[&str]) -> Postgres {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let (data, secret) = (dir.path().join("data"), dir.path().join("password"));
        std::fs::write(&secret, password).expect("write");
        // It refuses to run as root.
        let who = ordinary_user();
        if let Some((uid, gid)) = who {
            std::fs::set_permissions(dir.path(), std::fs::Permissions::from_mode(0o755)).expect("chmod");
            std::fs::create_dir(&data).expect("a directory");
            chown(&data, Some(uid), Some(gid)).expect("chown");
            chown(&secret, Some(uid), Some(gid)).expect("chown");
        }
        let mut initdb = Command::new(find_program("initdb"));
        initdb.args([
            "--username",
            user,
            "--auth",
            "scram-sha-256",
            "--no-sync",
            "--locale",
            "C",
        ]);
        initdb.arg("--pwfile").arg(&secret).arg("-D").arg(&data);
        let output = run_as(&mut initdb, who).output().expect("initdb starts");
        assert!(
            output.status.success(),
            "{}",
            String::from_utf8_lossy(&output.stderr)
        );
        let mut rules = std::fs::OpenOptions::new();
        let mut rules = rules.append(true).open(data.join("pg_hba.conf")).expect("open");
        writeln!(rules, "host all all samenet scram-sha-256").expect("write");
        // Somebody else may take the port in between.
        let addresses = addresses.join(",");
        let started = (0..10).find_map(|_| serve(&data, who, free_port(), &addresses));
        let (server, port) = started.expect("PostgreSQL starts on one of ten free ports");
        Postgres {
            server,
            port,
            addresses,
            dir,
        }
    }

    /// Ends the server; its data stay.
    pub fn stop(&mut self) {
        // SAFETY: no memory is involved; the pid is ours until it is waited for.
        unsafe { libc::kill(self.server.id() as i32, libc::SIGQUIT) };
        let _ = self.server.wait();
    }

    /// Starts it again after a [`stop`](Postgres::stop), on the same port.
    pub fn start_again(&mut self) {
        let data = self.dir.path().join("data");
        let started = serve(&data, ordinary_user(), self.port, &self.addresses);
        (self.server, _) = started.expect("PostgreSQL starts on the port that it had");
    }

    /// The process that the others of the server descend from.
    pub fn pid(&self) -> i32 {
        self.server.id() as i32
    }

    /// The port, on both addresses.
    pub fn port(&self) -> u16 {
        self.port
    }
}

fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind("127.0.0.1:0").and_then(|socket| socket.local_addr());
    socket.expect("a free port").port()
}

fn serve(data: &Path, who: Option<(u32, u32)>, port: u16, addresses: &str) -> Option<(Child, u16)> {
    let mut server = Command::new(find_program("postgres"));
    server
        .arg("-D")
        .arg(data)
        .args([
            "-p",
            &port.to_string(),
            "-c",
            &format!("listen_addresses={addresses}"),
        ])
        .args(["-c", "unix_socket_directories=", "-c", "fsync=off"])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped());
    run_as(&mut server, who);
    // SAFETY: the closure makes one system call. SIGQUIT: the server ends at once and cleans up after itself.
    unsafe {
        server.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGQUIT);
            Ok(())
        })
    };
    let mut child = server.spawn().expect("postgres starts");
    let stderr = BufReader::new(child.stderr.take().expect("piped"));
    let (ready, started) = mpsc::channel();
    // Read to its end, so that the server never waits for a reader.
    std::thread::spawn(move || {
        for line in stderr.lines().map_while(Result::ok) {
            if line.contains("ready to accept connections") {
                let _ = ready.send(());
            }
        }
    });
    match started.recv_timeout(Duration::from_secs(60)) {
        Ok(()) => Some((child, port)),
        Err(_) => {
            let _ = child.kill();
            let _ = child.wait();
            None
        }
    }
}

fn run_as(command: &mut Command, who: Option<(u32, u32)>) -> &mut Command {
    if let Some((uid, gid)) = who {
        // It changes into its working directory again, which may be closed to this user.
        command.uid(uid).gid(gid).current_dir("/");
    }
    command
}

/// Whom root runs it as: Debian's own user for it.
fn ordinary_user() -> Option<(u32, u32)> {
    // SAFETY: no memory is involved.
    if unsafe { libc::geteuid() } != 0 {
        return None;
    }
    let passwd = std::fs::read_to_string("/etc/passwd").expect("/etc/passwd");
    let fields = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let mut users = fields.filter(|fields| fields.first() == Some(&"postgres"));
    let user = users.next().expect("a user postgres; run scripts/setup-tests.sh");
    Some((
        user[2].parse().expect("a number"),
        user[3].parse().expect("a number"),
    ))
}

impl Drop for Postgres {
    fn drop(&mut self) {
        // SAFETY: no memory is involved; the pid is ours until it is waited for.
        unsafe { libc::kill(self.server.id() as i32, libc::SIGQUIT) };
        let _ = self.server.wait();
    }
}
