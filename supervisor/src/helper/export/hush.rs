//! What must not be told, whoever says it: a server may repeat the token that it refuses.

use crate::trace::resource::parse;

/// Shorter words are told: too many texts have them by chance.
const SHORTEST: usize = 6;

/// The values that authenticate us.
#[derive(Default)]
pub(super) struct Hush(Vec<String>);

impl Hush {
    /// Those of the variables that are secrets, and of the headers that exporters send.
    pub fn of(secrets: &[(String, String)], variable: impl Fn(&str) -> Option<String>) -> Hush {
        let mut hush = Hush::default();
        for (_, value) in secrets {
            hush.add(value);
        }
        for name in ["AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"] {
            hush.add(&variable(name).unwrap_or_default());
        }
        for name in ["OTEL_EXPORTER_OTLP_HEADERS", "OTEL_EXPORTER_OTLP_TRACES_HEADERS"] {
            for (_, value) in parse(&variable(name).unwrap_or_default()) {
                hush.add(&value);
            }
        }
        // A word may be a part of another.
        hush.0.sort_by_key(|word| std::cmp::Reverse(word.len()));
        hush
    }

    /// As a whole, and in its parts: of `Bearer TOKEN` the token.
    fn add(&mut self, value: &str) {
        let parts = value.split(|c: char| c.is_whitespace() || c == ',' || c == '=');
        let long = |word: &&str| word.len() >= SHORTEST && *word != "Bearer";
        let words = parts.chain([value]).filter(long);
        self.0.extend(words.map(str::to_owned));
    }

    /// The text without them.
    pub fn hush(&self, text: &str) -> String {
        let words = self.0.iter();
        words.fold(text.to_owned(), |text, word| text.replace(word.as_str(), "***"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_parts_are_not_told() {
        let secrets = [("OTEL_X".to_owned(), "whole secret".to_owned())];
        let hush = Hush::of(&secrets, |name| match name {
            "OTEL_EXPORTER_OTLP_HEADERS" => Some("authorization=Bearer%20abc.def,x-a=no".into()),
            "AWS_SECRET_ACCESS_KEY" => Some("wJalrXUtnFEMI/K7MDENG".into()),
            _ => None,
        });
        for (text, told) in [
            ("invalid token abc.def", "invalid token ***"),
            ("Bearer abc.def?", "***?"),
            ("no such Bearer", "no such Bearer"),
            ("a whole secret, or secret", "a ***, or ***"),
            ("key wJalrXUtnFEMI/K7MDENG", "key ***"),
        ] {
            assert_eq!(hush.hush(text), told);
        }
    }
}
