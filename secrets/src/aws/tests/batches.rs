//! How many calls are made, and what is done if the cheap ones are refused.

use super::*;

fn echo(call: &Call) -> Reply {
    match call {
        Call::Batch { ids, .. } => echo_batch(ids),
        Call::Secret { id, .. } => Reply::Secret(Secret::new(id.as_str())),
        Call::Parameters { names, .. } => parameters_reply(names.iter().rev().map(|name| of_name(name)), &[]),
    }
}

#[tokio::test]
async fn everything_takes_as_few_calls_as_planned_and_keeps_its_order() {
    let api = fake(|_, call| Ok(echo(call)));
    let mut references = many(45);
    references.extend((0..25).map(|number| parameter(&format!("app/p{number}"))));
    references.reverse();
    let answers = run(&api, &references).await;
    assert_own(&references, &answers);
    assert_eq!(
        (
            api.count("BatchGetSecretValue"),
            api.count(":GetSecretValue"),
            api.count("GetParameters")
        ),
        (3, 0, 3)
    );
}

#[tokio::test]
async fn the_same_value_is_fetched_once() {
    let api = fake(|_, call| Ok(echo(call)));
    let arn = secret_arn("db-AbCdEf");
    let texts = [
        arn.clone(),
        format!("{arn}::AWSCURRENT:"),
        format!("{arn}:key::"),
        arn.clone(),
    ];
    let references = texts.map(|text| Reference::parse(&text).unwrap().unwrap());
    let answers = run(&api, &references).await;
    assert_eq!(shown(&answers), [Ok(arn.as_str()); 4]);
    assert_eq!(api.calls().len(), 1);
}

#[tokio::test]
async fn each_region_is_asked_for_its_own() {
    let api = fake(|_, call| Ok(echo(call)));
    let east = secret_arn("a-AbCdEf").replace(WEST, "us-east-1");
    let references = [secret("a-AbCdEf"), Reference::parse(&east).unwrap().unwrap()];
    assert_own(&references, &run(&api, &references).await);
    let mut regions: Vec<_> = api
        .calls
        .lock()
        .unwrap()
        .iter()
        .map(|(region, _)| region.clone())
        .collect();
    regions.sort();
    assert_eq!(regions, [WEST, "us-east-1"]);
}

#[tokio::test]
async fn a_denied_batch_is_tried_once_and_never_again() {
    let api = fake(|_, call| match call {
        Call::Batch { .. } => Err(denied(call)),
        call => Ok(echo(call)),
    });
    let (gates, references) = (Gates::default(), many(45));
    for singles in [45, 90] {
        assert_own(&references, &run_with(&api, &gates, &references).await);
        assert_eq!(
            (api.count("BatchGetSecretValue"), api.count(":GetSecretValue")),
            (1, singles)
        );
    }
}

#[tokio::test]
async fn with_both_actions_denied_the_one_that_matters_is_named() {
    let api = fake(|_, call| Err(denied(call)));
    let answers = run(&api, &many(2)).await;
    let action = "secretsmanager:GetSecretValue";
    assert_eq!(shown(&answers), [Err(&FailureKind::Denied { action }); 2]);
}

#[tokio::test]
async fn a_batch_that_one_id_spoils_is_split_and_not_given_up() {
    let bad = secret_arn("s01-AbCdEf");
    let api = fake(|_, call| match call {
        Call::Batch { ids, .. } if ids.contains(&bad) => {
            Err(error(FailureKind::BadReference("no".into()), false))
        }
        Call::Secret { id, .. } if *id == bad => Err(error(FailureKind::NotFound, false)),
        call => Ok(echo(call)),
    });
    let (gates, references) = (Gates::default(), many(3));
    let answers = run_with(&api, &gates, &references).await;
    assert_eq!(shown(&answers)[1], Err(&FailureKind::NotFound));
    assert!(answers[0].is_ok() && answers[2].is_ok());
    run_with(&api, &gates, &references[2..]).await;
    run_with(&api, &gates, &[references[0].clone(), references[2].clone()]).await;
    assert_eq!(
        api.count("BatchGetSecretValue"),
        2,
        "the action itself is allowed"
    );
}

