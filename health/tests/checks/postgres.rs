//! PostgreSQL's own ways. What all databases have in common is in `databases`.

use std::time::Duration;

use runmate_health::checks::Postgres;

use crate::support::certificates::Authority;
use crate::support::postgres::Postgres as Server;
use crate::support::{PASSWORD, alone, block_on, look, look_for, passes, until, why};

#[tokio::test]
async fn a_look_is_one_statement_and_all_share_one_connection() {
    let server = Server::start();
    let check = Postgres::new(&server.url()).unwrap();
    for _ in 0..20 {
        passes(&check).await;
    }
    let log = server.log();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(count("statement: SELECT 1"), 20, "{log}");
    assert_eq!(count("statement: "), 20, "{log}");
    assert_eq!(count("connection authorized"), 1, "{log}");
    assert_eq!(count("application_name=runmate-health"), 1, "{log}");
    // With libpq's default, TLS is used where the server has it.
    assert_eq!(count("SSL enabled"), 1, "{log}");
}

#[tokio::test]
async fn urls_lead_there_by_network_socket_and_tls() {
    let server = Server::start();
    let (port, dir, root) = (server.port, server.dir(), server.root());
    let password = crate::support::PASSWORD_ENCODED;
    let encoded = dir.replace('/', "%2F");
    for url in [
        server.url(),
        server.url().replace("postgres://", "postgresql+psycopg://"),
        format!("postgresql://app:{password}@localhost:{port}/postgres?sslmode=disable"),
        format!("postgres://app:{password}@localhost:{port}/postgres?sslmode=verify-full&sslrootcert={root}"),
        format!("postgres://app:{password}@[::ffff:127.0.0.1]:{port}/postgres"),
        format!("postgres:///postgres?host={dir}&port={port}&user=app&password={password}"),
        format!("postgres://app:{password}@{encoded}:{port}/postgres"),
        // Cloud SQL's form.
        format!("postgres://app:{password}@/postgres?host={dir}&port={port}"),
        // Of node-postgres, Prisma, asyncpg and psycopg; the last of them ask libpq for what the driver lacks.
        format!("{}?sslmode=no-verify", server.url()),
        format!(
            "{}?connection_limit=5&schema=public&pgbouncer=true&sslmode=prefer",
            server.url()
        ),
        format!(
            "{}?application_name=shop&channel_binding=require&target_session_attrs=read-write",
            server.url()
        ),
        format!(
            "{}?options%5Bstatement_timeout%5D=5000&keepalives=1",
            server.url()
        ),
    ] {
        let check = Postgres::new(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
        if let Err(failure) = look(&check).await {
            panic!("{url}: {failure}");
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_servers_words_and_without_the_password() {
    let server = Server::start();
    let (port, url, dir) = (server.port, server.url(), server.dir());
    let wrong = |url: &str| Postgres::new(url).unwrap();
    let password = crate::support::PASSWORD_ENCODED;
    assert_eq!(
        why(&wrong(&url.replace("%231", "%232"))).await,
        format!(
            "127.0.0.1:{port} refuses the login: password authentication failed for user \"app\" (SQLSTATE 28P01)"
        )
    );
    assert_eq!(
        why(&wrong(&url.replace("/postgres", "/nothing"))).await,
        format!("127.0.0.1:{port} says: database \"nothing\" does not exist (SQLSTATE 3D000)")
    );
    // A database that is called like the password.
    assert_eq!(
        why(&wrong(&url.replace("/postgres", &format!("/{password}")))).await,
        format!("127.0.0.1:{port} says: database \"***\" does not exist (SQLSTATE 3D000)")
    );
    let other = Authority::new();
    let root = other.root();
    let unknown = why(&wrong(&format!(
        "{url}?sslmode=verify-full&sslrootcert={}",
        root.display()
    )))
    .await;
    assert_eq!(
        unknown,
        format!("TLS with 127.0.0.1:{port}: invalid peer certificate: UnknownIssuer")
    );
    let nowhere = why(&wrong(&format!("postgres:///d?host={dir}&port=1&user=app"))).await;
    assert_eq!(
        nowhere,
        format!("cannot connect to {dir}: No such file or directory (os error 2)")
    );
    let refused = why(&wrong(&format!("postgres://app:{password}@127.0.0.1:1/d"))).await;
    assert_eq!(
        refused,
        "cannot connect to 127.0.0.1:1: Connection refused (os error 111)"
    );
}

/// A pooler is up when the database behind it is not, and answers what it can by itself.
#[tokio::test]
async fn behind_pgbouncer_it_is_the_database_that_counts() {
    let mut server = Server::start();
    let (_pgbouncer, port) = server.pgbouncer();
    let check = Postgres::new(&server.url_at(port)).unwrap();
    for _ in 0..3 {
        passes(&check).await;
    }
    server.stop();
    for _ in 0..3 {
        let looked = look_for(&check, Duration::from_millis(300)).await;
        assert!(!matches!(looked, Some(Ok(_))), "{looked:?}");
    }
    server.start_again();
    let comes_back = async || matches!(look_for(&check, Duration::from_secs(2)).await, Some(Ok(_)));
    until("it passes again", comes_back).await;
}

#[tokio::test]
async fn a_server_that_is_full_is_said_to_be_full() {
    let server = Server::start();
    server.execute("CREATE ROLE small LOGIN PASSWORD 'small-one' CONNECTION LIMIT 0");
    let url = format!("postgres://small:small-one@127.0.0.1:{}/postgres", server.port);
    let failure = why(&Postgres::new(&url).unwrap()).await;
    assert!(
        failure.ends_with("says: too many connections for role \"small\" (SQLSTATE 53300)"),
        "{failure}"
    );
}

#[tokio::test]
async fn a_session_that_was_ended_by_force_is_replaced_within_the_look() {
    let server = Server::start();
    let check = Postgres::new(&server.url()).unwrap();
    passes(&check).await;
    server.execute(
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name = 'runmate-health'",
    );
    passes(&check).await;
}

/// As the driver reads them, at the first look.
#[test]
fn what_the_url_lacks_comes_from_variables() {
    alone(
        "postgres::what_the_url_lacks_comes_from_variables",
        &[],
        || {
            let server = Server::start();
            let variables = [
                ("PGHOST", server.dir()),
                ("PGPORT", server.port.to_string()),
                ("PGUSER", "app".to_owned()),
                ("PGPASSWORD", PASSWORD.to_owned()),
            ];
            (variables.map(|(name, value)| (name, value.into())).into(), server)
        },
        || {
            let check = Postgres::new("postgres:///postgres").unwrap();
            assert_eq!(check.host(), None);
            block_on(async { passes(&check).await });
        },
    );
}

#[test]
fn what_is_no_url_is_refused_and_not_repeated() {
    for url in [
        "",
        "app:secret@h/d",
        "mysql://app:secret@h/d",
        "postgres:secret",
        "postgres://app:12/secret@h/d",
        "postgres://app:x@h/d?sslmode=secret",
        "postgres://app:secret@h:port/d",
        "postgres://app:secret@h/d?hostaddr=secret",
        "postgres://app:secret@h/d?port=secret",
        "postgres://app:x@secret1:5432,secret2:5432/d",
        "postgres://app:x@/d?host=secret1,secret2",
    ] {
        let error = Postgres::new(url).expect_err(url).to_string();
        let has_remedy = error.contains("write postgres://") || error.contains("percent-encoded");
        assert!(has_remedy && !error.contains("secret"), "{error}");
    }
    for (url, part) in [
        ("postgres://h1:5432,h2:5432/d", "one host only"),
        ("postgres:///d?host=h1,h2", "one host only"),
        ("postgres://h/d?sslmode=x", "sslmode is none of disable, "),
        ("postgres://h/d?hostaddr=x", "hostaddr is no IP address"),
        ("postgres://h:x/d", "port"),
    ] {
        let error = Postgres::new(url).expect_err(url).to_string();
        assert!(error.contains(part), "{error}");
    }
    let check = Postgres::new(&format!("postgres://app:{}@h/d", "secret")).unwrap();
    assert_eq!(format!("{check:?}"), "Postgres { .. }");
    assert!(!PASSWORD.is_empty());
}
