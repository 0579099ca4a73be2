//! What must not be told: the URL of a server and the password in it.

use std::fmt;

use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::words::{cut, joined};

const HIDDEN: &str = "***";

/// Said instead of a text that cannot be made harmless.
const WITHHELD: &str = "(what it said is withheld, because the password stands in it)";

/// The forms in which a secret could be repeated to us, the longest first. `Debug` shows none.
pub(super) struct Confidential(Vec<String>);

impl Confidential {
    /// What is confidential in a URL: all of it, and its password, as it is written, decoded and encoded.
    pub fn of(url: &str) -> Confidential {
        let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
        let (before_query, query) = behind.split_once('?').unwrap_or((behind, ""));
        let in_authority = before_query
            .rsplit_once('@')
            .and_then(|(user, _)| user.split_once(':'))
            .map(|(_, password)| password);
        let in_query = query.split(['&', '#']).filter_map(|pair| {
            let (key, value) = pair.split_once('=')?;
            let key = percent_decode_str(key).decode_utf8_lossy();
            // The drivers' own names for it.
            ["password", "pass"].contains(&&*key).then_some(value)
        });
        let written: Vec<&str> = in_authority.into_iter().chain(in_query).collect();
        let mut forms = vec![url.to_owned()];
        if written.iter().any(|password| !password.is_empty()) {
            // It may come back with another scheme.
            forms.push(behind.to_owned());
        }
        for password in written {
            // In a query a plus is a space.
            let spaced = password.replace('+', " ");
            for text in [password, &spaced] {
                let decoded = percent_decode_str(text).decode_utf8_lossy();
                forms.push(utf8_percent_encode(&decoded, NON_ALPHANUMERIC).to_string());
                forms.push(joined(&decoded));
                forms.push(decoded.into_owned());
            }
            forms.push(password.to_owned());
        }
        forms.retain(|form| !form.is_empty());
        forms.sort_by_key(|form| std::cmp::Reverse(form.len()));
        forms.dedup();
        Confidential(forms)
    }

    /// What somebody else said, on one short line and without anything confidential.
    pub fn scrub(&self, text: &str) -> String {
        let hide = |mut text: String| {
            for form in &self.0 {
                text = text.replace(form.as_str(), HIDDEN);
            }
            text
        };
        // Again when two lines have become one, and before it is cut, or a part of the password might be left.
        let text = cut(hide(joined(&hide(text.to_owned()))));
        // A password of asterisks and the like.
        if self.0.iter().any(|form| text.contains(form.as_str())) {
            return WITHHELD.to_owned();
        }
        text
    }
}

impl fmt::Debug for Confidential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(HIDDEN)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(url: &str) -> Confidential {
        Confidential::of(url)
    }

    #[test]
    fn the_password_is_hidden_in_all_its_forms() {
        let confidential = of("postgres://app:s%40crt@db.example.com/app");
        assert_eq!(
            confidential.scrub("user app, password s@crt, written s%40crt,\nat db.example.com"),
            "user app, password ***, written ***, at db.example.com"
        );
        assert_eq!(
            confidential.scrub("cannot read postgres://app:s%40crt@db.example.com/app"),
            "cannot read ***"
        );
        let confidential = of("redis+unix:///run/redis.sock?db=1&p%61ss=to+p%2Fs");
        assert_eq!(confidential.scrub("AUTH to p/s"), "AUTH ***");
        assert_eq!(format!("{confidential:?}"), "***");
    }

    #[test]
    fn a_url_without_a_password_hides_nothing_but_itself() {
        let said = "role \"app\" does not exist";
        assert_eq!(of("postgres://app@h/d").scrub(said), said);
        assert_eq!(of("postgres://app:@h/d").scrub(said), said);
        assert_eq!(of("redis://d").scrub(said), said);
        assert_eq!(of("postgres:///d?host=/run/postgresql").scrub(said), said);
    }

    proptest! {
        #[test]
        fn no_password_is_ever_repeated(
            password in "\\PC{1,20}|[*]{1,4}|[a-z* ]{1,3}",
            before in "\\PC{0,30}|.{150,250}",
            after in "\\PC{0,30}",
        ) {
            let encoded = utf8_percent_encode(&password, NON_ALPHANUMERIC).to_string();
            for (url, secret) in [
                (format!("mysql://u:{encoded}@h/d"), &password),
                (format!("postgres://u@h/d?password={encoded}"), &password),
            ] {
                let confidential = of(&url);
                for said in [
                    format!("{before}{secret}{after}"),
                    format!("{before}{encoded}{after}"),
                    format!("{before}{url}{after}"),
                ] {
                    let shown = confidential.scrub(&said);
                    prop_assert!(shown == WITHHELD || !shown.contains(secret.as_str()), "{shown:?}");
                    prop_assert!(shown == WITHHELD || !shown.contains(&encoded), "{shown:?}");
                    prop_assert!(shown.chars().count() <= 210);
                }
            }
        }
    }
}
