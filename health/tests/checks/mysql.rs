//! MariaDB's own ways. What all databases have in common is in `databases`.

use runmate_health::checks::MySql;

use crate::support::certificates::Authority;
use crate::support::mariadb::MariaDb;
use crate::support::{PASSWORD_ENCODED, look, passes, why};

#[tokio::test]
async fn a_look_is_one_statement_and_all_share_one_connection() {
    let server = MariaDb::start();
    let check = MySql::new(&server.url()).unwrap();
    for _ in 0..20 {
        passes(&check).await;
    }
    let log = server.log();
    let count = |what: &str| log.lines().filter(|line| line.contains(what)).count();
    assert_eq!(count("Query\tSELECT 1"), 20, "{log}");
    assert_eq!(count("Connect\tapp@"), 1, "{log}");
    // Nothing is set before.
    assert_eq!(count("SET "), 0, "{log}");
}

#[tokio::test]
async fn urls_lead_there_by_network_socket_and_tls() {
    let server = MariaDb::start();
    let (port, socket, root) = (server.port, server.socket(), server.root());
    for url in [
        server.url(),
        format!("{}/mysql", server.url()),
        server.url().replace("mysql://", "mariadb+pymysql://"),
        format!("mysql2://app:{PASSWORD_ENCODED}@localhost:{port}"),
        format!("mysql://app:{PASSWORD_ENCODED}@[::ffff:127.0.0.1]:{port}"),
        format!("mysql://app:{PASSWORD_ENCODED}@localhost?socket={socket}"),
        format!("{}?ssl-mode=disabled", server.url()),
        format!("{}?ssl-mode=required", server.url()),
        format!("{}?sslmode=VERIFY-CA&sslca={root}", server.url()),
        format!("{}?sslmode=no-verify", server.url()),
        // Of Prisma, PyMySQL and mysql2.
        format!(
            "{}?connection_limit=5&charset=utf8&sslaccept=strict&timezone=Z&ssl=%7B%7D",
            server.url()
        ),
        format!("mysql://app:{PASSWORD_ENCODED}@localhost:{port}?ssl-mode=verify_identity&ssl-ca={root}"),
    ] {
        let check = MySql::new(&url).unwrap_or_else(|error| panic!("{url}: {error}"));
        // A user without rights may not see the database mysql, but is told so by a server that answers.
        match look(&check).await {
            Err(failure) if !failure.why.contains("1044") => panic!("{url}: {failure}"),
            _ => {}
        }
    }
}

#[tokio::test]
async fn what_is_wrong_is_said_in_the_servers_words_and_without_the_password() {
    let server = MariaDb::start();
    let (port, url) = (server.port, server.url());
    let wrong = |url: &str| MySql::new(url).unwrap();
    assert_eq!(
        why(&wrong(&url.replace("%231", "%232"))).await,
        format!(
            "127.0.0.1:{port} refuses the login: Access denied for user 'app'@'127.0.0.1' (using password: YES) (error 1045)"
        )
    );
    assert_eq!(
        why(&wrong(&format!("{url}/{PASSWORD_ENCODED}"))).await,
        format!("127.0.0.1:{port} says: Access denied for user 'app'@'%' to database '***' (error 1044)")
    );
    let other = Authority::new();
    let unknown = why(&wrong(&format!(
        "{url}?ssl-mode=verify_ca&ssl-ca={}",
        other.root().display()
    )))
    .await;
    assert_eq!(
        unknown,
        format!("TLS with 127.0.0.1:{port}: invalid peer certificate: UnknownIssuer")
    );
    let refused = why(&wrong(&server.url_at(1))).await;
    assert_eq!(
        refused,
        "cannot connect to 127.0.0.1:1: Connection refused (os error 111)"
    );
}

#[test]
fn what_is_no_url_is_refused_and_not_repeated() {
    for url in [
        "",
        "app:secret@h/d",
        "postgres://app:secret@h/d",
        "mysql:secret",
        "mysql://app:secret@h:port/d",
        "mysql://app:12/secret@h/d",
        "mysql://app:secret@h/d?ssl-mode=secret",
        "mysql://app:x@secret1:1,secret2:2/d",
        "mysql://app:x@%2Fsecret/d",
    ] {
        let error = MySql::new(url).expect_err(url).to_string();
        let has_remedy = error.contains("write mysql://") || error.contains("percent-encoded");
        assert!(has_remedy && !error.contains("secret"), "{error}");
    }
    let check = MySql::new("mysql://app:secret@h/d").unwrap();
    assert_eq!(format!("{check:?}"), "MySql { .. }");
}
