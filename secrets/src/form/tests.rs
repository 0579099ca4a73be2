use super::*;

mod database_url;

/// What a form makes of a value, as text.
fn apply(form: &str, value: impl Into<Vec<u8>>, json_key: Option<&str>) -> Result<String, FailureKind> {
    let secret = Form::parse(form).unwrap().apply(&Secret::new(value), json_key)?;
    Ok(secret.expose_str().unwrap().to_owned())
}

/// What is wrong with a value.
fn bad(form: &str, value: impl Into<Vec<u8>>, json_key: Option<&str>) -> String {
    match apply(form, value, json_key) {
        Err(FailureKind::BadValue(what)) => what,
        other => panic!("{form}: {other:?}"),
    }
}

#[test]
fn forms_are_read_and_written() {
    let cases = [
        ("text", Form::Text),
        ("base64", Form::Base64),
        ("file", Form::File),
        ("json-key:a", Form::JsonKey("a".to_owned())),
        ("json-key:a:b c", Form::JsonKey("a:b c".to_owned())),
        ("database-url", Form::DatabaseUrl { scheme: None }),
        (
            "database-url:postgresql+asyncpg",
            Form::DatabaseUrl {
                scheme: Some("postgresql+asyncpg".to_owned()),
            },
        ),
    ];
    for (text, form) in cases {
        assert_eq!(Form::parse(text), Ok(form.clone()));
        assert_eq!(form.to_string(), text);
    }
    assert_eq!(Form::default(), Form::Text);
}

#[test]
fn what_is_no_form_is_an_error_that_names_the_forms() {
    let cases = [
        ("", "json-key:NAME, base64"),
        ("Text", "json-key:NAME, base64"),
        ("text:x", "json-key:NAME, base64"),
        ("json", "json-key:NAME, base64"),
        ("json-key", "json-key:password"),
        ("json-key:", "json-key:password"),
        ("database-url:", "database-url:postgresql+asyncpg"),
        ("database-url:1x", "database-url:postgresql+asyncpg"),
        ("database-url:mysql://", "database-url:postgresql+asyncpg"),
    ];
    for (text, part) in cases {
        let error = Form::parse(text).unwrap_err();
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn text_is_the_value_to_the_last_byte_or_an_error() {
    for value in ["", "hunter2", " a\n", "\u{feff}x", "{\"a\": 1}"] {
        assert_eq!(apply("text", value, None), Ok(value.to_owned()));
    }
    for value in [&b"\xff\xfe"[..], b"a\0b"] {
        let what = bad("text", value, None);
        assert!(
            what.contains("binary") && what.contains("as = \"base64\""),
            "{what}"
        );
    }
}

#[test]
fn base64_and_file_take_any_bytes() {
    assert_eq!(apply("base64", b"\xff\xfe\0?", None), Ok("//4APw==".to_owned()));
    assert_eq!(apply("base64", "", None), Ok(String::new()));
    let bytes = b"\xff\0\n";
    let file = Form::File.apply(&Secret::new(bytes), None).unwrap();
    assert_eq!(file.expose(), bytes);
}

#[test]
fn a_key_comes_out_as_it_is_written() {
    let json = r#"{
        "string": "a \"b\" \u00e9\n\ud83d\ude00", "empty": "", "price": 1.10, "exponent": 1e3, "Big": 1E+0400,
        "huge": 123456789012345678901234567890, "minus": -0.0, "yes": true, "no": false,
        "object": { "z" : [1.0, 2e1 ,"a b\\\" c"], "a": {} , "z":null }, "list": [ ], "": "x",
        "twice": "first", "twice": "second"
    }"#;
    let cases = [
        ("string", "a \"b\" é\n😀"),
        ("empty", ""),
        ("price", "1.10"),
        ("exponent", "1e3"),
        ("Big", "1E+0400"),
        ("huge", "123456789012345678901234567890"),
        ("minus", "-0.0"),
        ("yes", "true"),
        ("no", "false"),
        ("object", r#"{"z":[1.0,2e1,"a b\\\" c"],"a":{},"z":null}"#),
        ("list", "[]"),
        ("twice", "second"),
    ];
    for (key, text) in cases {
        assert_eq!(apply("text", json, Some(key)), Ok(text.to_owned()));
        assert_eq!(apply(&format!("json-key:{key}"), json, None), Ok(text.to_owned()));
        let marked = format!("\u{feff}{json}");
        assert_eq!(apply("text", marked, Some(key)), Ok(text.to_owned()));
    }
    assert_eq!(apply("text", json, Some("")), Ok("x".to_owned()));
}

#[test]
fn a_key_that_is_missing_or_null_is_named_and_no_other() {
    let json = r#"{"other": "x", "nothing": null}"#;
    for (form, key) in [("text", Some("Other")), ("json-key:Other", None)] {
        let missing = FailureKind::NoSuchKey {
            key: "Other".to_owned(),
        };
        assert_eq!(apply(form, json, key), Err(missing));
    }
    for (form, key) in [("text", Some("nothing")), ("json-key:nothing", None)] {
        let null = FailureKind::Null {
            key: "nothing".to_owned(),
        };
        assert_eq!(apply(form, json, key), Err(null));
    }
}

#[test]
fn a_value_without_keys_is_an_error_that_quotes_nothing() {
    let cases: [(&[u8], &str); 10] = [
        (b"hunter2hunter2", "is no JSON (from line 1, column 1 on)"),
        (b"", "is no complete JSON (it ends at line 1, column 0)"),
        (b"{\"a\": \"hunter2", "is no complete JSON"),
        (
            b"{\"a\": \"x\"} hunter2",
            "is no JSON (from line 1, column 12 on)",
        ),
        (b"{'a': 'hunter2'}", "is no JSON"),
        (b"\"hunter2\"", "is JSON, but no object"),
        (b"[\"hunter2\"]", "is JSON, but no object"),
        (b"72", "is JSON, but no object"),
        (b"null", "is JSON, but no object"),
        (b"{\"a\": \"hunter2\xff\"}", "is binary, not JSON"),
    ];
    for (value, what) in cases {
        for (form, key) in [("text", Some("a")), ("json-key:a", None)] {
            let said = bad(form, value, key);
            assert!(
                said.contains(what) && said.contains("leave the json-key out"),
                "{said}"
            );
            assert!(!said.contains("hunter") && !said.contains("72"), "{said}");
        }
    }
    let half = bad("text", r#"{"a": "hunter2\ud800"}"#, Some("a"));
    assert!(half.contains("surrogate") && !half.contains("hunter"), "{half}");
}

#[test]
fn the_form_comes_behind_the_references_own_key() {
    for json in [
        r#"{"db": {"pw": "x\u0000y", "n": 1.0}}"#,
        r#"{"db": "{\"pw\": \"x\\u0000y\", \"n\": 1.0}"}"#,
    ] {
        assert_eq!(apply("json-key:n", json, Some("db")), Ok("1.0".to_owned()));
        assert!(bad("json-key:pw", json, Some("db")).contains("NUL"));
    }
    let json = r#"{"key": "x\u0000y"}"#;
    assert!(bad("text", json, Some("key")).contains("NUL"));
    assert_eq!(apply("base64", json, Some("key")), Ok("eAB5".to_owned()));
    assert_eq!(apply("file", json, Some("key")), Ok("x\0y".to_owned()));
}

#[test]
fn json_may_be_nested_as_deep_as_it_likes() {
    let depth = 100_000;
    let json = format!("{{\"a\": {}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert_eq!(apply("text", json, Some("a")).unwrap().len(), 2 * depth);
}
