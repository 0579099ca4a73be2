//! Names on the server, and texts within statements.

use std::fmt::Write;

use sha2::{Digest, Sha256};

use crate::dir::hexadecimal;

/// What the server allows.
const LONGEST: usize = 64;

/// The lock of a database. Locks are the server's, so the name has to hold the database's.
pub(super) fn lock(database: &str) -> String {
    let name = format!("runmate:{database}");
    if name.len() <= LONGEST {
        return name;
    }
    let hash = hexadecimal(Sha256::digest(database));
    format!("runmate:{}", &hash[..LONGEST - "runmate:".len()])
}

/// The lock that sqlx takes before it migrates.
pub(super) fn sqlx_lock(database: &str) -> String {
    let id = 0x3d32_ad9e_i64 * i64::from(crc32(database.as_bytes()));
    format!("{id:x}")
}

/// How many locks a run's worker has.
pub(super) const WORK_LOCKS: usize = 2;

/// The locks that the sessions of a run's worker carry as long as they live.
pub(super) fn work_locks(run: &str) -> [String; WORK_LOCKS] {
    [format!("runmate/{run}/work"), format!("runmate/{run}/aside")]
}

/// CRC-32 as in zip and Ethernet: polynomial 0x04c11db7, reflected, inverted.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            crc = (crc >> 1) ^ (0xedb8_8320 & (crc & 1).wrapping_neg());
        }
    }
    !crc
}

/// A text as a literal that means the same in every `sql_mode` and character set. What is asked often goes
/// without a prepared statement, which would be a second round trip.
pub(super) fn text(text: &str) -> String {
    format!("_utf8mb4 {}", bytes(text.as_bytes()))
}

/// Bytes as a literal.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut literal = String::with_capacity(3 + 2 * bytes.len());
    literal.push_str("X'");
    for byte in bytes {
        let _ = write!(literal, "{byte:02x}");
    }
    literal.push('\'');
    literal
}

/// A name in quotes.
pub(super) fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lock_names_fit_and_differ() {
        assert_eq!(lock("app"), "runmate:app");
        let (a, b) = ("a".repeat(64), format!("{}b", "a".repeat(63)));
        assert_eq!(lock(&a).len(), 64);
        assert_ne!(lock(&a), lock(&b));
    }

    #[test]
    fn the_checksum_is_the_common_one() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(
            sqlx_lock("123456789"),
            format!("{:x}", 0x3d32_ad9e_i64 * 0xcbf4_3926_i64)
        );
    }

    #[test]
    fn literals_hold_no_character_that_means_something() {
        assert_eq!(text("a'\\"), "_utf8mb4 X'61275c'");
        assert_eq!(quoted("a`b"), "`a``b`");
    }
}
