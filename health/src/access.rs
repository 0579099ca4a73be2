//! Who may see the details.

use std::fmt;

use axum::http::{HeaderMap, header};
use subtle::ConstantTimeEq;

/// Who may see more than a bare status.
#[derive(Clone)]
#[non_exhaustive]
pub enum Access {
    /// Requests with `Authorization: Bearer TOKEN`. With `None` or an empty token: nobody.
    Token(Option<String>),
    /// Everyone.
    Public,
}

impl Access {
    /// Whether a request with these headers may see the details.
    pub(crate) fn allows(&self, headers: &HeaderMap) -> bool {
        let token = match self {
            Access::Public => return true,
            Access::Token(None) => return false,
            // An unset variable in a config file often arrives as an empty string; it must not open
            // the details to everyone who sends an empty token.
            Access::Token(Some(token)) if token.is_empty() => return false,
            Access::Token(Some(token)) => token,
        };
        bearer(headers).is_some_and(|given| given.ct_eq(token.as_bytes()).into())
    }
}

/// The credentials of the bearer scheme, whose name is case-insensitive (RFC 9110, section 11.1).
fn bearer(headers: &HeaderMap) -> Option<&[u8]> {
    let value = headers.get(header::AUTHORIZATION)?.as_bytes();
    let (scheme, rest) = value.split_at_checked("bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"bearer ").then(|| rest.trim_ascii())
}

impl fmt::Debug for Access {
    /// Says whether there is a token, never which.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Access::Token(token) => f
                .debug_tuple("Token")
                .field(&token.as_ref().map(|_| "***"))
                .finish(),
            Access::Public => f.write_str("Public"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_never_shows_the_token() {
        let shown = format!("{:?}", Access::Token(Some("s3cret".into())));
        assert_eq!(shown, r#"Token(Some("***"))"#);
        assert_eq!(format!("{:?}", Access::Token(None)), "Token(None)");
    }
}
