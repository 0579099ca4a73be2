//! `$PORT`: where the platform is going to connect.

use std::net::TcpListener;

use crate::support::{Setup, free_address, process};

/// A port that nobody listens on, on any address.
fn free_port() -> u16 {
    let socket = TcpListener::bind("0.0.0.0:0").expect("a free port");
    socket.local_addr().expect("its address").port()
}

/// Ten seconds are what an app gets; both runs get the same ten.
#[test]
fn a_port_that_nobody_serves_is_a_warning_that_says_who_listens_where() {
    let port = free_port();
    let served = Setup::new(&process(
        "app",
        &format!("listen 0.0.0.0:{port} say up wait SIGTERM"),
        "",
    ))
    .env("PORT", &port.to_string())
    .start();
    served.wait_for_message("app", "up");

    // Every image that is told to listen on localhost, once.
    let address = free_address();
    let missed = Setup::new(&process("app", &format!("listen {address} wait SIGTERM"), ""))
        .env("PORT", &address.port().to_string())
        .start();
    let line = missed.wait_for("port_not_served", |line| line["event"] == "port_not_served");
    let expected = format!("0.0.0.0:{}", address.port());
    assert_eq!(
        line["message"],
        format!("app listens on {address} only; the platform connects to {expected} (from $PORT)")
    );
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["expected"], expected);

    for run in [served, missed] {
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        assert_eq!(exit.code, Some(0));
        let warned = exit.lines.iter().any(|line| line["event"] == "port_not_served");
        assert_eq!(warned, exit.lines.contains(&line));
    }
}

/// It is the harness that is tested here: nobody is given the address of another, by it or by the kernel.
#[test]
fn addresses_that_many_ask_for_at_once_can_all_be_used() {
    // ip_local_port_range begins here, ip(7).
    let first = 32_768;
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let held: Vec<TcpListener> = (0..200)
                    .map(|_| TcpListener::bind(free_address()).expect("it was given to nobody else"))
                    .collect();
                for listener in held {
                    let port = listener.local_addr().expect("its address").port();
                    assert!(port < first, "the kernel gives {port} to anybody");
                }
            });
        }
    });
}
