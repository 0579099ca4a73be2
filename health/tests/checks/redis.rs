//! Redis's own ways. What all databases have in common is in `databases`.

use runmate_health::checks::Redis;

use crate::support::certificates::Authority;
use crate::support::redis::Redis as Server;
use crate::support::{PASSWORD_ENCODED, alone, block_on, given, passes, why};

fn calls(server: &Server, command: &str) -> u64 {
    let stats = server.ask(&["INFO", "commandstats"]);
    let line = stats
        .lines()
        .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
    line.map_or(0, |line| line.split(',').next().unwrap().parse().unwrap())
}

#[tokio::test]
async fn a_look_is_one_ping_and_all_share_one_connection() {
    let server = Server::start(&Authority::new());
    let check = Redis::new(&server.url()).unwrap();
    passes(&check).await;
    let (pings, logins) = (calls(&server, "ping"), calls(&server, "auth"));
    for _ in 0..20 {
        passes(&check).await;
    }
    assert_eq!(calls(&server, "ping") - pings, 20);
    // Only redis-cli's own.
    assert_eq!(calls(&server, "auth") - logins, 2);
    assert_eq!(
        (calls(&server, "client|setinfo"), calls(&server, "hello")),
        (0, 0)
    );
}

#[tokio::test]
async fn urls_lead_there_by_network_and_socket() {
    let server = Server::start(&Authority::new());
    let (port, socket) = (server.port, server.socket());
    for url in [
        server.url(),
        format!("{}/3", server.url()),
        format!("redis://default:{PASSWORD_ENCODED}@localhost:{port}?protocol=resp3"),
        // Of Celery and ioredis.
        format!("{}/0?ssl_cert_reqs=required&family=6&db=3", server.url()),
        format!("valkey://:{PASSWORD_ENCODED}@[::ffff:127.0.0.1]:{port}"),
        format!("unix:{socket}?pass={PASSWORD_ENCODED}"),
        format!("redis+unix://{socket}?pass={PASSWORD_ENCODED}&db=2"),
    ] {
        let check = Redis::new(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
        passes(&check).await;
    }
}

#[test]
fn tls_is_verified() {
    alone(
        "redis::tls_is_verified",
        &[],
        || {
            let authority = Authority::new();
            let root = authority.root();
            (vec![("SSL_CERT_FILE", root)], authority)
        },
        || {
            block_on(async {
                let ours = std::path::PathBuf::from(given("SSL_CERT_FILE"));
                let trusted = Server::start(&Authority::at(ours.parent().unwrap()));
                let url = |port: u16| format!("rediss://:{PASSWORD_ENCODED}@localhost:{port}");
                passes(&Redis::new(&url(trusted.tls_port)).unwrap()).await;
                let unknown = Server::start(&Authority::new());
                assert_eq!(
                    why(&Redis::new(&url(unknown.tls_port)).unwrap()).await,
                    format!(
                        "TLS with localhost:{}: invalid peer certificate: UnknownIssuer",
                        unknown.tls_port
                    )
                );
                // A server without TLS would wait for the end of a line until the look's time is over.
            });
        },
    );
}

#[tokio::test]
async fn what_is_wrong_is_said_with_the_servers_code_and_without_the_password() {
    let server = Server::start(&Authority::new());
    let (port, url) = (server.port, server.url());
    let wrong = |url: &str| Redis::new(url).unwrap();
    let no_password = why(&wrong(&format!("redis://127.0.0.1:{port}"))).await;
    assert!(no_password.contains("NOAUTH"), "{no_password}");
    let refused = why(&wrong(&url.replace("%231", "%232"))).await;
    assert!(
        refused.starts_with(&format!("127.0.0.1:{port} refuses the login: ")),
        "{refused}"
    );
    assert!(refused.contains("WRONGPASS"), "{refused}");
    let no_database = why(&wrong(&format!("{url}/99"))).await;
    assert!(no_database.contains("DB index is out of range"), "{no_database}");
    // A server that expects TLS.
    let encrypted = why(&wrong(&server.url_at(server.tls_port))).await;
    assert_eq!(
        encrypted,
        format!("127.0.0.1:{} closed the connection", server.tls_port)
    );
    let nowhere = why(&wrong("unix:/nowhere/redis.sock")).await;
    assert_eq!(
        nowhere,
        "cannot connect to /nowhere/redis.sock: No such file or directory (os error 2)"
    );
}

#[tokio::test]
async fn a_replica_passes_and_one_without_its_master_too() {
    let server = Server::start(&Authority::new());
    let check = Redis::new(&server.url()).unwrap();
    server.ask(&["REPLICAOF", "127.0.0.1", "1"]);
    passes(&check).await;
}

#[tokio::test]
async fn a_connection_that_was_killed_is_replaced_within_the_look() {
    let server = Server::start(&Authority::new());
    let check = Redis::new(&server.url()).unwrap();
    passes(&check).await;
    server.ask(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]);
    passes(&check).await;
}

#[test]
fn what_is_no_url_is_refused_and_not_repeated() {
    for url in [
        "",
        "secret",
        "http://:secret@h",
        "redis://:secret@h/secret",
        "redis://:secret@h:port",
        "redis://app:12/secret@h",
        "redis://:secret@secret1:1,secret2:2",
        "redis:///secret",
        "unix:secret",
        "unix:/x?db=secret",
        "redis://h/0?db=secret",
        "rediss://:secret@h/#insecure",
    ] {
        let error = Redis::new(url).expect_err(url).to_string();
        assert!(!error.contains("secret"), "{error}");
    }
    let check = Redis::new("redis://:secret@h").unwrap();
    assert_eq!(format!("{check:?}"), "Redis { .. }");
}
