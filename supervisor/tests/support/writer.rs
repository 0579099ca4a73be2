//! A child process of the output and readiness tests: writes much, or answers HTTP late.
//!
//! The first argument is what to do, the others are `key=value` (defaults in parentheses):
//!
//! | | |
//! |---|---|
//! | `lines` | writes `out` (0) lines to stdout and `err` (0) to stderr, of `bytes` (100) bytes each, newline included: `TAG out 17 ` and filler. Each stream has a thread of its own, unless `alternate=1` |
//! | `random` | writes `bytes` random bytes from `seed` to stdout, see [`Random`]; ends in the middle of a line |
//! | `serve` | answers HTTP on `address`, with `status` (503) the first `fails` (0) times and with 200 from then on; says so each time |
//!
//! `report=FILE` says at the end how long the longest `write` took. Then it exits with `exit` (0), or
//! stays until a signal ends it with `stay=1`.

#[path = "random.rs"]
mod random;

use std::collections::HashMap;
use std::io::{self, Read, Write};
use std::net::TcpListener;
use std::thread;
use std::time::{Duration, Instant};

use random::Random;

struct Options(HashMap<String, String>);

impl Options {
    fn text(&self, key: &str) -> Option<&str> {
        self.0.get(key).map(String::as_str)
    }

    fn number(&self, key: &str, default: u64) -> u64 {
        self.text(key)
            .map_or(default, |text| text.parse().expect("a number"))
    }
}

fn main() {
    let mut args = std::env::args().skip(1);
    let what = args.next().expect("what to do");
    let options = Options(
        args.map(|arg| {
            let (key, value) = arg.split_once('=').expect("key=value");
            (key.to_owned(), value.to_owned())
        })
        .collect(),
    );
    let longest = match what.as_str() {
        "lines" => lines(&options),
        "random" => random_bytes(&options),
        "serve" => serve(&options),
        other => panic!("no such thing to do: {other}"),
    };
    if let Some(report) = options.text("report") {
        // Renamed, so that whoever waits for the file finds it whole.
        let unfinished = format!("{report}.unfinished");
        std::fs::write(&unfinished, longest.as_millis().to_string()).expect("the report is written");
        std::fs::rename(unfinished, report).expect("the report is renamed");
    }
    while options.number("stay", 0) == 1 {
        thread::park();
    }
    std::process::exit(options.number("exit", 0) as i32);
}

/// Writes all of it; says how long the longest write took.
fn write(to: &mut impl Write, mut bytes: &[u8]) -> Duration {
    let mut longest = Duration::ZERO;
    while !bytes.is_empty() {
        let before = Instant::now();
        match to.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => panic!("cannot write: {error}"),
        }
        longest = longest.max(before.elapsed());
    }
    longest
}

/// The descriptors themselves: the standard library's stdout has a buffer.
fn descriptor(number: i32) -> std::fs::File {
    // SAFETY: both standard descriptors are open and nothing else in this program uses them.
    unsafe { std::os::fd::FromRawFd::from_raw_fd(number) }
}

fn line(tag: &str, stream: &str, number: u64, bytes: usize) -> Vec<u8> {
    let mut line = format!("{tag} {stream} {number} ").into_bytes();
    assert!(line.len() < bytes, "no room for the number in {bytes} bytes");
    // A byte that depends on the line: a piece of another line in its middle would show.
    line.resize(bytes - 1, b'a' + (number % 26) as u8);
    line.push(b'\n');
    line
}

fn lines(options: &Options) -> Duration {
    let tag = options.text("tag").unwrap_or("w").to_owned();
    let bytes = options.number("bytes", 100) as usize;
    let counts = [options.number("out", 0), options.number("err", 0)];
    let mut files = [descriptor(1), descriptor(2)];
    let streams = ["out", "err"];
    let longest = if options.number("alternate", 0) == 1 {
        let mut longest = Duration::ZERO;
        for number in 0..counts[0].max(counts[1]) {
            for at in [0, 1] {
                if number < counts[at] {
                    longest = longest.max(write(&mut files[at], &line(&tag, streams[at], number, bytes)));
                }
            }
        }
        longest
    } else {
        thread::scope(|scope| {
            let threads: Vec<_> = std::iter::zip(&mut files, streams)
                .zip(counts)
                .map(|((file, stream), count)| {
                    let tag = &tag;
                    scope.spawn(move || {
                        let each = |number| write(file, &line(tag, stream, number, bytes));
                        (0..count).map(each).max().unwrap_or_default()
                    })
                })
                .collect();
            let longest = threads.into_iter().map(|thread| thread.join().expect("a writer"));
            longest.max().unwrap_or_default()
        })
    };
    files.into_iter().for_each(std::mem::forget);
    longest
}

fn random_bytes(options: &Options) -> Duration {
    let mut stdout = descriptor(1);
    let mut random = Random::new(options.number("seed", 1));
    let mut left = options.number("bytes", 0) as usize;
    let mut longest = Duration::ZERO;
    while left > 0 {
        let mut chunk = random.chunk();
        chunk.truncate(left);
        left -= chunk.len();
        longest = longest.max(write(&mut stdout, &chunk));
    }
    std::mem::forget(stdout);
    longest
}

fn serve(options: &Options) -> ! {
    let listener = TcpListener::bind(options.text("address").expect("an address")).expect("bind");
    let mut fails = options.number("fails", 0);
    let failure = options.number("status", 503);
    loop {
        let Ok((mut socket, _)) = listener.accept() else {
            continue;
        };
        let status = if fails > 0 { failure } else { 200 };
        fails = fails.saturating_sub(1);
        println!("answering {status}");
        // A prober that has gone away is no concern of ours.
        let _ = socket.read(&mut [0; 4096]).and_then(|_| {
            write!(
                socket,
                "HTTP/1.1 {status} As Told\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
            )
        });
    }
}
