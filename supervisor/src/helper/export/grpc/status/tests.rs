use super::*;

fn headers(set: &[(&'static str, &str)]) -> HeaderMap {
    let pairs = set.iter().map(|(name, value)| {
        let value = value.parse().expect("a value");
        (axum::http::HeaderName::from_static(name), value)
    });
    pairs.collect()
}

fn info(seconds: i64, nanos: i32) -> Vec<u8> {
    let info = RetryInfo {
        retry_delay: Some(Delay { seconds, nanos }),
    };
    let detail = |name: &str, value| Any {
        type_url: format!("type.googleapis.com/{name}"),
        value,
    };
    let details = vec![
        detail("google.rpc.DebugInfo", vec![0xff; 2]),
        detail("google.rpc.RetryInfo", info.encode_to_vec()),
    ];
    Status { details }.encode_to_vec()
}

#[test]
fn what_may_be_asked_again() {
    for (code, expected) in [
        ("0", None),
        ("1", Some("again Cancelled")),
        ("2", Some("Unknown")),
        ("3", Some("never InvalidArgument")),
        ("4", Some("again DeadlineExceeded")),
        ("5", Some("NotFound")),
        ("7", Some("PermissionDenied")),
        ("8", Some("ResourceExhausted")),
        ("10", Some("again Aborted")),
        ("11", Some("again OutOfRange")),
        ("12", Some("Unimplemented")),
        ("13", Some("Internal")),
        ("14", Some("again Unavailable")),
        ("15", Some("again DataLoss")),
        ("16", Some("Unauthenticated")),
        ("17", Some("Unknown")),
        ("x", Some("Unknown")),
    ] {
        let reply = failure(&headers(&[(STATUS, code)]));
        let expected = expected.map(|expected| match expected.split_once(' ') {
            Some(("again", name)) => Reply::lost(format!("the answer was {name}")),
            Some((_, name)) => Reply::never(format!("the answer was {name}")),
            None => Reply::Refused(format!("the answer was {expected}")),
        });
        assert_eq!(reply, expected, "{code}");
    }
}

#[test]
fn messages_are_decoded_and_keep_to_one_line() {
    for (message, said) in [
        ("no%20such tenant", "no such tenant"),
        ("b%C3%A4d%0Atoken%00", "bäd token"),
        ("100%", "100%"),
        ("%FF", "\u{fffd}"),
    ] {
        let reply = failure(&headers(&[(STATUS, "7"), ("grpc-message", message)]));
        let expected = format!("the answer was PermissionDenied: {said}");
        assert_eq!(reply, Some(Reply::Refused(expected)));
    }
}

#[test]
fn a_server_without_room_says_when_it_has_some() {
    let padded = base64::engine::general_purpose::STANDARD.encode(info(2, 5));
    assert!(padded.ends_with('='), "{padded}");
    for details in [padded.trim_end_matches('='), &padded] {
        let set = [(STATUS, "8"), ("grpc-status-details-bin", details)];
        let expected = Reply::Later {
            why: "the answer was ResourceExhausted".to_owned(),
            after: Some(Duration::new(2, 5)),
        };
        assert_eq!(failure(&headers(&set)), Some(expected));
    }
    let negative = STANDARD_NO_PAD.encode(info(-2, 0));
    for details in ["", "?", "AAAA", &negative] {
        let set = [(STATUS, "8"), ("grpc-status-details-bin", details)];
        let refused = Reply::Refused("the answer was ResourceExhausted".to_owned());
        assert_eq!(failure(&headers(&set)), Some(refused), "{details}");
    }
}
