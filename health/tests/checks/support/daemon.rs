//! A server program that ends with its test.

use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A running program. It gets `stop` when it is dropped, and SIGKILL when the test dies.
pub struct Daemon {
    child: Child,
    stop: i32,
}

impl Daemon {
    /// Starts it with its output in a file, and waits until `ready`; `None` if it ends before.
    pub fn start(command: &mut Command, log: &Path, stop: i32, ready: impl Fn() -> bool) -> Option<Daemon> {
        let output = File::create(log).expect("a log");
        command
            .stdin(Stdio::null())
            .stdout(output.try_clone().expect("a descriptor"))
            .stderr(output);
        // SAFETY: the closure makes one system call.
        unsafe {
            command.pre_exec(|| {
                libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
                Ok(())
            })
        };
        let child = command.spawn();
        let mut daemon = Daemon {
            child: child.unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program())),
            stop,
        };
        let deadline = Instant::now() + Duration::from_secs(60);
        while !ready() {
            if daemon.child.try_wait().expect("a child").is_some() {
                return None;
            }
            let said = || std::fs::read_to_string(log).unwrap_or_default();
            assert!(Instant::now() < deadline, "it does not get ready: {}", said());
            std::thread::sleep(Duration::from_millis(5));
        }
        Some(daemon)
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // SAFETY: no memory is involved; the pid is ours until it is waited for.
        unsafe { libc::kill(self.child.id() as i32, self.stop) };
        let _ = self.child.wait();
    }
}

/// Starts something on a free port. Somebody else may take the port in between: then on another.
pub fn on_a_free_port<T>(log: &Path, mut start: impl FnMut(u16) -> Option<T>) -> (T, u16) {
    for _ in 0..10 {
        let port = free_port();
        if let Some(started) = start(port) {
            return (started, port);
        }
    }
    let said = std::fs::read_to_string(log).unwrap_or_default();
    panic!("it did not start on one of ten free ports: {said}");
}

pub fn free_port() -> u16 {
    let socket = TcpListener::bind("127.0.0.1:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}

/// A directory for a server; its parts may be read by everybody, because servers change their user.
pub struct Dir(tempfile::TempDir);

impl Dir {
    pub fn new(prefix: &str) -> Dir {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::Builder::new()
            .prefix(prefix)
            .permissions(std::fs::Permissions::from_mode(0o755))
            .tempdir();
        Dir(dir.expect("a directory"))
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// Writes a file, and gives its path.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.file(name);
        std::fs::write(&path, text).expect("write");
        path
    }
}
