use super::{apply, bad};

const AURORA: &str = r#"{"dbClusterIdentifier":"demo-cluster","password":"p@ss:w/o%r#d ?","dbname":"demo",
    "engine":"postgres","port":5432,"host":"demo.cluster-abc.eu-west-1.rds.amazonaws.example.com",
    "username":"postgres"}"#;

#[test]
fn what_rds_writes_becomes_a_url() {
    let parts = "postgres:p%40ss%3Aw%2Fo%25r%23d%20%3F@demo.cluster-abc.eu-west-1.rds.amazonaws.example.com";
    assert_eq!(
        apply("database-url", AURORA, None),
        Ok(format!("postgresql://{parts}:5432/demo"))
    );
    assert_eq!(
        apply("database-url:postgresql+asyncpg", AURORA, None),
        Ok(format!("postgresql+asyncpg://{parts}:5432/demo"))
    );
}

#[test]
fn engines_have_the_scheme_that_drivers_take() {
    let json = |engine: &str| format!(r#"{{"engine":"{engine}","username":"u","password":"p","host":"h"}}"#);
    for engine in ["postgres", "postgresql", "aurora-postgresql", "aurora-postgres"] {
        assert_eq!(
            apply("database-url", json(engine), None),
            Ok("postgresql://u:p@h".to_owned())
        );
    }
    for engine in ["mysql", "mariadb", "aurora", "aurora-mysql"] {
        assert_eq!(
            apply("database-url", json(engine), None),
            Ok("mysql://u:p@h".to_owned())
        );
    }
    for engine in ["oracle-hunter2", "Postgres"] {
        let what = bad("database-url", json(engine), None);
        assert!(
            what.contains("as = \"database-url:SCHEME\"") && !what.contains("hunter"),
            "{what}"
        );
        assert_eq!(
            apply("database-url:x", json(engine), None),
            Ok("x://u:p@h".to_owned())
        );
    }
    for json in [
        json(""),
        json("x").replace("\"x\"", "null"),
        json("x").replace("engine", "motor"),
    ] {
        let what = bad("database-url", json, None);
        assert!(
            what.contains("no \"engine\"") && what.contains("database-url:SCHEME"),
            "{what}"
        );
    }
}

#[test]
fn hosts_are_names_or_addresses_and_nothing_else() {
    let json = |host: &str| format!(r#"{{"username":"u","password":"p","host":"{host}","port":1}}"#);
    let cases = [
        ("db.example.com", "db.example.com"),
        ("db_1", "db_1"),
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8::1", "[2001:db8::1]"),
        ("[2001:db8::1]", "[2001:db8::1]"),
        ("::ffff:192.0.2.1", "[::ffff:192.0.2.1]"),
    ];
    for (host, written) in cases {
        assert_eq!(
            apply("database-url:x", json(host), None),
            Ok(format!("x://u:p@{written}:1"))
        );
    }
    let long = "a".repeat(254);
    let wrong = [
        "db:5432",
        "x@y",
        "a/b",
        "a b",
        "a,b",
        "[db]",
        "[::1",
        "::1]",
        "[]",
        "fe80::1%eth0",
        "é",
        "a?b",
        "a#b",
        "%41",
        "/var/run/postgresql",
        "a\\nb",
        long.as_str(),
    ];
    for host in wrong {
        assert!(
            bad("database-url:x", json(host), None).contains("the host alone"),
            "{host}"
        );
    }
}

#[test]
fn ports_are_numbers_or_strings_of_numbers_and_may_be_missing() {
    let json = |port: &str| format!(r#"{{"username":"u","password":"p","host":"h","port":{port}}}"#);
    for (port, written) in [
        ("3306", ":3306"),
        ("\"3306\"", ":3306"),
        ("65535", ":65535"),
        ("null", ""),
        ("\"\"", ""),
    ] {
        assert_eq!(
            apply("database-url:x", json(port), None),
            Ok(format!("x://u:p@h{written}"))
        );
    }
    for port in ["0", "65536", "-1", "5432.0", "1e3", "\"5432 \"", "\"x/y\""] {
        assert!(
            bad("database-url:x", json(port), None).contains("from 1 to 65535"),
            "{port}"
        );
    }
    assert!(bad("database-url:x", json("[1]"), None).contains("neither a string nor a number"));
}

#[test]
fn every_part_is_encoded_and_empty_ones_are_missing() {
    let json = r#"{"username":"a/ü:","password":12345,"host":"h","dbname":"my db/x?"}"#;
    assert_eq!(
        apply("database-url:x", json, None),
        Ok("x://a%2F%C3%BC%3A:12345@h/my%20db%2Fx%3F".to_owned())
    );
    let json = r#"{"username":"-._~","password":"!$&'()*+,;=\"<>\\^`{|}[]","host":"h","dbname":""}"#;
    assert_eq!(
        apply("database-url:x", json, None),
        Ok("x://-._~:%21%24%26%27%28%29%2A%2B%2C%3B%3D%22%3C%3E%5C%5E%60%7B%7C%7D%5B%5D@h".to_owned())
    );
}

#[test]
fn a_missing_part_is_named_with_its_remedy() {
    let whole = r#"{"engine":"mysql","username":"u","password":"p","host":"h"}"#;
    for key in ["username", "password", "host"] {
        for json in [
            whole.replace(key, "x"),
            whole.replace(&format!("\"{key}\":\""), &format!("\"{key}\":\"\",\"x\":\"")),
        ] {
            let what = bad("database-url", json, None);
            assert!(what.contains(&format!("has no \"{key}\"; ")), "{what}");
        }
    }
    let managed = r#"{"username":"u","password":"p"}"#;
    assert!(bad("database-url:mysql", managed, None).contains("RDS manages itself"));
}

#[test]
fn json_within_json_is_read_and_no_json_is_said() {
    let url = "mysql://u:p@h".to_owned();
    let inner = r#"{"engine":"mysql","username":"u","password":"p","host":"h"}"#;
    let object = format!(r#"{{"db": {inner}}}"#);
    let string = format!(r#"{{"db": {:?}}}"#, inner);
    assert_eq!(apply("database-url", object, Some("db")), Ok(url.clone()));
    assert_eq!(apply("database-url", string, Some("db")), Ok(url));
    let what = bad("database-url", "mysql://u:hunter2@h", None);
    assert!(what.contains("URL already") && !what.contains("hunter"), "{what}");
}
