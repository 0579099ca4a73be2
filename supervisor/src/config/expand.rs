//! `${VAR}` and `${VAR:-default}` in values.

use std::collections::BTreeMap;

/// Expands `text` once; what comes in by a variable is never looked at again.
///
/// `$$` is `$`, and a `$` that starts neither stays as it is. Like sh, `:-` takes the default for an
/// empty variable too. All that is wrong with the text comes back together.
pub(super) fn expand(text: &str, env: &BTreeMap<String, String>) -> Result<String, Vec<String>> {
    let mut out = String::with_capacity(text.len());
    let mut errors = Vec::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        if let Some(after) = rest.strip_prefix('$') {
            out.push('$');
            rest = after;
        } else if let Some(body) = rest.strip_prefix('{') {
            let Some(end) = body.find('}') else {
                errors.push("a ${ has no closing }; write $${ for a plain ${".to_owned());
                rest = "";
                break;
            };
            match reference(&body[..end], env) {
                Ok(value) => out.push_str(value),
                Err(error) => errors.push(error),
            }
            rest = &body[end + 1..];
        } else {
            out.push('$');
        }
    }
    out.push_str(rest);
    if errors.is_empty() { Ok(out) } else { Err(errors) }
}

/// The value of what stands between `${` and `}`.
fn reference<'a>(body: &'a str, env: &'a BTreeMap<String, String>) -> Result<&'a str, String> {
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
    match (env.get(name), default) {
        (Some(value), None) => Ok(value),
        (Some(value), Some(_)) if !value.is_empty() => Ok(value),
        (_, Some(default)) => Ok(default),
        (None, None) => Err(format!(
            "the variable {name} is not set; set it or write ${{{name}:-default}}"
        )),
    }
}

/// Whether sh would take it as the name of a variable.
fn is_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_')
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env() -> BTreeMap<String, String> {
        [("A", "one"), ("EMPTY", ""), ("SNEAKY", "${A} $$")]
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .into()
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
            assert_eq!(expand(text, &env()), Ok(expected.to_owned()), "{text}");
        }
    }

    #[test]
    fn all_that_is_wrong_comes_at_once() {
        let errors = expand("${B} ${} ${A-x} ${B:-${A}} ${A", &env()).unwrap_err();
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
