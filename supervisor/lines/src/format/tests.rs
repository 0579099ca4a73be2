use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn formatter(format: LogFormat) -> Formatter {
    let origin = Origin {
        process: "app".into(),
        stream: "stderr",
        pid: 7,
    };
    Formatter::new(format, Arc::default(), &origin, 15 << 10)
}

fn written(format: LogFormat, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let stamp = Stamp(*b"2026-01-02T03:04:05.678901Z");
    let valid = std::str::from_utf8(bytes).is_ok();
    formatter(format).write(&mut out, Piece { bytes, last: true }, None, stamp, valid);
    out
}

fn parsed(bytes: &[u8]) -> Value {
    serde_json::from_slice(&written(LogFormat::Json, bytes)).unwrap()
}

#[test]
fn a_plain_line_gets_the_envelope() {
    assert_eq!(
        parsed(b"say \"hi\""),
        json!({"timestamp": "2026-01-02T03:04:05.678901Z", "level": "INFO", "message": "say \"hi\"",
               "process": "app", "stream": "stderr", "pid": 7})
    );
}

#[test]
fn an_object_stays_the_root_and_gets_what_it_lacks() {
    assert_eq!(
        parsed(br#" {"level":"debug","n":1.50,"a":{"pid":3}} "#),
        json!({"level": "debug", "n": 1.50, "a": {"pid": 3}, "timestamp": "2026-01-02T03:04:05.678901Z",
               "process": "app", "stream": "stderr", "pid": 7})
    );
    assert_eq!(parsed(b"{}")["process"], "app");
    assert_eq!(parsed(b"{ }")["process"], "app");
}

#[test]
fn an_objects_own_text_is_not_touched() {
    let line = written(LogFormat::Json, br#"{"n":1.500,"b":12345678901234567890123}"#);
    assert!(line.starts_with(br#"{"n":1.500,"b":12345678901234567890123,"#));
}

#[test]
fn no_key_is_doubled_even_when_it_is_written_with_escapes() {
    let line = String::from_utf8(written(LogFormat::Json, br#"{"\u0070id":1,"process":"x"}"#)).unwrap();
    assert!(
        !line.contains("\"pid\"") && line.matches("process").count() == 1,
        "{line}"
    );
}

#[test]
fn an_emf_line_passes_untouched() {
    let emf = br#"{"_aws":{"Timestamp":1,"CloudWatchMetrics":[]},"x":1}"#;
    assert_eq!(written(LogFormat::Json, emf), [&emf[..], b"\n"].concat());
}

#[test]
fn what_only_looks_like_an_object_is_text() {
    for line in [
        "{not json}",
        "{\"a\":1} {\"b\":2}",
        "{\"a\":}",
        "{\"a\":1,}",
        "{'a':1}",
    ] {
        assert_eq!(parsed(line.as_bytes())["message"], line);
    }
    assert_eq!(parsed(b"{\"a\":\"\xff\"}")["invalid_utf8"], true);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(500), "]".repeat(500));
    assert_eq!(parsed(deep.as_bytes())["message"], deep);
    let flat = format!("{{\"a\":[{}0]}}", "[],".repeat(500));
    assert!(parsed(flat.as_bytes())["a"].is_array(), "many are not deep");
    let quoted = format!("{{\"a\":\"\\\"{}\"}}", "[".repeat(500));
    assert!(
        parsed(quoted.as_bytes())["a"].is_string(),
        "brackets in a string are not levels"
    );
}

fn styled(style: Style, renames: &[(&str, &str)], bytes: &[u8]) -> String {
    let own = |(word, name): &(&str, &str)| ((*word).to_owned(), (*name).to_owned());
    let names = Arc::new(Names::new(style, &renames.iter().map(own).collect()));
    let origin = Origin {
        process: "app".into(),
        stream: "stderr",
        pid: 7,
    };
    let mut formatter = Formatter::new(LogFormat::Json, names, &origin, 15 << 10);
    let mut out = Vec::new();
    let stamp = Stamp(*b"2026-01-02T03:04:05.678901Z");
    formatter.write(&mut out, Piece { bytes, last: true }, None, stamp, true);
    String::from_utf8(out).unwrap().trim_end().to_owned()
}

#[test]
fn each_style_has_its_own_names() {
    let time = "2026-01-02T03:04:05.678901Z";
    assert_eq!(
        styled(Style::Lambda, &[], b"ERROR x"),
        format!(
            r#"{{"timestamp":"{time}","level":"ERROR","message":"ERROR x","process":"app","stream":"stderr","pid":7}}"#
        )
    );
    assert_eq!(
        styled(Style::Ecs, &[], b"ERROR x"),
        format!(
            r#"{{"@timestamp":"{time}","log.level":"ERROR","message":"ERROR x","process.name":"app","stream":"stderr","process.pid":7,"ecs.version":"8.10.0"}}"#
        )
    );
    assert_eq!(
        styled(Style::Otel, &[], b"ERROR x"),
        format!(
            r#"{{"timestamp":"{time}","severity_text":"ERROR","severity_number":17,"body":"ERROR x","attributes":{{"log.iostream":"stderr"}},"resource":{{"process.name":"app","process.pid":7}}}}"#
        )
    );
    assert_eq!(
        styled(
            Style::Otel,
            &[("process", "service"), ("message", "say \"x\"")],
            b"x"
        ),
        format!(
            r#"{{"timestamp":"{time}","severity_text":"INFO","severity_number":9,"say \"x\"":"x","service":"app","attributes":{{"log.iostream":"stderr"}},"resource":{{"process.pid":7}}}}"#
        )
    );
}

#[test]
fn an_object_gets_what_it_lacks_by_the_names_of_the_style() {
    let parse =
        |style, renames, line: &[u8]| serde_json::from_str::<Value>(&styled(style, renames, line)).unwrap();
    let severity = &[("level", "severity")];
    assert_eq!(
        parse(Style::Lambda, severity, br#"{"level":"warning"}"#)["severity"],
        "WARN"
    );
    assert_eq!(
        parse(Style::Lambda, severity, br#"{"severity":"x"}"#).get("level"),
        None
    );
    assert_eq!(
        parse(Style::Lambda, &[], br#"{"severity":"error"}"#)["level"],
        "ERROR"
    );
    assert_eq!(parse(Style::Ecs, &[], br#"{"level":50}"#)["log.level"], "ERROR");
    let nested = parse(
        Style::Ecs,
        &[],
        br#"{"log":{"level":"x"},"process":{"name":"y"},"ecs":{"version":"1"}}"#,
    );
    for absent in ["log.level", "process.name", "ecs.version"] {
        assert_eq!(nested.get(absent), None, "{nested}");
    }
    assert_eq!(nested["process.pid"], 7);
    let otel = parse(
        Style::Otel,
        &[],
        br#"{"severity_text":"WARN","attributes":{"a":1},"resource":1}"#,
    );
    assert_eq!(
        otel,
        json!({"severity_text": "WARN", "attributes": {"a": 1}, "resource": 1, "severity_number": 13,
               "timestamp": "2026-01-02T03:04:05.678901Z", "process.name": "app", "log.iostream": "stderr",
               "process.pid": 7})
    );
    let emf = r#"{"_aws":{},"x": 1 }"#;
    for style in [Style::Lambda, Style::Ecs, Style::Otel] {
        assert_eq!(styled(style, severity, emf.as_bytes()), emf);
    }
}

#[test]
fn a_time_of_its_own_is_taken_over_where_it_says_the_same() {
    let time = |line: &str| parsed(line.as_bytes())["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(
        time(r#"{"time":"2025-12-31T23:59:59+01:00"}"#),
        "2025-12-31T23:59:59+01:00"
    );
    assert_eq!(
        time(r#"{"@timestamp":"2025-12-31T23:59:59.1Z"}"#),
        "2025-12-31T23:59:59.1Z"
    );
    for other in [
        "1767323045.678",
        "\"03:04:05\"",
        "\"2025-12-31T23:59:59\\\"Z\"",
        "\"2025-12-31T23:59:5xZ\"",
    ] {
        assert_eq!(
            time(&format!(r#"{{"ts":{other}}}"#)),
            "2026-01-02T03:04:05.678901Z"
        );
    }
}

#[test]
fn the_level_is_what_is_known_or_what_the_line_says() {
    let mut formatter = formatter(LogFormat::Json);
    let mut level = |bytes: &[u8], last, known| {
        let mut out = Vec::new();
        formatter.write(
            &mut out,
            Piece { bytes, last },
            known,
            Stamp::at(SystemTime::UNIX_EPOCH),
            true,
        );
        let line: Value = serde_json::from_slice(&out).unwrap();
        line["level"].as_str().unwrap().to_owned()
    };
    assert_eq!(level(b"WARN x", true, None), "WARN");
    assert_eq!(level(b"WARN x", true, Some(Level::Error)), "ERROR");
    assert_eq!(level(b"FATAL a", false, None), "FATAL");
    assert_eq!(level(b"DEBUG is not where the line begins", true, None), "FATAL");
    assert_eq!(level(b"x", true, None), "INFO");
}

#[test]
fn the_parts_of_a_line_say_which_line_they_are_of() {
    let mut formatter = formatter(LogFormat::Json);
    let mut out = Vec::new();
    for (bytes, last) in [
        ("a", false),
        ("b", true),
        ("whole", true),
        ("c", false),
        ("d", true),
    ] {
        let piece = Piece {
            bytes: bytes.as_bytes(),
            last,
        };
        formatter.write(&mut out, piece, None, Stamp::at(SystemTime::UNIX_EPOCH), true);
    }
    let lines: Vec<Value> = serde_json::Deserializer::from_slice(&out)
        .into_iter()
        .map(Result::unwrap)
        .collect();
    let marks = |line: &Value| json!([line["line_id"], line["part"], line["last_part"]]);
    assert_eq!(
        lines.iter().map(marks).collect::<Vec<_>>(),
        [
            json!(["7.stderr.1", 1, false]),
            json!(["7.stderr.1", 2, true]),
            json!([null, null, null]),
            json!(["7.stderr.2", 1, false]),
            json!(["7.stderr.2", 2, true]),
        ]
    );
    let mut text = self::formatter(LogFormat::Text);
    out.clear();
    for (bytes, last) in [("a", false), ("b", true), ("whole", true)] {
        let piece = Piece {
            bytes: bytes.as_bytes(),
            last,
        };
        text.write(&mut out, piece, None, Stamp::at(SystemTime::UNIX_EPOCH), true);
    }
    assert_eq!(out, b"app | a [part 1]\napp | b [part 2, last]\napp | whole\n");
}

#[test]
fn text_and_raw_keep_the_bytes() {
    assert_eq!(written(LogFormat::Text, b"a\xffb"), b"app | a\xffb\n");
    assert_eq!(written(LogFormat::Raw, b"a\xffb"), b"a\xffb\n");
}

#[test]
fn no_line_is_longer_than_it_may_be() {
    let styles = [Style::Lambda, Style::Ecs, Style::Otel];
    for (byte, style) in [b'x', b'"', 1, 0xff]
        .into_iter()
        .flat_map(|byte| styles.map(|style| (byte, style)))
    {
        let origin = Origin {
            process: "app".into(),
            stream: "stderr",
            pid: 4_194_304,
        };
        let names = Arc::new(Names::new(style, &Default::default()));
        let mut formatter = Formatter::new(LogFormat::Json, names, &origin, 15 << 10);
        formatter.parts = 3_999_999_999;
        formatter.long_lines = 3_999_999_999;
        let mut out = Vec::new();
        let bytes = vec![byte; formatter.room()];
        let piece = Piece {
            bytes: &bytes,
            last: false,
        };
        formatter.write(
            &mut out,
            piece,
            None,
            Stamp::at(SystemTime::UNIX_EPOCH),
            byte < 0x80,
        );
        let longest = out.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::len).max();
        assert!(longest.unwrap() <= 15 << 10, "{longest:?}");
    }
}

proptest! {
    #[test]
    fn every_line_is_json_whatever_came(bytes in prop::collection::vec(any::<u8>(), 0..100)) {
        prop_assert!(parsed(&bytes).is_object());
    }
}
