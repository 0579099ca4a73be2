use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/db";

fn secret(arn: &str, region: &str, parts: [&str; 3]) -> Reference {
    let [json_key, version_stage, version_id] = parts.map(|p| (!p.is_empty()).then(|| p.to_owned()));
    Reference::SecretsManager(SecretsManagerRef {
        arn: arn.to_owned(),
        region: region.to_owned(),
        json_key,
        version_stage,
        version_id,
    })
}

fn parameter(arn: &str, region: &str, selector: Option<&str>) -> Reference {
    Reference::Parameter(ParameterRef {
        arn: arn.to_owned(),
        region: region.to_owned(),
        selector: selector.map(ToOwned::to_owned),
    })
}

fn file(path: &str, json_key: Option<&str>) -> Reference {
    Reference::File(FileRef {
        path: path.into(),
        json_key: json_key.map(ToOwned::to_owned),
    })
}

#[test]
fn references_of_every_shape_are_read() {
    let cn = "arn:aws-cn:secretsmanager:cn-north-1:111122223333:secret:app/db";
    let gov = "arn:aws-us-gov:ssm:us-gov-west-1:111122223333:parameter/db";
    let rds = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:rds!cluster-33da9eaa-17c0-AbCdEf";
    let odd = "arn:aws-iso-b:secretsmanager:us-isob-east-1:123456789012:secret:a/_+=.@-b";
    let eu = "eu-west-1";
    let cases = [
        (SECRET.to_owned(), secret(SECRET, eu, ["", "", ""])),
        (
            format!("{SECRET}:password::"),
            secret(SECRET, eu, ["password", "", ""]),
        ),
        (format!("{SECRET}:::"), secret(SECRET, eu, ["", "", ""])),
        (
            format!("{SECRET}::AWSPREVIOUS:"),
            secret(SECRET, eu, ["", "AWSPREVIOUS", ""]),
        ),
        (
            format!("{SECRET}:k:s:9d4cb84b-ad69-40c0-a0ab-cead36b967e8"),
            secret(SECRET, eu, ["k", "s", "9d4cb84b-ad69-40c0-a0ab-cead36b967e8"]),
        ),
        (
            format!("{SECRET}:my key, \"ä\"::"),
            secret(SECRET, eu, ["my key, \"ä\"", "", ""]),
        ),
        (cn.to_owned(), secret(cn, "cn-north-1", ["", "", ""])),
        (rds.to_owned(), secret(rds, eu, ["", "", ""])),
        (odd.to_owned(), secret(odd, "us-isob-east-1", ["", "", ""])),
        (PARAMETER.to_owned(), parameter(PARAMETER, eu, None)),
        (format!("{PARAMETER}:3"), parameter(PARAMETER, eu, Some("3"))),
        (
            format!("{PARAMETER}:blue_1.a-b"),
            parameter(PARAMETER, eu, Some("blue_1.a-b")),
        ),
        (gov.to_owned(), parameter(gov, "us-gov-west-1", None)),
        ("file:/run/secrets/db".to_owned(), file("/run/secrets/db", None)),
        ("file:./x".to_owned(), file("./x", None)),
        ("file:x#key".to_owned(), file("x", Some("key"))),
        ("file:x#a key#2".to_owned(), file("x", Some("a key#2"))),
    ];
    for (text, reference) in cases {
        assert_eq!(Reference::parse(&text), Ok(Some(reference)), "{text}");
    }
}

