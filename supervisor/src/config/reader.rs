//! Walking a TOML document by hand, so that every error is kept with its line and dotted key.
//!
//! A reader method that fails records why and returns `None`; the caller goes on with a default, and
//! [`Doc::into_errors`] decides at the end. So one run shows all that is wrong.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::error::ConfigError;
use super::{Text, expand, suggest, units};

/// A document being read, and what was found wrong with it.
pub(super) struct Doc<'a> {
    /// What errors call it.
    file: String,
    /// For `${VAR}`.
    pub(super) env: &'a BTreeMap<String, String>,
    /// The names of all secrets, once `[secrets]` was read. Until then a reference is plain text.
    secrets: OnceCell<BTreeSet<String>>,
    /// `secrets.exclude`, once it was read.
    excluded: OnceCell<Vec<String>>,
    /// The offsets of the line feeds.
    line_feeds: Vec<usize>,
    /// Lines with a syntax error: what else is said of them would only repeat it.
    broken: BTreeSet<usize>,
    errors: RefCell<Vec<ConfigError>>,
}

impl<'a> Doc<'a> {
    /// Parses `text`; the table holds what could be read of it.
    pub(super) fn parse(
        file: &str,
        text: &'a str,
        env: &'a BTreeMap<String, String>,
    ) -> (Doc<'a>, DeTable<'a>) {
        let mut doc = Doc {
            file: file.to_owned(),
            env,
            secrets: OnceCell::new(),
            excluded: OnceCell::new(),
            line_feeds: text
                .bytes()
                .enumerate()
                .filter(|(_, b)| *b == b'\n')
                .map(|(at, _)| at)
                .collect(),
            broken: BTreeSet::new(),
            errors: RefCell::default(),
        };
        let (table, syntax_errors) = DeTable::parse_recoverable(text);
        for error in syntax_errors {
            let line = doc.line(error.span().map_or(text.len(), |span| span.start));
            // The first error of a line says it; more are the parser finding its way back.
            if doc.broken.insert(line) {
                let message = format!("cannot read this line: {}", lower_first(error.message()));
                doc.push(Some(line), None, message);
            }
        }
        (doc, table.into_inner())
    }

    /// Says which names are those of secrets, for all that is read from here on.
    pub(super) fn name_secrets(&self, names: BTreeSet<String>) {
        let _ = self.secrets.set(names);
    }

    /// The names of all secrets, as far as they are known by now.
    pub(super) fn secrets(&self) -> &BTreeSet<String> {
        static NONE: BTreeSet<String> = BTreeSet::new();
        self.secrets.get().unwrap_or(&NONE)
    }

    /// Says which variables hold no references, whatever stands in them.
    pub(super) fn exclude(&self, names: Vec<String>) {
        let _ = self.excluded.set(names);
    }

    /// What `secrets.exclude` names.
    pub(super) fn excluded(&self) -> &[String] {
        self.excluded.get().map_or(&[], Vec::as_slice)
    }

    fn line(&self, at: usize) -> usize {
        self.line_feeds.partition_point(|line_feed| *line_feed < at) + 1
    }

    fn push(&self, line: Option<usize>, key: Option<String>, message: String) {
        let error = ConfigError {
            file: self.file.clone(),
            line,
            key,
            message,
        };
        let mut errors = self.errors.borrow_mut();
        if !errors.contains(&error) {
            errors.push(error);
        }
    }

    /// Records that something at the offset `at` is wrong.
    pub(super) fn error(&self, at: usize, key: &str, message: impl Into<String>) {
        let line = self.line(at);
        if !self.broken.contains(&line) {
            self.push(
                Some(line),
                Some(key.to_owned()).filter(|key| !key.is_empty()),
                message.into(),
            );
        }
    }

    /// Records that something is absent. After a syntax error it may be there and unreadable.
    pub(super) fn missing(&self, at: Option<usize>, key: &str, message: impl Into<String>) {
        if self.broken.is_empty() {
            let key = Some(key.to_owned()).filter(|key| !key.is_empty());
            self.push(at.map(|at| self.line(at)), key, message.into());
        }
    }

    /// Records that a variable of the environment is wrong, which is in no file.
    pub(super) fn wrong_variable(&self, name: &str, message: impl Into<String>) {
        self.errors.borrow_mut().push(ConfigError {
            file: String::new(),
            line: None,
            key: Some(name.to_owned()),
            message: message.into(),
        });
    }

