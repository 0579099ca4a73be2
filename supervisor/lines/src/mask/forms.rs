//! The forms in which a secret may be printed.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode, percent_encode};
use serde_json::Value;
use zeroize::Zeroizing;

use super::finder::LEAST;

/// A string that must not be printed.
pub(super) type Needle = Zeroizing<Vec<u8>>;

/// Everything that must not be printed because of one value.
pub(super) fn of_value(value: &[u8]) -> Vec<Needle> {
    let mut needles = Vec::new();
    let mut values = vec![Zeroizing::new(value.to_vec())];
    values.extend(password_of_url(value));
    if let Ok(object) = serde_json::from_slice(value) {
        telling_strings(object, &mut values);
    }
    for value in &values {
        for line in lines(value) {
            needles.extend(written(line));
            needles.push(Zeroizing::new(line.to_vec()));
        }
    }
    needles
}

/// A value of several lines is found line by line: so its lines are found whether they are printed with
/// newlines, with `\n`, or behind the prefix of a logger, and nothing must be held back for the next line.
fn lines(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    let lines = value
        .split(|byte| *byte == b'\n')
        .map(|line| match line.trim_ascii() {
            // As it is: it may be long enough only with its blanks.
            short if short.len() < LEAST && !short.is_empty() => line,
            trimmed => trimmed,
        });
    lines.filter(|line| line.len() >= LEAST && !is_armor(line))
}

/// The first and last line of every key and certificate (RFC 7468): no secret, and worth reading.
fn is_armor(line: &[u8]) -> bool {
    line.starts_with(b"-----") && line.ends_with(b"-----")
}

/// The password of a URL, as it stands there and decoded.
fn password_of_url(value: &[u8]) -> Vec<Needle> {
    let find = || {
        let scheme = memchr::memmem::find(value, b"://")?;
        let rest = &value[scheme + 3..];
        let authority = rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next()?;
        let user = &authority[..memchr::memrchr(b'@', authority)?];
        Some(&user[memchr::memchr(b':', user)? + 1..])
    };
    let Some(password) = find() else {
        return Vec::new();
    };
    let decoded = percent_decode(password).collect();
    vec![Zeroizing::new(password.to_vec()), Zeroizing::new(decoded)]
}

/// What a JSON object calls a password, a token or a key, however deep. Its other strings (a host, a user)
/// are no secret by themselves, and many are words that every log has.
fn telling_strings(value: Value, out: &mut Vec<Needle>) {
    const TELLING: &[&str] = &["pass", "secret", "token", "key", "credential", "pwd"];
    match value {
        Value::Object(entries) => {
            for (name, value) in entries {
                let name = name.to_ascii_lowercase();
                match value {
                    Value::String(text) if TELLING.iter().any(|word| name.contains(word)) => {
                        out.push(Zeroizing::new(text.into_bytes()));
                    }
                    value => telling_strings(value, out),
                }
            }
        }
        Value::Array(values) => values.into_iter().for_each(|value| telling_strings(value, out)),
        _ => {}
    }
}

/// What `encodeURIComponent`, Python's `quote` and Go's and our own URLs leave as it is.
const STRICT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');
const QUOTE: &AsciiSet = &STRICT.remove(b'/');
const COMPONENT: &AsciiSet = &STRICT
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

/// How a writer of JSON differs from others.
struct Json {
    /// The characters that become `\u00xx` although they need not.
    more: &'static str,
    /// `/` becomes `\/`.
    slash: bool,
    /// Only ASCII is left.
    ascii: bool,
    /// The letters of hexadecimal digits are capitals.
    capitals: bool,
}

const JSON: &[Json] = &[
    // JavaScript, Rust, Ruby
    PLAIN,
    // Python
    Json { ascii: true, ..PLAIN },
    // Jackson, if told to leave only ASCII
    Json {
        ascii: true,
        capitals: true,
        ..PLAIN
    },
    // PHP
    Json {
        slash: true,
        ascii: true,
        ..PLAIN
    },
    // Go, Rails
    Json { more: "<>&", ..PLAIN },
    // Gson
    Json {
        more: "<>&='",
        ..PLAIN
    },
    // .NET; one in three values in Base64 has a `+`
    Json {
        more: "\"<>&'+`",
        ascii: true,
        capitals: true,
        ..PLAIN
    },
];

const PLAIN: Json = Json {
    more: "",
    slash: false,
    ascii: false,
    capitals: false,
};

/// A line as it stands in JSON strings and in URLs, where that is not the line itself.
fn written(line: &[u8]) -> Vec<Needle> {
    let mut forms: Vec<Needle> = [STRICT, QUOTE, COMPONENT]
        .iter()
        .map(|set| percent_encode(line, set).to_string().into_bytes().into())
        .collect();
    if let Ok(text) = std::str::from_utf8(line) {
        forms.extend(JSON.iter().map(|writer| json(text, writer)));
    }
    forms.retain(|form| form.as_slice() != line);
    forms
}

fn json(text: &str, writer: &Json) -> Needle {
    let mut out = Zeroizing::new(Vec::with_capacity(text.len() * 6));
    for c in text.chars() {
        match c {
            '"' | '\\' if !writer.more.contains(c) => out.extend([b'\\', c as u8]),
            '/' if writer.slash => out.extend(b"\\/"),
            '\t' => out.extend(b"\\t"),
            '\r' => out.extend(b"\\r"),
            '\u{8}' => out.extend(b"\\b"),
            '\u{c}' => out.extend(b"\\f"),
            c if c < ' ' || writer.more.contains(c) || (writer.ascii && !c.is_ascii()) => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    let code = match writer.capitals {
                        true => format!("\\u{unit:04X}"),
                        false => format!("\\u{unit:04x}"),
                    };
                    out.extend(code.as_bytes());
                }
            }
            c => out.extend(c.encode_utf8(&mut [0; 4]).as_bytes()),
        }
    }
    out
}
