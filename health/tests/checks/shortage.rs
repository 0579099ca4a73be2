//! Where this side may open nothing more, nothing is known of the others.

use runmate_health::checks::{Certificate, Exec, Http, MySql, Postgres, Redis, Tcp};
use runmate_health::{Check, FailureKind};
use tokio::net::{TcpListener, UnixListener};

use crate::support::daemon::Dir;
use crate::support::{alone, block_on, look, passes};

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
