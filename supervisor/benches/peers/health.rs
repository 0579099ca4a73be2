//! What the health endpoints answer per second, and what eight checks cost.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::memory::{kib, tree};
use crate::peers::{RUNMATE, free_port};
use crate::programs::{Postgres, find_program};
use crate::report::{Section, Target, ms};
use crate::stage::{Running, Stage};
use crate::stats::Samples;
use crate::{Result, os, static_server};

/// Of the two that are compared; the others play every third.
const ROUNDS: usize = 15;
/// The first ones, in pairs: a static handler, then the endpoint.
const COMPARED: usize = 4;
/// At the same time, for one second each.
const CONNECTIONS: usize = 32;
const TOKEN: &str = "token-of-the-bench";
/// Until every check has passed.
const PATIENCE: Duration = Duration::from_secs(20);
/// Until everything that comes after the load is over.
const SETTLE: Duration = Duration::from_millis(500);

/// How fast `/health` is to be, of the static handler.
const SPEED: f64 = 0.95;
/// The slowest of a hundred answers, in milliseconds.
const SLOWEST: f64 = 5.0;
/// Requests per second of every endpoint.
const RATE: f64 = 10_000.0;
/// Anonymous memory of PID 1, in MB.
const MEMORY: f64 = 1.5;

/// Whom to ask for what.
struct Contender {
    name: &'static str,
    url: String,
    token: bool,
    /// Who serves it.
    pid: u32,
    rate: Samples,
    /// Milliseconds.
    p99: Samples,
    /// CPU time of a request, in microseconds.
    cpu: Samples,
}

/// A supervisor with eight checks, and a static handler that serves the bytes that `/health` does.
struct Lab {
    supervisor: Running,
    peer: Running,
    /// What checks look at.
    _checked: (Running, Postgres),
    _stage: Stage,
    port: u16,
    peer_port: u16,
}

pub fn run() -> Result<Section> {
    let lab = Lab::start()?;
    let ours = |name, path, token| Contender::new(name, (lab.port, lab.supervisor.pid()), path, token);
    // Asked with the same headers: to read one more costs a few percent.
    let theirs = |name, path, token| Contender::new(name, (lab.peer_port, lab.peer.pid()), path, token);
    // The two that are compared stand side by side in time, too.
    let mut contenders = [
        theirs("static handler with the same body", "/0", false),
        ours("/health", "/health", false),
        theirs("static handler with the same body", "/1", true),
        ours("/health, details", "/health", true),
        ours("/healthz", "/healthz", false),
        ours("/readyz", "/readyz", false),
        ours("/livez", "/livez", false),
        ours("/metrics", "/metrics", false),
        ours("/metrics, details", "/metrics", true),
    ];
    for round in 0..ROUNDS {
        let playing = if round % 3 == 0 {
            contenders.len()
        } else {
            COMPARED
        };
        for contender in &mut contenders[..playing] {
            contender
                .load()
                .map_err(|error| format!("{}: {error}", contender.name))?;
        }
    }
    sleep(SETTLE);
    let ours = fs::canonicalize(RUNMATE)?;
    let is_ours = |pid: &u32| fs::read_link(format!("/proc/{pid}/exe")).is_ok_and(|program| program == ours);
    let mut processes = tree(lab.supervisor.pid(), Path::new("/usr/bin/sleep"));
    processes.retain(is_ours);
    let anonymous: Vec<f64> = processes
        .iter()
        .map(|pid| anonymous(*pid))
        .collect::<Result<_>>()?;
    lab.end()?;
    Ok(section(&contenders, anonymous[0], anonymous[1..].iter().sum()))
}

