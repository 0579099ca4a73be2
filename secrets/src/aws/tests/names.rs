//! Who gets which answer.

use super::*;

fn reference(text: &str) -> Reference {
    Reference::parse(text).unwrap().unwrap()
}

#[tokio::test]
async fn a_partial_arn_gets_the_value_of_the_completed_one() {
    let api = fake(|_, call| match call {
        Call::Batch { .. } => Ok(Reply::Batch(BatchReply {
            values: vec![
                entry(&secret_arn("db-more-GhIjKl"), "more"),
                entry(&secret_arn("db-AbCdEf"), "db"),
                entry(&secret_arn("other-MnOpQr"), "other"),
            ],
            ..BatchReply::default()
        })),
        _ => panic!("no other call"),
    });
    let references = [
        secret("other-MnOpQr"),
        secret("db"),
        secret("db-AbCdEf"),
        secret("db-more"),
    ];
    let answers = run(&api, &references).await;
    assert_eq!(shown(&answers), [Ok("other"), Ok("db"), Ok("db"), Ok("more")]);
}

#[tokio::test]
async fn a_name_is_enough_where_there_is_no_arn() {
    let api = fake(|_, call| match call {
        Call::Batch { .. } => Ok(Reply::Batch(BatchReply {
            values: vec![SecretEntry {
                arn: String::new(),
                name: "db".into(),
                value: Secret::new("db"),
            }],
            errors: vec![ErrorEntry {
                id: "gone".into(),
                code: "ResourceNotFoundException".into(),
                message: String::new(),
            }],
            next: None,
        })),
        _ => panic!("no other call"),
    });
    let answers = run(&api, &[secret("gone"), secret("db")]).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::NotFound), Ok("db")]);
}

#[tokio::test]
async fn nobody_gets_the_value_of_somebody_else() {
    let api = fake(|_, call| match call {
        Call::Batch { .. } => Ok(Reply::Batch(BatchReply {
            values: vec![
                entry(&secret_arn("a-AbCdEf-GhIjKl"), "wrong"),
                entry(&secret_arn("b-x-AbCdEf"), "wrong"),
                entry(
                    &secret_arn("c-AbCdEf").replace("123456789012", "111122223333"),
                    "wrong",
                ),
                entry(
                    &secret_arn("d-AbCdEf").replace("123456789012", "111122223333"),
                    "wrong",
                ),
            ],
            ..BatchReply::default()
        })),
        _ => Err(error(FailureKind::NotFound, false)),
    });
    let references = [secret("a"), secret("b"), secret("c-AbCdEf"), secret("d")];
    let answers = run(&api, &references).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::NotFound); 4]);
}

#[tokio::test]
async fn versions_are_asked_for_by_stage_and_id() {
    let api = fake(|_, call| match call {
        Call::Secret { stage, version, .. } => {
            let text = format!(
                "{} {}",
                stage.as_deref().unwrap_or("-"),
                version.as_deref().unwrap_or("-")
            );
            Ok(Reply::Secret(Secret::new(text)))
        }
        _ => panic!("no batch"),
    });
    let arn = secret_arn("db-AbCdEf");
    let references = [
        reference(&format!("{arn}::AWSPREVIOUS:")),
        reference(&format!("{arn}:::v-2")),
    ];
    assert_eq!(
        shown(&run(&api, &references).await),
        [Ok("AWSPREVIOUS -"), Ok("- v-2")]
    );
}

/// An entry as the service writes it: the value is the version.
fn version(arn: &str, selector: Option<&str>, version: i64) -> ParameterEntry {
    ParameterEntry {
        selector: selector.map(Into::into),
        version,
        value: Secret::new(version.to_string()),
        ..of_name(arn)
    }
}

