//! Any bytes at all come out as JSON.

use std::io::{Read, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::bare::{Pace, Run, Tap, writer};
use crate::tally::Tally;

#[path = "../support/random.rs"]
mod generator;

use generator::Random;

/// What a program other than ours thinks of 100 MB: each line for itself must be an object.
const VERDICT: &str = r#"
    reduce (inputs | fromjson) as $line ({whole: 0, ended: 0, parts: 0, own: []};
        if $line.process == "runmate" then .own += [$line.event]
        elif $line.part == null then .whole += 1
        elif $line.last_part then .ended += 1
        else .parts += 1 end)
"#;

fn random(seed: u64, bytes: usize) -> Vec<u8> {
    let mut random = Random::new(seed);
    let mut all = Vec::with_capacity(bytes);
    while all.len() < bytes {
        all.extend_from_slice(&random.chunk());
    }
    all.truncate(bytes);
    all
}

fn config(seed: u64, bytes: usize) -> String {
    let command = writer(&format!("random seed={seed} bytes={bytes}"));
    format!("[process.app]\ncommand = {command}\n")
}

#[test]
fn a_hundred_megabytes_of_random_bytes_are_json_to_jq() {
    let (seed, bytes) = (7, 100_000_000);
    let mut jq = Command::new("jq")
        .args(["-nRc", VERDICT])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("cannot run jq: {error}; run scripts/setup-tests.sh"));
    let (mut read, write) = std::io::pipe().expect("a pipe");
    let mut run = Run::start(&config(seed, bytes), write);
    // In between, because jq would put up with invalid UTF-8 and with a newline too few.
    let mut to_jq = jq.stdin.take().expect("piped");
    let mut newlines = 0;
    let mut chunk = vec![0; 1 << 20];
    let mut carried = 0;
    loop {
        let count = read.read(&mut chunk[carried..]).expect("stdout can be read");
        if count == 0 {
            break;
        }
        let filled = carried + count;
        let valid = match std::str::from_utf8(&chunk[..filled]) {
            Ok(text) => text.len(),
            Err(error) => {
                assert_eq!(error.error_len(), None, "stdout is not UTF-8");
                error.valid_up_to()
            }
        };
        newlines += memchr::memchr_iter(b'\n', &chunk[..valid]).count() as u64;
        to_jq.write_all(&chunk[..valid]).expect("jq reads");
        chunk.copy_within(valid..filled, 0);
        carried = filled - valid;
    }
    assert_eq!(carried, 0, "stdout ends in the middle of a character");
    assert_eq!(run.exit_code(), 0);
    drop(to_jq);
    let mut verdict = String::new();
    jq.stdout
        .take()
        .expect("piped")
        .read_to_string(&mut verdict)
        .expect("jq answers");
    assert!(jq.wait().expect("jq ends").success());

    let verdict: Value = serde_json::from_str(&verdict).expect("jq writes JSON");
    let count = |key: &str| verdict[key].as_u64().expect(key);
    let own = verdict["own"].as_array().expect("a list");
    let written = random(seed, bytes);
    let unterminated = u64::from(written.last() != Some(&b'\n'));
    let lines = memchr::memchr_iter(b'\n', &written).count() as u64 + unterminated;
    assert_eq!(count("whole") + count("ended"), lines, "{verdict}");
    assert!(count("parts") > 0, "none of the lines was a long one");
    assert_eq!(
        newlines,
        count("whole") + count("ended") + count("parts") + own.len() as u64,
        "{verdict}"
    );
    assert!(!own.contains(&"dropped".into()), "{verdict}");
    assert_eq!(own.last(), Some(&"exit".into()));
}

#[test]
fn every_random_byte_is_accounted_for() {
    let (seed, bytes) = (11, 3_000_000);
    let (mut run, tap) = Tap::on(&config(seed, bytes), Pace::Full);
    let tally = Tally::of(&tap.finish());
    assert_eq!(run.exit_code(), 0);
    let written = random(seed, bytes);
    let expected: Vec<_> = written
        .split(|byte| *byte == b'\n')
        .map(String::from_utf8_lossy)
        .collect();
    let got = &tally.whole[&("app".to_owned(), "stdout".to_owned())];
    assert_eq!(got.len(), expected.len());
    for (number, (got, expected)) in std::iter::zip(got, &expected).enumerate() {
        assert!(got == expected, "line {number}: {got:?} instead of {expected:?}");
    }
    assert!(tally.longest <= 15 << 10, "{} bytes", tally.longest);
}
