use super::*;

const GET: &str = "secretsmanager:GetSecretValue";

const DENIED: FailureKind = FailureKind::Denied { action: GET };

fn judge(code: &str, message: &str, status: u16) -> Verdict {
    classify(GET, Some(code), message, status)
}

/// What the services say, word for word, and what it means.
#[test]
fn answers_that_will_not_change() {
    use FailureKind::*;
    let table = [
        (
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/app/1 is not authorized to perform: \
             secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:db \
             because no identity-based policy allows the secretsmanager:GetSecretValue action",
            DENIED,
        ),
        (
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/kms-reader/decrypt is not authorized to perform: \
             secretsmanager:GetSecretValue on resource: arn:aws:secretsmanager:eu-west-1:123456789012:secret:kms",
            DENIED,
        ),
        ("AccessDeniedException", "Access to KMS is not allowed", KmsDenied),
        (
            "AccessDeniedException",
            "User: arn:aws:sts::123456789012:assumed-role/app/1 is not authorized to perform: kms:Decrypt on \
             the resource associated with this ciphertext because no resource-based policy allows the \
             kms:Decrypt action (Service: AWSKMS; Status Code: 400; Error Code: AccessDeniedException)",
            KmsDenied,
        ),
        (
            "AccessDeniedException",
            "The ciphertext refers to a customer master key that does not exist, does not exist in this \
             region, or you are not allowed to access.",
            KmsDenied,
        ),
        (
            "DecryptionFailure",
            "Secrets Manager can't decrypt the protected secret text using the provided KMS key.",
            KmsDenied,
        ),
        (
            "InvalidKeyId",
            "arn:aws:kms:eu-west-1:123456789012:key/1 is disabled.",
            KmsDenied,
        ),
        ("KMSInvalidStateException", "key is pending deletion", KmsDenied),
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret.",
            NotFound,
        ),
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for staging label: AWSPREVIOUS",
            VersionNotFound,
        ),
        (
            "ResourceNotFoundException",
            "Secrets Manager can't find the specified secret value for VersionId: \
             11111111-2222-3333-4444-555555555555",
            VersionNotFound,
        ),
        (
            "InvalidRequestException",
            "You provided a VersionStage that is not associated to the provided VersionId.",
            VersionNotFound,
        ),
        (
            "InvalidRequestException",
            "You can't perform this operation on the secret because it was marked for deletion.",
            ScheduledForDeletion,
        ),
        (
            "InvalidRequestException",
            "You tried to perform the operation on a secret that's currently marked deleted.",
            ScheduledForDeletion,
        ),
        (
            "InvalidParameterException",
            "Invalid VersionId.",
            BadReference("InvalidParameterException: Invalid VersionId.".into()),
        ),
        (
            "ValidationException",
            "",
            BadReference("ValidationException".into()),
        ),
        (
            "ExpiredTokenException",
            "The security token included in the request is expired",
            CredentialsRefused,
        ),
        (
            "UnrecognizedClientException",
            "The security token included in the request is invalid.",
            CredentialsRefused,
        ),
        (
            "InvalidSignatureException",
            "Signature expired: 20260101T000000Z is now earlier than 20260101T010000Z",
            CredentialsRefused,
        ),
        (
            "IncompleteSignature",
            "Authorization header requires 'Signature' parameter.",
            CredentialsRefused,
        ),
        ("UnknownOperationException", "", Unavailable),
    ];
    for (code, message, kind) in table {
        let expected = Verdict {
            kind,
            transient: false,
        };
        assert_eq!(judge(code, message, 400), expected, "{code}: {message}");
    }
}

#[test]
fn answers_that_may_pass() {
    let table = [
        (
            "ThrottlingException",
            "Rate exceeded",
            400,
            FailureKind::Throttled,
        ),
        ("TooManyRequestsException", "", 429, FailureKind::Throttled),
        ("RequestLimitExceeded", "", 503, FailureKind::Throttled),
        ("SomethingNewException", "", 429, FailureKind::Throttled),
        (
            "InternalServiceError",
            "An error occurred on the server side.",
            500,
            FailureKind::Unavailable,
        ),
        // As an entry of a batch, which has no status of its own.
        ("InternalServiceError", "", 400, FailureKind::Unavailable),
        ("ServiceUnavailable", "", 503, FailureKind::Unavailable),
        ("SomethingNewException", "", 500, FailureKind::Unavailable),
    ];
    for (code, message, status, kind) in table {
        let expected = Verdict {
            kind,
            transient: true,
        };
        assert_eq!(judge(code, message, status), expected, "{code} {status}");
    }
}

#[test]
fn answers_of_others_than_aws() {
    let judge = |code, status| {
        let verdict = classify(GET, code, "", status);
        (verdict.kind, verdict.transient)
    };
    assert_eq!(judge(None, 429), (FailureKind::Throttled, true));
    assert_eq!(judge(None, 502), (FailureKind::Unavailable, true));
    assert_eq!(judge(Some(""), 504), (FailureKind::Unavailable, true));
    assert_eq!(judge(None, 403), (FailureKind::Unavailable, false));
}

#[test]
fn what_is_denied_is_the_action_of_the_call() {
    let verdict = classify("ssm:GetParameters", Some("AccessDeniedException"), "no", 400);
    let action = "ssm:GetParameters";
    assert_eq!(verdict.kind, FailureKind::Denied { action });
}

#[test]
fn a_word_at_the_end_may_not_be_a_suffix() {
    let arn = |id: &str| format!("arn:aws:secretsmanager:eu-west-1:123456789012:secret:{id}");
    for id in [
        "xyz-secret",
        "db-passwd",
        "app-1a2b3c",
        "APP-SECRET",
        "app-202601",
    ] {
        assert!(may_lack_its_suffix(&arn(id)), "{id}");
    }
    for id in [
        "xyz-secret-AbCdEf",
        "db-a1B2c3",
        "secret",
        "db-word",
        "db-seventy",
        "db-se_ret",
        "ö-ÄÖÜ",
    ] {
        assert!(!may_lack_its_suffix(&arn(id)), "{id}");
    }
}