#[tokio::test]
async fn versions_and_labels_of_one_parameter_are_told_apart() {
    let arn = parameter_arn("app/key");
    let api = fake(|_, call| {
        let Call::Parameters { names, decrypt: true } = call else {
            panic!("another call: {call:?}")
        };
        assert_eq!(names[1], format!("{arn}:1"));
        Ok(parameters_reply(
            [
                version(&arn, Some(":blue"), 2),
                version(&arn, Some("1"), 1),
                version(&arn, None, 3),
            ],
            &[],
        ))
    });
    let references = [arn.clone(), format!("{arn}:1"), format!("{arn}:blue")].map(|text| reference(&text));
    assert_eq!(shown(&run(&api, &references).await), [Ok("3"), Ok("1"), Ok("2")]);
}

#[tokio::test]
async fn without_selectors_versions_tell_and_the_rest_is_asked_again() {
    let arn = parameter_arn("app/key");
    let api = fake(|_, call| {
        let Call::Parameters { names, .. } = call else {
            panic!("another call: {call:?}")
        };
        let answer = |name: &String| match name.strip_prefix(&arn).unwrap() {
            "" => version(&arn, None, 3),
            ":1" => version(&arn, None, 1),
            _ => version(&arn, None, 2),
        };
        Ok(parameters_reply(names.iter().map(answer), &[]))
    });
    let references = [arn.clone(), format!("{arn}:1"), format!("{arn}:blue")].map(|text| reference(&text));
    assert_eq!(shown(&run(&api, &references).await), [Ok("3"), Ok("1"), Ok("2")]);
    assert_eq!(api.calls().len(), 3);
}

#[tokio::test]
async fn another_version_than_the_one_asked_for_is_no_answer() {
    let arn = parameter_arn("app/key");
    let api = fake(|_, _| Ok(parameters_reply([version(&arn, None, 2)], &[])));
    let answers = run(&api, &[reference(&format!("{arn}:1"))]).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::Unavailable)]);
    let api = fake(|_, _| Ok(parameters_reply([version(&arn, Some(":green"), 2)], &[])));
    let answers = run(&api, &[reference(&format!("{arn}:blue"))]).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::Unavailable)]);
}

#[tokio::test]
async fn a_name_without_an_arn_is_enough() {
    let named = |name: &str| ParameterEntry {
        name: name.into(),
        value: Secret::new(name),
        ..of_name("")
    };
    let api = fake(|_, _| Ok(parameters_reply([named("/app/key"), named("top")], &["/gone"])));
    let references = [parameter("top"), parameter("gone"), parameter("app/key")];
    let answers = run(&api, &references).await;
    assert_eq!(
        shown(&answers),
        [Ok("top"), Err(&FailureKind::NotFound), Ok("/app/key")]
    );
}

#[tokio::test]
async fn a_version_that_is_missing_is_told_from_a_parameter_that_is() {
    let (there, gone) = (parameter_arn("there"), parameter_arn("gone"));
    let api = fake(|_, call| match call {
        Call::Parameters { names, decrypt: true } => {
            let invalid: Vec<_> = names.iter().map(String::as_str).collect();
            Ok(parameters_reply([], &invalid))
        }
        Call::Parameters {
            names,
            decrypt: false,
        } => {
            assert_eq!(names, &[parameter_arn("gone"), parameter_arn("there")]);
            Ok(parameters_reply([version(&there, None, 1)], &[&gone]))
        }
        _ => panic!("no secret"),
    });
    let references = [
        format!("{there}:8"),
        format!("{there}:9"),
        format!("{gone}:1"),
        parameter_arn("none"),
    ];
    let answers = run(&api, &references.map(|text| reference(&text))).await;
    let (version, not) = (Err(&FailureKind::VersionNotFound), Err(&FailureKind::NotFound));
    assert_eq!(shown(&answers), [version, version, not, not]);
    assert_eq!(api.calls().len(), 2);
}

#[tokio::test]
async fn a_parameter_of_another_account_that_is_missing_spoils_no_other() {
    let own = parameter_arn("app/key");
    let other = own.replace("123456789012", "111122223333");
    let api = fake(|_, _| {
        Ok(Reply::Parameters(ParametersReply {
            values: vec![version(&own, None, 1)],
            invalid: vec![other.clone()],
        }))
    });
    let answers = run(&api, &[reference(&other), reference(&own)]).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::NotFound), Ok("1")]);
}
