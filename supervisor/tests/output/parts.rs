//! Lines longer than `max_line` come in parts, none of them longer than that.

use std::collections::BTreeSet;

use crate::bare::{Pace, Tap, input, writer};
use crate::tally::Tally;

const MAX_LINE: usize = 1024;

fn tally_of(line: &[u8]) -> Tally {
    let config =
        format!("[logs]\nmax_line = \"{MAX_LINE}B\"\n[process.app]\ncommand = [\"cat\", \"input\"]\n");
    let (mut run, tap) = Tap::in_dir(input("input", line), &config, Pace::Full);
    let output = tap.finish();
    assert_eq!(run.exit_code(), 0);
    Tally::of(&output)
}

fn app(tally: &Tally) -> &[String] {
    &tally.whole[&("app".to_owned(), "stdout".to_owned())]
}

#[test]
fn parts_put_together_are_the_line_and_none_is_longer_than_max_line() {
    let long = 20 * MAX_LINE;
    let kinds: [(&str, String); 6] = [
        ("plain", "x".repeat(long)),
        ("quotes", "\"\\".repeat(long / 2)),
        ("control characters", "\u{1}\u{1b}[0m".repeat(long / 5)),
        ("two, three and four bytes", "ä€🦀".repeat(long / 9)),
        ("an object", format!("{{\"a\":\"{}\"}}", "\\\"".repeat(long / 2))),
        ("mixed", "say \"ä\"\t\u{0}".repeat(long / 12)),
    ];
    for (kind, text) in kinds {
        let tally = tally_of(format!("before\n{text}\nafter\n").as_bytes());
        assert_eq!(tally.gaps, 0, "{kind}");
        assert_eq!(app(&tally), ["before", &text, "after"], "{kind}");
        assert!(tally.longest <= MAX_LINE, "{kind}: {} bytes", tally.longest);
    }
}

#[test]
fn parts_of_invalid_utf8_are_what_the_line_would_be() {
    let bytes: Vec<u8> = (0..20 * MAX_LINE)
        .map(|at| [0xff, b'a', 0xe2, 0x82, 0xf0, 0x90, 0x80][at % 7])
        .collect();
    let tally = tally_of(&[&bytes[..], b"\nafter\n"].concat());
    assert_eq!(app(&tally), [&*String::from_utf8_lossy(&bytes), "after"]);
    assert!(tally.longest <= MAX_LINE, "{} bytes", tally.longest);
}

#[test]
fn a_line_just_within_max_line_is_whole() {
    // An object is not escaped once more, so its quotes do not make it longer.
    let object = format!("{{\"message\":\"{}\"}}", "\\\"".repeat(380));
    let tally = tally_of(format!("{}\n{object}\n", "x".repeat(780)).as_bytes());
    assert_eq!(tally.parts, 0);
    assert!(tally.longest <= MAX_LINE);
    assert_eq!(app(&tally), ["x".repeat(780), "\"".repeat(380)]);
}

#[test]
fn a_long_last_line_without_newline_is_ended() {
    let text = "x".repeat(5 * MAX_LINE);
    assert_eq!(app(&tally_of(text.as_bytes())), [text]);
}

#[test]
fn long_lines_of_others_do_not_get_into_a_raw_line() {
    let lines = 40;
    let names = ["a", "b", "c", "d"];
    // Three and a half parts each, so that there is always somebody in the middle of a line.
    let tasks = names.map(|name| {
        let command = writer(&format!("lines out={lines} bytes=54000 tag={name}"));
        format!("[process.{name}]\nkind = \"task\"\ncommand = {command}\nlogs.format = \"raw\"\n")
    });
    let config = format!(
        "{}[process.app]\ncommand = [\"true\"]\nafter = [\"a\", \"b\", \"c\", \"d\"]\n",
        tasks.concat()
    );
    let (mut run, tap) = Tap::on(&config, Pace::Full);
    let output = String::from_utf8(tap.finish()).expect("UTF-8");
    assert_eq!(run.exit_code(), 0);
    let mut letters = 0;
    for line in output.lines().filter(|line| !line.starts_with("{\"timestamp\"")) {
        assert!(line.len() < 15 << 10, "{} bytes", line.len());
        let filler = line.rsplit(' ').next().expect("a filler");
        let different: BTreeSet<char> = filler.chars().collect();
        assert!(different.len() <= 1, "torn: {different:?}");
        letters += filler.len();
    }
    let heads: usize = (0..lines).map(|number| format!("a out {number} ").len()).sum();
    assert_eq!(letters, names.len() * (lines * 53_999 - heads));
}
