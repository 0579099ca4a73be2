//! examples/nginx-gunicorn as its README runs it.

use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use crate::docker::{Container, Images};

/// As in the README, with a health check that need not wait for its first 10 s.
const OPTIONS: &[&str] = &[
    "--read-only",
    "--tmpfs",
    "/tmp",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
    "--health-interval",
    "1s",
];

/// Starts it and waits until all of it is up.
pub fn start(options: &[&str]) -> Container {
    let container = Container::run(Images::example(), &[OPTIONS, options].concat(), &[]);
    container.until("everything is up", |c| {
        assert_eq!(
            c.inspect("{{.State.Status}}"),
            "running",
            "it must not end before it is up"
        );
        c.log().iter().any(|line| line["event"] == "up")
    });
    container
}

/// nginx's address.
pub fn target(container: &Container) -> SocketAddr {
    (container.address(), 8080).into()
}

#[test]
fn it_turns_healthy_by_runmate_probe() {
    let container = start(&[]);
    container.until("Docker calls it healthy", |c| {
        c.inspect("{{.State.Health.Status}}") == "healthy"
    });
    container.stop();
    assert_eq!(container.exit_code(), 0);
}

#[test]
fn it_runs_as_an_ordinary_user_and_health_is_behind_nginx() {
    let container = start(&["-e", "PORT=8088"]);
    assert_eq!(container.shell("id -u"), "1000\n");
    let target = SocketAddr::from((container.address(), 8088));
    TcpStream::connect_timeout(&target, Duration::from_secs(5)).expect("nginx listens on $PORT");
    let get = |path: &str| {
        let script = format!(
            "import urllib.request as r; print(r.urlopen('http://127.0.0.1:8088{path}').read().decode(), end='')"
        );
        let output = container.exec(&["python3", "-c", &script]);
        String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
    };
    assert!(get("/healthz").contains("\"pass\""), "{}", get("/healthz"));
    assert_eq!(get("/static/hello.txt"), "A file that nginx serves by itself.\n");
    assert_eq!(get("/"), "hello\n");
}

#[test]
fn every_line_is_json_and_the_last_is_the_exit() {
    let container = start(&[]);
    let script =
        "import urllib.request as r\nfor i in range(200): r.urlopen(f'http://127.0.0.1:8080/?{i}').read()";
    assert!(container.exec(&["python3", "-c", script]).status.success());
    container.stop();
    let log = container.log();
    let of = |process: &str| log.iter().filter(|line| line["process"] == process).count();
    assert!(
        of("nginx") >= 200,
        "an access log line per request, got {}",
        of("nginx")
    );
    assert!(of("app") > 0, "gunicorn says something at its start");
    for line in &log {
        for field in ["timestamp", "level", "message", "process"] {
            assert!(line[field].is_string(), "no {field}: {line}");
        }
    }
    // In reverse order of the start.
    let stopping: Vec<_> = log
        .iter()
        .filter(|line| line["event"] == "stopping")
        .map(|line| &line["name"])
        .collect();
    assert_eq!(stopping, ["gate", "nginx", "app"]);
    let exit = container.exit_line();
    assert_eq!(exit["code"], 0, "{exit}");
}
