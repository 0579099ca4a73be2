//! Names that cannot be looked up, and a DNS that never answers.

use std::net::UdpSocket;
use std::path::PathBuf;
use std::time::Duration;

use runmate_health::Check;
use runmate_health::checks::{Certificate, Http, MySql, Postgres, Redis, Tcp};

use crate::support::daemon::Dir;
use crate::support::{alone, block_on, look, look_for};

const HOST: &str = "db.example.com";

fn checks() -> Vec<Box<dyn Check>> {
    vec![
        Box::new(Tcp::new(&format!("{HOST}:1")).unwrap()),
        Box::new(Http::new(&format!("https://{HOST}/")).unwrap()),
        Box::new(Certificate::of_server(&format!("{HOST}:443")).unwrap()),
        Box::new(Postgres::new(&format!("postgres://a:b@{HOST}/d")).unwrap()),
        Box::new(MySql::new(&format!("mysql://a:b@{HOST}/d")).unwrap()),
        Box::new(Redis::new(&format!("redis://:b@{HOST}")).unwrap()),
    ]
}

struct Boxed(Box<dyn Check>);

impl Check for Boxed {
    fn look(&self) -> runmate_health::Look<'_> {
        self.0.look()
    }
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
        || resolver("timeout:3 attempts:1"),
        || {
            let dns = UdpSocket::bind("127.0.0.1:53").expect("the port of DNS, in a network of its own");
            block_on(async {
                let checks: Vec<Boxed> = checks().into_iter().map(Boxed).collect();
                let before = threads();
                for round in 1..=20 {
                    for check in &checks {
                        let looked = look_for(check, Duration::from_millis(10)).await;
                        assert!(looked.is_none(), "{looked:?}");
                    }
                    assert!(threads() <= before + checks.len(), "after {round} rounds");
                }
                assert_eq!(threads(), before + checks.len());
                // When it is gone for good, the calls that hung end, and say why; the next does, too.
                drop(dns);
                for _ in 0..2 {
                    for check in &checks {
                        let why = look(check).await.unwrap_err().why;
                        assert!(why.starts_with(&format!("cannot look up {HOST}: ")), "{why}");
                    }
                }
                assert_eq!(threads(), before);
            });
        },
    );
}
