//! A server that accepts and never says anything, for the checks that open a connection for each look.

use std::time::Duration;

use runmate_health::checks::{Certificate, Http, MySql, Postgres, Redis, Tcp};
use runmate_health::{Check, Failure, look_once};
use tokio::net::TcpListener;

use crate::support::{until, why};

#[tokio::test]
async fn every_kind_ends_at_its_timeout_and_goes_on_afterwards() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let checks: Vec<(&str, Box<dyn Check>)> = vec![
        (
            "http",
            Box::new(Http::new(&format!("http://{address}/")).unwrap()),
        ),
        (
            "https",
            Box::new(Http::new(&format!("https://{address}/")).unwrap()),
        ),
        (
            "certificate",
            Box::new(Certificate::of_server(&address.to_string()).unwrap()),
        ),
        (
            "postgres",
            Box::new(Postgres::new(&format!("postgres://a:b@{address}/d")).unwrap()),
        ),
        (
            "mysql",
            Box::new(MySql::new(&format!("mysql://a:b@{address}/d")).unwrap()),
        ),
        (
            "redis",
            Box::new(Redis::new(&format!("redis://:b@{address}")).unwrap()),
        ),
        (
            "rediss",
            Box::new(Redis::new(&format!("rediss://:b@{address}")).unwrap()),
        ),
    ];
    for (name, check) in &checks {
        let step = match *name {
            "http" => format!("waiting for {address} to answer a GET"),
            "https" | "certificate" | "rediss" => format!("setting up TLS with {address}"),
            "redis" => format!("logging in at {address}"),
            _ => format!("connecting to and logging in at {address}"),
        };
        let why = format!("no answer within 100ms: still {step}");
        let looked = async || look_once(&**check, Duration::from_millis(100)).await;
        // The first may still read the system's certificates.
        until(&format!("{name}: {why}"), async || {
            looked().await == Err(Failure::new(&why))
        })
        .await;
        for _ in 0..2 {
            assert!(looked().await.is_err(), "{name}");
        }
    }
    // That it is accepted is all that this one wants.
    crate::support::passes(&Tcp::new(&address.to_string()).unwrap()).await;
    drop(listener);
    for (name, check) in &checks {
        let why = why(&**check).await;
        assert!(
            why.ends_with(&format!(
                "connect to {address}: Connection refused (os error 111)"
            )),
            "{name}: {why}"
        );
    }
}
