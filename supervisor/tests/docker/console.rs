//! `docker run -it`: a terminal for the app.

use std::io::{Read, Write};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Instant;

use crate::docker::{Container, Images, PATIENCE};

#[test]
fn the_app_has_the_terminal_and_ctrl_c_reaches_it() {
    // Only the foreground job of a terminal may read from it; anybody else is stopped by SIGTTIN.
    let app = "\
        use POSIX; $| = 1;\
        $SIG{INT} = sub { print \"interrupted\\n\"; exit 7 };\
        print POSIX::tcgetpgrp(0) == getpgrp() ? \"foreground\\n\" : \"background\\n\";\
        my $line = <STDIN>; print \"read $line\"; sleep 1000";
    let config = "RUNMATE_CONFIG_INLINE=[process.app]\nstdin = \"inherit\"\n";
    let container = Container::named();
    // script(1) provides the terminal that docker's -t insists on. What it is given on its standard input
    // it types there, and what appears it prints.
    let run = format!(
        "docker run -it --name {} -e \"$CONFIG\" {} perl -e \"$APP\"",
        container.name(),
        Images::debian()
    );
    let mut terminal = Command::new("script")
        .args(["-qec", &run, "/dev/null"])
        .env("CONFIG", config)
        .env("APP", app)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("script(1), of bsdutils, can be started");
    let mut keyboard = terminal.stdin.take().expect("piped");
    let screen = screen(terminal.stdout.take().expect("piped"));

    let mut seen = String::new();
    wait_for(&screen, &mut seen, "foreground");
    keyboard.write_all(b"hello\n").expect("the terminal takes a line");
    wait_for(&screen, &mut seen, "read hello");
    keyboard.write_all(b"\x03").expect("the terminal takes Ctrl-C");
    wait_for(&screen, &mut seen, "interrupted");

    assert_eq!(container.wait(), 7, "the app ends by its own will\n{seen}");
    let status = terminal.wait().expect("script can be waited for");
    assert_eq!(status.code(), Some(7), "docker run passes it on\n{seen}");
}

/// Reads what appears on the terminal, on a thread of its own: reading has no deadline.
fn screen(mut output: impl Read + Send + 'static) -> mpsc::Receiver<Vec<u8>> {
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(length @ 1..) = output.read(&mut buffer) {
            if sender.send(buffer[..length].to_vec()).is_err() {
                return;
            }
        }
    });
    receiver
}

#[track_caller]
fn wait_for(screen: &mpsc::Receiver<Vec<u8>>, seen: &mut String, text: &str) {
    let deadline = Instant::now() + PATIENCE;
    while !seen.contains(text) {
        let left = deadline.saturating_duration_since(Instant::now());
        match screen.recv_timeout(left) {
            Ok(bytes) => seen.push_str(&String::from_utf8_lossy(&bytes)),
            Err(error) => panic!("{text:?} did not appear on the terminal ({error}):\n{seen}"),
        }
    }
}
