use super::*;
use crate::fields::Style;
use crate::names::Names;
use proptest::prelude::*;
use serde::de::{Deserializer, IgnoredAny};
use std::collections::BTreeMap;

fn names(style: Style) -> Names {
    Names::new(style, &BTreeMap::new())
}

fn found(line: &str) -> Option<Found<'_>> {
    look_through(line.as_bytes(), names(Style::Lambda).keys())
}

/// What serde_json says.
fn is_object(line: &str) -> bool {
    let mut parser = serde_json::Deserializer::from_str(line);
    let whole = parser.deserialize_map(IgnoredAny).is_ok() && parser.end().is_ok();
    let keys = || serde_json::from_str::<BTreeMap<String, IgnoredAny>>(line).is_ok();
    whole && keys()
}

/// Texts that are JSON more often than not.
fn nearly_json() -> impl Strategy<Value = String> {
    let scalar = prop::sample::select(vec![
        "1",
        "-0",
        "01",
        "-",
        "1.",
        "1.5",
        ".5",
        "1e3",
        "1e+",
        "1E-07",
        "true",
        "tru",
        "null",
        "nul",
        "false",
        "\"\"",
        "\"a\\n\"",
        "\"\\x\"",
        "\"\\u00e9\"",
        "\"\\ud800\"",
        "\"\\u12g4\"",
        "\"ä€🦀\"",
        "\"\t\"",
        "\"open",
        "NaN",
        "\"a longer text with a \\\"quote\\\" in it\"",
    ])
    .prop_map(str::to_owned);
    let key = prop::sample::select(vec![
        "\"level\"",
        "\"pid\"",
        "\"_aws\"",
        "\"log\"",
        "\"\\u0070id\"",
        "\"\\ud800\"",
        "\"x y\"",
        "\"\"",
        "key",
        "1",
    ]);
    let blank = prop::sample::select(vec!["", "", "", " ", "\r\n", "\t", "\u{c}", ","]);
    let value = scalar.prop_recursive(4, 24, 4, move |inner| {
        let pair = (key.clone(), blank.clone(), inner.clone())
            .prop_map(|(key, blank, value)| format!("{key}{blank}:{blank}{value}"));
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(|list| format!("[{}]", list.join(","))),
            prop::collection::vec(pair, 0..4).prop_map(|list| format!("{{{}}}", list.join(","))),
        ]
    });
    prop_oneof![4 => value.clone().prop_map(|value| format!("{{\"a\":{value}}}")), 1 => value]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn what_it_takes_is_what_serde_json_takes(line in nearly_json()) {
        prop_assert_eq!(found(&line).is_some(), is_object(&line), "{}", line);
    }

    #[test]
    fn a_byte_that_is_wrong_is_wrong_to_both(line in nearly_json(), at in any::<prop::sample::Index>(), byte in 0..128u8) {
        let mut bytes = line.into_bytes();
        let at = at.index(bytes.len());
        if bytes[at].is_ascii() {
            bytes[at] = byte;
        }
        let line = String::from_utf8(bytes).unwrap();
        prop_assert_eq!(found(&line).is_some(), is_object(&line), "{}", line);
    }

    #[test]
    fn the_keys_it_finds_are_those_serde_json_finds(line in nearly_json()) {
        let keys = serde_json::from_str::<BTreeMap<String, IgnoredAny>>(&line);
        if let (Some(found), Ok(keys)) = (found(&line), keys) {
            for (name, key) in [("level", Key::Level), ("pid", Key::Pid), ("_aws", Key::Emf)] {
                prop_assert_eq!(found.has(key), keys.contains_key(name), "{} in {}", name, line);
            }
        }
    }
}

#[test]
fn what_is_nested_too_deep_is_no_object() {
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(found(&nested(99)).is_some());
    assert!(found(&nested(100)).is_none());
    let objects = |depth: usize| format!("{}1{}", "{\"a\":".repeat(depth), "}".repeat(depth));
    assert!(found(&objects(100)).is_some());
    assert!(found(&objects(101)).is_none());
}

#[test]
fn a_name_with_a_dot_may_be_an_object_within_one() {
    let ecs = names(Style::Ecs);
    let line = br#"{"log":{"level":"warn","logger":"x"},"process":{"pid":3,"thread":{"name":"y"}},"ecs":1}"#;
    let found = look_through(line, ecs.keys()).unwrap();
    assert!(found.has(Key::Level) && found.has(Key::Pid) && !found.has(Key::Process));
    assert!(!found.has(Key::EcsVersion));
    assert_eq!(found.level, Some(&b"\"warn\""[..]));
}

#[test]
fn the_styles_own_name_says_more_than_another() {
    for line in [
        r#"{"severity":"ERROR","level":"warn"}"#,
        r#"{"level":"warn","severity":"ERROR"}"#,
    ] {
        assert_eq!(found(line).unwrap().level, Some(&b"\"warn\""[..]));
    }
}
