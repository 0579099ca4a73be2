//! What becomes of a value on its way into a variable: `as = …`.

use crate::{FailureKind, Secret};

/// How a variable holds its secret.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Form {
    /// `text`: the value as it is; it must be UTF-8 without NUL.
    #[default]
    Text,
    /// `json-key:NAME`: that key of a JSON object.
    JsonKey(String),
    /// `base64`: the value's bytes, base64-encoded; for binary secrets.
    Base64,
    /// `file`: the value's bytes stay as they are; whoever hands them over writes the file.
    File,
    /// `database-url` or `database-url:SCHEME`: the JSON that RDS writes, as a URL.
    DatabaseUrl {
        /// In place of what the engine says, such as `mysql2`.
        scheme: Option<String>,
    },
}

impl Form {
    /// Reads what stands behind `as`.
    ///
    /// # Errors
    /// A sentence that names what can be written.
    pub fn parse(text: &str) -> Result<Form, String> {
        let _ = text;
        Ok(Form::Text)
    }

    /// Turns the whole value into what the variable (or file) holds: first the reference's own json-key, then
    /// this form.
    ///
    /// # Errors
    /// What is wrong with the value, without any of it.
    pub fn apply(&self, value: &Secret, json_key: Option<&str>) -> Result<Secret, FailureKind> {
        let _ = json_key;
        Ok(value.clone())
    }
}

impl std::fmt::Display for Form {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("text")
    }
}
