//! Collectors that are away, slow, out of order or of another opinion.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::json;

use crate::lab::{export, job, within};
use crate::support::otlp::Receiver;

const BOTH: [&str; 2] = ["OtlpHttp", "OtlpGrpc"];

fn endpoint(receiver: &Receiver, exporter: &str) -> String {
    match exporter {
        "OtlpGrpc" => receiver.grpc(),
        _ => receiver.http(),
    }
}

/// How much later than its timeout an answer may come: the start of the program, on a busy machine.
const LEEWAY: Duration = Duration::from_secs(2);

#[test]
fn nobody_listens() {
    for exporter in BOTH {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("an address");
        drop(listener);
        let job = within(job(exporter, Some(&format!("http://{address}"))), 1500);
        let outcome = export(&job, &[]);
        let expected = format!("cannot connect to {address}: Connection refused");
        assert!(outcome.why().contains(&expected), "{exporter}: {}", outcome.why());
        assert!(outcome.took < Duration::from_millis(1500) + LEEWAY);
    }
}

#[test]
fn a_name_that_there_is_not() {
    for exporter in BOTH {
        let outcome = export(
            &within(job(exporter, Some("http://nobody.invalid:4318")), 1500),
            &[],
        );
        let why = outcome.why();
        assert!(
            why.contains("looking up nobody.invalid") || why.contains("look up nobody.invalid"),
            "{why}"
        );
    }
}

#[test]
fn whoever_never_answers_is_named_when_the_time_is_up() {
    let receiver = Receiver::with(&["--mode", "hang"]);
    for (exporter, waiting) in [("OtlpHttp", "to answer"), ("OtlpGrpc", "to answer by gRPC")] {
        let url = endpoint(&receiver, exporter);
        let outcome = export(&within(job(exporter, Some(&url)), 1000), &[]);
        let address = url.trim_start_matches("http://");
        let expected = format!("the time was up while waiting for {address} {waiting}");
        assert_eq!(outcome.why(), expected);
        assert!(outcome.took >= Duration::from_secs(1) && outcome.took < Duration::from_secs(1) + LEEWAY);
    }
}

/// An address that takes no more connections and does not say so.
fn black_hole() -> (String, impl Sized) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    // SAFETY: no memory is involved.
    unsafe { libc::listen(std::os::fd::AsRawFd::as_raw_fd(&listener), 0) };
    let mut waiting = Vec::new();
    while let Ok(stream) = TcpStream::connect_timeout(&address, Duration::from_millis(300)) {
        waiting.push(stream);
    }
    (address.to_string(), (listener, waiting))
}

#[test]
fn an_address_that_swallows_everything() {
    let (address, _kept) = black_hole();
    for exporter in BOTH {
        let outcome = export(
            &within(job(exporter, Some(&format!("http://{address}/key=abc"))), 1000),
            &[],
        );
        assert_eq!(
            outcome.why(),
            format!("the time was up while connecting to {address}")
        );
        assert!(outcome.took < Duration::from_secs(1) + LEEWAY);
    }
}

#[test]
fn a_server_that_accepts_and_never_shakes_hands() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = listener.local_addr().expect("an address").port();
    let silent = std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            // Until the helper goes away.
            let _ = stream.expect("a connection").read_to_end(&mut Vec::new());
        }
    });
    for exporter in BOTH {
        let outcome = export(
            &within(job(exporter, Some(&format!("https://127.0.0.1:{port}"))), 1000),
            &[],
        );
        let expected = format!("the time was up while setting up TLS with 127.0.0.1:{port}");
        assert_eq!(outcome.why(), expected);
    }
    silent.join().expect("both connections ended");
}