fn section(contenders: &[Contender], anonymous: f64, helper: f64) -> Section {
    let speeds: [f64; 2] = [1, 3].map(|ours| contenders[ours].rate.ratio_to(&contenders[ours - 1].rate));
    let speed = speeds[0].min(speeds[1]);
    let endpoints = || {
        contenders
            .iter()
            .filter(|contender| !contender.name.starts_with("static"))
    };
    let slowest = [1, 3]
        .map(|ours| contenders[ours].p99.median())
        .into_iter()
        .fold(0.0, f64::max);
    let least = endpoints()
        .map(|contender| contender.rate.median())
        .fold(f64::MAX, f64::min);
    let row = |index: usize, contender: &Contender| {
        let of_static = match index {
            1 | 3 => format!("{:.2}", speeds[index / 2]),
            _ => "–".into(),
        };
        vec![
            contender.name.to_owned(),
            format!("{:.0}", contender.rate.median()),
            of_static,
            ms(contender.p99.median()),
            ms(contender.cpu.median()),
        ]
    };
    let rows = contenders.iter().enumerate();
    Section {
        title: "Health",
        how: format!(
            "wrk with {CONNECTIONS} connections from one thread, for a second each, {ROUNDS} rounds of the first \
             {COMPARED} and a third of that for the others; p99 in milliseconds, CPU time of the server per request in \
             microseconds. The supervisor has one process and eight checks at the default interval (tcp, http, disk, \
             memory, fds, exec, and two of its helper's: a PostgreSQL and a certificate in a file). The static handler is an axum route \
             that returns the same headers and constant bytes, on one thread beside an idle one (the supervisor's writes to stdout), served by hyper in the same way. The ratio is the median of \
             the rounds' ratios. After all that PID 1 has {anonymous:.2} MB of anonymous memory, and the helper has \
             {helper:.2} MB."
        ),
        header: vec!["endpoint", "requests/s", "of static", "p99", "CPU"],
        rows: rows.map(|(index, contender)| row(index, contender)).collect(),
        targets: vec![
            Target {
                what: "/health beside a static handler",
                wanted: format!("≥ {SPEED} × static"),
                measured: format!("{:.2} ×, with details {:.2} ×", speeds[0], speeds[1]),
                met: speed >= SPEED,
            },
            Target {
                what: "p99 of /health under that load",
                wanted: format!("< {SLOWEST} ms"),
                measured: format!("{} ms", ms(slowest)),
                met: slowest < SLOWEST,
            },
            Target {
                what: "requests per second, the slowest endpoint",
                wanted: format!("≥ {RATE}"),
                measured: format!("{least:.0}"),
                met: least >= RATE,
            },
            Target {
                what: "anonymous memory of PID 1 with eight checks",
                wanted: format!("≤ {MEMORY} MB"),
                measured: format!("{anonymous:.2} MB"),
                met: anonymous <= MEMORY,
            },
        ],
    }
}

impl Lab {
    fn start() -> Result<Lab> {
        let stage = Stage::new()?;
        let database = Postgres::start("bench", "bench");
        let short = stage.write("short", r#"{"status":"pass"}"#)?;
        let checked_port = free_port()?;
        let checked = serve(checked_port, std::slice::from_ref(&short))?;
        let port = free_port()?;
        let certificate = certificate(&stage)?;
        let config = config(port, checked_port, database.port(), &certificate);
        let config = stage.write("runmate.toml", &config)?;
        let supervisor = start(Command::new(RUNMATE).args(["run", "-c"]).arg(config))?;
        let long = stage.write("long", &passing_report(port)?)?;
        let peer_port = free_port()?;
        let peer = serve(peer_port, &[short, long])?;
        wait_for(|| get(peer_port, "/1"), |_| true)?;
        Ok(Lab {
            supervisor,
            peer,
            _checked: (checked, database),
            _stage: stage,
            port,
            peer_port,
        })
    }

    fn end(self) -> Result<()> {
        for running in [self.supervisor, self.peer] {
            running.signal(libc::SIGTERM);
            running.wait()?;
        }
        Ok(())
    }
}

fn config(port: u16, checked: u16, database: u16, certificate: &Path) -> String {
    let checks = [
        format!("tcp = \"127.0.0.1:{checked}\""),
        format!("http = \"http://127.0.0.1:{checked}/0\""),
        "disk = \"/\"".to_owned(),
        "memory = {}".to_owned(),
        "fds = {}".to_owned(),
        "exec = [\"/bin/true\"]".to_owned(),
        format!("postgres = \"postgres://bench:bench@127.0.0.1:{database}/postgres\""),
        format!("certificate = {{ file = \"{}\" }}", certificate.display()),
    ];
    let mut text = format!(
        "[process.app]\ncommand = [\"/usr/bin/sleep\", \"600\"]\n[run]\nplatform = \"docker\"\n\
         [health]\nlisten = \"127.0.0.1:{port}\"\ntoken = \"{TOKEN}\"\n"
    );
    for (number, check) in checks.iter().enumerate() {
        text.push_str(&format!("[health.check.check{number}]\n{check}\n"));
    }
    text
}

/// One that is valid for longer than anybody measures.
fn certificate(stage: &Stage) -> Result<PathBuf> {
    let path = stage.path().join("certificate.pem");
    let output = Command::new("openssl")
        .args([
            "req",
            "-x509",
            "-newkey",
            "ec",
            "-pkeyopt",
            "ec_paramgen_curve:prime256v1",
        ])
        .args(["-nodes", "-days", "365", "-subj", "/CN=bench", "-keyout"])
        .arg(stage.path().join("key.pem"))
        .arg("-out")
        .arg(&path)
        .output()
        .map_err(|error| format!("cannot run openssl ({error}); run scripts/setup-tests.sh"))?;
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(path)
}

fn serve(port: u16, files: &[PathBuf]) -> Result<Running> {
    let mut command = Command::new(std::env::current_exe()?);
    start(command.arg(static_server::WORD).arg(port.to_string()).args(files))
}

fn start(command: &mut Command) -> Result<Running> {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Running::start(command)
}

/// What `/health` says once all checks pass.
fn passing_report(port: u16) -> Result<String> {
    let passes = |report: &String| {
        report.starts_with("{\"status\":\"pass\"") && report.matches("\"state\":\"passing\"").count() == 8
    };
    wait_for(|| get(port, "/health"), passes)
}

fn wait_for(mut ask: impl FnMut() -> Result<String>, is: impl Fn(&String) -> bool) -> Result<String> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let found = ask();
        if found.as_ref().is_ok_and(&is) {
            return found;
        }
        if Instant::now() > deadline {
            return Err(format!("not what is measured: {found:?}").into());
        }
        sleep(Duration::from_millis(20));
    }
}