    /// All errors in the order of the lines; empty if the document is right.
    pub(super) fn into_errors(self) -> Vec<ConfigError> {
        let mut errors = self.errors.into_inner();
        errors.sort_by_key(|error| error.line.unwrap_or(usize::MAX));
        errors
    }
}

/// A value of the document, with the way to it.
#[derive(Clone)]
pub(super) struct Value<'a> {
    pub(super) doc: &'a Doc<'a>,
    /// The dotted key.
    pub(super) key: String,
    /// The offset that errors point at.
    pub(super) at: usize,
    pub(super) value: &'a DeValue<'a>,
}

impl<'a> Value<'a> {
    /// Records what is wrong with this value.
    pub(super) fn error(&self, message: impl Into<String>) {
        self.doc.error(self.at, &self.key, message);
    }

    /// Turns the error of a conversion into a recorded one.
    pub(super) fn check<T>(&self, result: Result<T, String>) -> Option<T> {
        result.map_err(|message| self.error(message)).ok()
    }

    /// Records that this has the wrong type; `remedy` says what to write.
    pub(super) fn wrong_type(&self, remedy: &str) {
        let found = match self.value {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) | DeValue::Float(_) => "a number",
            DeValue::Boolean(_) => "true or false",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "a list",
            DeValue::Table(_) => "a table",
        };
        self.error(format!("cannot be {found}; write {remedy}"));
    }

    /// The string as it stands in the file.
    pub(super) fn raw(&self, remedy: &str) -> Option<&'a str> {
        let DeValue::String(text) = self.value else {
            self.wrong_type(remedy);
            return None;
        };
        // No argument, variable, path or name of the system can hold one.
        if text.contains('\0') {
            self.error("cannot hold a NUL character; remove it");
            return None;
        }
        Some(text)
    }

    /// The string with its references expanded; no secret may be in it.
    pub(super) fn string(&self, remedy: &str) -> Option<String> {
        let text = self.text(remedy)?;
        if let Some(plain) = text.literal() {
            return Some(plain.to_owned());
        }
        for name in text.secrets() {
            self.error(format!(
                "${{{name}}} is a secret, and only process.NAME.env, health.token, the addresses of checks and \
                 migrate.database can hold one; a command, for example, can be read by every process: let the program read the variable {name}"
            ));
        }
        None
    }

    /// The string with its references expanded, secrets left to be filled in.
    pub(super) fn text(&self, remedy: &str) -> Option<Text> {
        let names = expand::Names {
            env: self.doc.env,
            secrets: self.doc.secrets(),
        };
        match expand::expand(self.raw(remedy)?, names) {
            Ok(text) => Some(text),
            Err(messages) => {
                messages.into_iter().for_each(|message| self.error(message));
                None
            }
        }
    }

    /// The string, expanded and not empty.
    pub(super) fn filled(&self, remedy: &str) -> Option<String> {
        let text = self.string(remedy)?;
        if text.is_empty() {
            self.error(format!("cannot be empty; write {remedy}"));
            return None;
        }
        Some(text)
    }

    pub(super) fn bool(&self) -> Option<bool> {
        let found = self.value.as_bool();
        if found.is_none() {
            self.wrong_type("true or false");
        }
        found
    }

    /// A whole number from `min` to `max`.
    pub(super) fn integer(&self, min: i64, max: i64) -> Option<i64> {
        let DeValue::Integer(number) = self.value else {
            self.wrong_type(&format!("a whole number from {min} to {max}"));
            return None;
        };
        let found = i64::from_str_radix(number.as_str(), number.radix()).ok();
        let found = found.filter(|number| (min..=max).contains(number));
        if found.is_none() {
            self.error(format!(
                "{number} is out of range; write a number from {min} to {max}"
            ));
        }
        found
    }

    pub(super) fn duration(&self) -> Option<Duration> {
        if let DeValue::Integer(number) = self.value {
            self.error(format!("a bare number has no unit; write \"{number}s\""));
            return None;
        }
        let text = self.string("a duration such as \"5s\"")?;
        self.check(units::duration(&text))
    }

    /// A duration that cannot be zero.
    pub(super) fn some_time(&self) -> Option<Duration> {
        let found = self.duration()?;
        if found.is_zero() {
            self.error("cannot be 0s; write a longer duration");
            return None;
        }
        Some(found)
    }

    pub(super) fn size(&self) -> Option<u64> {
        if let DeValue::Integer(number) = self.value {
            self.error(format!("a bare number has no unit; write \"{number}B\""));
            return None;
        }
        let text = self.string("a size such as \"15KiB\"")?;
        self.check(units::size(&text))
    }

    /// One of a few words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Option<T> {
        let words = choices
            .iter()
            .map(|(word, _)| format!("\"{word}\""))
            .collect::<Vec<_>>();
        let words = match words.split_last() {
            Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
            _ => words.join(""),
        };
        let text = self.string(&words)?;
        let found = choices
            .iter()
            .find(|(word, _)| *word == text)
            .map(|(_, choice)| *choice);
        if found.is_none() {
            let hint = suggest::did_you_mean(&text, choices.iter().map(|(word, _)| *word));
            self.error(format!("cannot be {text:?}; write {words}{hint}"));
        }
        found
    }

    /// The elements of a list; each error names the key of the list and the line of the element.
    pub(super) fn list(&self, remedy: &str) -> Option<Vec<Value<'a>>> {
        let DeValue::Array(array) = self.value else {
            self.wrong_type(remedy);
            return None;
        };
        let element = |element: &'a toml::Spanned<DeValue<'a>>| Value {
            doc: self.doc,
            key: self.key.clone(),
            at: element.span().start,
            value: element.get_ref(),
        };
        Some(array.iter().map(element).collect())
    }

    /// The table, its keys checked against `known` unless that is `None` (names of the user's own).
    pub(super) fn table(&self, known: Option<&[&str]>, remedy: &str) -> Option<Table<'a>> {
        let DeValue::Table(table) = self.value else {
            self.wrong_type(remedy);
            return None;
        };
        let table = Table {
            doc: self.doc,
            key: self.key.clone(),
            at: self.at,
            table,
        };
        if let Some(known) = known {
            table.refuse_unknown(known);
        }
        Some(table)
    }
}

