//! What stands for a secret: an ARN or a `file:`. Pure parsing, no I/O.

use std::fmt;
use std::path::PathBuf;

/// A reference to a secret, by the grammar that ECS has for `valueFrom`.
///
/// `Display` and `Debug` show it with the account number shortened ("****9012"); [`Reference::text`] is
/// the whole.
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
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
    /// Reads a reference. `Ok(None)`: it is something else (a role's ARN, a sentence with an ARN in it,
    /// any other text) and to be left alone.
    ///
    /// # Errors
    /// If it is meant as a reference and cannot be one, such as a Secrets Manager ARN with a json-key but
    /// without the two colons behind it.
    pub fn parse(text: &str) -> Result<Option<Reference>, ReferenceError> {
        let _ = text;
        Ok(None)
    }

    /// The reference as it was written, up to empty parts.
    pub fn text(&self) -> String {
        String::new()
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
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

impl fmt::Display for ReferenceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for ReferenceError {}