#[test]
fn a_refusal_is_told_and_not_asked_for_again() {
    let receiver = Receiver::with(&["--mode", "refuse"]);
    for (exporter, said) in [
        ("OtlpHttp", "answered 401 Unauthorized: no such tenant ***"),
        ("OtlpGrpc", "the answer was PermissionDenied: no such tenant ***"),
    ] {
        let before = receiver.requests().len();
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=Bearer hunter2");
        let outcome = export(&job(exporter, Some(&endpoint(&receiver, exporter))), &[headers]);
        assert!(outcome.why().contains(said), "{exporter}: {}", outcome.why());
        assert!(!outcome.why().contains("hunter2"));
        assert_eq!(receiver.requests().len(), before + 1);
    }
}

#[test]
fn no_half_of_a_long_token_is_told() {
    let receiver = Receiver::with(&["--mode", "refuse"]);
    let token = "hunter2".repeat(60);
    for exporter in BOTH {
        let headers = format!("authorization=Bearer {token}");
        let headers = ("OTEL_EXPORTER_OTLP_HEADERS", &*headers);
        let outcome = export(&job(exporter, Some(&endpoint(&receiver, exporter))), &[headers]);
        let why = outcome.why();
        assert!(
            !why.contains("hunter") && why.chars().count() <= 303,
            "{exporter}: {why}"
        );
    }
}

#[test]
fn a_path_with_a_key_in_it_is_not_told() {
    let receiver = Receiver::with(&["--mode", "lost"]);
    let url = format!("{}/hunter2", receiver.http());
    let outcome = export(&job("OtlpHttp", Some(&url)), &[]);
    let said = "answered 404 Not Found: Cannot POST ***";
    assert!(outcome.why().ends_with(said), "{}", outcome.why());
}

#[test]
fn who_is_busy_is_asked_again() {
    let mut receiver = Receiver::start();
    for exporter in BOTH {
        receiver.behave("busy");
        let before = receiver.requests().len();
        let outcome = export(&job(exporter, Some(&endpoint(&receiver, exporter))), &[]);
        assert_eq!(outcome.answer, Ok(None), "{exporter}");
        assert_eq!(receiver.requests().len(), before + 2);
        if exporter == "OtlpHttp" {
            assert!(
                outcome.took >= Duration::from_secs(1),
                "Retry-After: 1; {:?}",
                outcome.took
            );
        }
    }
}

#[test]
fn who_has_no_room_is_asked_again_when_it_said_so() {
    let receiver = Receiver::with(&["--mode", "full"]);
    let outcome = export(&job("OtlpGrpc", Some(&receiver.grpc())), &[]);
    assert_eq!(outcome.answer, Ok(None));
    assert_eq!(receiver.requests().len(), 2);
    assert!(outcome.took >= Duration::from_secs(1), "{:?}", outcome.took);
}

#[test]
fn the_environment_may_give_less_time() {
    let receiver = Receiver::with(&["--mode", "hang"]);
    for variable in ["OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT"] {
        let outcome = export(&job("OtlpHttp", Some(&receiver.http())), &[(variable, "500")]);
        assert!(
            outcome.why().starts_with("the time was up while waiting"),
            "{}",
            outcome.why()
        );
        assert!(outcome.took < Duration::from_millis(500) + LEEWAY);
    }
}

#[test]
fn a_port_that_speaks_the_other_protocol() {
    let receiver = Receiver::start();
    for (exporter, url, said) in [
        ("OtlpGrpc", receiver.http(), "; does it take OTLP by HTTP"),
        ("OtlpHttp", receiver.grpc(), "is not HTTP/1.1"),
    ] {
        let outcome = export(&within(job(exporter, Some(&url)), 3000), &[]);
        assert!(outcome.why().contains(said), "{exporter}: {}", outcome.why());
    }
}

/// As a server of HTTP/2 may, before it has read anything.
#[test]
fn a_server_that_speaks_first_is_none_of_http() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let server = std::thread::spawn(move || {
        let mut greeted = Vec::new();
        for mut stream in listener.incoming().map_while(Result::ok).take(4) {
            stream
                .write_all(b"220 mail.example.com ready\r\n")
                .expect("a greeting");
            greeted.push(stream);
        }
    });
    let outcome = export(
        &within(job("OtlpHttp", Some(&format!("http://{address}"))), 3000),
        &[],
    );
    let expected = format!("what {address} answered is not HTTP/1.1");
    assert!(outcome.why().contains(&expected), "{}", outcome.why());
    server.join().expect("four attempts");
}

