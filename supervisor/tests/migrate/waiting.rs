//! Databases that are not there yet.

use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

use crate::lab::{Lab, Server, psql};

/// Answers nobody until told, then passes everything on: a database that comes up late.
fn late_port(to: u16, after: Duration) -> u16 {
    let port = TcpListener::bind("127.0.0.1:0")
        .and_then(|socket| socket.local_addr())
        .expect("a port")
        .port();
    std::thread::spawn(move || {
        // Until now nobody listens: connections are refused. This is the outage itself, not a wait for something.
        let from = Instant::now();
        while from.elapsed() < after {
            std::thread::park_timeout(after.saturating_sub(from.elapsed()));
        }
        let listener = TcpListener::bind(("127.0.0.1", port)).expect("the port is still free");
        for client in listener.incoming() {
            let (Ok(client), Ok(server)) = (client, TcpStream::connect(("127.0.0.1", to))) else {
                return;
            };
            let back = (
                server.try_clone().expect("a copy"),
                client.try_clone().expect("a copy"),
            );
            for (mut from, mut to) in [(client, server), back] {
                std::thread::spawn(move || {
                    let _ = std::io::copy(&mut from, &mut to);
                    let _ = to.shutdown(std::net::Shutdown::Both);
                });
            }
        }
    });
    port
}

#[test]
fn a_database_that_is_down_for_twenty_seconds_is_waited_for() {
    let (lab, server) = (Lab::new(), Server::start());
    lab.ten_migrations();
    let url = server.database("late");
    let port = late_port(server.port(), Duration::from_secs(20));
    let late = url.replace(&format!(":{}/", server.port()), &format!(":{port}/"));
    let ended = lab.migrated(&late, &[]);
    assert!(ended.took >= Duration::from_secs(19), "{:?}", ended.took);
    assert!(ended.took < Duration::from_secs(26), "{:?}", ended.took);
    assert!(ended.said.contains("waiting for the database"), "{}", ended.said);
    assert_eq!(psql(&url, "SELECT count(*) FROM log"), "10");
}

#[test]
fn beyond_the_deadline_it_is_unavailable() {
    let lab = Lab::new();
    lab.ten_migrations();
    lab.write("runmate.toml", "[migrate]\nwait = \"2s\"\n");
    for host in ["127.0.0.1:1", "nosuch.invalid"] {
        let ended = lab.migrate(&format!("postgres://app:secret@{host}/app"), &[]);
        assert_eq!(ended.code, Some(69), "{}", ended.said);
        assert!(ended.took < Duration::from_secs(5), "{:?}", ended.took);
        assert!(
            ended.said.contains(host) && !ended.said.contains("secret"),
            "{}",
            ended.said
        );
    }
}

#[test]
fn a_server_that_accepts_and_says_nothing_is_given_up_too() {
    let lab = Lab::new();
    lab.ten_migrations();
    lab.write("runmate.toml", "[migrate]\nwait = \"2s\"\n");
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = silent.local_addr().expect("an address").port();
    let ended = lab.migrate(&format!("postgres://app:secret@127.0.0.1:{port}/app"), &[]);
    assert_eq!(ended.code, Some(69), "{}", ended.said);
    assert!(ended.took < Duration::from_secs(8), "{:?}", ended.took);
}
