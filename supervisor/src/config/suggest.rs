//! "did you mean": the nearest of the names that would have been right.

/// `; did you mean "x"?` when one of `known` is near enough to `given`, else nothing.
pub(super) fn did_you_mean<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(given, known)
        .map(|name| format!("; did you mean \"{name}\"?"))
        .unwrap_or_default()
}

/// The nearest name, if at most a third of it (and always at least one letter) differs.
fn nearest<'a>(given: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Names are short; a long text is no typing slip, and the distance costs its square.
    if given.len() > 64 {
        return None;
    }
    known
        .into_iter()
        .map(|name| (distance(given, name), name))
        .filter(|(distance, name)| *distance <= (name.len().max(given.len()) / 3).max(1))
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Insertions, deletions, replacements and swaps of neighbours that turn `a` into `b`, with case,
/// `-` and `_` taken as equal.
fn distance(a: &str, b: &str) -> usize {
    let fold = |text: &str| {
        text.chars()
            .map(|c| if c == '-' { '_' } else { c.to_ascii_lowercase() })
            .collect()
    };
    let (a, b): (Vec<char>, Vec<char>) = (fold(a), fold(b));
    // rows[i][j]: the distance between the first i of a and the first j of b.
    let mut rows = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in 0..=a.len() {
        for j in 0..=b.len() {
            rows[i][j] = if i == 0 || j == 0 {
                i + j
            } else {
                let replace = rows[i - 1][j - 1] + usize::from(a[i - 1] != b[j - 1]);
                let mut best = replace.min(rows[i - 1][j] + 1).min(rows[i][j - 1] + 1);
                if i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] {
                    best = best.min(rows[i - 2][j - 2] + 1);
                }
                best
            };
        }
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slips_are_recognised_and_other_words_are_not() {
        let known = ["command", "restart", "ready", "env", "env_inherit", "on_exit"];
        for (given, expected) in [
            ("comand", Some("command")),
            ("commnad", Some("command")),
            ("Restart", Some("restart")),
            ("on-exit", Some("on_exit")),
            ("evn", Some("env")),
            ("ports", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(given, known), expected, "{given}");
        }
    }
}
