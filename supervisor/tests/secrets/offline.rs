//! Without AWS.

use serde_json::json;

use super::support::Setup;
use super::{app, env_of, parameter, secret, stop};

#[test]
fn a_secrets_file_answers_the_same_environment() {
    let setup = Setup::new(&app(""));
    let path = setup.dir().join("secrets.json");
    let content = json!({
        (secret("db")): r#"{"password": "hunter2"}"#,
        (parameter("/app/key")): "key",
    });
    std::fs::write(&path, content.to_string()).expect("write");
    let run = setup
        .env("RUNMATE_SECRETS_FILE", &path.display().to_string())
        .env("PASSWORD", &format!("{}:password::", secret("db")))
        .env("KEY", &parameter("/app/key"))
        // Nobody is asked.
        .env("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
        .start();
    let env = env_of(&run, "app");
    assert_eq!(
        (&env["PASSWORD"], &env["KEY"]),
        (&json!("hunter2"), &json!("key"))
    );
    stop(&run);
}

#[test]
fn a_reference_that_the_file_lacks_is_refused() {
    let setup = Setup::new(&app(""));
    std::fs::write(setup.dir().join("secrets.json"), "{}").expect("write");
    let run = setup
        .env("RUNMATE_SECRETS_FILE", "secrets.json")
        .env("KEY", &parameter("/app/key"))
        .start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    let line = exit.lines.iter().find(|line| line["variable"] == "KEY");
    let message = line.expect("a line")["message"].to_string();
    assert!(message.contains("secrets.json"), "{message}");
}

#[test]
fn file_references_are_for_development() {
    let setup = Setup::new(&app(""));
    std::fs::write(setup.dir().join("db.json"), r#"{"password": "hunter2"}"#).expect("write");
    std::fs::write(setup.dir().join("plain"), "plain text").expect("write");
    let run = setup
        .env("PASSWORD", "file:db.json#password")
        .env("PLAIN", "file:plain")
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["PASSWORD"], "hunter2");
    assert_eq!(env["PLAIN"], "plain text");
    stop(&run);
}

#[test]
fn without_a_reference_there_is_no_helper() {
    let run = Setup::new(&app("")).env("PLAIN", "plain").start();
    env_of(&run, "app");
    let exit = stop(&run);
    assert!(!exit.lines.iter().any(|line| line["event"] == "secrets"));
}
