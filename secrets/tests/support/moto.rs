//! `moto[server]`, an emulator of AWS that is not ours: what works with it does not work only with our own
//! idea of AWS. It takes more than AWS does, so limits and errors are the fault server's affair.
//! Whoever includes it has `client.rs` beside it, as `mod client`.

#![allow(dead_code)]

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::{Value, json};

use super::client::ask;

/// A running emulator with nothing in it; ends when dropped.
pub struct Moto {
    url: String,
    /// Its end is the end of the thread that holds the emulator.
    _running: mpsc::Sender<()>,
}

impl Moto {
    /// Starts one on a free port of 127.0.0.1 and waits until it answers.
    pub fn start() -> Moto {
        Moto::start_with(&[])
    }

    /// The same over TLS, with the certificate and the key in these files; its secrets cannot be set from here.
    pub fn start_tls(certificate: &Path, key: &Path) -> Moto {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        Moto::start_with(&["--ssl", "-c", &certificate, "-k", &key])
    }

    fn start_with(more: &[&str]) -> Moto {
        let more: Vec<String> = more.iter().map(|word| (*word).to_owned()).collect();
        let (ready, started) = mpsc::channel();
        let (running, ended) = mpsc::channel::<()>();
        // Dies with this thread (setpriv), which lives as long as it is wanted: not even a test that is
        // killed leaves one behind.
        std::thread::spawn(move || {
            let mut child = Command::new("setpriv")
                .args(["--pdeathsig", "KILL", "--"])
                .arg(program())
                .args(["-H", "127.0.0.1", "-p", "0"])
                .args(more)
                .stdin(Stdio::null())
                .stdout(Stdio::null())
                .stderr(Stdio::piped())
                .spawn()
                .expect("setpriv(1) starts");
            let stderr = BufReader::new(child.stderr.take().expect("piped"));
            std::thread::spawn(move || {
                // Read to its end, so that it never waits for a reader.
                for line in stderr.lines().map_while(Result::ok) {
                    if let Some((_, url)) = line.split_once("Running on ") {
                        let _ = ready.send(url.trim().to_owned());
                    }
                }
            });
            let _ = ended.recv();
            let _ = child.kill();
            let _ = child.wait();
        });
        let url = started.recv_timeout(Duration::from_secs(60));
        Moto {
            url: url.expect("moto_server says where it runs"),
            _running: running,
        }
    }

    /// For `AWS_ENDPOINT_URL`.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Makes a secret; the answer is its ARN.
    pub fn secret(&self, region: &str, name: &str, value: &str) -> String {
        let body = json!({ "Name": name, "SecretString": value, "ClientRequestToken": token() });
        let answer = self.ask(region, "secretsmanager.CreateSecret", &body);
        answer["ARN"].as_str().expect("an ARN").to_owned()
    }

    /// Gives a secret its next value.
    pub fn next_value(&self, region: &str, arn: &str, value: &str) {
        let body = json!({ "SecretId": arn, "SecretString": value, "ClientRequestToken": token() });
        self.ask(region, "secretsmanager.PutSecretValue", &body);
    }

    /// Makes a SecureString parameter, or its next version; the answer is its ARN.
    pub fn parameter(&self, region: &str, name: &str, value: &str) -> String {
        let body = json!({ "Name": name, "Value": value, "Type": "SecureString", "Overwrite": true });
        self.ask(region, "AmazonSSM.PutParameter", &body);
        format!(
            "arn:aws:ssm:{region}:123456789012:parameter/{}",
            name.trim_start_matches('/')
        )
    }

    fn ask(&self, region: &str, target: &str, body: &Value) -> Value {
        let (status, answer) = ask(&self.url, region, target, body);
        assert_eq!(status, 200, "{target}: {answer}");
        answer
    }
}

/// A version's id; they have to differ.
fn token() -> String {
    use std::sync::atomic::{AtomicU32, Ordering};
    static NEXT: AtomicU32 = AtomicU32::new(1);
    format!(
        "00000000-0000-4000-8000-{:012}",
        NEXT.fetch_add(1, Ordering::Relaxed)
    )
}

/// Where `scripts/setup-tests.sh` puts it.
fn program() -> PathBuf {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .filter(|dir| !dir.is_empty())
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))
        .unwrap_or_default();
    let program = cache.join("runmate-tests/moto/bin/moto_server");
    assert!(
        program.exists(),
        "there is no {}; run scripts/setup-tests.sh, which puts it there",
        program.display()
    );
    program
}