#[test]
fn who_is_busy_for_longer_than_there_is_time() {
    let receiver = Receiver::with(&["--mode", "busy"]);
    let outcome = export(&within(job("OtlpHttp", Some(&receiver.http())), 700), &[]);
    assert!(
        outcome.why().contains("429 Too Many Requests: too busy"),
        "{}",
        outcome.why()
    );
    assert!(outcome.took < Duration::from_millis(700) + LEEWAY);
    assert_eq!(receiver.requests().len(), 1);
}

#[test]
fn who_is_slow_is_waited_for() {
    let receiver = Receiver::with(&["--mode", "slow"]);
    for exporter in BOTH {
        let outcome = export(&job(exporter, Some(&endpoint(&receiver, exporter))), &[]);
        assert_eq!(outcome.answer, Ok(None), "{exporter}");
    }
}

#[test]
fn what_a_collector_will_never_take_is_no_failure() {
    let mut receiver = Receiver::start();
    for (mode, exporter, spans, said) in [
        (
            "partial",
            "OtlpHttp",
            json!(1),
            "spans that were rejected: 1: one was too old",
        ),
        (
            "partial",
            "OtlpGrpc",
            json!(1),
            "spans that were rejected: 1: one was too old",
        ),
        (
            "invalid",
            "OtlpHttp",
            json!(null),
            "answered 400 Bad Request: no such spans",
        ),
        (
            "invalid",
            "OtlpGrpc",
            json!(null),
            "the answer was InvalidArgument: no such spans",
        ),
    ] {
        receiver.behave(mode);
        let before = receiver.requests().len();
        let outcome = export(&job(exporter, Some(&endpoint(&receiver, exporter))), &[]);
        let rejection = outcome.answer.expect("an answer").expect("a rejection");
        assert_eq!(rejection["spans"], spans, "{mode} {exporter}");
        let why = rejection["why"].as_str().expect("a reason");
        assert!(why.ends_with(said), "{mode} {exporter}: {why}");
        assert_eq!(receiver.requests().len(), before + 1, "{mode} {exporter}");
    }
}

#[test]
fn a_web_server_is_no_collector() {
    let receiver = Receiver::with(&["--mode", "page"]);
    let outcome = export(&job("OtlpHttp", Some(&receiver.http())), &[]);
    assert!(
        outcome.why().contains("answered with a web page"),
        "{}",
        outcome.why()
    );
}

#[test]
fn nonsense_is_an_answer_and_no_panic() {
    let receiver = Receiver::with(&["--mode", "garbage"]);
    for exporter in BOTH {
        let outcome = export(
            &within(job(exporter, Some(&endpoint(&receiver, exporter))), 2000),
            &[],
        );
        assert!(
            !outcome.why().is_empty() && !outcome.why().contains('\0'),
            "{exporter}: {}",
            outcome.why()
        );
        assert!(outcome.took < Duration::from_secs(2) + LEEWAY);
    }
    let http = export(&within(job("OtlpHttp", Some(&receiver.http())), 2000), &[]);
    assert!(http.why().contains("is not HTTP/1.1"), "{}", http.why());
}

#[test]
fn an_endpoint_that_is_none_is_said_without_its_password() {
    for exporter in ["OtlpHttp", "OtlpGrpc", "Xray"] {
        for url in [
            "ftp://hunter2.example.com",
            "http://u:hunter2@example.com",
            "hunter2 x",
        ] {
            let mut job = job(exporter, Some(url));
            job["env"] = json!([
                ["AWS_REGION", "eu-west-1"],
                ["AWS_ACCESS_KEY_ID", "a"],
                ["AWS_SECRET_ACCESS_KEY", "b"]
            ]);
            let why = export(&job, &[]).answer.expect_err(url);
            assert!(!why.contains("hunter2"), "{exporter}: {why}");
        }
    }
}
