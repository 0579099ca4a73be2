//! A value that shows itself to nobody who did not ask.

use std::fmt;

use zeroize::Zeroizing;

/// The value of a secret: bytes, mostly UTF-8.
///
/// `Debug` and `Display` print `***`, and the memory is overwritten when it is dropped. Copies that
/// somebody makes of what [`expose`](Secret::expose) shows are theirs to look after.
#[derive(Clone)]
pub struct Secret(Zeroizing<Box<[u8]>>);

impl Secret {
    /// Takes a value over.
    pub fn new(value: impl Into<Vec<u8>>) -> Secret {
        // A vector that has to shrink is copied, and the copy left behind would not be overwritten.
        let value = Zeroizing::new(value.into());
        Secret(Zeroizing::new(value.as_slice().into()))
    }

    /// The value itself.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// The value as text; `None` if it is not UTF-8.
    pub fn expose_str(&self) -> Option<&str> {
        std::str::from_utf8(&self.0).ok()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(***)")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_does_not_show_itself() {
        let secret = Secret::new("hunter2");
        assert_eq!(
            format!("{secret} {secret:?} {secret:#?}"),
            "*** Secret(***) Secret(***)"
        );
        assert_eq!(secret.expose_str(), Some("hunter2"));
        assert_eq!(Secret::new([0xff]).expose_str(), None);
    }
}
