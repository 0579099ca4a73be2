//! `runmate probe`, as a container's HEALTHCHECK calls it.

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpListener};

use support::{PATIENCE, Runmate, Setup, free_address, is_own, process};

fn stop(run: &Runmate) -> support::Exit {
    run.signal(libc::SIGTERM);
    run.exit()
}

/// Exit code and what it says.
fn outcome(setup: Setup) -> (Option<i32>, String) {
    let output = setup.output();
    assert!(output.stdout.is_empty(), "nothing goes to stdout");
    (
        output.status.code(),
        String::from_utf8(output.stderr).expect("UTF-8"),
    )
}

/// A run whose health listens here, once its app is ready.
fn listening(listen: &str) -> Runmate {
    let config = process("app", "ready wait TERM", "");
    let run = Setup::new(&format!("{config}\n[health]\nlisten = \"{listen}\"\n")).start();
    run.wait_for_message("app", "ready");
    run
}

/// A server that gives one answer to everything, until the test ends.
fn server(answer: &'static str) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = listener.local_addr().expect("bound");
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.expect("a connection");
            let _ = stream.read(&mut [0; 4096]);
            let _ = stream.write_all(answer.as_bytes());
        }
    });
    address
}

#[test]
fn it_is_0_while_healthy_and_1_otherwise() {
    let delay = "[run]\ndrain_delay = \"20s\"\nstop_budget = \"25s\"\n";
    let config = process("app", "ready wait TERM", "") + delay;
    let run = Setup::new(&config).with_health().start();
    run.wait_for_message("app", "ready");
    let file = run.dir().join("runmate.toml").display().to_string();
    let probe = |words: &[&str]| {
        let words: Vec<&str> = ["probe"].iter().chain(words).copied().collect();
        let output = Setup::without_config().args(words).output();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(probe(&["-c", &file]), (Some(0), String::new()));
    let ready = format!("http://{}/readyz", run.health_address());
    assert_eq!(probe(&[&ready]), (Some(0), String::new()));
    let none = format!("http://{}/none", run.health_address());
    assert_eq!(probe(&[&none]).0, Some(1));

    run.signal(libc::SIGTERM);
    run.wait_for("draining", |line| is_own(line, "draining"));
    let (code, why) = probe(&["-c", &file]);
    assert_eq!(code, Some(1));
    assert!(why.contains("503"), "{why}");
    stop(&run);
    let (code, why) = probe(&["-c", &file]);
    assert_eq!(code, Some(1));
    assert!(why.contains(&run.health_address().to_string()), "{why}");
}

#[test]
fn it_gives_up_on_who_does_not_answer() {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", silent.local_addr().unwrap());
    let began = std::time::Instant::now();
    let output = Setup::without_config().args(["probe", &url]).output();
    assert_eq!(output.status.code(), Some(1));
    assert!(began.elapsed() < PATIENCE);
    assert!(
        String::from_utf8(output.stderr)
            .unwrap()
            .contains("did not answer within 2s")
    );
}

#[test]
fn it_finds_the_port_wherever_the_config_is() {
    let address = free_address();
    let run = listening(&address.to_string());
    let text = format!("[health]\nlisten = \"{address}\"\n");
    let file = run.dir().join("other.toml");
    std::fs::write(&file, &text).expect("written");
    let path = file.display().to_string();
    let probe = || Setup::without_config().args(["probe"]);
    for setup in [
        Setup::without_config().args(["probe", "-c", &path]),
        probe().env("RUNMATE_CONFIG", &path),
        probe().env("RUNMATE_CONFIG_INLINE", &text),
        Setup::new(&text).args(["probe"]),
    ] {
        assert_eq!(outcome(setup), (Some(0), String::new()));
    }
    stop(&run);
}

#[test]
fn it_asks_for_nothing_else_of_the_config() {
    let address = free_address();
    let run = listening(&address.to_string());
    // Variables that are not set, a reference that is none, and keys of another version.
    let config = format!(
        "[process.app]\ncommand = [\"${{UNSET}}\"]\nnonsense = 1\n[health]\nlisten = \"{address}\"\n\
         token = \"${{UNSET}}\"\nlater = 1\n[health.check.db]\npostgres = \"${{UNSET}}\"\n\
         [secrets.DATABASE_URL]\nfrom = \"${{UNSET}}\"\n"
    );
    let setup = Setup::new(&config)
        .args(["probe"])
        .env("OTHER", "arn:aws:secretsmanager:eu-west-1:nonsense");
    assert_eq!(outcome(setup), (Some(0), String::new()));
    stop(&run);
}

#[test]
fn it_reaches_health_on_every_address() {
    let port = free_address().port();
    for listen in [
        format!("[::]:{port}"),
        format!("[::1]:{port}"),
        format!(":{port}"),
        format!("127.0.0.9:{port}"),
    ] {
        let run = listening(&listen);
        let setup = Setup::new(&format!("[health]\nlisten = \"{listen}\"\n")).args(["probe"]);
        assert_eq!(outcome(setup), (Some(0), String::new()), "{listen}");
        stop(&run);
    }
}

#[test]
fn it_reaches_health_on_all_addresses_over_ipv4_where_there_is_no_ipv6() {
    // Nobody on [::1], as in a container without IPv6.
    let address = server("HTTP/1.1 200 OK\r\n\r\n");
    let setup = Setup::new(&format!("[health]\nlisten = \"[::]:{}\"\n", address.port())).args(["probe"]);
    assert_eq!(outcome(setup), (Some(0), String::new()));
}

#[test]
fn without_health_endpoints_it_says_so() {
    let off = Setup::new("[health]\nlisten = \"off\"\n").args(["probe"]);
    let remedy = "name what to ask: runmate probe http://127.0.0.1:8000/up\n";
    assert_eq!(
        outcome(off),
        (
            Some(1),
            format!(
                "runmate probe: there are no health endpoints: health.listen is \"off\"; turn it on, or {remedy}"
            )
        )
    );
    let taken = Setup::without_config().args(["probe"]).env("PORT", "9180");
    assert_eq!(
        outcome(taken),
        (
            Some(1),
            format!(
                "runmate probe: there are no health endpoints: their default port is $PORT, where the app listens; set \
                 health.listen to another port, or {remedy}"
            )
        )
    );
}

#[test]
fn a_redirect_is_healthy_only_where_the_user_names_the_url() {
    let address = server("HTTP/1.1 302 Found\r\nLocation: /login\r\n\r\n");
    let own = Setup::new(&format!("[health]\nlisten = \"{address}\"\n")).args(["probe"]);
    let expected = format!("runmate probe: http://{address}/healthz answered 302\n");
    assert_eq!(outcome(own), (Some(1), expected));
    let named = Setup::without_config().args(["probe".to_owned(), format!("http://{address}/")]);
    assert_eq!(outcome(named), (Some(0), String::new()));
}

#[test]
fn a_config_that_does_not_say_where_health_listens_is_named() {
    let (code, why) = outcome(Setup::new("[health]\nlisten = \"${UNSET}\"\n").args(["probe"]));
    assert_eq!(code, Some(1));
    assert!(
        why.starts_with("runmate probe: runmate.toml:2: health.listen: "),
        "{why}"
    );
    let (code, why) = outcome(Setup::without_config().args(["probe", "-c", "absent.toml"]));
    assert_eq!(code, Some(1));
    assert!(
        why.starts_with("runmate probe: absent.toml: cannot read the config"),
        "{why}"
    );
}
