//! The three words by themselves, as a supervisor would run them.

use std::io::{BufRead, BufReader, Lines, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use libc::{SIGKILL, SIGTERM};

/// A running word that is killed when the test ends.
struct Word {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Word {
    fn start(word: &str, dir: &Path) -> Word {
        let mut child = quickstart(word, dir)
            .stdout(Stdio::piped())
            .spawn()
            .expect("it starts");
        let lines = BufReader::new(child.stdout.take().expect("a pipe")).lines();
        Word { child, lines }
    }

    fn line(&mut self) -> String {
        self.lines.next().expect("one more line").expect("UTF-8")
    }

    fn signal(&self, signal: i32) {
        // SAFETY: it sends a signal to a child that was not waited for yet; no memory is involved.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    /// Its remaining lines and its exit code.
    fn end(&mut self) -> (Vec<String>, Option<i32>) {
        let rest = self.lines.by_ref().map(|line| line.expect("UTF-8")).collect();
        (rest, self.child.wait().expect("a child").code())
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(SIGKILL);
            let _ = self.child.wait();
        }
    }
}

fn quickstart(word: &str, dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quickstart"));
    command.arg(word).current_dir(dir).env("PORT", "0");
    command
}

fn run(word: &str, dir: &Path) -> Output {
    quickstart(word, dir).output().expect("it runs")
}

/// Sends a request and leaves the response to be read.
fn request(address: &str, path: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).expect("the app listens");
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: example.com\r\nConnection: close\r\n\r\n"
    )
    .expect("it is sent");
    stream
}

fn response(mut stream: TcpStream) -> String {
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("a whole response");
    text
}

#[test]
fn an_unknown_word_shows_the_three() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = run("sing", dir.path());
    assert_eq!(output.status.code(), Some(64));
    assert!(String::from_utf8_lossy(&output.stderr).contains("prepare | app | ticker"));
}

#[test]
fn without_prepare_the_app_says_what_is_missing() {
    let dir = tempfile::tempdir().expect("a directory");
    let output = run("app", dir.path());
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("did `quickstart prepare` run?"));
}

#[test]
fn prepare_may_run_twice() {
    let dir = tempfile::tempdir().expect("a directory");
    for expected in [
        "created visits.db and its table\n",
        "visits.db was there already, with 0 visits\n",
    ] {
        let output = run("prepare", dir.path());
        assert!(output.status.success(), "{output:?}");
        assert_eq!(String::from_utf8_lossy(&output.stdout), expected);
    }
}

#[test]
fn the_app_counts_and_answers_what_it_began_before_it_ends() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(run("prepare", dir.path()).status.success());
    let mut app = Word::start("app", dir.path());
    let line = app.line();
    let address = line
        .strip_prefix("listening on http://")
        .expect("the address")
        .to_owned();
    assert!(response(request(&address, "/")).ends_with("visit number 1\n"));
    assert!(response(request(&address, "/")).ends_with("visit number 2\n"));
    assert_eq!(app.line(), r#"{"level":"info","message":"a visit","visits":1}"#);
    assert_eq!(app.line(), r#"{"level":"info","message":"a visit","visits":2}"#);

    let slow = request(&address, "/slow");
    assert_eq!(app.line(), "a slow request has begun");
    app.signal(SIGTERM);
    assert!(response(slow).ends_with("slow, but here\n"));
    let (rest, code) = app.end();
    assert_eq!(
        rest.last().map(String::as_str),
        Some("all requests are answered, bye")
    );
    assert_eq!(code, Some(0));
}

#[test]
fn the_ticker_reads_crashes_on_demand_and_stops_when_asked() {
    let dir = tempfile::tempdir().expect("a directory");
    assert!(run("prepare", dir.path()).status.success());
    std::fs::write(dir.path().join("crash-ticker"), "").expect("a file");
    let output = run("ticker", dir.path());
    assert_eq!(output.status.code(), Some(1));

    // Once crashed, it does not crash again.
    let mut ticker = Word::start("ticker", dir.path());
    assert_eq!(ticker.line(), "the counter stands at 0");
    ticker.signal(SIGTERM);
    assert_eq!(ticker.end(), (vec!["asked to stop, bye".into()], Some(0)));
}