#[test]
fn everything_else_is_left_alone() {
    let cases = [
        "".to_owned(),
        "arn".to_owned(),
        "arn:".to_owned(),
        "arn:aws:secretsmanager".to_owned(),
        "arn:aws:iam::123456789012:role/app".to_owned(),
        "arn:aws:kms:eu-west-1:123456789012:key/0f3a".to_owned(),
        "arn:aws:sns:eu-west-1:123456789012:topic".to_owned(),
        "arn:aws:ssm:eu-west-1:123456789012:document/x".to_owned(),
        "arn:aws:ssm:eu-west-1:123456789012:parameter".to_owned(),
        "arn:aws:ssm:eu-west-1::parameter/aws/service/ecs/optimized-ami".to_owned(),
        "arn:aws:secretsmanager:eu-west-1:123456789012:rotation/x".to_owned(),
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret".to_owned(),
        "arn::secretsmanager:eu-west-1:123456789012:secret:db".to_owned(),
        "ARN:aws:secretsmanager:eu-west-1:123456789012:secret:db".to_owned(),
        "arn:aws:secretsmanager:*:123456789012:secret:db".to_owned(),
        "arn:aws:secretsmanager:eu-west-1:*:secret:db".to_owned(),
        format!("{SECRET}*"),
        format!("{SECRET}:key:*:"),
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-??????".to_owned(),
        format!("{PARAMETER}/*"),
        format!("{SECRET} "),
        format!(" {SECRET}"),
        format!("{SECRET}\n"),
        format!("{SECRET}:key::\n"),
        format!("{SECRET}:a\0b::"),
        format!("\"{SECRET}\""),
        format!("{SECRET}\""),
        format!("{SECRET},{SECRET}"),
        format!("{SECRET}:key::,{SECRET}"),
        format!("{SECRET} {PARAMETER}"),
        format!("{PARAMETER},{PARAMETER}"),
        format!("the password is in {SECRET}"),
        format!("{SECRET} has the password: ask: somebody: else"),
        format!("{SECRET}: ask somebody"),
        format!("{SECRET}é"),
        "file:///run/secrets/db".to_owned(),
        "file://host/x".to_owned(),
        "file://".to_owned(),
        "file:app.db?mode=memory".to_owned(),
        "file::memory:".to_owned(),
        "file:./config/".to_owned(),
        "file:./a,file:./b".to_owned(),
        "file:./a;file:./b".to_owned(),
        "file:*.json".to_owned(),
        "file: not found".to_owned(),
        "file:x y".to_owned(),
        "file:x#a\nb".to_owned(),
        "File:x".to_owned(),
        "postgres://app:pw@db.example.com/app".to_owned(),
    ];
    for text in cases {
        assert_eq!(Reference::parse(&text), Ok(None), "{text:?}");
        let error = text.parse::<Reference>().unwrap_err().to_string();
        assert!(error.contains("write the whole ARN"), "{error}");
        assert!(text.len() < 6 || !error.contains(&*text), "{error}");
    }
}

#[test]
fn a_wrong_number_of_parts_is_an_error_that_shows_what_to_write() {
    let rule = "there may be none or three, json-key:version-stage:version-id, each of which may be empty";
    let shown = SECRET.replace("123456789012", "****9012");
    let cases = [
        (":password", "is 1 part", Some(":password::")),
        (":password:", "are 2 parts", Some(":password::")),
        (":", "is 1 part", Some("")),
        ("::", "are 2 parts", Some("")),
        ("::AWSPREVIOUS", "are 2 parts", Some("::AWSPREVIOUS:")),
        (":a:b", "are 2 parts", Some(":a:b:")),
        (":a:b:c:", "are 4 parts", Some(":a:b:c")),
        ("::::", "are 4 parts", Some("")),
        (":a:b:c:d", "are 4 parts", None),
    ];
    for (parts, there, write) in cases {
        let error = Reference::parse(&format!("{SECRET}{parts}")).unwrap_err();
        let write = write.map_or(String::new(), |write| format!("; write {shown}{write}"));
        assert_eq!(
            error.to_string(),
            format!("{shown}{parts} cannot be read: behind the secret's ID there {there}; {rule}{write}")
        );
    }
}

