//! Values that may hold secrets: known in shape when the config is read, in full once these are resolved.

use std::fmt;

/// A value of the config in pieces. `Debug` shows the names of its secrets and nothing else: what is written out may
/// be a password all the same.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Text(Vec<Piece>);

#[derive(Clone, PartialEq, Eq)]
enum Piece {
    Literal(String),
    Secret { name: String, default: Option<String> },
}

/// The secret that a text needs and that is absent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AbsentSecret(
    /// Its name.
    pub String,
);

impl Text {
    pub(super) fn push_str(&mut self, text: &str) {
        match self.0.last_mut() {
            Some(Piece::Literal(last)) => last.push_str(text),
            _ if text.is_empty() => {}
            _ => self.0.push(Piece::Literal(text.to_owned())),
        }
    }

    pub(super) fn push_secret(&mut self, name: &str, default: Option<&str>) {
        self.0.push(Piece::Secret {
            name: name.to_owned(),
            default: default.map(str::to_owned),
        });
    }

    /// One secret and nothing else.
    pub(super) fn of_secret(name: &str) -> Text {
        let mut text = Text::default();
        text.push_secret(name, None);
        text
    }

    /// The text, if no secret is in it.
    pub fn literal(&self) -> Option<&str> {
        match self.0.as_slice() {
            [] => Some(""),
            [Piece::Literal(text)] => Some(text),
            _ => None,
        }
    }

    /// The names of the secrets in it.
    pub fn secrets(&self) -> impl Iterator<Item = &str> {
        self.0.iter().filter_map(|piece| match piece {
            Piece::Secret { name, .. } => Some(name.as_str()),
            Piece::Literal(_) => None,
        })
    }

    /// The whole text. `value` gives the value of a secret, `None` where it is absent; like in sh, a
    /// default also stands in for an empty value.
    ///
    /// # Errors
    /// If a secret is absent and the text has no default for it.
    pub fn fill<'a>(&'a self, value: impl Fn(&str) -> Option<&'a str>) -> Result<String, AbsentSecret> {
        let mut out = String::new();
        for piece in &self.0 {
            out.push_str(match piece {
                Piece::Literal(text) => text,
                Piece::Secret { name, default } => match (value(name), default) {
                    (None | Some(""), Some(default)) => default,
                    (Some(value), _) => value,
                    (None, None) => return Err(AbsentSecret(name.clone())),
                },
            });
        }
        Ok(out)
    }
}

impl fmt::Debug for Text {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Text ")?;
        f.debug_list().entries(self.secrets()).finish()
    }
}

impl From<&str> for Text {
    fn from(text: &str) -> Text {
        let mut whole = Text::default();
        whole.push_str(text);
        whole
    }
}

impl fmt::Display for AbsentSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let AbsentSecret(name) = self;
        write!(
            f,
            "the secret {name} is optional and absent; write ${{{name}:-default}}, or give it a default"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_filled_in() {
        let mut text = Text::from("redis://:");
        text.push_secret("PASSWORD", None);
        text.push_str("@");
        text.push_secret("HOST", Some("localhost"));
        assert_eq!(text.literal(), None);
        assert_eq!(text.secrets().collect::<Vec<_>>(), ["PASSWORD", "HOST"]);
        let given = |password, host| {
            text.fill(move |name| match name {
                "PASSWORD" => password,
                _ => host,
            })
        };
        assert_eq!(given(Some("a"), Some("b")).as_deref(), Ok("redis://:a@b"));
        assert_eq!(given(Some(""), Some("")).as_deref(), Ok("redis://:@localhost"));
        assert_eq!(given(None, None), Err(AbsentSecret("PASSWORD".into())));
    }

    #[test]
    fn without_secrets_it_is_plain() {
        assert_eq!(Text::default().literal(), Some(""));
        assert_eq!(Text::from("a b").literal(), Some("a b"));
        assert_eq!(Text::from("a b").fill(|_| None).as_deref(), Ok("a b"));
    }
}