#[tokio::test]
async fn what_concerns_all_is_not_asked_for_one_by_one() {
    let api = fake(|_, _| Err(error(FailureKind::CredentialsRefused, false)));
    let mut references = many(5);
    references.extend([parameter("a"), parameter("b")]);
    let answers = run(&api, &references).await;
    assert_eq!(shown(&answers), [Err(&FailureKind::CredentialsRefused); 7]);
    assert_eq!(api.calls().len(), 2);
}

#[tokio::test]
async fn all_pages_of_a_batch_are_read() {
    let api = fake(|_, call| match call {
        Call::Batch { ids, page } => {
            let at: usize = page.as_deref().map_or(0, |page| page.parse().unwrap());
            Ok(Reply::Batch(BatchReply {
                values: vec![entry(&ids[at], &ids[at])],
                next: (at + 1 < ids.len()).then(|| (at + 1).to_string()),
                ..BatchReply::default()
            }))
        }
        _ => panic!("no other call"),
    });
    let references = many(3);
    assert_own(&references, &run(&api, &references).await);
    assert_eq!(api.calls().len(), 3);
}

#[tokio::test]
async fn pages_without_end_end() {
    let api = fake(|_, call| match call {
        Call::Batch { .. } => Ok(Reply::Batch(BatchReply {
            next: Some("again".into()),
            ..BatchReply::default()
        })),
        call => Ok(echo(call)),
    });
    let references = many(2);
    assert_own(&references, &run(&api, &references).await);
    assert_eq!(api.count("BatchGetSecretValue"), 20);
}

#[tokio::test]
async fn failures_within_a_batch_are_each_ones_own() {
    let told = |id: &String, code: &str, message: &str| ErrorEntry {
        id: id.clone(),
        code: code.into(),
        message: message.into(),
    };
    let api = fake(|_, call| match call {
        Call::Batch { ids, .. } => Ok(Reply::Batch(BatchReply {
            values: vec![entry(&ids[4], "kept")],
            errors: vec![
                told(&ids[3], "InternalServiceError", ""),
                told(&ids[2], "DecryptionFailure", "cannot decrypt"),
                told(
                    &ids[1],
                    "AccessDeniedException",
                    "is not authorized to perform: secretsmanager:GetSecretValue on",
                ),
                told(
                    &ids[0],
                    "ResourceNotFoundException",
                    "Secrets Manager can't find the specified secret.",
                ),
            ],
            next: None,
        })),
        call => Ok(echo(call)),
    });
    let references = [
        secret("xyz-secret"),
        secret("b-AbCdEf"),
        secret("c-AbCdEf"),
        secret("d-AbCdEf"),
        secret("e-AbCdEf"),
        secret("f-AbCdEf"),
    ];
    let answers = run(&api, &references).await;
    let action = "secretsmanager:GetSecretValue";
    let (d, f) = (references[3].text(), references[5].text());
    assert_eq!(
        shown(&answers),
        [
            Err(&FailureKind::NotFoundSuffix),
            Err(&FailureKind::Denied { action }),
            Err(&FailureKind::KmsDenied),
            Ok(d.as_str()),
            Ok("kept"),
            Ok(f.as_str()),
        ]
    );
    assert_eq!(
        answers[2].as_ref().unwrap_err().detail.as_deref(),
        Some("DecryptionFailure: cannot decrypt")
    );
    assert_eq!(
        api.count(":GetSecretValue"),
        2,
        "the passing one and the one that was left out"
    );
}

#[tokio::test]
async fn denied_parameters_are_split_off() {
    let bad = parameter_arn("b");
    let api = fake(|_, call| match call {
        Call::Parameters { names, .. } if names.contains(&bad) => Err(denied(call)),
        call => Ok(echo(call)),
    });
    let references = [parameter("a"), parameter("b"), parameter("c")];
    let answers = run(&api, &references).await;
    let action = "ssm:GetParameters";
    assert_eq!(
        shown(&answers),
        [
            Ok(parameter_arn("a").as_str()),
            Err(&FailureKind::Denied { action }),
            Ok(parameter_arn("c").as_str()),
        ]
    );
    assert_eq!(api.calls().len(), 4);
}
