//! The app as a platform sees it: one port, signals, an exit code.

// What the tests of the supervisor use, too.
#[path = "../../../supervisor/tests/support/programs.rs"]
mod programs;

use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use libc::{SIGKILL, SIGTERM};
use programs::Postgres;
use serde_json::{Value, json};
use tempfile::TempPath;

/// How long to wait for what has to come.
const PATIENCE: Duration = Duration::from_secs(30);
const PASSWORD: &str = "p@ss:w/rd%";
const TOKEN: &str = "t0ken-of-the-test";

/// The app; killed when the test ends.
struct App {
    child: Child,
    lines: BufReader<ChildStdout>,
    address: String,
    _secrets: TempPath,
}

impl App {
    /// Starts it with secrets by reference, from a file in place of AWS.
    fn start(database_port: u16, more: &[(&str, &str)]) -> App {
        let (mut command, secrets) = command(database_port);
        command.envs(more.iter().copied());
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let mut lines = BufReader::new(child.stdout.take().expect("a pipe"));
        let mut line = String::new();
        lines.read_line(&mut line).expect("a line");
        let address = line
            .trim()
            .strip_prefix("listening on http://")
            .unwrap_or_else(|| panic!("{line:?}"));
        App {
            address: address.to_owned(),
            child,
            lines,
            _secrets: secrets,
        }
    }

    fn signal(&self, signal: i32) {
        // SAFETY: it sends a signal to a child that was not waited for yet; no memory is involved.
        assert_eq!(unsafe { libc::kill(self.child.id() as i32, signal) }, 0);
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("a line");
        line.trim().to_owned()
    }

    /// Its exit code and its remaining lines.
    fn end(&mut self) -> (Option<i32>, String) {
        let mut rest = String::new();
        self.lines.read_to_string(&mut rest).expect("UTF-8");
        (self.child.wait().expect("a child").code(), rest)
    }

    fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "")
    }

    fn ask(&self, method: &str, path: &str, header: &str) -> Answer {
        let mut stream = self.begin(method, path, &format!("Connection: close\r\n{header}"));
        let mut text = String::new();
        stream.read_to_string(&mut text).expect("a whole answer");
        Answer::of(&text)
    }

    /// Sends a request and leaves the answer to be read.
    fn begin(&self, method: &str, path: &str, header: &str) -> TcpStream {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let request = format!("{method} {path} HTTP/1.1\r\nHost: example.com\r\n{header}\r\n");
        stream.write_all(request.as_bytes()).expect("it is sent");
        stream
    }

    fn details(&self) -> Value {
        let header = format!("Authorization: Bearer {TOKEN}\r\n");
        serde_json::from_str(&self.ask("GET", "/health", &header).body).expect("JSON")
    }

    /// Waits until `/health` says so.
    fn wait_until(&self, what: &str, is: impl Fn(&Value) -> bool) -> Value {
        let deadline = Instant::now() + PATIENCE;
        loop {
            let report = self.details();
            if is(&report) {
                return report;
            }
            assert!(Instant::now() < deadline, "not {what}: {report:#}");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.signal(SIGKILL);
            let _ = self.child.wait();
        }
    }
}

struct Answer {
    code: u16,
    head: String,
    body: String,
}

impl Answer {
    fn of(text: &str) -> Answer {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        let code = head.split(' ').nth(1).and_then(|code| code.parse().ok());
        let head = head.to_ascii_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length: usize = length.expect("a length").parse().expect("a number");
        assert_eq!(body.len(), length, "the answer is cut off: {text}");
        Answer {
            code: code.expect("a code"),
            head,
            body: body.to_owned(),
        }
    }
}

/// The app, and the file that answers for AWS.
fn command(database_port: u16) -> (Command, TempPath) {
    let database = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:orders-db-AbCdEf";
    let token = "arn:aws:ssm:eu-west-1:123456789012:parameter/orders/health-token";
    let secrets = json!({
        database: {
            "engine": "postgres", "host": "127.0.0.1", "port": database_port, "dbname": "postgres",
            "username": "orders", "password": PASSWORD,
        },
        token: TOKEN,
    });
    let file = tempfile::NamedTempFile::new().expect("a file").into_temp_path();
    std::fs::write(&file, secrets.to_string()).expect("write");
    let mut command = Command::new(env!("CARGO_BIN_EXE_axum-library"));
    command
        .env("RUNMATE_SECRETS_FILE", &file)
        .env("DATABASE_URL", database)
        .env("HEALTH_TOKEN", token)
        .env("LISTEN", "127.0.0.1:0")
        .env("DRAIN_SECONDS", "0");
    (command, file)
}

/// A port of loopback where nobody listens.
fn closed_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address").port()
}

/// Something that answers 204 to everybody, until the test ends.
fn payments() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 1024]);
            let _ = stream.write_all(b"HTTP/1.1 204 No Content\r\n\r\n");
        }
    });
    port
}

#[test]
fn all_endpoints_stand_beside_the_apps_own_routes() {
    let database = Postgres::start("orders", PASSWORD);
    let payments = format!("http://127.0.0.1:{}/up", payments());
    let app = App::start(database.port(), &[("PAYMENTS_URL", &payments)]);
    let passes = |report: &Value| report["status"] == "pass";
    let report = app.wait_until("passing", passes);
    assert_eq!(
        report["checks"]["db:responseTime"][0]["componentType"], "datastore",
        "{report:#}"
    );
    for key in [
        "db:responseTime",
        "payments:responseTime",
        "space:free",
        "jobs:waiting",
    ] {
        assert_eq!(report["checks"][key][0]["state"], "passing", "{key}: {report:#}");
    }
    assert!(
        !report.to_string().contains(PASSWORD) && !report.to_string().contains(TOKEN),
        "{report:#}"
    );

    for path in ["/livez", "/healthz", "/readyz", "/health", "/metrics", "/"] {
        assert_eq!(app.get(path).code, 200, "{path}");
    }
    assert_eq!(
        app.get("/health").body,
        r#"{"status":"pass"}"#,
        "nobody else sees more"
    );
    assert_eq!(app.get("/nothing").code, 404);
}

