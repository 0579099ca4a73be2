use percent_encoding::percent_decode_str;
use proptest::prelude::*;

use super::*;

fn forms() -> impl Strategy<Value = Form> {
    prop::sample::select(vec![
        "text",
        "json-key:a",
        "base64",
        "file",
        "database-url",
        "database-url:x",
    ])
    .prop_map(|form| Form::parse(form).unwrap())
}

/// A number by JSON's grammar, in any spelling.
const NUMBER: &str = "-?(0|[1-9][0-9]{0,40})(\\.[0-9]{1,30})?([eE][+-]?[0-9]{1,9})?";

/// Secrets of an alphabet that no error of ours is written in.
const SECRET: &str = "[QXZJ0-9]{8,16}";

/// Values that hold a secret where an error might show it.
fn holding(secret: &str) -> Vec<Vec<u8>> {
    [
        secret.to_owned(),
        format!("\"{secret}\""),
        format!("[\"{secret}\"]"),
        format!("{{\"{secret}\": 1}}"),
        format!("{{\"a\": \"{secret}"),
        format!("{{\"a\": {secret}}}"),
        format!("{{\"a\": \"{secret}\\x\"}}"),
        format!("{{\"a\": \"{secret}\\ud800\"}}"),
        format!("{{\"a\": \"{secret}\0\"}}"),
        format!("{{\"a\": \"{secret}\\u0000\"}}"),
        format!("{{\"a\": [\"{secret}\", null]}} {secret}"),
        format!("{secret}\0"),
        format!("{{\"engine\": \"{secret}\", \"password\": \"{secret}\"}}"),
        format!("{{\"engine\": \"mysql\", \"username\": \"{secret}\", \"password\": \"{secret}\"}}"),
        format!("{{\"engine\": \"mysql\", \"username\": [\"{secret}\"]}}"),
        format!("{{\"username\": \"{secret}\", \"password\": \"p\", \"host\": \"{secret}/\", \"engine\": \"mysql\"}}"),
        format!("{{\"username\": \"u\", \"password\": \"p\", \"host\": \"h\", \"port\": \"{secret}\", \"engine\": \"mysql\"}}"),
    ]
    .map(String::into_bytes)
    .into_iter()
    .chain([[secret.as_bytes(), b"\xff"].concat()])
    .collect()
}

/// Whether any six characters of a secret stand in a text.
fn shows(text: &str, secret: &str) -> bool {
    (0..=secret.len() - 6).any(|at| text.contains(&secret[at..at + 6]))
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_it_panic(form in forms(), bytes: Vec<u8>, key in prop::option::of("a?")) {
        let _ = form.apply(&Secret::new(bytes), key.as_deref());
    }

    #[test]
    fn no_json_makes_it_panic(form in forms(), json in "[{}\\[\\]:,\"a\\\\ud80 1.e-]{0,24}", key in prop::option::of("a?")) {
        let _ = form.apply(&Secret::new(json), key.as_deref());
    }

    #[test]
    fn no_error_shows_a_part_of_the_value(form in forms(), secret in SECRET, key in prop::option::of("a")) {
        let mut errors = 0;
        for value in holding(&secret) {
            if let Err(kind) = form.apply(&Secret::new(value), key.as_deref()) {
                let failure = crate::Failure {
                    name: "A".to_owned(),
                    reference: "file:/a".parse().unwrap(),
                    kind,
                    detail: None,
                };
                prop_assert!(!shows(&format!("{failure} {failure:?}"), &secret), "{}", failure);
                errors += 1;
            }
        }
        prop_assert!(errors > 0 || matches!(form, Form::Base64 | Form::File) && key.is_none());
    }

    #[test]
    fn numbers_keep_their_text(number in NUMBER, space in "[ \t\r\n]{0,3}") {
        let flat = Secret::new(format!("{{{space}\"a\"{space}:{space}{number}{space}}}"));
        let picked = Form::Text.apply(&flat, Some("a")).unwrap();
        prop_assert_eq!(picked.expose_str(), Some(&*number));
        let deep = Secret::new(format!("{{\"a\":{{\"b\":{space}[{number}{space},\" \"{space}]}}}}"));
        let picked = Form::Text.apply(&deep, Some("a")).unwrap();
        prop_assert_eq!(picked.expose_str(), Some(&*format!("{{\"b\":[{number},\" \"]}}")));
    }

    #[test]
    fn strings_keep_their_text(text: String, key: String) {
        let json = Secret::new(format!("{{{}: {}}}", serde_json::json!(key), serde_json::json!(text)));
        let picked = Form::File.apply(&json, Some(&key)).unwrap();
        prop_assert_eq!(picked.expose_str(), Some(&*text));
    }

    #[test]
    fn a_compacted_value_means_the_same(text: String, number in NUMBER) {
        let value = serde_json::json!({ "a": [text, { "b\"\\": number }, []], "c": {} });
        let json = Secret::new(format!("{{\"x\": {value:#}}}"));
        let picked = Form::Text.apply(&json, Some("x")).unwrap();
        prop_assert_eq!(picked.expose_str(), Some(&*value.to_string()));
    }

    #[test]
    fn a_database_url_comes_apart_into_what_it_was_made_of(
        user in "\\PC{1,12}",
        password in any::<String>().prop_filter("one is needed", |password| !password.is_empty()),
        name in any::<String>(),
        port: Option<u16>,
        v6: Option<u128>,
    ) {
        let port = port.filter(|port| *port > 0);
        let v6 = v6.map(|bits| std::net::Ipv6Addr::from(bits).to_string());
        let host = v6.clone().unwrap_or("db.example.com".to_owned());
        let json = serde_json::json!({
            "engine": "aurora-postgresql", "username": user, "password": password, "host": host, "port": port,
            "dbname": name,
        });
        let form = Form::DatabaseUrl { scheme: None };
        let url = form.apply(&Secret::new(json.to_string()), None).unwrap();
        let url = url.expose_str().unwrap();
        prop_assert!(url.bytes().all(|byte| byte.is_ascii_graphic()), "{}", url);

        let decode = |text: &str| percent_decode_str(text).decode_utf8().unwrap().into_owned();
        let rest = url.strip_prefix("postgresql://").unwrap();
        let (rest, path) = rest.split_once('/').unwrap_or((rest, ""));
        let (login, address) = rest.split_once('@').unwrap();
        let (name_of, pass) = login.split_once(':').unwrap();
        prop_assert_eq!((decode(name_of), decode(pass), decode(path)), (user, password, name));
        let host = v6.map_or("db.example.com".to_owned(), |ip| format!("[{ip}]"));
        prop_assert_eq!(address, port.map_or(host.clone(), |port| format!("{host}:{port}")));
    }
}
