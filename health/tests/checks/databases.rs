//! What holds for each kind of database: it hangs and comes back, it is restarted, its connection is renewed.

use std::time::Duration;

use runmate_health::Check;
use runmate_health::checks::{MySql, Postgres, Redis};

use crate::support::certificates::Authority;
use crate::support::mariadb::MariaDb;
use crate::support::proxy::Proxy;
use crate::support::redis::Redis as RedisServer;
use crate::support::{look_for, passes, postgres::Postgres as PostgresServer, until, why};

/// Shorter than a look has in earnest, so that many fit into a test.
const LIMIT: Duration = Duration::from_millis(200);

/// A server that accepts and says nothing more: each look ends when its time is over, leaves no connection that the
/// next would use, and the first look after it passes.
async fn hangs_and_comes_back(proxy: &Proxy, check: &impl Check) {
    passes(check).await;
    passes(check).await;
    assert_eq!(proxy.connections(), 1);
    proxy.freeze();
    for _ in 0..5 {
        assert!(look_for(check, LIMIT).await.is_none());
    }
    proxy.thaw();
    passes(check).await;
    let connections = proxy.connections();
    // The connection that hung was given up, and each look after it had one of its own.
    assert_eq!(connections, 1 + 5);
    passes(check).await;
    assert_eq!(proxy.connections(), connections);
}

#[tokio::test]
async fn a_postgres_that_hangs_ends_the_look_and_not_the_check() {
    let server = PostgresServer::start();
    let proxy = Proxy::to(server.port).await;
    let check = Postgres::new(&server.url_at(proxy.port)).unwrap();
    hangs_and_comes_back(&proxy, &check).await;
}

#[tokio::test]
async fn a_mysql_that_hangs_ends_the_look_and_not_the_check() {
    let server = MariaDb::start();
    let proxy = Proxy::to(server.port).await;
    let check = MySql::new(&server.url_at(proxy.port)).unwrap();
    hangs_and_comes_back(&proxy, &check).await;
}

#[tokio::test]
async fn a_redis_that_hangs_ends_the_look_and_not_the_check() {
    let server = RedisServer::start(&Authority::new());
    let proxy = Proxy::to(server.port).await;
    let check = Redis::new(&server.url_at(proxy.port)).unwrap();
    hangs_and_comes_back(&proxy, &check).await;
}

#[tokio::test]
async fn a_restarted_postgres_passes_at_the_next_look() {
    let mut server = PostgresServer::start();
    let check = Postgres::new(&server.url()).unwrap();
    passes(&check).await;
    server.stop();
    server.start_again();
    passes(&check).await;
    server.stop();
    let refused = why(&check).await;
    assert!(
        refused.ends_with("Connection refused (os error 111)"),
        "{refused}"
    );
    server.start_again();
    passes(&check).await;
}

#[tokio::test]
async fn a_restarted_mysql_passes_at_the_next_look() {
    let mut server = MariaDb::start();
    let check = MySql::new(&server.url()).unwrap();
    passes(&check).await;
    server.stop();
    server.start_again();
    passes(&check).await;
    server.stop();
    let refused = why(&check).await;
    assert!(
        refused.ends_with("Connection refused (os error 111)"),
        "{refused}"
    );
    server.start_again();
    passes(&check).await;
}

#[tokio::test]
async fn a_restarted_redis_passes_at_the_next_look() {
    let mut server = RedisServer::start(&Authority::new());
    let check = Redis::new(&server.url()).unwrap();
    passes(&check).await;
    server.stop();
    server.start_again();
    passes(&check).await;
    server.stop();
    let refused = why(&check).await;
    assert!(
        refused.ends_with("Connection refused (os error 111)"),
        "{refused}"
    );
    server.start_again();
    passes(&check).await;
}

/// After five minutes the look closes the connection, and the next opens another.
async fn is_renewed(proxy: &Proxy, check: &impl Check) {
    let minutes = async |count: u64| {
        // The clock is stopped only for this: with it standing still, waiting for a server would be over at once.
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(60 * count)).await;
        tokio::time::resume();
    };
    passes(check).await;
    minutes(4).await;
    passes(check).await;
    assert_eq!(proxy.connections(), 1);
    minutes(2).await;
    passes(check).await;
    assert_eq!(proxy.connections(), 1);
    passes(check).await;
    assert_eq!(proxy.connections(), 2);
    passes(check).await;
    assert_eq!(proxy.connections(), 2);
}

#[tokio::test]
async fn a_password_that_was_changed_is_noticed_within_minutes() {
    let server = PostgresServer::start();
    let proxy = Proxy::to(server.port).await;
    let check = Postgres::new(&server.url_at(proxy.port)).unwrap();
    is_renewed(&proxy, &check).await;
    // The old session said goodbye.
    until("the session ended", async || {
        server.log().contains("disconnection: session time")
    })
    .await;

    let server = MariaDb::start();
    let proxy = Proxy::to(server.port).await;
    is_renewed(&proxy, &MySql::new(&server.url_at(proxy.port)).unwrap()).await;
    until("the session ended", async || server.log().contains("Quit")).await;

    let server = RedisServer::start(&Authority::new());
    let proxy = Proxy::to(server.port).await;
    is_renewed(&proxy, &Redis::new(&server.url_at(proxy.port)).unwrap()).await;
}
