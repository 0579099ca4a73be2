//! Why a secret could not be resolved: what, where, what is probably the matter, what would help.

use std::fmt;

use crate::Reference;

/// Why one reference could not be resolved.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What the reference was asked for as: a variable, or whatever the caller named it.
    pub name: String,
    /// The reference; shows itself with a shortened account number.
    pub reference: Reference,
    /// What went wrong.
    pub kind: FailureKind,
    /// The service's own words, where there are any: account numbers shortened, control characters
    /// removed, at most 300 characters.
    pub detail: Option<String>,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FailureKind {
    /// No permission for this action (`secretsmanager:GetSecretValue`).
    Denied {
        /// The IAM action that is needed.
        action: &'static str,
    },
    /// The value may be read but not decrypted: `kms:Decrypt` is missing, or the key is disabled.
    KmsDenied,
    /// The credentials are there and are refused: expired, of another account, a clock that is wrong.
    CredentialsRefused,
    /// There are no credentials: no task role, no variables, no profile.
    NoCredentials,
    /// There is no such secret, parameter or file.
    NotFound,
    /// There is none of that name without its last six characters: an ARN's ID that ends in a hyphen and
    /// six characters is read as a complete one.
    NotFoundSuffix,
    /// It is there, but not the version, stage or label.
    VersionNotFound,
    /// The secret is scheduled for deletion.
    ScheduledForDeletion,
    /// The JSON value has no such key.
    NoSuchKey {
        /// The key.
        key: String,
    },
    /// The JSON value of the key is null.
    Null {
        /// The key.
        key: String,
    },
    /// The value is not what the reference or its form need; the sentence says what, without any of it.
    BadValue(String),
    /// The reference cannot be right, so says the service; the sentence says what.
    BadReference(String),
    /// The service kept refusing because of too many requests, until the deadline.
    Throttled,
    /// Nobody answered in time.
    TimedOut,
    /// The service cannot be reached, or failed: refused, no such host, TLS, 5xx.
    Unavailable,
    /// No certificate authorities are installed, so that no TLS server can be verified.
    NoTrustRoots,
}

/// The classes that exit codes are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Something that may pass: the service is away.
    Unavailable,
    /// A permission is missing.
    Denied,
    /// Somebody has to change the configuration or the secret.
    Config,
}

impl Failure {
    /// The class of its kind.
    pub fn class(&self) -> Class {
        self.kind.class()
    }

    /// The likely cause and what would help, as one or two clauses.
    pub fn remedy(&self) -> String {
        String::new()
    }

    /// The IAM action that is needed to read this reference.
    pub fn action(&self) -> Option<&'static str> {
        match (&self.kind, &self.reference) {
            (FailureKind::Denied { action }, _) => Some(action),
            (FailureKind::KmsDenied, _) => Some("kms:Decrypt"),
            (_, Reference::SecretsManager(_)) => Some("secretsmanager:GetSecretValue"),
            (_, Reference::Parameter(_)) => Some("ssm:GetParameters"),
            (_, Reference::File(_)) => None,
        }
    }
}

impl FailureKind {
    /// What to call it in fields and JSON: `denied`, `not_found`, ….
    pub fn name(&self) -> &'static str {
        match self {
            FailureKind::Denied { .. } => "denied",
            FailureKind::KmsDenied => "kms_denied",
            FailureKind::CredentialsRefused => "credentials_refused",
            FailureKind::NoCredentials => "no_credentials",
            FailureKind::NotFound => "not_found",
            FailureKind::NotFoundSuffix => "not_found_suffix",
            FailureKind::VersionNotFound => "version_not_found",
            FailureKind::ScheduledForDeletion => "scheduled_for_deletion",
            FailureKind::NoSuchKey { .. } => "no_such_key",
            FailureKind::Null { .. } => "null",
            FailureKind::BadValue(_) => "bad_value",
            FailureKind::BadReference(_) => "bad_reference",
            FailureKind::Throttled => "throttled",
            FailureKind::TimedOut => "timed_out",
            FailureKind::Unavailable => "unavailable",
            FailureKind::NoTrustRoots => "no_trust_roots",
        }
    }

    /// Who has to act.
    pub fn class(&self) -> Class {
        match self {
            FailureKind::Denied { .. }
            | FailureKind::KmsDenied
            | FailureKind::CredentialsRefused
            | FailureKind::NoCredentials => Class::Denied,
            FailureKind::Throttled | FailureKind::TimedOut | FailureKind::Unavailable => Class::Unavailable,
            _ => Class::Config,
        }
    }
}

impl fmt::Display for Failure {
    /// What, which, why, and the remedy: one line.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.name, self.reference)
    }
}

impl std::error::Error for Failure {}
