//! Which variable holds what.

use std::time::Duration;

use serde_json::Value;

use super::fault::FaultServer;
use super::support::{Setup, process};
use super::{app, assert_unsaid, env_of, parameter, secret, stop, with_server};

#[test]
fn a_reference_becomes_its_value_in_the_main_process() {
    let server = FaultServer::start();
    server.secret(&secret("db"), r#"{"password": "hunter2"}"#);
    server.parameter(&parameter("/app/key"), "a key");
    let run = with_server(&app(""), &server)
        .env("PASSWORD", &format!("{}:password::", secret("db")))
        .env("WHOLE", &secret("db"))
        .env("KEY", &parameter("/app/key"))
        .env("PLAIN", "plain")
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["PASSWORD"], "hunter2");
    assert_eq!(env["WHOLE"], r#"{"password": "hunter2"}"#);
    assert_eq!(env["KEY"], "a key");
    assert_eq!(env["PLAIN"], "plain");
    assert_eq!(server.calls().len(), 2, "{:#?}", server.calls());
    let exit = stop(&run);
    let said = exit.lines.iter().find(|line| line["event"] == "secrets");
    assert_eq!(said.expect("a line about it")["resolved"], 3);
}

#[test]
fn an_arn_variable_stays_and_adds_the_one_it_is_named_after() {
    let server = FaultServer::start();
    server.secret(&secret("demo"), "the value");
    let run = with_server(&app(""), &server)
        .env("DEMO_DB_SECRET_ARN", &secret("demo"))
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["DEMO_DB_SECRET_ARN"], secret("demo").as_str());
    assert_eq!(env["DEMO_DB_SECRET"], "the value");
    stop(&run);
}

#[test]
fn a_variable_that_is_there_wins_over_its_arn() {
    let server = FaultServer::start();
    let run = with_server(&app(""), &server)
        .env("DEMO_ARN", &secret("demo"))
        .env("DEMO", "mine")
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["DEMO"], "mine");
    let exit = stop(&run);
    let warned = exit.lines.iter().any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        line["level"] == "WARN" && message.contains("DEMO_ARN") && message.contains("is set already")
    });
    assert!(warned, "{:?}", exit.lines);
    assert!(server.calls().is_empty());
}

#[test]
fn other_arns_and_sentences_pass_untouched() {
    let server = FaultServer::start();
    let untouched = [
        ("ROLE_ARN", "arn:aws:iam::123456789012:role/app"),
        ("KEY_ARN", "arn:aws:kms:eu-west-1:123456789012:key/x"),
        ("TOPIC", "arn:aws:sns:eu-west-1:123456789012:topic"),
        (
            "TEXT",
            "see arn:aws:ssm:eu-west-1:123456789012:parameter/x for more",
        ),
        ("URL", "file:///etc/hosts"),
    ];
    let mut setup = with_server(&app(""), &server);
    for (key, value) in untouched {
        setup = setup.env(key, value);
    }
    let run = setup.start();
    let env = env_of(&run, "app");
    for (key, value) in untouched {
        assert_eq!(env[key], value);
    }
    assert!(env["ROLE"].is_null());
    let exit = stop(&run);
    assert!(!exit.lines.iter().any(|line| line["event"] == "secrets"));
    assert_eq!(server.connections(), 0);
}

#[test]
fn excluded_variables_are_left_alone() {
    let server = FaultServer::start();
    server.secret(&secret("a"), "value");
    for (exclude, resolved) in [("PARTNER_ARN", true), ("*", false)] {
        let config = app("") + &format!("[secrets]\nexclude = [{exclude:?}]\n");
        let run = with_server(&config, &server)
            .env("PARTNER_ARN", &secret("partner"))
            .env("A", &secret("a"))
            .start();
        let env = env_of(&run, "app");
        assert_eq!(env["PARTNER_ARN"], secret("partner").as_str());
        assert!(env["PARTNER"].is_null());
        let a = if resolved { "value".to_owned() } else { secret("a") };
        assert_eq!(env["A"], a.as_str(), "{exclude}");
        stop(&run);
    }
}

#[test]
fn inherited_is_less_than_secrets_and_these_less_than_env() {
    let server = FaultServer::start();
    server
        .secret(&secret("a"), "of AWS")
        .secret(&secret("b"), "of AWS");
    let config = app("env = { A = \"of env\", BOTH = \"${B}/${A}\" }\n")
        + &format!("[secrets.INHERITED]\nfrom = {:?}\n", secret("b"));
    let run = with_server(&config, &server)
        .env("A", &secret("a"))
        .env("B", &secret("b"))
        .env("INHERITED", "inherited")
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["A"], "of env");
    assert_eq!(env["B"], "of AWS");
    assert_eq!(env["BOTH"], "of AWS/of AWS");
    assert_eq!(env["INHERITED"], "of AWS");
    stop(&run);
}

#[test]
fn a_reference_may_stand_in_the_env_of_one_process() {
    let server = FaultServer::start();
    server.parameter(&parameter("/tool"), "for the tool");
    let tool = process(
        "tool",
        "env wait TERM",
        &format!("env = {{ TOKEN = {:?} }}\n", parameter("/tool")),
    );
    let run = with_server(&(app("") + &tool), &server).start();
    assert_eq!(env_of(&run, "tool")["TOKEN"], "for the tool");
    assert!(env_of(&run, "app")["TOKEN"].is_null());
    stop(&run);
}

