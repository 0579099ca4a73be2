//! JSON as people keep it in secrets. Values stay the text that they are: a parsed number would come out
//! in another spelling (serde_json makes `1e+3` of `1e3` even with arbitrary precision).

use std::collections::BTreeMap;

use serde_json::error::Category;
use serde_json::value::RawValue;
use zeroize::Zeroizing;

use crate::{FailureKind, Secret};

use super::Text;

/// A JSON object whose values are not looked into. Of a doubled key the last one counts.
pub(crate) struct Object<'a>(BTreeMap<String, &'a RawValue>);

/// What a key may hold, apart from null.
pub(crate) enum Scalar {
    /// A string's text.
    String(Text),
    /// A number as it is written.
    Number(Text),
    /// `true` or `false`.
    Bool(Text),
    /// An object or a list, without white space.
    Compound(Text),
}

impl<'a> Object<'a> {
    /// Reads an object. A byte order mark is skipped: editors on Windows write one.
    ///
    /// # Errors
    /// What it is instead, as the end of a sentence that begins with "it is". The JSON parser's own words may
    /// quote the value.
    pub(crate) fn parse(value: &'a [u8]) -> Result<Object<'a>, String> {
        let text = std::str::from_utf8(value).map_err(|_| "binary, not JSON".to_owned())?;
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        serde_json::from_str(text).map(Object).map_err(|error| {
            let place = format!("line {}, column {}", error.line(), error.column());
            match error.classify() {
                Category::Data => "JSON, but no object".to_owned(),
                Category::Eof => format!("no complete JSON (it ends at {place})"),
                Category::Syntax | Category::Io => format!("no JSON (from {place} on)"),
            }
        })
    }

    /// The keys with the JSON texts behind them.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &'a str)> {
        self.0.iter().map(|(key, raw)| (key.as_str(), raw.get()))
    }

    /// What a key holds.
    ///
    /// # Errors
    /// There is no such key; it is null; its string is none (half of a surrogate pair).
    pub(crate) fn get(&self, key: &str) -> Result<Scalar, FailureKind> {
        match self.0.get(key) {
            Some(raw) => scalar(key, raw.get()),
            None => Err(FailureKind::NoSuchKey { key: key.to_owned() }),
        }
    }
}

impl Scalar {
    /// The text, whatever it is.
    pub(crate) fn into_text(self) -> Text {
        match self {
            Scalar::String(text) | Scalar::Number(text) | Scalar::Bool(text) | Scalar::Compound(text) => text,
        }
    }
}

/// Takes one key out of a value that has to be a JSON object.
pub(super) fn pick(value: &[u8], key: &str) -> Result<Secret, FailureKind> {
    let object = Object::parse(value).map_err(|what| {
        FailureKind::BadValue(format!(
            "the key {key:?} is asked for, but the value is {what}; make it a JSON object, or leave the \
             json-key out"
        ))
    })?;
    let text = object.get(key)?.into_text();
    Ok(Secret::new(text.as_bytes()))
}

/// Reads a JSON text that is known to be valid.
pub(crate) fn scalar(key: &str, json: &str) -> Result<Scalar, FailureKind> {
    match json.as_bytes().first() {
        Some(b'"') => match serde_json::from_str::<String>(json) {
            Ok(text) => Ok(Scalar::String(Zeroizing::new(text))),
            Err(_) => Err(FailureKind::BadValue(format!(
                "the string of the key {key:?} has half a surrogate pair (\\ud800 to \\udfff) and is no text; \
                 correct it in the JSON"
            ))),
        },
        Some(b'n') => Err(FailureKind::Null { key: key.to_owned() }),
        Some(b't' | b'f') => Ok(Scalar::Bool(Zeroizing::new(json.to_owned()))),
        Some(b'{' | b'[') => Ok(Scalar::Compound(compact(json))),
        _ => Ok(Scalar::Number(Zeroizing::new(json.to_owned()))),
    }
}

/// Leaves out the white space between the tokens of a valid JSON text, and changes nothing else.
fn compact(json: &str) -> Text {
    let mut out = Zeroizing::new(String::with_capacity(json.len()));
    let (mut quoted, mut escaped) = (false, false);
    for c in json.chars() {
        if !quoted && matches!(c, ' ' | '\t' | '\n' | '\r') {
            continue;
        }
        if c == '"' && !escaped {
            quoted = !quoted;
        }
        escaped = c == '\\' && !escaped;
        out.push(c);
    }
    out
}
