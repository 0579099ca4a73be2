//! `[trace]`, and what the environment says about traces.
use super::*;

const APP: &str = "[process.web]\ncommand = [\"x\"]\n";

fn trace(world: &World, section: &str) -> Trace {
    world.read(&format!("{APP}{section}")).expect(section).trace
}

fn with(env: &[(&str, &str)]) -> World {
    let add = |world: World, (name, value): &(&str, &str)| world.env(name, value);
    env.iter().fold(World::new(), add)
}

#[test]
fn every_key_arrives() {
    let all = "[trace]\nexporter = \"otlp-http\"\nendpoint = \"https://collector.example.com/v1\"\n\
               service = \"checkout\"\ncarrier = true";
    let expected = Trace {
        exporter: Exporter::OtlpHttp(Some("https://collector.example.com/v1".into())),
        service: "checkout".into(),
        carrier: true,
        doubt: None,
    };
    assert_eq!(trace(&World::new(), all), expected);
    for (word, exporter) in [
        ("otlp-grpc", Exporter::OtlpGrpc(None)),
        ("xray", Exporter::Xray(None)),
        ("off", Exporter::Off),
        ("auto", Exporter::Off),
    ] {
        let section = format!("[trace]\nexporter = \"{word}\"");
        assert_eq!(trace(&World::new(), &section).exporter, exporter);
    }
}

