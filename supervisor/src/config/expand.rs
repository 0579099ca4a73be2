//! `${VAR}` and `${VAR:-default}` in values.

use std::collections::{BTreeMap, BTreeSet};

use super::Text;

/// What names stand for.
#[derive(Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) env: &'a BTreeMap<String, String>,
    /// Variables that hold a secret: what stands in the environment under such a name is not its value.
    pub(super) secrets: &'a BTreeSet<String>,
}

/// Expands `text` once; what comes in by a variable is never looked at again.
///
/// `$$` is `$`, and a `$` that starts neither stays as it is. Like sh, `:-` takes the default for an
/// empty variable too. All that is wrong with the text comes back together.
pub(super) fn expand(text: &str, names: Names) -> Result<Text, Vec<String>> {
    let mut out = Text::default();
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push_str("$");
            rest = after;
        } else if let Some(body) = rest.strip_prefix('{') {
            let Some(end) = body.find('}') else {
                errors.push("a ${ has no closing }; write $${ for a plain ${".to_owned());
                rest = "";
                break;
            };
            match reference(&body[..end], names) {
                Ok(Meaning::Value(value)) => out.push_str(value),
                Ok(Meaning::Secret(name, default)) => out.push_secret(name, default),
                Err(error) => errors.push(error),
            }
            rest = &body[end + 1..];
        } else {
            out.push_str("$");
        }
    }
    out.push_str(rest);
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

enum Meaning<'a> {
    Value(&'a str),
    Secret(&'a str, Option<&'a str>),
}

/// What is meant by that which stands between `${` and `}`.
fn reference<'a>(body: &'a str, names: Names<'a>) -> Result<Meaning<'a>, String> {
    let (name, default) = match body.split_once(":-") {
        Some((name, default)) => (name, Some(default)),
        None => (body, None),
    };
    if !is_name(name) {
        return Err(format!(
            "${{{body}}} is no reference to a variable; write ${{NAME}} or ${{NAME:-default}}, or $${{ for a plain ${{"
        ));
    }
    // The first } ends the reference, so the inner one would be cut in half.
    if default.is_some_and(|default| default.contains("${")) {
        return Err(format!(
            "the default of ${{{name}}} cannot hold another ${{; write a literal default"
        ));
    }
    if names.secrets.contains(name) {
        return Ok(Meaning::Secret(name, default));
    }
    match (names.env.get(name), default) {
        (Some(value), None) => Ok(Meaning::Value(value)),
        (Some(value), Some(_)) if !value.is_empty() => Ok(Meaning::Value(value)),
        (_, Some(default)) => Ok(Meaning::Value(default)),
        (None, None) => Err(format!(
            "the variable {name} is not set; set it or write ${{{name}:-default}}"
        )),
    }
}

/// Whether sh would take it as the name of a variable.
pub(super) fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        [
            ("A", "one"),
            ("EMPTY", ""),
            ("SNEAKY", "${A} $$"),
            ("KEY", "arn:of:it"),
        ]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
    }

    fn expand(text: &str) -> Result<Text, Vec<String>> {
        let secrets = BTreeSet::from(["KEY".to_owned()]);
        let names = Names {
            env: &env(),
            secrets: &secrets,
        };
        super::expand(text, names)
    }

    #[test]
    fn references_are_expanded_once() {
        for (text, expected) in [
            ("", ""),
            ("plain", "plain"),
            ("${A}", "one"),
            ("x${A}y${A}", "xoneyone"),
            ("${A:-two}", "one"),
            ("${B:-two}", "two"),
            ("${B:-}", ""),
            ("${EMPTY}", ""),
            ("${EMPTY:-two}", "two"),
            ("${B:-a:-b}", "a:-b"),
            ("${SNEAKY}", "${A} $$"),
            ("$$", "$"),
            ("$${A}", "${A}"),
            ("$$$${A}", "$${A}"),
            ("$$${A}", "$one"),
            ("$A $ $1 100$", "$A $ $1 100$"),
            ("ü${A}ü", "üoneü"),
        ] {
            assert_eq!(expand(text), Ok(Text::from(expected)), "{text}");
        }
    }

    #[test]
    fn secrets_are_left_for_later() {
        let text = expand("a${KEY}${A}").unwrap();
        assert_eq!(text.secrets().collect::<Vec<_>>(), ["KEY"]);
        assert_eq!(text.fill(|_| Some("$${A}")).as_deref(), Ok("a$${A}one"));
        assert_eq!(expand("${KEY:-b}").unwrap().fill(|_| None).as_deref(), Ok("b"));
    }

    #[test]
    fn all_that_is_wrong_comes_at_once() {
        let errors = expand("${B} ${} ${A-x} ${B:-${A}} ${A").unwrap_err();
        assert_eq!(
            errors,
            [
                "the variable B is not set; set it or write ${B:-default}",
                "${} is no reference to a variable; write ${NAME} or ${NAME:-default}, or $${ for a plain ${",
                "${A-x} is no reference to a variable; write ${NAME} or ${NAME:-default}, or $${ for a plain ${",
                "the default of ${B} cannot hold another ${; write a literal default",
                "a ${ has no closing }; write $${ for a plain ${",
            ]
        );
    }
}
