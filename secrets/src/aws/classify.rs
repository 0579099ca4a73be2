//! What an error of the services means. Pure: from code, message and status to a kind.
//!
//! Codes: <https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html>, the error lists of
//! BatchGetSecretValue, GetSecretValue and GetParameters, and what the services were seen to say.

use crate::FailureKind;

/// What an error means for the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub kind: FailureKind,
    /// Whether the same call may succeed later.
    pub transient: bool,
}

/// Judges an answer that is an error. `action` is the IAM action of the call.
pub(super) fn classify(action: &'static str, code: Option<&str>, message: &str, status: u16) -> Verdict {
    let lower = message.to_ascii_lowercase();
    let verdict = |kind| Verdict {
        kind,
        transient: false,
    };
    let passing = |kind| Verdict {
        kind,
        transient: true,
    };
    let Some(code) = code.filter(|code| !code.is_empty()) else {
        // No error of AWS's: a proxy, a load balancer, an answer that was cut off.
        return match status {
            429 => passing(FailureKind::Throttled),
            500.. => passing(FailureKind::Unavailable),
            _ => verdict(FailureKind::Unavailable),
        };
    };
    match code {
        "ThrottlingException"
        | "Throttling"
        | "ThrottledException"
        | "TooManyRequestsException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "KMSThrottlingException"
        | "SlowDown" => passing(FailureKind::Throttled),

        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "SignatureDoesNotMatch"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidToken"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "AuthFailure"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException" => verdict(FailureKind::CredentialsRefused),

        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "UnauthorizedOperation"
            if is_about_kms(&lower) =>
        {
            verdict(FailureKind::KmsDenied)
        }
        "AccessDeniedException" | "AccessDenied" | "NotAuthorized" | "UnauthorizedOperation" => {
            verdict(FailureKind::Denied { action })
        }
        "DecryptionFailure" | "EncryptionFailure" | "InvalidKeyId" => verdict(FailureKind::KmsDenied),
        code if code.starts_with("KMS") => verdict(FailureKind::KmsDenied),

        // "… can't find the specified secret value for staging label: AWSPREVIOUS"
        "ResourceNotFoundException" if lower.contains("staging label") || lower.contains("version") => {
            verdict(FailureKind::VersionNotFound)
        }
        "ResourceNotFoundException" | "ParameterNotFound" => verdict(FailureKind::NotFound),
        "ParameterVersionNotFound" => verdict(FailureKind::VersionNotFound),

        // "… because it was marked for deletion", "… because it was deleted"
        "InvalidRequestException" if lower.contains("delet") => verdict(FailureKind::ScheduledForDeletion),
        // "You provided a VersionStage that is not associated to the provided VersionId"
        "InvalidRequestException" if lower.contains("versionstage") || lower.contains("version stage") => {
            verdict(FailureKind::VersionNotFound)
        }
        "InvalidRequestException"
        | "InvalidParameterException"
        | "ValidationException"
        | "ValidationError"
        | "InvalidParameterValue"
        | "ParameterPatternMismatchException" => verdict(FailureKind::BadReference(sentence(code, message))),

        _ if status == 429 => passing(FailureKind::Throttled),
        _ if status >= 500 => passing(FailureKind::Unavailable),
        "InternalServiceError"
        | "InternalServiceErrorException"
        | "InternalServerError"
        | "InternalFailure"
        | "InternalError"
        | "ServiceUnavailable"
        | "ServiceUnavailableException"
        | "RequestTimeout"
        | "RequestTimeoutException" => passing(FailureKind::Unavailable),
        _ => verdict(FailureKind::Unavailable),
    }
}

/// Whether a refusal (in lower case) is about the key and not about the value. Names of users and secrets may
/// hold any word, so the action decides where there is one.
fn is_about_kms(lower: &str) -> bool {
    match lower.split_once("not authorized to perform: ") {
        Some((_, action)) => action.starts_with("kms:"),
        // "Access to KMS is not allowed"; "The ciphertext refers to a customer master key that does not exist …"
        None => ["kms", "ciphertext", "decrypt", "master key"]
            .iter()
            .any(|word| lower.contains(word)),
    }
}

/// What a service said, with its code for those who search for it.
pub(super) fn sentence(code: &str, message: &str) -> String {
    let text = match (code, message) {
        ("", message) => message.to_owned(),
        (code, "") => code.to_owned(),
        (code, message) => format!("{code}: {message}"),
    };
    crate::detail::clean_detail(&text)
}

/// Whether an ARN's id ends in what looks like the six characters that Secrets Manager adds, and rather is the
/// last word of a name: `xyz-secret`. Secrets Manager takes such an ARN for a complete one and finds nothing.
///
/// The six are random letters and digits. Without a mix of cases they rather are a word or a number; one real
/// suffix in thirteen has none either, and gets a hint too many.
pub(super) fn may_lack_its_suffix(arn: &str) -> bool {
    let Some((_, last)) = arn.rsplit_once('-') else {
        return false;
    };
    let none = |kind: fn(&u8) -> bool| !last.bytes().any(|byte| kind(&byte));
    last.len() == 6
        && last.bytes().all(|byte| byte.is_ascii_alphanumeric())
        && (none(u8::is_ascii_uppercase) || none(u8::is_ascii_lowercase))
}

#[cfg(test)]
mod tests;
