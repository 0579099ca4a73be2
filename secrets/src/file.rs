//! Values from files: for development, and to run without AWS.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::time::Instant;

use zeroize::Zeroizing;

use crate::detail::clean_detail;
use crate::form::{Object, scalar};
use crate::source::Answers;
use crate::{FailureKind, Problem, Reference, Secret, Source};

#[cfg(test)]
mod tests;

/// How large the file of one secret may be, in bytes. Secrets Manager's own limit is 64 KiB.
const MAX_SECRET: u64 = 1024 * 1024;

/// How large a file with many secrets may be, in bytes.
const MAX_OFFLINE: u64 = 16 * 1024 * 1024;

/// The files that `file:PATH` references name.
///
/// The value is the file's content without one line break at its end, which editors and `echo` write. Only
/// ordinary files of up to 1 MiB are read: a pipe or a device might keep the reader waiting for ever.
#[derive(Clone, Copy, Debug, Default)]
pub struct FileSource;

impl Source for FileSource {
    fn fetch<'a>(&'a self, references: &'a [Reference], _deadline: Instant) -> Answers<'a> {
        Box::pin(async move { references.iter().map(from_file).collect() })
    }
}

fn from_file(reference: &Reference) -> Result<Secret, Problem> {
    let Reference::File(file) = reference else {
        let what = "it names no file, and only files can be read here; write file:PATH".to_owned();
        return Err(FailureKind::BadReference(what).into());
    };
    match read(&file.path, MAX_SECRET) {
        Ok(content) => Ok(Secret::new(without_line_break(&content))),
        Err(Unreadable::Missing) => Err(FailureKind::NotFound.into()),
        Err(Unreadable::Because(what)) => Err(FailureKind::BadValue(what).into()),
    }
}

/// Values for references from one file, in place of all services: the same environment works offline.
///
/// The file, which `RUNMATE_SECRETS_FILE` names, holds a JSON object from references to values:
///
/// ```json
/// {
///   "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf": {"username": "app", "password": "x"},
///   "arn:aws:secretsmanager:eu-west-1:123456789012:secret:api-GhIjKl:token::": "y",
///   "arn:aws:ssm:eu-west-1:123456789012:parameter/app/level": "debug"
/// }
/// ```
///
/// A string is the value itself; anything else but null is a value of JSON. A reference with a json-key
/// gives that key of the secret, whether the secret itself is in the file or not. Keys that are no
/// references are left alone, so there may be comments.
#[derive(Clone, Debug)]
pub struct OfflineFile {
    path: PathBuf,
    values: BTreeMap<Reference, Secret>,
}

impl OfflineFile {
    /// Reads the file, of up to 16 MiB, once and for all.
    ///
    /// # Errors
    /// A sentence that names the file and what is wrong with it, without any value.
    pub fn load(path: impl AsRef<Path>) -> Result<OfflineFile, String> {
        let path = path.as_ref();
        let wrong = |what: &dyn Display| format!("cannot read the secrets file {path:?}: {what}");
        let content = read(path, MAX_OFFLINE).map_err(|error| match error {
            Unreadable::Missing => wrong(&"there is no such file; create it, or correct the path"),
            Unreadable::Because(what) => wrong(&what),
        })?;
        let values = values(&content).map_err(|what| wrong(&what))?;
        Ok(OfflineFile {
            path: path.to_owned(),
            values,
        })
    }
}

impl Source for OfflineFile {
    fn fetch<'a>(&'a self, references: &'a [Reference], _deadline: Instant) -> Answers<'a> {
        Box::pin(async move {
            let answer = |reference: &Reference| match self.values.get(&reference.without_json_key()) {
                Some(value) => Ok(value.clone()),
                None => Err(Problem {
                    kind: FailureKind::NotFound,
                    detail: Some(clean_detail(&format!(
                        "RUNMATE_SECRETS_FILE is set, so only {:?} was looked at",
                        self.path
                    ))),
                }),
            };
            references.iter().map(answer).collect()
        })
    }
}

/// What a file says about one secret.
#[derive(Default)]
struct Entry<'a> {
    whole: Option<Secret>,
    /// JSON texts by json-key.
    keys: BTreeMap<String, &'a str>,
}

