//! What becomes of a value on its way into a variable: `as = …`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use crate::{FailureKind, Secret};

mod database_url;
mod json;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

pub(crate) use json::{Object, scalar};

/// How a variable holds its secret.
///
/// ```
/// use runmate_secrets::{Form, Secret};
///
/// let form = Form::parse("json-key:password")?;
/// let value = Secret::new(r#"{"username": "app", "password": "correct horse"}"#);
/// let password = form.apply(&value, None).expect("the value has that key");
/// assert_eq!(password.expose_str(), Some("correct horse"));
/// # Ok::<(), String>(())
/// ```
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
        let (name, argument) = match text.split_once(':') {
            Some((name, argument)) => (name, Some(argument)),
            None => (text, None),
        };
        match (name, argument) {
            ("text", None) => Ok(Form::Text),
            ("base64", None) => Ok(Form::Base64),
            ("file", None) => Ok(Form::File),
            ("json-key", None | Some("")) => Err(
                "\"json-key\" needs the name of the key; write one such as \"json-key:password\"".to_owned(),
            ),
            ("json-key", Some(key)) => Ok(Form::JsonKey(key.to_owned())),
            ("database-url", None) => Ok(Form::DatabaseUrl { scheme: None }),
            ("database-url", Some(scheme)) if database_url::is_scheme(scheme) => Ok(Form::DatabaseUrl {
                scheme: Some(scheme.to_owned()),
            }),
            ("database-url", Some(scheme)) => Err(format!(
                "{scheme:?} is no scheme of a URL; write one such as \"database-url:postgresql+asyncpg\""
            )),
            _ => Err(format!(
                "{text:?} is no form of a secret; write text, json-key:NAME, base64, file, database-url or \
                 database-url:SCHEME"
            )),
        }
    }

    /// Turns the whole value into what the variable (or file) holds: first the reference's own json-key, then
    /// this form. So `json-key:NAME` behind a json-key, or `database-url`, reads JSON within JSON.
    ///
    /// What a JSON key holds becomes: a string its text; a number, `true`, `false` what is written there,
    /// digit for digit; an object or a list its JSON without white space; null is an error.
    ///
    /// # Errors
    /// What is wrong with the value, without any of it.
    pub fn apply(&self, value: &Secret, json_key: Option<&str>) -> Result<Secret, FailureKind> {
        match json_key {
            Some(key) => self.apply_whole(&json::pick(value.expose(), key)?),
            None => self.apply_whole(value),
        }
    }

    fn apply_whole(&self, value: &Secret) -> Result<Secret, FailureKind> {
        match self {
            Form::Text => variable(value.clone()),
            Form::JsonKey(key) => variable(json::pick(value.expose(), key)?),
            Form::Base64 => Ok(Secret::new(STANDARD.encode(value.expose()))),
            Form::File => Ok(value.clone()),
            Form::DatabaseUrl { scheme } => database_url::from_json(value.expose(), scheme.as_deref()),
        }
    }
}

impl fmt::Display for Form {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Form::Text => f.write_str("text"),
            Form::JsonKey(key) => write!(f, "json-key:{key}"),
            Form::Base64 => f.write_str("base64"),
            Form::File => f.write_str("file"),
            Form::DatabaseUrl { scheme: None } => f.write_str("database-url"),
            Form::DatabaseUrl { scheme: Some(scheme) } => write!(f, "database-url:{scheme}"),
        }
    }
}

/// Refuses what no variable of an environment can hold.
fn variable(value: Secret) -> Result<Secret, FailureKind> {
    let what = match value.expose_str() {
        None => "the value is binary (no UTF-8)",
        Some(text) if text.contains('\0') => "the value is binary (it has a NUL)",
        Some(_) => return Ok(value),
    };
    Err(FailureKind::BadValue(format!(
        "{what}, which no variable can hold; write as = \"base64\" or as = \"file\""
    )))
}

/// Text that is overwritten when it is dropped.
type Text = Zeroizing<String>;
