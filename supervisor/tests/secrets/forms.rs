//! `[secrets.NAME]`: by name, in another form, or not at all.

use super::fault::{Fault, FaultServer, Wrong};
use super::{app, env_of, secret, stop, with_server};

/// A section for a secret.
fn named(name: &str, from: &str, more: &str) -> String {
    format!("[secrets.{name}]\nfrom = {from:?}\n{more}\n")
}

#[test]
fn each_form_makes_of_the_value_what_it_says() {
    let server = FaultServer::start();
    server.secret(
        &secret("json"),
        r#"{"password": "hunter2", "port": 5432.10, "more": {"a": [1]}}"#,
    );
    server.binary_secret(&secret("keystore"), "/wD+");
    let config = app("")
        + &named("AS_TEXT", &secret("json"), "as = \"text\"")
        + &named("AS_KEY", &secret("json"), "as = \"json-key:password\"")
        + &named("AS_NUMBER", &secret("json"), "as = \"json-key:port\"")
        + &named("AS_OBJECT", &secret("json"), "as = \"json-key:more\"")
        + &named("AS_BASE64", &secret("keystore"), "as = \"base64\"");
    let run = with_server(&config, &server).start();
    let env = env_of(&run, "app");
    assert!(env["AS_TEXT"].as_str().expect("text").contains("hunter2"));
    assert_eq!(env["AS_KEY"], "hunter2");
    assert_eq!(env["AS_NUMBER"], "5432.10", "the number's own text");
    assert_eq!(env["AS_OBJECT"], r#"{"a":[1]}"#);
    assert_eq!(env["AS_BASE64"], "/wD+");
    stop(&run);
}

#[test]
fn from_takes_the_variable_that_the_platform_sets() {
    let server = FaultServer::start();
    server.secret(
        &secret("demo"),
        r#"{"engine": "aurora-mysql", "username": "u", "password": "p@ss:w/rd%#x y", "host": "::1", "port": 3306, "dbname": "d"}"#,
    );
    let config = app("") + &named("DATABASE_URL", "${DEMO_DB_SECRET_ARN}", "as = \"database-url\"");
    let run = with_server(&config, &server)
        .env("DEMO_DB_SECRET_ARN", &secret("demo"))
        .start();
    let env = env_of(&run, "app");
    assert_eq!(
        env["DATABASE_URL"],
        "mysql://u:p%40ss%3Aw%2Frd%25%23x%20y@[::1]:3306/d"
    );
    assert!(env["DEMO_DB_SECRET"].is_string(), "added as well");
    assert_eq!(server.calls().len(), 1, "one secret, one call");
    stop(&run);
}

#[test]
fn optional_secrets_may_be_absent_and_have_defaults() {
    let server = FaultServer::start();
    server
        .secret(&secret("denied"), "value")
        .wrong(&secret("denied"), Wrong::Denied);
    let config = app("")
        + &named("GONE", &secret("none"), "optional = true")
        + &named("DENIED", &secret("denied"), "default = \"instead\"")
        + &named("NOWHERE", "${UNSET:-}", "default = \"redis://127.0.0.1\"");
    let run = with_server(&config, &server).env("GONE", "inherited").start();
    let env = env_of(&run, "app");
    assert!(env["GONE"].is_null(), "not even the inherited one: {env}");
    assert_eq!(env["DENIED"], "instead");
    assert_eq!(env["NOWHERE"], "redis://127.0.0.1");
    let exit = stop(&run);
    for name in ["GONE", "DENIED"] {
        let mut lines = exit.lines.iter();
        let line = lines.find(|line| line["variable"] == name).expect("a warning");
        assert_eq!(line["level"], "WARN", "{line}");
    }
}

#[test]
fn optional_does_not_mean_a_wait_without_end() {
    let server = FaultServer::start();
    server.fault("*", Fault::Hang, usize::MAX);
    let config =
        app("") + "[secrets]\ntimeout = \"2s\"\n" + &named("SLOW", &secret("slow"), "default = \"instead\"");
    let run = with_server(&config, &server).start();
    assert_eq!(env_of(&run, "app")["SLOW"], "instead");
    assert!(run.started.elapsed().as_secs() < 5);
    stop(&run);
}