#[test]
fn the_environment_turns_it_on() {
    let general = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector:4317");
    let of_traces = (
        "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
        "http://collector:4318/v1/traces",
    );
    let (grpc, http) = (Exporter::OtlpGrpc(None), Exporter::OtlpHttp(None));
    for (env, expected) in [
        (&[][..], &Exporter::Off),
        (&[("OTEL_EXPORTER_OTLP_ENDPOINT", " ")], &Exporter::Off),
        (&[general], &grpc),
        (&[general, of_traces], &http),
        (
            &[general, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")],
            &http,
        ),
        (&[of_traces, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], &grpc),
        (
            &[
                general,
                ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
                ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ],
            &http,
        ),
        (&[general, ("OTEL_SDK_DISABLED", "True")], &Exporter::Off),
        (&[general, ("OTEL_TRACES_EXPORTER", "none")], &Exporter::Off),
        (&[general, ("OTEL_TRACES_EXPORTER", "console,otlp")], &grpc),
    ] {
        assert_eq!(trace(&with(env), "").exporter, *expected, "{env:?}");
    }
    let off = trace(&with(&[general]), "[trace]\nexporter = \"off\"");
    assert_eq!(off.exporter, Exporter::Off);
}

#[test]
fn an_address_of_the_environment_that_is_none_is_a_warning_that_names_the_variable() {
    const ALL: &str = "OTEL_EXPORTER_OTLP_ENDPOINT";
    const TRACES: &str = "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT";
    let warnings = |env: &[(&str, &str)], section: &str| {
        let read = with(env).read(&format!("{APP}{section}"));
        read.expect("no error").warnings.join("\n")
    };
    for (env, section, said) in [
        (
            &[(ALL, "http://c:99999")][..],
            "",
            "OTEL_EXPORTER_OTLP_ENDPOINT has a host or port",
        ),
        (
            &[(ALL, "ftp://c:4318")],
            "",
            "OTEL_EXPORTER_OTLP_ENDPOINT is no http or https URL",
        ),
        (
            &[(ALL, "http://c:4318"), (TRACES, "http://u:hunter2@c:4318")],
            "",
            "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT has a user or password",
        ),
        (
            &[(ALL, "c:4318")],
            "[trace]\nexporter = \"otlp-http\"",
            "is no http or https URL",
        ),
    ] {
        let said_so = warnings(env, section);
        assert!(said_so.contains(said), "{env:?}: {said_so}");
        assert!(said_so.ends_with("until then no traces are sent."), "{said_so}");
        assert!(!said_so.contains("hunter2"), "{said_so}");
    }
    for (env, section) in [
        (&[(ALL, "c:4317")][..], ""),
        (&[(ALL, "https://c")], ""),
        (&[(ALL, "nonsense://c")], "[trace]\nexporter = \"off\""),
        (
            &[(ALL, "arn:aws:secretsmanager:eu-west-1:123456789012:secret:c")],
            "",
        ),
        (
            &[(ALL, "http://c:99999")],
            "[trace]\nexporter = \"otlp-http\"\nendpoint = \"http://c:4318\"",
        ),
    ] {
        assert_eq!(warnings(env, section), "", "{env:?}");
    }
}

#[test]
fn the_service_has_the_name_that_is_nearest() {
    let attributes = ("OTEL_RESOURCE_ATTRIBUTES", "a=b, service.name=check%20out ,c=d");
    for (env, expected) in [
        (&[][..], "web"),
        (&[("K_SERVICE", "hello")], "hello"),
        (&[("K_SERVICE", "hello"), attributes], "check out"),
        (&[("OTEL_SERVICE_NAME", "shop"), attributes], "shop"),
        (&[("OTEL_RESOURCE_ATTRIBUTES", "service.name=50%")], "50%"),
        (
            &[(
                "OTEL_SERVICE_NAME",
                "arn:aws:ssm:eu-west-1:123456789012:parameter/name",
            )],
            "web",
        ),
    ] {
        assert_eq!(trace(&with(env), "").service, expected, "{env:?}");
    }
    let named = trace(
        &with(&[("OTEL_SERVICE_NAME", "shop")]),
        "[trace]\nservice = \"mine\"",
    );
    assert_eq!(named.service, "mine");
}

#[test]
fn what_is_wrong_is_said_with_its_remedy() {
    let section =
        "[trace]\nexporter = \"otlp-gpc\"\nendpoint = \"collector:4317\"\nservice = \"\"\ncarrier = 1\n";
    let found = errors(&World::new(), &format!("{APP}{section}"));
    assert_eq!(
        found,
        [
            "4: trace.exporter: cannot be \"otlp-gpc\"; write \"auto\", \"otlp-grpc\", \"otlp-http\", \"xray\" or \
             \"off\"; did you mean \"otlp-grpc\"?",
            "5: trace.endpoint: is no http or https URL; write one such as \"http://127.0.0.1:4317\"",
            "6: trace.service: cannot be empty; write a name such as \"checkout\"",
            "7: trace.carrier: cannot be a number; write true or false",
        ]
    );
    let endpoint = |exporter: &str, url: &str| {
        let section = format!("[trace]\nexporter = \"{exporter}\"\nendpoint = \"{url}\"");
        errors(&World::new(), &format!("{APP}{section}")).join("\n")
    };
    assert!(endpoint("auto", "http://c:4317").contains("is used only by an exporter that is named"));
    let secret = endpoint("otlp-http", "http://me:hunter2@c:4317");
    assert!(
        secret.contains("OTEL_EXPORTER_OTLP_HEADERS") && !secret.contains("hunter2"),
        "{secret}"
    );
    for url in ["grpc://c:4317", "http://", "/v1/traces", "http://a b"] {
        let said = endpoint("otlp-grpc", url);
        assert!(said.contains("5: trace.endpoint: is no"), "{url}: {said}");
    }
    for url in ["http://c:99999", "http://c:0", "http://c:x"] {
        let said = endpoint("otlp-http", url);
        assert!(said.contains("5: trace.endpoint: "), "{url}: {said}");
    }
    let no_port = format!("{APP}[trace]\nexporter = \"otlp-http\"\nendpoint = \"https://c/v1/traces\"");
    assert!(World::new().read(&no_port).is_ok(), "the scheme has a port");
    let off = format!("{APP}[trace]\nexporter = \"off\"\nendpoint = \"http://c:4317\"");
    assert!(
        World::new().read(&off).is_ok(),
        "a switch leaves the rest as it is"
    );
}

#[test]
fn check_shows_it() {
    let section = "[trace]\nexporter = \"otlp-grpc\"\nendpoint = \"http://c:4317\"\nservice = \"shop\"";
    let plan = World::new().read(&format!("{APP}{section}")).unwrap();
    let text = explain(&plan);
    let line = "trace      otlp-grpc to http://c:4317, service shop, passed on to tasks\n";
    assert!(text.contains(line), "{text}");
    assert_eq!(
        explain_json(&plan)["trace"],
        serde_json::json!({"exporter": "otlp-grpc", "endpoint": "http://c:4317", "service": "shop",
            "carrier": false})
    );
    let off = World::new().read(APP).unwrap();
    assert!(explain(&off).contains("trace      off\n"));
}
