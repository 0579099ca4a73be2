//! Against an AWS that is not ours: `moto[server]`.

mod support;

use support::moto::Moto;
use support::{REGION, Resolve};

const ABROAD: &str = "us-east-1";

fn resolve(moto: &Moto) -> Resolve {
    Resolve::new()
        .env("AWS_ENDPOINT_URL", moto.url())
        .env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
        .env("AWS_SECRET_ACCESS_KEY", "secret-key-of-nobody")
}

#[test]
fn secrets_and_parameters_of_two_regions() {
    let moto = Moto::start();
    let db = moto.secret(REGION, "app/db", r#"{"password": "hunter2"}"#);
    moto.next_value(REGION, &db, r#"{"password": "hunter3"}"#);
    let abroad = moto.secret(ABROAD, "app/abroad", "value abroad");
    let parameter = moto.parameter(REGION, "/app/key", "one");
    moto.parameter(REGION, "/app/key", "two");
    let flat = moto.parameter(ABROAD, "flat", "flat value");
    let resolved = resolve(&moto)
        .get("CURRENT", &format!("{db}:password::"))
        .get("PREVIOUS", &format!("{db}:password:AWSPREVIOUS:"))
        .get("ABROAD", &abroad)
        .get("NEWEST", &parameter)
        .get("FIRST", &format!("{parameter}:1"))
        .get("FLAT", &flat)
        .get("NONE", &format!("{}/none", parameter))
        .get(
            "NO_SECRET",
            "arn:aws:secretsmanager:eu-west-1:123456789012:secret:none",
        )
        .run();
    assert_eq!(resolved.value("CURRENT"), "hunter3");
    assert_eq!(resolved.value("PREVIOUS"), "hunter2");
    assert_eq!(resolved.value("ABROAD"), "value abroad");
    assert_eq!(resolved.value("NEWEST"), "two");
    assert_eq!(resolved.value("FIRST"), "one");
    assert_eq!(resolved.value("FLAT"), "flat value");
    assert_eq!(resolved.kind("NONE"), "not_found");
    assert_eq!(resolved.kind("NO_SECRET"), "not_found");
}

#[test]
fn more_than_fits_into_one_call() {
    let moto = Moto::start();
    let mut run = resolve(&moto);
    let mut wanted = Vec::new();
    for index in 0..25 {
        let secret = moto.secret(REGION, &format!("s{index}"), &format!("secret {index}"));
        let parameter = moto.parameter(REGION, &format!("/p/{index}"), &format!("parameter {index}"));
        run = run
            .get(&format!("S{index}"), &secret)
            .get(&format!("P{index}"), &parameter);
        wanted.push((format!("S{index}"), format!("secret {index}")));
        wanted.push((format!("P{index}"), format!("parameter {index}")));
    }
    let resolved = run.run();
    for (name, value) in wanted {
        assert_eq!(resolved.value(&name), value);
    }
}
