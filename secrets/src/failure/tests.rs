use super::*;

const SECRET: &str = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
const PARAMETER: &str = "arn:aws:ssm:eu-west-1:123456789012:parameter/app/db";

fn failure(reference: &str, kind: FailureKind) -> Failure {
    Failure {
        name: "DB_PASSWORD".to_owned(),
        reference: reference.parse().unwrap(),
        kind,
        detail: None,
    }
}

fn every_kind() -> Vec<(FailureKind, Class)> {
    let key = || "password".to_owned();
    vec![
        (
            FailureKind::Denied {
                action: "secretsmanager:GetSecretValue",
            },
            Class::Denied,
        ),
        (FailureKind::KmsDenied, Class::Denied),
        (FailureKind::CredentialsRefused, Class::Denied),
        (FailureKind::NoCredentials, Class::Denied),
        (FailureKind::NotFound, Class::Config),
        (FailureKind::NotFoundSuffix, Class::Config),
        (FailureKind::VersionNotFound, Class::Config),
        (FailureKind::ScheduledForDeletion, Class::Config),
        (FailureKind::NoSuchKey { key: key() }, Class::Config),
        (FailureKind::Null { key: key() }, Class::Config),
        (
            FailureKind::BadValue("it is no JSON; write text".to_owned()),
            Class::Config,
        ),
        (
            FailureKind::BadReference("it is wrong; write another".to_owned()),
            Class::Config,
        ),
        (FailureKind::Throttled, Class::Unavailable),
        (FailureKind::TimedOut, Class::Unavailable),
        (FailureKind::Unavailable, Class::Unavailable),
        (FailureKind::NoTrustRoots, Class::Config),
    ]
}

#[test]
fn one_line_says_what_which_where_why_and_what_to_do() {
    let mut denied = failure(
        SECRET,
        FailureKind::Denied {
            action: "secretsmanager:GetSecretValue",
        },
    );
    denied.detail = Some("User: app is not authorized".to_owned());
    assert_eq!(
        denied.to_string(),
        "DB_PASSWORD: cannot read secret arn:aws:secretsmanager:eu-west-1:****9012:secret:db-AbCdEf in \
         eu-west-1: not allowed to call secretsmanager:GetSecretValue; allow that action on this secret for \
         the role that the container has (ECS: the task role, not the execution role; App Runner: the \
         instance role); a secret of another account needs a resource policy as well (User: app is not \
         authorized)"
    );
    assert_eq!(
        failure("file:x", FailureKind::NotFound).to_string(),
        "DB_PASSWORD: cannot read file file:x: there is no such file; create it, or correct the path, which \
         is relative to the working directory"
    );
    assert_eq!(
        failure(
            PARAMETER,
            FailureKind::BadValue("it is no JSON; write text".to_owned())
        )
        .to_string(),
        "DB_PASSWORD: cannot read parameter arn:aws:ssm:eu-west-1:****9012:parameter/app/db in eu-west-1: it \
         is no JSON; write text"
    );
}

#[test]
fn a_failure_called_by_its_reference_is_not_named_twice() {
    let mut failure = failure("file:/x", FailureKind::NotFound);
    failure.name = failure.reference.to_string();
    assert!(
        failure.to_string().starts_with("cannot read file file:/x: there"),
        "{failure}"
    );
}

#[test]
fn every_kind_has_a_cause_a_remedy_and_a_class_on_one_line() {
    let mut names = std::collections::BTreeSet::new();
    for (kind, class) in every_kind() {
        assert_eq!(kind.class(), class, "{kind:?}");
        assert!(names.insert(kind.name()), "{kind:?}");
        for reference in [SECRET, PARAMETER, "file:/x"] {
            let failure = failure(reference, kind.clone());
            assert!(!failure.remedy().is_empty(), "{failure}");
            let line = failure.to_string();
            assert!(
                line.contains(&failure.describe()) && line.contains(&failure.remedy()),
                "{line}"
            );
            assert!(
                !line.contains('\n') && !line.contains("  ") && !line.contains("123456789012"),
                "{line}"
            );
        }
    }
}

#[test]
fn a_missing_version_is_named() {
    let cases = [
        (SECRET.to_owned(), "no current value", "put-secret-value"),
        (
            format!("{SECRET}::OLD:"),
            "no version with the stage \"OLD\"",
            "list-secret-version-ids",
        ),
        (
            format!("{SECRET}:::v1"),
            "no version \"v1\"",
            "list-secret-version-ids",
        ),
        (
            format!("{SECRET}::OLD:v1"),
            "no version \"v1\" with the stage \"OLD\"",
            "list-secret-version-ids",
        ),
        (
            format!("{PARAMETER}:7"),
            "no version or label \"7\"",
            "get-parameter-history",
        ),
    ];
    for (reference, what, remedy) in cases {
        let failure = failure(&reference, FailureKind::VersionNotFound);
        assert!(failure.describe().contains(what), "{failure}");
        assert!(failure.remedy().contains(remedy), "{failure}");
    }
}

#[test]
fn a_timeout_names_the_endpoint_of_the_service_that_was_asked() {
    for kind in [FailureKind::TimedOut, FailureKind::Unavailable] {
        assert!(
            failure(SECRET, kind.clone())
                .remedy()
                .contains("endpoint for secretsmanager,")
        );
        assert!(failure(PARAMETER, kind).remedy().contains("endpoint for ssm,"));
    }
}