/// The body.
fn get(port: u16, path: &str) -> Result<String> {
    let mut connection = TcpStream::connect(("127.0.0.1", port))?;
    connection.set_read_timeout(Some(Duration::from_secs(2)))?;
    write!(
        connection,
        "GET {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {TOKEN}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = String::new();
    connection.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or("no answer")?;
    Ok(body.to_owned())
}

impl Contender {
    fn new(name: &'static str, (port, pid): (u16, u32), path: &str, token: bool) -> Contender {
        Contender {
            name,
            url: format!("http://127.0.0.1:{port}{path}"),
            token,
            pid,
            rate: Samples::default(),
            p99: Samples::default(),
            cpu: Samples::default(),
        }
    }

    fn load(&mut self) -> Result<()> {
        let mut wrk = Command::new(find_program("wrk"));
        wrk.args(["--threads", "1", "--duration", "1s", "--latency"])
            .args(["--connections", &CONNECTIONS.to_string()]);
        if self.token {
            wrk.args(["--header", &format!("Authorization: Bearer {TOKEN}")]);
        }
        let before = os::cpu_time(self.pid)?;
        let output = wrk.arg(&self.url).output()?;
        let spent = os::cpu_time(self.pid)? - before;
        let said = String::from_utf8_lossy(&output.stdout);
        let value = |label: &str| {
            let line = said.lines().find_map(|line| line.trim().strip_prefix(label));
            line.map(str::trim)
                .ok_or_else(|| format!("wrk says nothing of {label} {said}"))
        };
        if !output.status.success() || said.contains("Non-2xx") || said.contains("Socket errors") {
            return Err(format!("wrk: {said}").into());
        }
        let requests = said.lines().find_map(|line| line.split_once(" requests in "));
        let requests: f64 = requests.ok_or("wrk counts no requests")?.0.trim().parse()?;
        self.cpu.push(spent.as_secs_f64() * 1e6 / requests);
        self.rate.push(value("Requests/sec:")?.parse()?);
        self.p99.push(milliseconds(value("99%")?)?);
        Ok(())
    }
}

/// As wrk writes a time: `812.00us`, `1.20ms`, `1.05s`.
fn milliseconds(text: &str) -> Result<f64> {
    let units = [("us", 1e-3), ("ms", 1.0), ("s", 1e3)];
    for (unit, factor) in units {
        if let Some(number) = text.strip_suffix(unit) {
            return Ok(number.parse::<f64>()? * factor);
        }
    }
    Err(format!("not a time: {text}").into())
}

/// In MB.
fn anonymous(pid: u32) -> Result<f64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))
        .map_err(|error| format!("cannot read the memory of process {pid} ({error}); be root"))?;
    Ok(kib(&text, "Anonymous:")? as f64 * 1024.0 / 1e6)
}
