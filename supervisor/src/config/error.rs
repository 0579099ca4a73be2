//! What is wrong with a configuration: each error with its file, line and key.

use std::fmt;

/// One thing that is wrong, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigError {
    /// The file as the user named it, `RUNMATE_CONFIG_INLINE`, or nothing for the command line.
    pub file: String,
    /// The line in that file, from 1.
    pub line: Option<usize>,
    /// The dotted key: `process.app.restart`.
    pub key: Option<String>,
    /// What cannot be done and the remedy, in lower case.
    pub message: String,
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.file.as_str(), self.line) {
            ("", _) => {}
            (file, Some(line)) => write!(f, "{file}:{line}: ")?,
            (file, None) => write!(f, "{file}: ")?,
        }
        if let Some(key) = &self.key {
            write!(f, "{key}: ")?;
        }
        f.write_str(&self.message)
    }
}

/// Everything that is wrong with a configuration, in the order of the file; never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigErrors {
    /// The errors.
    pub errors: Vec<ConfigError>,
}

impl ConfigErrors {
    /// An error that belongs to no line of any file.
    pub(super) fn single(file: &str, message: impl Into<String>) -> ConfigErrors {
        let error = ConfigError {
            file: file.to_owned(),
            line: None,
            key: None,
            message: message.into(),
        };
        ConfigErrors { errors: vec![error] }
    }
}

impl fmt::Display for ConfigErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, error) in self.errors.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            error.fmt(f)?;
        }
        Ok(())
    }
}

impl std::error::Error for ConfigErrors {}
