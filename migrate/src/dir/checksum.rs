//! Checksums, whatever the line endings.

use sha2::{Digest, Sha384};

/// The checksum of a file as sqlx has it: of its bytes as they are.
pub(crate) fn checksum(sql: &str) -> Vec<u8> {
    Sha384::digest(sql).to_vec()
}

/// True if `recorded` is the checksum of `sql` with its own line endings, with LF or with CRLF.
///
/// The same commit has one or the other, depending on where it was checked out.
pub(crate) fn matches(sql: &str, recorded: &[u8]) -> bool {
    if checksum(sql) == recorded {
        return true;
    }
    let lf = with_lf(sql);
    checksum(&lf) == recorded || checksum(&lf.replace('\n', "\r\n")) == recorded
}

/// The text with LF at the ends of lines.
pub(crate) fn with_lf(sql: &str) -> String {
    sql.replace("\r\n", "\n")
}

/// Two digits for each byte.
pub(crate) fn hexadecimal(bytes: impl AsRef<[u8]>) -> String {
    bytes.as_ref().iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn line_endings_do_not_count_and_all_else_does() {
        let (lf, crlf, mixed) = ("a;\n\nb;\n", "a;\r\n\r\nb;\r\n", "a;\r\n\nb;\n");
        for recorded in [lf, crlf] {
            for sql in [lf, crlf, mixed] {
                assert!(matches(sql, &checksum(recorded)), "{sql:?} and {recorded:?}");
            }
        }
        // As it is, even where neither of the two.
        assert!(matches(mixed, &checksum(mixed)));
        for other in ["a;\n\nb;", "a;\n\nb;\n\n", "a; \n\nb;\n", "a;\r\rb;\r"] {
            assert!(!matches(lf, &checksum(other)), "{other:?}");
        }
        assert!(!matches(lf, &[]));
    }
}
