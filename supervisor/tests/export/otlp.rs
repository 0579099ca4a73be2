//! To a collector, by both protocols.

use serde_json::{Value, json};

use crate::lab::{BEGAN, Certificates, export, job};
use crate::support::otlp::Receiver;

const BOTH: [&str; 2] = ["OtlpHttp", "OtlpGrpc"];

fn endpoint(receiver: &Receiver, exporter: &str) -> String {
    match exporter {
        "OtlpGrpc" => receiver.grpc(),
        _ => receiver.http(),
    }
}

fn check(spans: &[Value]) {
    let find = |name: &str| {
        let found = spans.iter().find(|span| span["name"] == name);
        found.unwrap_or_else(|| panic!("no span {name:?} in {spans:#?}"))
    };
    let (boot, start, restart) = (find("boot"), find("start app"), find("restart"));
    assert_eq!(spans.len(), 3);
    assert_eq!(
        (&boot["trace"], &boot["span"]),
        (&json!("01".repeat(16)), &json!("02".repeat(8)))
    );
    assert_eq!((&boot["parent"], &boot["kind"]), (&Value::Null, &json!("SERVER")));
    assert_eq!(
        (boot["began"].as_u64(), boot["ended"].as_u64()),
        (
            Some(BEGAN * 1_000_000_000 + 5),
            Some(BEGAN * 1_000_000_000 + 500_000_000)
        )
    );
    assert_eq!(
        boot["attributes"],
        json!({"text": "ä", "number": -3, "real": 0.25, "flag": true})
    );
    assert_eq!(boot["status"], json!({"code": 0, "message": ""}));
    assert_eq!((&boot["links"], &boot["sampled"]), (&json!([]), &json!(true)));
    assert_eq!(
        (&start["trace"], &start["parent"]),
        (&boot["trace"], &boot["span"])
    );
    assert_eq!(start["kind"], "INTERNAL");
    assert_eq!(start["status"], json!({"code": 2, "message": "exit code 3"}));
    let link = json!({"trace": boot["trace"], "span": boot["span"], "sampled": true});
    assert_eq!(
        (&restart["links"], &restart["kind"]),
        (&json!([link]), &json!("CLIENT"))
    );
    for span in spans {
        assert_eq!(
            span["scope"],
            json!({"name": "runmate", "version": env!("CARGO_PKG_VERSION")})
        );
        let resource = &span["resource"];
        for (key, value) in [
            ("service.name", "checkout"),
            ("service.version", "1"),
            ("telemetry.sdk.language", "rust"),
            ("deployment.environment.name", "test"),
        ] {
            assert_eq!(resource[key], value, "{resource}");
        }
    }
}

const ATTRIBUTES: (&str, &str) = ("OTEL_RESOURCE_ATTRIBUTES", "deployment.environment.name=test");

#[test]
fn all_that_is_known_of_a_span_arrives() {
    for exporter in BOTH {
        let receiver = Receiver::start();
        let outcome = export(
            &job(exporter, Some(&endpoint(&receiver, exporter))),
            &[ATTRIBUTES],
        );
        assert_eq!(outcome.answer, Ok(None), "{exporter}");
        receiver.wait_for_span("restart");
        check(&receiver.spans());
        let [request] = &receiver.requests()[..] else {
            panic!("one request: {:?}", receiver.requests())
        };
        if exporter == "OtlpHttp" {
            assert_eq!(
                (&request["version"], &request["path"]),
                (&json!("HTTP/1.1"), &json!("/v1/traces"))
            );
        }
    }
}

#[test]
fn the_environment_says_where_to_and_with_which_headers() {
    for exporter in BOTH {
        let receiver = Receiver::start();
        let endpoint = endpoint(&receiver, exporter);
        let mut job = job(exporter, None);
        // As a secret: not in the environment that the helper is started with.
        job["env"] = json!([[
            "OTEL_EXPORTER_OTLP_HEADERS",
            "x-tenant=shop%20one,authorization=Bearer abc"
        ]]);
        let env = [
            ATTRIBUTES,
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*endpoint),
            // What is not built in is not used.
            ("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip"),
            ("OTEL_EXPORTER_OTLP_TRACES_COMPRESSION", "zstd"),
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json"),
        ];
        assert_eq!(export(&job, &env).answer, Ok(None), "{exporter}");
        receiver.wait_for_span("restart");
        check(&receiver.spans());
        let headers = &receiver.requests()[0]["headers"];
        assert_eq!(
            (&headers["x-tenant"], &headers["authorization"]),
            (&json!("shop one"), &json!("Bearer abc"))
        );
    }
}

#[test]
fn a_server_with_a_certificate_of_ones_own() {
    let certificates = Certificates::new();
    let [root, cert, key] = ["root.pem", "cert.pem", "key.pem"].map(|name| certificates.file(name));
    let receiver = Receiver::with(&["--cert", &cert, "--key", &key]);
    for exporter in BOTH {
        let job = job(exporter, Some(&endpoint(&receiver, exporter)));
        for variable in [
            "OTEL_EXPORTER_OTLP_CERTIFICATE",
            "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
            "SSL_CERT_FILE",
        ] {
            let outcome = export(&job, &[ATTRIBUTES, (variable, &root)]);
            assert_eq!(outcome.answer, Ok(None), "{exporter} {variable}");
        }
    }
    check(&receiver.wait_until("six exports", |lines| {
        let spans: Vec<Value> = lines
            .iter()
            .filter_map(|line| line.get("span"))
            .cloned()
            .collect();
        (spans.len() >= 18).then(|| spans[..3].to_vec())
    }));
}

#[test]
fn a_server_that_nobody_vouches_for_gets_nothing() {
    let (certificates, others) = (Certificates::new(), Certificates::new());
    let [cert, key] = ["cert.pem", "key.pem"].map(|name| certificates.file(name));
    let receiver = Receiver::with(&["--cert", &cert, "--key", &key]);
    for exporter in BOTH {
        let url = endpoint(&receiver, exporter);
        let job = crate::lab::within(job(exporter, Some(&url)), 3000);
        let trusted = others.file("root.pem");
        let outcome = export(&job, &[("SSL_CERT_FILE", &trusted)]);
        assert!(
            outcome.why().contains("invalid peer certificate"),
            "{exporter}: {}",
            outcome.why()
        );
    }
    assert_eq!(receiver.requests(), Vec::<Value>::new());
}