/// Reads the content: one value for everything that can be fetched.
fn values(content: &[u8]) -> Result<BTreeMap<Reference, Secret>, String> {
    let file = Object::parse(content).map_err(|what| {
        format!("it is {what}; write a JSON object from references to values, {{\"arn:…\": \"value\"}}")
    })?;
    let mut entries: BTreeMap<Reference, Entry<'_>> = BTreeMap::new();
    for (text, json) in file.entries() {
        let Some(reference) = Reference::parse(text).map_err(|error| error.to_string())? else {
            continue;
        };
        let value = scalar(text, json).map_err(|kind| match kind {
            FailureKind::Null { .. } => format!("the value for {reference} is null; write a string"),
            _ => format!("the string for {reference} is no text; correct its \\u escapes"),
        })?;
        let entry = entries.entry(reference.without_json_key()).or_default();
        let twice = match reference.json_key() {
            Some(key) => entry.keys.insert(key.to_owned(), json).is_some(),
            None => entry
                .whole
                .replace(Secret::new(value.into_text().as_bytes()))
                .is_some(),
        };
        if twice {
            return Err(format!(
                "{reference} is in it twice, spelled in two ways; leave one of them"
            ));
        }
    }
    entries
        .into_iter()
        .map(|(reference, entry)| match whole(&entry) {
            Some(value) => Ok((reference, value)),
            None => Err(format!(
                "it has keys for {reference}, whose own value is no JSON object; leave one or the other"
            )),
        })
        .collect()
}

/// The whole value of a secret, of which the file may name single keys only; `None` if it has none.
fn whole(entry: &Entry<'_>) -> Option<Secret> {
    if let (Some(whole), true) = (&entry.whole, entry.keys.is_empty()) {
        return Some(whole.clone());
    }
    let given = match &entry.whole {
        Some(whole) => Some(Object::parse(whole.expose()).ok()?),
        None => None,
    };
    // Extended, not collected: that would sort first, and the code for it is 5 kB of the binary.
    let mut all: BTreeMap<&str, &str> = BTreeMap::new();
    all.extend(given.iter().flat_map(Object::entries));
    all.extend(entry.keys.iter().map(|(key, json)| (key.as_str(), *json)));

    let size: usize = all.iter().map(|(key, json)| 6 * key.len() + json.len() + 4).sum();
    let mut text = Zeroizing::new(String::with_capacity(size + 2));
    for (key, json) in all {
        let before = if text.is_empty() { '{' } else { ',' };
        text.push(before);
        text.push_str(&serde_json::Value::from(key).to_string());
        text.push(':');
        text.push_str(json);
    }
    text.push('}');
    Some(Secret::new(text.as_bytes()))
}

/// Why there is no content.
enum Unreadable {
    Missing,
    /// What is wrong and the remedy.
    Because(String),
}

/// Reads an ordinary file of at most so many bytes.
fn read(path: &Path, limit: u64) -> Result<Zeroizing<Vec<u8>>, Unreadable> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound | ErrorKind::NotADirectory => Unreadable::Missing,
        kind => Unreadable::Because(format!(
            "the file cannot be read ({kind}); let the user that this program runs as read it"
        )),
    };
    let too_large = || {
        let what = format!("the file has more than {limit} bytes; is it the right one?");
        Err(Unreadable::Because(what))
    };
    // Looked at before it is opened, for to open a FIFO is to wait for its writer.
    let meta = std::fs::metadata(path).map_err(failed)?;
    if !meta.is_file() {
        let what = "it is a directory, a pipe or a device; name an ordinary file".to_owned();
        return Err(Unreadable::Because(what));
    }
    if meta.len() > limit {
        return too_large();
    }
    // With room for all of it from the start, so that no copy is left behind when the buffer grows.
    let size = usize::try_from(meta.len()).unwrap_or_default();
    let mut content = Zeroizing::new(Vec::with_capacity(size + 1));
    let file = File::open(path).map_err(failed)?;
    file.take(limit + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > limit {
        return too_large();
    }
    Ok(content)
}

fn without_line_break(content: &[u8]) -> &[u8] {
    let Some(rest) = content.strip_suffix(b"\n") else {
        return content;
    };
    rest.strip_suffix(b"\r").unwrap_or(rest)
}
