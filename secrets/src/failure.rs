//! Why a secret could not be resolved: what, where, what is probably the matter, what would help.

use std::fmt;

use crate::Reference;

#[cfg(test)]
mod tests;

/// Whom to give a permission: people take ECS's execution role for it, which is not the container's.
const ROLE: &str = "the role that the container has (ECS: the task role, not the execution role; App Runner: \
                    the instance role)";

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
    /// A variable names an endpoint that cannot be; the sentence says which.
    BadEndpoint(String),
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

    /// What went wrong alone, without the reference and the remedy.
    pub fn describe(&self) -> String {
        let noun = self.noun();
        match &self.kind {
            FailureKind::Denied { action } => format!("not allowed to call {action}"),
            FailureKind::KmsDenied => {
                format!("the {noun} may be read, but its value cannot be decrypted: kms:Decrypt was refused")
            }
            FailureKind::CredentialsRefused => "the credentials were refused".to_owned(),
            FailureKind::NoCredentials => "there are no AWS credentials".to_owned(),
            FailureKind::NotFound => format!("there is no such {noun}"),
            FailureKind::NotFoundSuffix => {
                "there is no such secret: the hyphen and six characters at the end of its ID were read as the \
                 suffix that Secrets Manager adds to a name"
                    .to_owned()
            }
            FailureKind::VersionNotFound => self.describe_version(),
            FailureKind::ScheduledForDeletion => "the secret is scheduled for deletion".to_owned(),
            FailureKind::NoSuchKey { key } => format!("its JSON has no key {key:?}"),
            FailureKind::Null { key } => format!("the key {key:?} of its JSON is null"),
            FailureKind::BadValue(what)
            | FailureKind::BadReference(what)
            | FailureKind::BadEndpoint(what) => halves(what).0.to_owned(),
            FailureKind::Throttled => {
                "there were too many requests, and no more time to try again".to_owned()
            }
            FailureKind::TimedOut => "there was no answer in time".to_owned(),
            FailureKind::Unavailable => "the service cannot be reached, or failed".to_owned(),
            FailureKind::NoTrustRoots => {
                "no certificate authorities are installed, so no TLS server can be trusted".to_owned()
            }
        }
    }

    /// The likely cause and what would help, as one or two clauses.
    pub fn remedy(&self) -> String {
        let noun = self.noun();
        match &self.kind {
            FailureKind::Denied { .. } => match self.reference {
                // What an account must do for another one differs:
                // https://docs.aws.amazon.com/secretsmanager/latest/userguide/auth-and-access_examples_cross.html
                // https://docs.aws.amazon.com/systems-manager/latest/userguide/parameter-store-shared-parameters.html
                Reference::Parameter(_) => format!(
                    "allow that action on this parameter for {ROLE}; a parameter of another account has to \
                     be shared with this one"
                ),
                _ => format!(
                    "allow that action on this {noun} for {ROLE}; a secret of another account needs a \
                     resource policy as well"
                ),
            },
            FailureKind::KmsDenied => format!(
                "allow kms:Decrypt on the {noun}'s KMS key for {ROLE}, in the role's policy and in the key's, \
                 and see that the key is enabled"
            ),
            FailureKind::CredentialsRefused => {
                "they may have expired, lack their session token or be of another partition, or this \
                 machine's clock may be wrong"
                    .to_owned()
            }
            FailureKind::NoCredentials => {
                "give the container a role (ECS: taskRoleArn; App Runner: the instance role; Kubernetes: the \
                 service account's), or set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
                    .to_owned()
            }
            FailureKind::NotFound => self.remedy_not_found(),
            FailureKind::NotFoundSuffix => {
                "write the ARN in full, with its own suffix behind that (aws secretsmanager describe-secret \
                 --secret-id NAME shows it)"
                    .to_owned()
            }
            FailureKind::VersionNotFound => self.remedy_version(),
            FailureKind::ScheduledForDeletion => {
                "restore it (aws secretsmanager restore-secret --secret-id NAME), or refer to another one"
                    .to_owned()
            }
            FailureKind::NoSuchKey { .. } => {
                format!("correct the key, in which case counts, or add it to the {noun}")
            }
            FailureKind::Null { .. } => format!("give it a value in the {noun}"),
            FailureKind::BadValue(what)
            | FailureKind::BadReference(what)
            | FailureKind::BadEndpoint(what) => halves(what).1.to_owned(),
            FailureKind::Throttled => {
                "start fewer containers at a time, allow more time, or have the account's request quota raised"
                    .to_owned()
            }
            FailureKind::TimedOut => format!(
                "is there a way to the service: {}, with a security group that lets port 443 through?",
                self.route()
            ),
            FailureKind::Unavailable => format!(
                "is the region right, and is there a way to the service: DNS, and {}?",
                self.route()
            ),
            FailureKind::NoTrustRoots => {
                "install the package ca-certificates, or COPY --from another image \
                 /etc/ssl/certs/ca-certificates.crt to that path, or name such a file in SSL_CERT_FILE"
                    .to_owned()
            }
        }
    }

    fn noun(&self) -> &'static str {
        match self.reference {
            Reference::SecretsManager(_) => "secret",
            Reference::Parameter(_) => "parameter",
            Reference::File(_) => "file",
        }
    }

    fn remedy_not_found(&self) -> String {
        match &self.reference {
            Reference::SecretsManager(_) => {
                "check the name, and that it was not deleted; it is looked for in the region and the account \
                 of the ARN"
            }
            Reference::Parameter(_) => {
                "check the name, in which case counts, and that it was not deleted; it is looked for in the \
                 region and the account of the ARN"
            }
            Reference::File(file) if file.path.is_relative() => {
                "create it, or correct the path, which is relative to the working directory"
            }
            Reference::File(_) => "create it, or correct the path",
        }
        .to_owned()
    }

    fn describe_version(&self) -> String {
        match &self.reference {
            Reference::SecretsManager(secret) => match (&secret.version_stage, &secret.version_id) {
                (None, None) => "the secret has no current value".to_owned(),
                (Some(stage), None) => format!("the secret has no version with the stage {stage:?}"),
                (None, Some(id)) => format!("the secret has no version {id:?}"),
                (Some(stage), Some(id)) => {
                    format!("the secret has no version {id:?} with the stage {stage:?}")
                }
            },
            Reference::Parameter(parameter) => match &parameter.selector {
                Some(selector) => format!("the parameter has no version or label {selector:?}"),
                None => "the parameter has no such version".to_owned(),
            },
            Reference::File(_) => "the file has no versions".to_owned(),
        }
    }

    fn remedy_version(&self) -> String {
        match &self.reference {
            Reference::SecretsManager(secret)
                if secret.version_stage.is_none() && secret.version_id.is_none() =>
            {
                "give it one (aws secretsmanager put-secret-value --secret-id NAME)"
            }
            Reference::SecretsManager(_) => {
                "leave stage and id empty for the current version, or write one that exists (aws \
                 secretsmanager list-secret-version-ids --secret-id NAME)"
            }
            Reference::Parameter(_) => {
                "leave the selector out for the latest version, or write one that exists (aws ssm \
                 get-parameter-history --name NAME); old versions go when there are more than a hundred"
            }
            Reference::File(_) => "name the file alone",
        }
        .to_owned()
    }

    /// How a network without a public address gets to the service.
    fn route(&self) -> String {
        let service = match self.reference {
            Reference::Parameter(_) => "ssm",
            _ => "secretsmanager",
        };
        format!("a VPC endpoint for {service}, a NAT gateway or a public address")
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

/// What is wrong, and what would help: a sentence of its own has both, with a semicolon between them.
fn halves(sentence: &str) -> (&str, &str) {
    let generic = "correct the value, or the reference to it";
    sentence.rsplit_once("; ").unwrap_or((sentence, generic))
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
            FailureKind::BadEndpoint(_) => "bad_endpoint",
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
        let reference = self.reference.to_string();
        // Whoever asks for one reference without a name calls it by itself.
        if self.name != reference {
            write!(f, "{}: ", self.name)?;
        }
        write!(f, "cannot read {} {reference}", self.noun())?;
        if let Some(region) = self.reference.region() {
            write!(f, " in {region}")?;
        }
        let what = self.describe();
        write!(f, ": {what}; {}", self.remedy())?;
        match &self.detail {
            // Of a bad reference the service's words are all there is to say.
            Some(detail) if !detail.contains(&what) => write!(f, " ({detail})"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Failure {}
