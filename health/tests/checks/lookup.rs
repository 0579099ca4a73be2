//! Names that cannot be looked up, and a DNS that never answers.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::sync::mpsc;
use std::time::Duration;

use runmate_health::checks::{Certificate, Http, MySql, Postgres, Redis, Tcp};
use runmate_health::{Check, look_once};

use crate::support::daemon::Dir;
use crate::support::{alone, block_on, look_for, passes, until, why};

const HOST: &str = "db.example.com";

fn checks(port: u16) -> Vec<Box<dyn Check>> {
    vec![
        Box::new(Tcp::new(&format!("{HOST}:{port}")).unwrap()),
        Box::new(Http::new(&format!("https://{HOST}/")).unwrap()),
        Box::new(Certificate::of_server(&format!("{HOST}:443")).unwrap()),
        Box::new(Postgres::new(&format!("postgres://a:b@{HOST}/d")).unwrap()),
        Box::new(MySql::new(&format!("mysql://a:b@{HOST}/d")).unwrap()),
        Box::new(Redis::new(&format!("redis://:b@{HOST}")).unwrap()),
    ]
}

/// A DNS that takes every question, and answers from the moment on that it is told to: 127.0.0.1.
struct Dns(mpsc::Sender<()>);

impl Dns {
    fn start() -> Dns {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("the port of DNS, in a network of its own");
        let (sender, told) = mpsc::channel();
        std::thread::spawn(move || {
            let _ = told.recv();
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                let _ = socket.send_to(&answer(&question[..length]), from);
            }
        });
        Dns(sender)
    }

    fn answer(&self) {
        self.0.send(()).expect("it waits");
    }
}

/// RFC 1035, section 4.1: one address for who asks for that of version 4, and none of version 6.
fn answer(question: &[u8]) -> Vec<u8> {
    const HEADER: usize = 12;
    // A name in its parts, the empty one last; then the type and the class.
    let name = question[HEADER..]
        .iter()
        .position(|byte| *byte == 0)
        .expect("a name")
        + 1;
    let end = HEADER + name + 4;
    let is_a = question[HEADER + name..][..2] == [0, 1];
    let mut answer = question[..2].to_vec();
    answer.extend([0x81, 0x80, 0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    answer.extend(&question[HEADER..end]);
    if is_a {
        answer.extend([0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    answer
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").expect("/proc").count()
}

/// In a network and with a resolver of its own; as root, or as nobody with a user namespace.
const WRAPPER: [&str; 7] = [
    "unshare",
    "--map-root-user",
    "--mount",
    "--net",
    "sh",
    "-c",
    r#"ip link set lo up && mount --bind "$RESOLV_CONF" /etc/resolv.conf && exec "$0" "$@""#,
];

fn resolver(options: &str) -> (Vec<(&'static str, PathBuf)>, Dir) {
    let dir = Dir::new("runmate-resolver-");
    let file = dir.write(
        "resolv.conf",
        &format!("nameserver 127.0.0.1\noptions {options}\n"),
    );
    (vec![("RESOLV_CONF", file)], dir)
}

#[test]
fn a_dns_that_hangs_costs_one_thread_a_check_and_comes_back() {
    alone(
        "lookup::a_dns_that_hangs_costs_one_thread_a_check_and_comes_back",
        &WRAPPER,
        || resolver("timeout:30 attempts:1"),
        || {
            let dns = Dns::start();
            block_on(async {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let port = listener.local_addr().unwrap().port();
                let checks = checks(port);
                let before = threads();
                for round in 1..=20 {
                    for check in &checks {
                        let looked = look_for(&**check, Duration::from_millis(10)).await;
                        assert!(looked.is_none(), "{looked:?}");
                    }
                    // The first look reads its URL on a thread that may have yet to end.
                    until(&format!("one thread a check, round {round}"), async || {
                        threads() == before + checks.len()
                    })
                    .await;
                }
                for check in &checks {
                    let limit = Duration::from_millis(10);
                    let failure = look_once(&**check, limit).await.expect_err("a timeout");
                    let why = format!("no answer within 10ms: still looking up {HOST}");
                    assert_eq!(failure.why, why);
                }
                // The calls that hung end with what they asked for.
                dns.answer();
                passes(&*checks[0]).await;
                for check in &checks[1..] {
                    let why = why(&**check).await;
                    assert!(why.contains("Connection refused"), "{why}");
                }
                passes(&*checks[0]).await;
            });
        },
    );
}

#[test]
fn a_name_that_nobody_knows_is_said_to_be_unknown() {
    alone(
        "lookup::a_name_that_nobody_knows_is_said_to_be_unknown",
        &WRAPPER,
        || resolver("timeout:1 attempts:1"),
        || {
            // Nobody is there to be asked.
            block_on(async {
                for check in checks(1) {
                    let why = why(&*check).await;
                    assert!(why.starts_with(&format!("cannot look up {HOST}: ")), "{why}");
                }
            });
        },
    );
}
