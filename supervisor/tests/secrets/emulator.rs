//! Against an AWS that is not ours: `moto[server]`.

use super::moto::Moto;
use super::support::Setup;
use super::{app, env_of, stop};

#[test]
fn values_come_from_an_emulator_of_aws() {
    let moto = Moto::start();
    let db = moto.secret("eu-west-1", "app/db", r#"{"password": "hunter2"}"#);
    let abroad = moto.secret("us-east-1", "app/abroad", "value abroad");
    let key = moto.parameter("eu-west-1", "/app/key", "one");
    moto.parameter("eu-west-1", "/app/key", "two");
    let run = Setup::new(&app(""))
        .env("AWS_ENDPOINT_URL", moto.url())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret-key-of-nobody")
        .env("PASSWORD", &format!("{db}:password::"))
        .env("ABROAD_ARN", &abroad)
        .env("KEY", &key)
        .env("OLD_KEY", &format!("{key}:1"))
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["PASSWORD"], "hunter2");
    assert_eq!(env["ABROAD"], "value abroad");
    assert_eq!(env["KEY"], "two");
    assert_eq!(env["OLD_KEY"], "one");
    stop(&run);
}