/// A table of the document, with the way to it.
pub(super) struct Table<'a> {
    pub(super) doc: &'a Doc<'a>,
    /// The dotted key; empty for the whole document.
    pub(super) key: String,
    /// The offset that errors about the table point at.
    pub(super) at: usize,
    pub(super) table: &'a DeTable<'a>,
}

impl<'a> Table<'a> {
    /// The whole document.
    pub(super) fn root(doc: &'a Doc<'a>, table: &'a DeTable<'a>) -> Table<'a> {
        Table {
            doc,
            key: String::new(),
            at: 0,
            table,
        }
    }

    /// The dotted key of something in this table.
    pub(super) fn path(&self, name: &str) -> String {
        path(&self.key, name)
    }

    /// The value of a key, if it is there.
    pub(super) fn get(&self, name: &str) -> Option<Value<'a>> {
        self.entries()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| value)
    }

    /// All keys with their values, in the order of the file. Errors point at the key, for a table
    /// of several lines at its head.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'a str, Value<'a>)> + use<'a> {
        let (doc, table, prefix) = (self.doc, self.table, self.key.clone());
        table.iter().map(move |(key, value)| {
            let name: &'a str = key.get_ref();
            (
                name,
                Value {
                    doc,
                    key: path(&prefix, name),
                    at: key.span().start,
                    value: value.get_ref(),
                },
            )
        })
    }

    /// Records every key that is not one of `known`.
    pub(super) fn refuse_unknown(&self, known: &[&str]) {
        for (name, value) in self.entries().filter(|(name, _)| !known.contains(name)) {
            let hint = suggest::did_you_mean(name, known.iter().copied());
            let hint = if hint.is_empty() {
                format!("; known here: {}", known.join(", "))
            } else {
                hint
            };
            value.error(format!("unknown key{hint}"));
        }
    }
}

/// A dotted key, quoted where TOML wants it.
fn path(prefix: &str, name: &str) -> String {
    let bare = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
    let name = if !name.is_empty() && name.bytes().all(bare) {
        name.to_owned()
    } else {
        format!("{name:?}")
    };
    if prefix.is_empty() {
        name
    } else {
        format!("{prefix}.{name}")
    }
}

fn lower_first(text: &str) -> String {
    let mut chars = text.chars();
    chars
        .next()
        .map_or_else(String::new, |first| first.to_lowercase().chain(chars).collect())
}