#[test]
fn a_secret_in_a_command_is_refused() {
    let server = FaultServer::start();
    server.secret(&secret("a"), "never-to-be-seen");
    let config = "[process.app]\ncommand = [\"echo\", \"--password=${A}\"]\n";
    let run = with_server(config, &server).env("A", &secret("a")).start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    let said = exit.lines.iter().any(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("process.app.command") && message.contains('A')
    });
    assert!(said, "{:?}", exit.lines);
    super::assert_unsaid(&exit, &["never-to-be-seen"]);
    assert!(server.calls().is_empty(), "refused before anything is fetched");
}

#[test]
fn a_reference_that_cannot_be_right_is_refused() {
    let server = FaultServer::start();
    let run = with_server(&app(""), &server)
        .env("BAD", &format!("{}:password", secret("db")))
        .start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    let line = exit.lines.iter().find(|line| {
        let message = line["message"].as_str().unwrap_or_default();
        message.contains("BAD") && message.contains("password::")
    });
    assert!(line.is_some(), "{:?}", exit.lines);
    super::assert_unsaid(&exit, &["123456789012"]);
}

#[test]
fn a_hundred_variables_take_the_fewest_calls() {
    let server = FaultServer::start();
    let mut setup = with_server(&app(""), &server);
    for index in 0..60 {
        // Every fourth is one that was there already.
        let arn = secret(&format!("s{}", index - index % 4 / 3));
        server.secret(&arn, &format!("value of {arn}"));
        setup = setup.env(&format!("S{index}"), &arn);
    }
    for index in 0..40 {
        let region = if index < 20 { "eu-west-1" } else { "us-east-1" };
        let arn = parameter(&format!("/p{index}")).replace("eu-west-1", region);
        server.parameter(&arn, &format!("value of {arn}"));
        setup = setup.env(&format!("P{index}"), &arn);
    }
    let run = setup.start();
    let env = env_of(&run, "app");
    for index in 0..60 {
        let arn = secret(&format!("s{}", index - index % 4 / 3));
        assert_eq!(env[format!("S{index}")], format!("value of {arn}"));
    }
    for index in 0..40 {
        let region = if index < 20 { "eu-west-1" } else { "us-east-1" };
        let arn = parameter(&format!("/p{index}")).replace("eu-west-1", region);
        assert_eq!(env[format!("P{index}")], format!("value of {arn}"));
    }
    // 45 secrets; 20 parameters in each region.
    assert_eq!(server.calls().len(), 3 + 2 + 2, "{:#?}", server.calls());
    stop(&run);
}

#[test]
fn what_stands_beside_a_named_secret_is_there_only_if_it_can_be() {
    let server = FaultServer::start();
    server.binary_secret(&secret("store"), "/wD+");
    server.secret(&secret("db"), r#"{"password": "hunter2"}"#);
    let config = app("")
        + "[secrets.KEYS]\nfrom = \"${STORE_ARN}\"\nas = \"base64\"\n\
                            [secrets.PASSWORD]\nfrom = \"${DB_ARN}\"\nas = \"json-key:password\"\n\
                            [secrets.CACHE]\nfrom = \"${CACHE_SECRET_ARN}\"\ndefault = \"none\"\n";
    let run = with_server(&config, &server)
        .env("STORE_ARN", &secret("store"))
        .env("DB_ARN", &secret("db"))
        .env("CACHE_SECRET_ARN", &secret("nowhere"))
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["KEYS"], "/wD+");
    assert_eq!(env["PASSWORD"], "hunter2");
    assert_eq!(env["DB"], r#"{"password": "hunter2"}"#);
    assert_eq!(env["CACHE"], "none");
    assert_eq!(
        (&env["STORE"], &env["CACHE_SECRET"]),
        (&Value::Null, &Value::Null)
    );
    let exit = stop(&run);
    let absent: Vec<_> = exit
        .lines
        .iter()
        .filter(|line| line["event"] == "secret_absent")
        .collect();
    assert_eq!(absent.len(), 1, "{absent:?}");
    assert_eq!(absent[0]["variable"], "CACHE");
}

#[test]
fn an_endpoint_that_is_set_to_nothing_is_none() {
    let server = FaultServer::start();
    server.parameter(&parameter("/key"), "value");
    let run = with_server(&app(""), &server)
        .env("KEY", &parameter("/key"))
        .env("AWS_ENDPOINT_URL_SSM", "")
        .start();
    assert_eq!(env_of(&run, "app")["KEY"], "value");
    stop(&run);
}

#[test]
fn an_endpoint_that_is_no_url_is_refused_at_once() {
    let run = Setup::new(&app(""))
        .env("KEY", &parameter("/key"))
        .env("AWS_ENDPOINT_URL", "user:password@127.0.0.1:4566")
        .start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    assert!(run.started.elapsed() < Duration::from_secs(5));
    let line = exit
        .lines
        .iter()
        .find(|line| line["event"] == "secret_error")
        .expect("a report");
    assert_eq!(line["reason"], "bad_endpoint");
    assert!(
        line["message"]
            .as_str()
            .is_some_and(|text| text.contains("AWS_ENDPOINT_URL is no URL"))
    );
    assert_unsaid(&exit, &["password"]);
}

#[test]
fn a_reference_with_quotes_around_it_is_left_alone_and_named() {
    let quoted = format!("\"{}\"", secret("db"));
    let run = Setup::new(&app("")).env("DB", &quoted).start();
    assert_eq!(env_of(&run, "app")["DB"], quoted);
    let exit = stop(&run);
    let warning = exit
        .lines
        .iter()
        .find(|line| line["event"] == "config_warning")
        .expect("a warning");
    assert!(
        warning["message"]
            .as_str()
            .is_some_and(|text| text.starts_with("DB is not resolved: "))
    );
}
