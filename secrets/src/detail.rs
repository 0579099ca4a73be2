//! What may be shown of texts that others wrote: errors of a service, ARNs.

use std::ops::Range;

/// How long a service's own words may be, in characters.
const MAX_CHARS: usize = 300;

/// Shortens every run of exactly twelve digits, as account numbers are, to its last four: `****9012`.
pub(crate) fn redact_accounts(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    let mut from = 0;
    for run in digits(text) {
        if run.len() == 12 {
            shown.push_str(&text[from..run.start]);
            shown.push_str("****");
            from = run.end - 4;
        }
    }
    shown.push_str(&text[from..]);
    shown
}

/// Shortens the account of an ARN to its last four characters, whatever it is; all else stays.
pub(crate) fn redact_arn(arn: &str) -> String {
    let mut parts: Vec<&str> = arn.splitn(6, ':').collect();
    let short;
    if let [_, _, _, _, account, _] = parts.as_mut_slice()
        && account.len() > 4
    {
        short = format!("****{}", account.get(account.len() - 4..).unwrap_or_default());
        *account = &short;
    }
    parts.join(":")
}

/// Makes a service's words fit for a line of a log: account numbers shortened, no control characters, at
/// most 300 characters.
pub(crate) fn clean_detail(text: &str) -> String {
    // First: what is between the digits of an account must not hide it.
    let text: String = text
        .trim()
        .chars()
        .filter_map(|c| match c {
            '\n' | '\t' => Some(' '),
            c if c.is_control() => None,
            c => Some(c),
        })
        .collect();
    let text = redact_accounts(&text);
    if text.chars().count() <= MAX_CHARS {
        return text;
    }
    text.chars().take(MAX_CHARS - 1).chain(['…']).collect()
}

/// Where the runs of ASCII digits are.
fn digits(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let bytes = text.as_bytes();
    let mut at = 0;
    std::iter::from_fn(move || {
        let start = at + bytes[at..].iter().position(u8::is_ascii_digit)?;
        let length = bytes[start..]
            .iter()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        at = start + length;
        Some(start..at)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn account_numbers_are_shortened_and_other_numbers_stay() {
        let cases = [
            (
                "user: arn:aws:sts::123456789012:assumed-role/app is not authorized",
                "user: arn:aws:sts::****9012:assumed-role/app is not authorized",
            ),
            ("123456789012", "****9012"),
            ("12345678901 1234567890123", "12345678901 1234567890123"),
            ("123456789012,111122223333", "****9012,****3333"),
            ("é123456789012é", "é****9012é"),
            ("", ""),
        ];
        for (text, shown) in cases {
            assert_eq!(redact_accounts(text), shown);
        }
    }

    #[test]
    fn an_arns_account_is_shortened_whatever_it_is() {
        let cases = [
            (
                "arn:aws:ssm:r:123456789012:parameter/123456789012",
                "arn:aws:ssm:r:****9012:parameter/123456789012",
            ),
            (
                "arn:aws:ssm:r:1234567890123:parameter/a",
                "arn:aws:ssm:r:****0123:parameter/a",
            ),
            ("arn:aws:ssm:r:1234:parameter/a", "arn:aws:ssm:r:1234:parameter/a"),
            ("arn:aws:ssm:r:ééé:a", "arn:aws:ssm:r:****éé:a"),
            ("arn:aws:ssm:r:a€€:a", "arn:aws:ssm:r:****:a"),
            ("no arn", "no arn"),
        ];
        for (arn, shown) in cases {
            assert_eq!(redact_arn(arn), shown);
        }
    }

    #[test]
    fn a_detail_is_one_short_line_without_accounts() {
        assert_eq!(clean_detail(" a\nb\u{1b}[31mc\r\n"), "a b[31mc");
        // Broken up by a control character, it would come together again behind the redaction.
        assert_eq!(clean_detail("123456\u{7}789012"), "****9012");
        let long = clean_detail(&"é".repeat(1000));
        assert_eq!(long.chars().count(), 300);
        assert!(long.ends_with("é…"));
        // An account at the cut is not shown in part.
        let cut = clean_detail(&format!("{}123456789012", "x".repeat(290)));
        assert!(cut.ends_with("x****9012"), "{cut}");
    }
}
