//! HTTP and HTTPS, with nginx.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use runmate_health::checks::Http;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::support::certificates::Authority;
use crate::support::daemon::{Daemon, Dir, free_port, on_a_free_port};
use crate::support::programs::find_program;
use crate::support::{alone, block_on, given, look, passes, until, why};

struct Nginx {
    dir: Dir,
    port: u16,
    tls_port: u16,
    _server: Daemon,
}

impl Nginx {
    /// With a certificate from and to these days.
    fn start(authority: &Authority, days: (i64, i64)) -> Nginx {
        let dir = Dir::new("runmate-nginx-");
        authority.issue(dir.path(), days.0, days.1);
        let log = dir.file("log");
        let mut tls_port = 0;
        let (server, port) = on_a_free_port(&log, |port| {
            tls_port = free_port();
            serve(&dir, port, tls_port)
        });
        Nginx {
            dir,
            port,
            tls_port,
            _server: server,
        }
    }

    /// `STATUS USER-AGENT HOST CONNECTION` of each request. They are written down after they were answered, so this
    /// waits for so many.
    async fn requests(&self, count: usize) -> Vec<String> {
        let read = || std::fs::read_to_string(self.dir.file("access")).unwrap_or_default();
        until("all requests are written down", async || {
            read().lines().count() >= count
        })
        .await;
        read().lines().map(str::to_owned).collect()
    }
}