#[test]
fn what_is_meant_as_a_reference_and_is_none_is_an_error_with_its_remedy() {
    let cases = [
        (SECRET.replace("db-AbCdEf", ""), "names no secret; write its ID"),
        (
            SECRET.replace("db-AbCdEf", ":key::"),
            "names no secret; write its ID",
        ),
        (
            SECRET.replace("eu-west-1", ""),
            "its region is empty; write the whole ARN",
        ),
        (
            SECRET.replace("123456789012", ""),
            "no number of 12 digits; write the whole",
        ),
        (
            SECRET.replace("123456789012", "12345678901"),
            ":****8901:secret:db-AbCdEf cannot be read: its account is no number",
        ),
        (
            SECRET.replace("123456789012", "ACCOUNT_ID"),
            "no number of 12 digits; write the whole",
        ),
        (
            PARAMETER.replace("app/db", ""),
            "names no parameter; write its name",
        ),
        (PARAMETER.replace("app/db", "/app/db"), "write one, not two"),
        (
            PARAMETER.replace("123456789012", ""),
            "no number of 12 digits; write the whole",
        ),
        (format!("{PARAMETER}:"), "one version number or one label"),
        (format!("{PARAMETER}:1:2"), "one version number or one label"),
        (format!("{PARAMETER}:a/b"), "one version number or one label"),
        ("file:".to_owned(), "write file:PATH"),
        ("file:#key".to_owned(), "write file:PATH"),
        ("file:x#".to_owned(), "write file:PATH#json-key"),
    ];
    for (text, part) in cases {
        let error = Reference::parse(&text).expect_err(&text).to_string();
        assert!(error.contains(part), "{text}: {error}");
        assert!(!error.contains("123456789012"), "{error}");
    }
}

#[test]
fn the_account_is_shown_in_part_only_and_all_else_as_it_is() {
    let text = format!("{SECRET}:123456789012:AWSCURRENT:");
    let reference: Reference = text.parse().unwrap();
    let shown = "arn:aws:secretsmanager:eu-west-1:****9012:secret:db-AbCdEf:123456789012:AWSCURRENT:";
    assert_eq!(reference.to_string(), shown);
    assert_eq!(format!("{reference:?}"), format!("Reference({shown})"));
    let Reference::SecretsManager(inner) = &reference else {
        panic!("{reference}")
    };
    assert_eq!(format!("{inner:?}"), format!("SecretsManagerRef({shown})"));
    assert_eq!(reference.text(), text);

    let reference: Reference = format!("{PARAMETER}:3").parse().unwrap();
    let Reference::Parameter(inner) = &reference else {
        panic!("{reference}")
    };
    let shown = "arn:aws:ssm:eu-west-1:****9012:parameter/app/db:3";
    assert_eq!(reference.to_string(), shown);
    assert_eq!(format!("{inner:?}"), format!("ParameterRef({shown})"));

    let reference: Reference = "file:/run/123456789012#k".parse().unwrap();
    assert_eq!(reference.to_string(), "file:/run/123456789012#k");
}

#[test]
fn what_is_fetched_has_no_json_key_and_one_name_for_the_current_version() {
    let cases = [
        (format!("{SECRET}:a::"), SECRET.to_owned()),
        (format!("{SECRET}:a:AWSCURRENT:"), SECRET.to_owned()),
        (
            format!("{SECRET}:a:AWSPREVIOUS:"),
            format!("{SECRET}::AWSPREVIOUS:"),
        ),
        (
            format!("{SECRET}:a:AWSCURRENT:v"),
            format!("{SECRET}::AWSCURRENT:v"),
        ),
        (format!("{SECRET}:a::v"), format!("{SECRET}:::v")),
        (
            format!("{PARAMETER}:AWSCURRENT"),
            format!("{PARAMETER}:AWSCURRENT"),
        ),
        ("file:x#a".to_owned(), "file:x".to_owned()),
    ];
    for (text, whole) in cases {
        let reference: Reference = text.parse().unwrap();
        assert_eq!(reference.without_json_key().text(), whole);
    }
}
