//! What stands for a secret: an ARN or a `file:`. Pure, no I/O.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use crate::detail::redact_arn;

mod parse;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

/// The stage of a secret's current version, which is also what no stage means.
const CURRENT: &str = "AWSCURRENT";

/// A reference to a secret, by the grammar that ECS has for `valueFrom`.
///
/// `Display` and `Debug` show it with the account number shortened (`****9012`); [`Reference::text`] is
/// the whole.
///
/// ```
/// use runmate_secrets::Reference;
///
/// let text = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf:password::";
/// let reference: Reference = text.parse()?;
/// assert_eq!(reference.json_key(), Some("password"));
/// assert_eq!(
///     reference.to_string(),
///     "arn:aws:secretsmanager:eu-west-1:****9012:secret:db-AbCdEf:password::"
/// );
/// # Ok::<(), runmate_secrets::ReferenceError>(())
/// ```
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Reference {
    /// `arn:PARTITION:secretsmanager:REGION:ACCOUNT:secret:ID[:json-key:version-stage:version-id]`
    SecretsManager(SecretsManagerRef),
    /// `arn:PARTITION:ssm:REGION:ACCOUNT:parameter/NAME[:version or :label]`
    Parameter(ParameterRef),
    /// `file:PATH[#json-key]`
    File(FileRef),
}

/// A reference to a Secrets Manager secret.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretsManagerRef {
    /// The ARN without the parts behind ID. Its ID may lack the six-character suffix.
    pub arn: String,
    /// The ARN's region.
    pub region: String,
    /// The key of a JSON value.
    pub json_key: Option<String>,
    /// A staging label such as `AWSPREVIOUS`.
    pub version_stage: Option<String>,
    /// The id of a version.
    pub version_id: Option<String>,
}

/// A reference to a Parameter Store parameter.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ParameterRef {
    /// The ARN without the selector.
    pub arn: String,
    /// The ARN's region.
    pub region: String,
    /// A version number or a label, without the colon.
    pub selector: Option<String>,
}

/// A reference to a file, for development.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileRef {
    /// Where it is; relative paths are relative to the working directory.
    pub path: PathBuf,
    /// The key of a JSON value.
    pub json_key: Option<String>,
}

/// Why a text that begins like a reference is none. Never holds more of it than its redacted form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ReferenceError {
    /// What is wrong and what to write, such as "…; write arn:…:secret:ID:json-key::".
    pub message: String,
}

impl Reference {
    /// Reads a reference. `Ok(None)`: it is something else and to be left alone, such as a role's ARN, a
    /// list of ARNs, a pattern, a sentence with an ARN in it; the whole text must match.
    ///
    /// `file:` begins a reference to a file, but not where it is used for something else: nothing with a
    /// `?` in it (SQLite: `file:app.db?mode=ro`), no URL (`file:///srv/x`), no `file::memory:`, no
    /// directory (it ends in `/`, as Spring's search paths do), no list, nothing with white space.
    ///
    /// # Errors
    /// If it is meant as a reference and cannot be one, such as a Secrets Manager ARN with a json-key but
    /// without the two colons behind it.
    pub fn parse(text: &str) -> Result<Option<Reference>, ReferenceError> {
        parse::parse(text)
    }

    /// The reference as it was written, up to empty parts.
    pub fn text(&self) -> String {
        self.write(ToOwned::to_owned)
    }

    /// What has to be fetched for it: the same without the json-key. Two references that differ only in how
    /// they say "the current version" have the same.
    #[must_use]
    pub fn without_json_key(&self) -> Reference {
        let mut whole = self.clone();
        match &mut whole {
            Reference::SecretsManager(secret) => {
                secret.json_key = None;
                // The default of GetSecretValue, when neither stage nor id is given:
                // https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
                if secret.version_id.is_none() && secret.version_stage.as_deref() == Some(CURRENT) {
                    secret.version_stage = None;
                }
            }
            Reference::Parameter(_) => {}
            Reference::File(file) => file.json_key = None,
        }
        whole
    }

    /// The region it names; files have none.
    pub fn region(&self) -> Option<&str> {
        match self {
            Reference::SecretsManager(secret) => Some(&secret.region),
            Reference::Parameter(parameter) => Some(&parameter.region),
            Reference::File(_) => None,
        }
    }

    /// The key to take out of a JSON value.
    pub fn json_key(&self) -> Option<&str> {
        match self {
            Reference::SecretsManager(secret) => secret.json_key.as_deref(),
            Reference::Parameter(_) => None,
            Reference::File(file) => file.json_key.as_deref(),
        }
    }

    fn write(&self, arn: impl Fn(&str) -> String) -> String {
        match self {
            Reference::SecretsManager(secret) => secret.write(arn),
            Reference::Parameter(parameter) => parameter.write(arn),
            Reference::File(file) => match &file.json_key {
                Some(key) => format!("file:{}#{key}", file.path.display()),
                None => format!("file:{}", file.path.display()),
            },
        }
    }
}

impl SecretsManagerRef {
    fn write(&self, arn: impl Fn(&str) -> String) -> String {
        let mut text = arn(&self.arn);
        let parts = [&self.json_key, &self.version_stage, &self.version_id];
        if parts.iter().any(|part| part.is_some()) {
            for part in parts {
                text.push(':');
                text.push_str(part.as_deref().unwrap_or_default());
            }
        }
        text
    }
}

impl ParameterRef {
    fn write(&self, arn: impl Fn(&str) -> String) -> String {
        let mut text = arn(&self.arn);
        if let Some(selector) = &self.selector {
            text.push(':');
            text.push_str(selector);
        }
        text
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;

    /// Reads a text that has to be a reference.
    fn from_str(text: &str) -> Result<Reference, ReferenceError> {
        // The text is not shown: what is no reference may be the secret itself.
        Reference::parse(text)?.ok_or_else(|| ReferenceError {
            message: "it is no reference to a secret; write the whole ARN of a Secrets Manager secret \
                      (arn:…:secret:ID) or of a parameter (arn:…:parameter/NAME), or file:PATH"
                .to_owned(),
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.write(redact_arn))
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl fmt::Debug for SecretsManagerRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretsManagerRef({})", self.write(redact_arn))
    }
}

impl fmt::Debug for ParameterRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ParameterRef({})", self.write(redact_arn))
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReferenceError {}