fn serve(dir: &Dir, port: u16, tls_port: u16) -> Option<Daemon> {
    let here = dir.path().display();
    let config = format!(
        "daemon off; master_process off; pid {here}/pid; error_log stderr;
        events {{ }}
        http {{
            log_format short '$status $http_user_agent $host $connection';
            access_log {here}/access short;
            client_body_temp_path {here}/body; proxy_temp_path {here}/proxy; fastcgi_temp_path {here}/fastcgi;
            uwsgi_temp_path {here}/uwsgi; scgi_temp_path {here}/scgi;
            server {{
                listen 127.0.0.1:{port};
                listen 127.0.0.1:{tls_port} ssl;
                ssl_certificate {here}/cert.pem;
                ssl_certificate_key {here}/key.pem;
                location /up {{ return 204; }}
                location /moved {{ return 302 http://127.0.0.1:1/; }}
                location /down {{ return 503; }}
                location /key {{ if ($arg_token = \"topsecret\") {{ return 200; }} return 403; }}
            }}
        }}"
    );
    let config = dir.write("nginx.conf", &config);
    let mut nginx = Command::new(find_program("nginx"));
    nginx.arg("-p").arg(dir.path()).arg("-c").arg(config);
    let answers = || std::net::TcpStream::connect(("127.0.0.1", tls_port)).is_ok();
    Daemon::start(&mut nginx, &dir.file("log"), libc::SIGTERM, answers)
}

fn check(url: String) -> Http {
    Http::new(&url).unwrap()
}

#[tokio::test]
async fn statuses_from_200_to_399_pass_and_redirects_are_not_followed() {
    let nginx = Nginx::start(&Authority::new(), (-1, 90));
    let port = nginx.port;
    for url in ["up", "moved", "key?token=topsecret"] {
        passes(&check(format!("http://127.0.0.1:{port}/{url}"))).await;
    }
    passes(&check(format!("http://localhost:{port}/up#fragment"))).await;
    assert_eq!(
        why(&check(format!("http://127.0.0.1:{port}/down"))).await,
        format!("GET at 127.0.0.1:{port} answered 503")
    );
    // Neither the path nor the query is told.
    assert_eq!(
        why(&check(format!("http://127.0.0.1:{port}/key?token=othersecret"))).await,
        format!("GET at 127.0.0.1:{port} answered 403")
    );
    let agent = concat!("runmate-health/", env!("CARGO_PKG_VERSION"));
    let requests = nginx.requests(6).await;
    let heads: Vec<&str> = requests
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().0)
        .collect();
    assert_eq!(
        heads,
        [
            format!("204 {agent} 127.0.0.1"),
            format!("302 {agent} 127.0.0.1"),
            format!("200 {agent} 127.0.0.1"),
            format!("204 {agent} localhost"),
            format!("503 {agent} 127.0.0.1"),
            format!("403 {agent} 127.0.0.1"),
        ]
    );
}

#[tokio::test]
async fn each_look_is_one_request_on_a_connection_of_its_own() {
    let nginx = Nginx::start(&Authority::new(), (-1, 90));
    let check = check(format!("http://127.0.0.1:{}/up", nginx.port));
    for _ in 0..10 {
        passes(&check).await;
    }
    let requests = nginx.requests(10).await;
    let mut connections: Vec<&str> = requests
        .iter()
        .map(|line| line.rsplit_once(' ').unwrap().1)
        .collect();
    connections.dedup();
    assert_eq!((requests.len(), connections.len()), (10, 10));
}

/// A server in this program, which gets one request and sends `answer`.
async fn one_answer(answer: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let _ = stream.read(&mut [0; 4096]).await;
        let _ = stream.write_all(answer).await;
        // Held open where the answer has a body to come, which nobody is to wait for.
        if answer.ends_with(b"\r\n\r\n") {
            let _ = stream.read(&mut [0; 1]).await;
        }
    });
    address.to_string()
}

#[tokio::test]
async fn the_body_is_not_waited_for() {
    let address = one_answer(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n").await;
    passes(&check(format!("http://{address}/"))).await;
}

/// A server in this program that says `greeting` before it is asked, and hangs up. Some checks look before it comes,
/// some after.
async fn greeting(greeting: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        stream.write_all(greeting).await.unwrap();
        stream.shutdown().await.unwrap();
        let _ = stream.read_to_end(&mut Vec::new()).await;
    });
    address.to_string()
}

#[tokio::test]
async fn who_greets_and_hangs_up_is_said_not_to_speak_http() {
    for said in [
        &b"220 mail.example.com ESMTP\r\n"[..],
        b"J\0\0\0\x0a8.0.36\0",
        b"garbage",
        b"x",
    ] {
        for _ in 0..20 {
            let address = greeting(said).await;
            assert_eq!(
                why(&check(format!("http://{address}/"))).await,
                format!("what {address} answered is not HTTP/1"),
                "{said:?}"
            );
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_said() {
    let address = one_answer(b"SSH-2.0-OpenSSH_9.2p1\r\n").await;
    assert_eq!(
        why(&check(format!("http://{address}/"))).await,
        format!("what {address} answered is not HTTP/1")
    );
    let address = one_answer(b"garbage").await;
    assert_eq!(
        why(&check(format!("http://{address}/"))).await,
        format!("what {address} answered is not HTTP/1")
    );
    let address = one_answer(b"").await;
    assert_eq!(
        why(&check(format!("http://{address}/"))).await,
        format!("{address} closed the connection without an answer")
    );
    let address = one_answer(b"HTTP/1.1 200 OK\r\nContent-").await;
    assert_eq!(
        why(&check(format!("http://{address}/"))).await,
        format!("{address} closed the connection without an answer")
    );
}

#[test]
fn https_is_verified() {
    alone(
        "web::https_is_verified",
        &[],
        || {
            let authority = Authority::new();
            let root = authority.root();
            (vec![("SSL_CERT_FILE", root)], authority)
        },
        || {
            block_on(async {
                let root = given("SSL_CERT_FILE");
                let authority = Authority::at(Path::new(&root).parent().unwrap());
                let url = |nginx: &Nginx, host: &str| format!("https://{host}:{}/up", nginx.tls_port);
                let trusted = Nginx::start(&authority, (-1, 90));
                passes(&check(url(&trusted, "localhost"))).await;
                passes(&check(url(&trusted, "127.0.0.1"))).await;
                let plain = check(format!("https://localhost:{}/up", trusted.port));
                assert_eq!(
                    why(&plain).await,
                    format!("TLS with localhost:{}: what it says is not TLS", trusted.port)
                );
                let failure = why(&check(url(&trusted, "127.0.0.2"))).await;
                assert!(
                    failure.contains("cannot connect") || failure.contains("not valid for name"),
                    "{failure}"
                );
                let expired = Nginx::start(&authority, (-10, -4));
                let failure = why(&check(url(&expired, "localhost"))).await;
                let said = format!(
                    "TLS with localhost:{}: invalid peer certificate: ",
                    expired.tls_port
                );
                assert!(
                    failure.starts_with(&format!("{said}certificate expired")),
                    "{failure}"
                );
                let unknown = Nginx::start(&Authority::new(), (-1, 90));
                assert_eq!(
                    why(&check(url(&unknown, "localhost"))).await,
                    format!(
                        "TLS with localhost:{}: invalid peer certificate: UnknownIssuer",
                        unknown.tls_port
                    )
                );
            });
        },
    );
}

#[test]
fn roots_that_were_replaced_are_read_within_minutes() {
    alone(
        "web::roots_that_were_replaced_are_read_within_minutes",
        &[],
        || {
            let dir = Dir::new("runmate-roots-");
            let roots = dir.file("roots.pem");
            std::fs::copy(Authority::new().root(), &roots).expect("copy");
            (vec![("SSL_CERT_FILE", roots)], dir)
        },
        || {
            block_on(async {
                let authority = Authority::new();
                let nginx = Nginx::start(&authority, (-1, 90));
                let check = check(format!("https://localhost:{}/up", nginx.tls_port));
                assert!(why(&check).await.contains("UnknownIssuer"));
                std::fs::copy(authority.root(), given("SSL_CERT_FILE")).expect("copy");
                tokio::time::pause();
                tokio::time::advance(Duration::from_secs(6 * 60)).await;
                tokio::time::resume();
                passes(&check).await;
            });
        },
    );
}

#[test]
fn without_any_root_the_remedy_is_said() {
    alone(
        "web::without_any_root_the_remedy_is_said",
        &[],
        || {
            let nothing = vec![
                ("SSL_CERT_FILE", "/dev/null".into()),
                ("SSL_CERT_DIR", "/nowhere".into()),
            ];
            (nothing, ())
        },
        || {
            block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let failure = look(&check(format!("https://{address}/"))).await.unwrap_err();
                assert_eq!(
                    failure.why,
                    "no certificates to verify a server with: add the package ca-certificates to the image, or let \
                     SSL_CERT_FILE name a file with them"
                );
            });
        },
    );
}

#[test]
fn urls_are_read_and_what_is_none_is_refused_and_not_repeated() {
    for (url, local) in [
        ("http://127.0.0.1:8000/up?x=1", true),
        ("http://[::1]", true),
        ("HTTP://localhost", true),
        ("http://app.example.com:8080/", false),
        ("https://127.0.0.1", false),
    ] {
        assert_eq!(Http::new(url).expect(url).is_local(), local, "{url}");
    }
    for url in [
        "",
        "/topsecret",
        "localhost:80/topsecret",
        "ftp://h/topsecret",
        "https://user:topsecret@h/",
        "https://topsecret@h/",
        "http:///topsecret",
        "http://h:99999/topsecret",
        "http://h:0/topsecret",
        "http://h /topsecret",
        "http://h/top\r\nsecret",
    ] {
        let error = Http::new(url).expect_err(url).to_string();
        assert!(
            error.contains("write one such as") && !error.contains("secret"),
            "{error}"
        );
    }
    assert!(!format!("{:?}", check("http://h/topsecret?topsecret".into())).contains("topsecret"));
}
