//! Lines that are JSON objects already: whether they are, and which keys they have.

use serde::Deserializer;
use serde::de::{Error, IgnoredAny, MapAccess, Visitor};

/// A cheap first look.
pub(super) fn looks_like_object(line: &[u8]) -> bool {
    let line = line.trim_ascii();
    line.first() == Some(&b'{') && line.last() == Some(&b'}')
}

/// Whether arrays and objects are nested deeper than common readers follow (serde_json to 128 levels,
/// jq 1.6 to 256). Such a line goes out as text: whole, and harmless to whoever reads it.
pub(super) fn is_too_deep(line: &[u8]) -> bool {
    const LIMIT: usize = 100;
    let openings = line.iter().filter(|byte| matches!(byte, b'[' | b'{')).count();
    if openings <= LIMIT {
        return false;
    }
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for byte in line {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => depth += 1,
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
        deepest = deepest.max(depth);
    }
    deepest > LIMIT
}

/// The top-level keys that decide what is added to a line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    Timestamp = 1,
    Level = 2,
    Process = 4,
    Stream = 8,
    Pid = 16,
    /// `_aws`, the mark of CloudWatch's Embedded Metric Format.
    Emf = 32,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Keys(u8);

impl Keys {
    pub fn has(self, key: Known) -> bool {
        self.0 & key as u8 != 0
    }
}

/// Checks that the line is one JSON object, whole and valid, and finds the keys that matter.
pub(super) fn top_level_keys(line: &[u8]) -> Option<Keys> {
    struct Keep;

    impl<'de> Visitor<'de> for Keep {
        type Value = Keys;

        fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("an object")
        }

        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Keys, A::Error> {
            let mut found = Keys::default();
            while let Some(Key(key)) = map.next_key()? {
                let IgnoredAny = map.next_value()?;
                found.0 |= key.map_or(0, |known| known as u8);
            }
            Ok(found)
        }
    }

    let mut parser = serde_json::Deserializer::from_slice(line);
    let found = parser.deserialize_map(Keep).ok()?;
    parser.end().ok()?;
    Some(found)
}

/// A key, compared where it stands: no string is made of it unless it holds escapes.
struct Key(Option<Known>);

impl<'de> serde::Deserialize<'de> for Key {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Key, D::Error> {
        struct Compare;

        impl Visitor<'_> for Compare {
            type Value = Key;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a key")
            }

            fn visit_str<E: Error>(self, key: &str) -> Result<Key, E> {
                Ok(Key(match key {
                    "timestamp" => Some(Known::Timestamp),
                    "level" => Some(Known::Level),
                    "process" => Some(Known::Process),
                    "stream" => Some(Known::Stream),
                    "pid" => Some(Known::Pid),
                    "_aws" => Some(Known::Emf),
                    _ => None,
                }))
            }
        }

        deserializer.deserialize_str(Compare)
    }
}