#[test]
fn a_deploy_that_never_reaches_its_database_is_not_healthy() {
    let mut app = App::start(closed_port(), &[]);
    let report = app.wait_until("looked", |report| {
        report["output"]
            .as_str()
            .is_some_and(|why| why.contains("refused"))
    });
    assert_eq!(report["status"], "fail", "{report:#}");
    assert_eq!(report["checks"]["db:responseTime"][0]["level"], "required");
    assert!(!report.to_string().contains(PASSWORD), "{report:#}");
    for (path, code) in [
        ("/livez", 200),
        ("/healthz", 503),
        ("/readyz", 503),
        ("/health", 503),
        ("/", 200),
    ] {
        assert_eq!(app.get(path).code, code, "{path}");
    }
    app.signal(SIGTERM);
    assert_eq!(app.end().0, Some(0));
}

#[test]
fn its_own_check_warns_while_too_many_jobs_wait() {
    let app = App::start(closed_port(), &[]);
    for _ in 0..150 {
        assert_eq!(app.ask("POST", "/jobs", "Content-Length: 0\r\n").code, 202);
    }
    let failing = |report: &Value| report["checks"]["jobs:waiting"][0]["status"] == "fail";
    let report = app.wait_until("failing", failing);
    let jobs = &report["checks"]["jobs:waiting"][0];
    assert_eq!(
        (&jobs["observedUnit"], &jobs["level"]),
        (&json!("jobs"), &json!("degraded"))
    );
    assert!(jobs["observedValue"].as_f64() > Some(100.0), "{jobs}");
    let report = app.wait_until("passing again", |report| !failing(report));
    let changes = report["checks"]["jobs:waiting"][0]["transitions"]
        .as_array()
        .expect("changes")
        .clone();
    let last = changes.last().expect("a change");
    assert_eq!(
        (&last["from"], &last["to"]),
        (&json!("failing"), &json!("passing"))
    );
}

#[test]
fn a_drain_loses_no_request() {
    // Longer than what follows takes on a busy machine; the slow request takes 2 s.
    let mut app = App::start(closed_port(), &[("DRAIN_SECONDS", "5")]);
    let slow = app.begin("GET", "/slow", "Connection: close\r\n");
    assert_eq!(app.line(), "a slow request has begun");
    // One that keeps its connection.
    let mut kept = BufReader::new(app.begin("GET", "/jobs", ""));
    assert_eq!(read_one(&mut kept).code, 200);

    let (let_go, answered) = (AtomicBool::new(false), AtomicUsize::new(0));
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while !let_go.load(Ordering::SeqCst) {
                    assert_eq!(app.get("/").code, 200);
                    answered.fetch_add(1, Ordering::SeqCst);
                }
            });
        }
        let before = answered.load(Ordering::SeqCst);
        wait_until(|| answered.load(Ordering::SeqCst) > before + 20);
        app.signal(SIGTERM);
        // The load balancer.
        wait_until(|| app.get("/readyz").code == 503 && app.get("/healthz").code == 503);
        let after = answered.load(Ordering::SeqCst);
        wait_until(|| answered.load(Ordering::SeqCst) > after + 20);
        let_go.store(true, Ordering::SeqCst);
    });
    assert_eq!(app.get("/readyz").body, r#"{"status":"fail","phase":"draining"}"#);
    assert_eq!(app.get("/livez").code, 200);
    kept.get_mut()
        .write_all(b"GET /jobs HTTP/1.1\r\nHost: example.com\r\n\r\n")
        .expect("it is sent");
    let last = read_one(&mut kept);
    assert_eq!(last.code, 200);
    assert!(last.head.contains("connection: close"), "{}", last.head);

    let mut text = String::new();
    { slow }.read_to_string(&mut text).expect("a whole answer");
    assert_eq!(Answer::of(&text).body, "slow, but here\n");
    let (code, rest) = app.end();
    assert_eq!(code, Some(0));
    assert!(rest.ends_with("all requests are answered, bye\n"), "{rest}");
}

/// One answer of a connection that is kept.
fn read_one(stream: &mut BufReader<TcpStream>) -> Answer {
    let mut text = String::new();
    while !text.ends_with("\r\n\r\n") {
        assert!(
            stream.read_line(&mut text).expect("a line") > 0,
            "closed after {text:?}"
        );
    }
    let head = text.to_ascii_lowercase();
    let length = head
        .lines()
        .find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.expect("a length").parse().expect("a number")];
    match stream.read_exact(&mut body) {
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => panic!("cut off after {text}"),
        other => other.expect("a body"),
    }
    text.push_str(&String::from_utf8(body).expect("UTF-8"));
    Answer::of(&text)
}

fn wait_until(mut is: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is() {
        assert!(Instant::now() < deadline, "it never happens");
        std::thread::sleep(Duration::from_millis(2));
    }
}

#[test]
fn without_its_secrets_it_does_not_start_and_says_which() {
    let (mut command, _secrets) = command(1);
    let output = command
        .env(
            "HEALTH_TOKEN",
            "arn:aws:ssm:eu-west-1:123456789012:parameter/orders/no-such",
        )
        .stdout(Stdio::piped())
        .output()
        .expect("it runs");
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("HEALTH_TOKEN") && said.contains("no-such"),
        "{said}"
    );
    assert!(!said.contains(PASSWORD) && output.stdout.is_empty(), "{said}");
}
