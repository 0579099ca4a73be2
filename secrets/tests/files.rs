//! Values without AWS: `file:` references, and a file that has them all.

mod support;

use serde_json::json;
use support::fault::FaultServer;
use support::{REGION, Resolve, parameter_arn, secret_arn};

#[test]
fn file_references_need_no_aws() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("db.json");
    std::fs::write(&path, r#"{"password": "hunter2"}"#).expect("written");
    let path = path.display();
    let resolved = Resolve::new()
        .get("KEY", &format!("file:{path}#password"))
        .get("WHOLE", &format!("file:{path}"))
        .get("NO_KEY", &format!("file:{path}#none"))
        .run();
    assert_eq!(resolved.value("KEY"), "hunter2");
    assert_eq!(resolved.value("WHOLE"), r#"{"password": "hunter2"}"#);
    assert_eq!(resolved.kind("NO_KEY"), "no_such_key");
}

#[test]
fn a_secrets_file_stands_in_for_aws() {
    let server = FaultServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let (secret, parameter) = (secret_arn(REGION, "app/db"), parameter_arn(REGION, "/app/key"));
    let path = dir.path().join("secrets.json");
    let content = json!({ (secret.as_str()): r#"{"password": "hunter2"}"#, (parameter.as_str()): "key" });
    std::fs::write(&path, content.to_string()).expect("written");
    let resolved = Resolve::with(&server)
        .env("RUNMATE_SECRETS_FILE", &path.display().to_string())
        .get("PASSWORD", &format!("{secret}:password::"))
        .get("KEY", &parameter)
        .get("NONE", &parameter_arn(REGION, "/none"))
        .run();
    assert_eq!(resolved.value("PASSWORD"), "hunter2");
    assert_eq!(resolved.value("KEY"), "key");
    assert_eq!(resolved.kind("NONE"), "not_found");
    assert_eq!(server.connections(), 0);
}
