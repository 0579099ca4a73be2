//! What becomes of a line: an object stays the root, EMF is left alone, any bytes become JSON.

use serde_json::{Value, json};

use crate::bare::{Pace, Tap, input};

/// The lines of `cat input`, as they came out and as JSON.
fn passed_through(bytes: &[u8], logs: &str) -> Vec<(String, Value)> {
    let config = format!("[logs]\n{logs}\n[process.app]\ncommand = [\"cat\", \"input\"]\n");
    let (mut run, tap) = Tap::in_dir(input("input", bytes), &config, Pace::Full);
    let output = tap.finish();
    assert_eq!(run.exit_code(), 0);
    let output = String::from_utf8(output).expect("stdout is UTF-8");
    let lines = output.lines().map(|line| {
        let value = serde_json::from_str::<Value>(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        (line.to_owned(), value)
    });
    lines.filter(|(_, value)| value["process"] != "runmate").collect()
}

fn values(bytes: &[u8]) -> Vec<Value> {
    passed_through(bytes, "")
        .into_iter()
        .map(|(_, value)| value)
        .collect()
}

#[test]
fn an_object_stays_the_root_and_gets_what_it_lacks() {
    let line = r#"{"level":"debug","msg":"hi","n":1.500,"pid":"mine","nested":{"process":1}}"#;
    let out = passed_through(format!("{line}\n").as_bytes(), "");
    let [(text, value)] = &out[..] else {
        panic!("one line, not {out:?}")
    };
    let own = &line[..line.len() - 1];
    assert!(text.starts_with(own), "its own text is unchanged: {text}");
    assert_eq!(value["process"], "app");
    assert_eq!(value["stream"], "stdout");
    assert!(
        value["timestamp"]
            .as_str()
            .is_some_and(|time| time.ends_with('Z')),
        "{value}"
    );
    for key in ["level", "pid", "timestamp", "stream"] {
        assert_eq!(text.matches(&format!("\"{key}\":")).count(), 1, "{key} in {text}");
    }
    assert_eq!(value.get("message"), None);
}

#[test]
fn what_is_no_single_object_is_text() {
    let lines = [
        "{\"a\":1",
        "{\"a\":1}{\"b\":2}",
        "[1]",
        "\"text\"",
        "1",
        "{\"a\":NaN}",
        "null",
    ];
    let out = values(format!("{}\n", lines.join("\n")).as_bytes());
    let messages: Vec<&str> = out.iter().map(|line| line["message"].as_str().unwrap()).collect();
    assert_eq!(messages, lines);
}

#[test]
fn emf_passes_untouched() {
    let emf = r#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[{"Namespace":"n","Dimensions":[[]],"Metrics":[{"Name":"m"}]}]},"m": 1 }"#;
    let out = passed_through(format!("{emf}\n").as_bytes(), "");
    assert_eq!(out.len(), 1);
    assert_eq!(out[0].0, emf);
}

#[test]
fn invalid_utf8_is_replaced_and_marked() {
    let out = values(b"caf\xe9\n{\"a\":\"\xff\"}\nna\xc3\xafve\n\xe2\x82\n");
    let seen: Vec<(&str, bool)> = out
        .iter()
        .map(|line| (line["message"].as_str().unwrap(), line["invalid_utf8"] == true))
        .collect();
    let expected = [
        ("caf\u{fffd}", true),
        ("{\"a\":\"\u{fffd}\"}", true),
        ("na\u{ef}ve", false),
        ("\u{fffd}", true),
    ];
    assert_eq!(seen, expected);
}

#[test]
fn control_characters_and_quotes_read_back_the_same() {
    let text: String = (0u8..0x80)
        .filter(|byte| *byte != b'\n')
        .map(char::from)
        .collect();
    let out = values(format!("{text}\n\n\u{2028}\u{1f980}\r\n").as_bytes());
    let messages: Vec<&Value> = out.iter().map(|line| &line["message"]).collect();
    assert_eq!(
        messages,
        [&json!(text), &json!(""), &json!("\u{2028}\u{1f980}\r")]
    );
}

#[test]
fn the_last_line_needs_no_newline() {
    for last in ["end", "{\"end\":true}"] {
        let out = values(format!("one\n{last}").as_bytes());
        assert_eq!(out.len(), 2, "{out:?}");
        assert_eq!(out[0]["message"], "one");
        assert!(out[1]["message"] == "end" || out[1]["end"] == true, "{out:?}");
    }
}

#[test]
fn text_and_raw_keep_the_bytes_and_end_the_last_line() {
    for (format, expected) in [
        ("text", &b"app | caf\xe9 \"x\"\napp | {\"a\":1}\napp | end\n"[..]),
        ("raw", &b"caf\xe9 \"x\"\n{\"a\":1}\nend\n"[..]),
    ] {
        // Runmate's own lines are another matter.
        let config = format!("[process.app]\ncommand = [\"cat\", \"input\"]\nlogs.format = \"{format}\"\n");
        let dir = input("input", b"caf\xe9 \"x\"\n{\"a\":1}\nend");
        let (mut run, tap) = Tap::in_dir(dir, &config, Pace::Full);
        let output = tap.finish();
        assert_eq!(run.exit_code(), 0);
        let own = |line: &&[u8]| line.starts_with(b"{\"timestamp\"");
        let lines = output.split_inclusive(|byte| *byte == b'\n');
        let childs: Vec<u8> = lines.filter(|line| !own(line)).flatten().copied().collect();
        assert_eq!(
            String::from_utf8_lossy(&childs),
            String::from_utf8_lossy(expected),
            "{format}"
        );
    }
}
