//! Where this side may open nothing more, nothing is known of the others.

use runmate_health::checks::{Certificate, Exec, Http, MySql, Postgres, Redis, Tcp};
use runmate_health::{Check, FailureKind};
use tokio::net::{TcpListener, TcpStream, UnixListener};

use crate::support::daemon::Dir;
use crate::support::{alone, block_on, look, passes, why};

/// Lets this process open nothing more, whatever is closed from now on.
fn open_no_more() {
    let limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the limit is valid for the call, which changes nothing else.
    let set = unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) };
    assert_eq!(set, 0, "{}", std::io::Error::last_os_error());
}

#[test]
fn too_many_open_files_here_are_not_held_against_what_is_looked_at() {
    alone(
        "shortage::too_many_open_files_here_are_not_held_against_what_is_looked_at",
        &[],
        || (Vec::new(), ()),
        || {
            block_on(async {
                let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
                let address = listener.local_addr().unwrap();
                let dir = Dir::new("runmate-shortage-");
                let (socket, file) = (dir.file("socket"), dir.write("cert.pem", ""));
                let _listens = UnixListener::bind(&socket).unwrap();
                let socket = socket.display();
                let checks: Vec<Box<dyn Check>> = vec![
                    Box::new(Tcp::new(&address.to_string()).unwrap()),
                    Box::new(Tcp::new("db.example.com:5432").unwrap()),
                    Box::new(Http::new(&format!("http://{address}/")).unwrap()),
                    Box::new(Http::new(&format!("https://{address}/")).unwrap()),
                    Box::new(Certificate::of_server(&address.to_string()).unwrap()),
                    Box::new(Certificate::of_file(file)),
                    Box::new(Postgres::new(&format!("postgres://a:b@{address}/d")).unwrap()),
                    Box::new(MySql::new(&format!("mysql://a:b@{address}/d")).unwrap()),
                    Box::new(MySql::new(&format!("mysql://a:b@h/d?socket={socket}")).unwrap()),
                    Box::new(Redis::new(&format!("redis://:b@{address}")).unwrap()),
                    Box::new(Redis::new(&format!("unix:{socket}")).unwrap()),
                    Box::new(Exec::new(["true"]).unwrap()),
                ];
                passes(&checks[0]).await;
                open_no_more();
                for (index, check) in checks.iter().enumerate() {
                    let failure = look(check).await.expect_err("nothing can be opened");
                    assert_eq!(failure.kind, FailureKind::Unknown, "{index}: {failure}");
                    assert!(
                        failure.why.ends_with(": too many open files here"),
                        "{index}: {failure}"
                    );
                }
            });
        },
    );
}

/// In a network of its own, with one port to connect from and without IPv6.
const WRAPPER: [&str; 6] = [
    "unshare",
    "--map-root-user",
    "--net",
    "sh",
    "-c",
    r#"ip link set lo up && echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range &&
       echo 1 >/proc/sys/net/ipv6/conf/all/disable_ipv6 && exec "$0" "$@""#,
];

#[test]
fn no_port_to_connect_from_tells_nothing_and_no_ipv6_hides_no_failure() {
    alone(
        "shortage::no_port_to_connect_from_tells_nothing_and_no_ipv6_hides_no_failure",
        &WRAPPER,
        || (Vec::new(), ()),
        || {
            block_on(async {
                let checks = |address: &str| -> Vec<Box<dyn Check>> {
                    vec![
                        Box::new(Tcp::new(address).unwrap()),
                        Box::new(Http::new(&format!("http://{address}/")).unwrap()),
                        Box::new(Postgres::new(&format!("postgres://a:b@{address}/d")).unwrap()),
                        Box::new(MySql::new(&format!("mysql://a:b@{address}/d")).unwrap()),
                        Box::new(Redis::new(&format!("redis://{address}")).unwrap()),
                    ]
                };
                for check in checks("localhost:50001") {
                    let why = why(&check).await;
                    assert!(why.contains("Connection refused"), "{why}");
                }
                let listener = TcpListener::bind("127.0.0.1:50000").await.unwrap();
                let address = listener.local_addr().unwrap();
                let _takes_the_port = TcpStream::connect(address).await.unwrap();
                for address in ["127.0.0.1:50000", "localhost:50000"] {
                    for (index, check) in checks(address).iter().enumerate() {
                        let failure = look(check).await.expect_err("there is no port");
                        assert_eq!(failure.kind, FailureKind::Unknown, "{index}: {failure}");
                        assert!(
                            failure.why.contains("no local address or port"),
                            "{index}: {failure}"
                        );
                    }
                }
            });
        },
    );
}
