//! Jobs for the helper, and certificates for collectors.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tempfile::TempDir;

/// What the helper came to.
pub struct Outcome {
    pub answer: Result<Option<Value>, String>,
    pub took: Duration,
}

impl Outcome {
    /// Why nobody took the spans.
    pub fn why(&self) -> &str {
        self.answer.as_ref().expect_err("an error")
    }
}

/// Seconds since 1970 at which the span of a job begins.
pub const BEGAN: u64 = 1_800_000_000;

/// A boot with a part that failed, and a restart that is linked to it.
pub fn spans() -> Value {
    let time = |nanos: u64| json!({"secs_since_epoch": BEGAN, "nanos_since_epoch": nanos});
    json!([
        {
            "context": {"trace": vec![1; 16], "span": vec![2; 8]}, "parent": null, "name": "boot", "kind": "Server",
            "began": time(5), "ended": time(500_000_000), "failure": null,
            "attributes": [
                ["text", {"Text": "ä"}], ["number", {"Number": -3}], ["real", {"Real": 0.25}], ["flag", {"Flag": true}],
            ],
            "link": null,
        },
        {
            "context": {"trace": vec![1; 16], "span": vec![3; 8]}, "parent": vec![2; 8], "name": "start app",
            "kind": "Internal", "began": time(6), "ended": time(7), "failure": "exit code 3", "attributes": [],
            "link": null,
        },
        {
            "context": {"trace": vec![4; 16], "span": vec![5; 8]}, "parent": null, "name": "restart", "kind": "Client",
            "began": time(8), "ended": time(9), "failure": null, "attributes": [],
            "link": {"trace": vec![1; 16], "span": vec![2; 8]},
        },
    ])
}

/// A job for an exporter by its name in the protocol: `OtlpHttp`.
pub fn job(exporter: &str, endpoint: Option<&str>) -> Value {
    json!({
        "exporter": {exporter: endpoint}, "env": [], "service": "checkout",
        "resource": [["service.version", "1"]], "spans": spans(), "timeout": {"secs": 20, "nanos": 0},
    })
}

/// The same job, with this much time.
pub fn within(mut job: Value, millis: u64) -> Value {
    job["timeout"] = json!({"secs": millis / 1000, "nanos": millis % 1000 * 1_000_000});
    job
}

/// Runs the helper to its end. Whatever happens, it ends well and prints nothing.
pub fn export(job: &Value, env: &[(&str, &str)]) -> Outcome {
    let began = Instant::now();
    let (mut reader, writer) = pipe();
    let answer_fd = writer.as_raw_fd();
    let mut command = Command::new(env!("CARGO_BIN_EXE_runmate"));
    command
        .arg("helper-export")
        .env_clear()
        .envs(env.iter().copied())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    // SAFETY: the closure makes system calls only; the descriptor is open until the child has been started.
    unsafe {
        command.pre_exec(move || {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            if libc::dup2(answer_fd, 3) < 0 || libc::fcntl(3, libc::F_SETFD, 0) < 0 {
                return Err(std::io::Error::last_os_error());
            }
            Ok(())
        })
    };
    let mut child = command.spawn().expect("runmate starts");
    drop(writer);
    let mut stdin = child.stdin.take().expect("piped");
    stdin
        .write_all(job.to_string().as_bytes())
        .expect("it reads its job");
    drop(stdin);
    let mut bytes = Vec::new();
    reader.read_to_end(&mut bytes).expect("its answer can be read");
    let output = child.wait_with_output().expect("it ends");
    let said = String::from_utf8_lossy(&bytes);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert_eq!((&*output.stdout, &*output.stderr), (&b""[..], &b""[..]), "{said}");
    Outcome {
        answer: serde_json::from_slice(&bytes).expect("an answer"),
        took: began.elapsed(),
    }
}

fn pipe() -> (File, OwnedFd) {
    let mut ends = [0; 2];
    // SAFETY: the array has room for both ends, which belong to nobody else.
    unsafe {
        assert_eq!(libc::pipe2(ends.as_mut_ptr(), libc::O_CLOEXEC), 0, "pipe2");
        (File::from_raw_fd(ends[0]), OwnedFd::from_raw_fd(ends[1]))
    }
}

/// A certificate for localhost, and who vouches for it.
pub struct Certificates {
    dir: TempDir,
}

impl Certificates {
    pub fn new() -> Certificates {
        let dir = tempfile::tempdir().expect("a temporary directory");
        let extensions = "basicConstraints=critical,CA:FALSE\nsubjectAltName=DNS:localhost,IP:127.0.0.1\n";
        std::fs::write(dir.path().join("extensions"), extensions).expect("write");
        let curve = "-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes";
        openssl(
            dir.path(),
            &format!("req -x509 {curve} -keyout root.key -out root.pem -days 2 -subj /CN=runmate-tests"),
        );
        openssl(
            dir.path(),
            &format!("req -new {curve} -keyout key.pem -out request.pem -subj /CN=localhost"),
        );
        openssl(
            dir.path(),
            "x509 -req -in request.pem -CA root.pem -CAkey root.key -CAcreateserial -days 2 -extfile extensions \
             -out cert.pem",
        );
        Certificates { dir }
    }

    pub fn file(&self, name: &str) -> String {
        let path: PathBuf = self.dir.path().join(name);
        path.to_str().expect("a plain path").to_owned()
    }
}

fn openssl(dir: &Path, arguments: &str) {
    let output = Command::new("openssl")
        .args(arguments.split_whitespace())
        .current_dir(dir)
        .output()
        .expect("openssl is there; run scripts/setup-tests.sh");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}
