//! Checksums, whatever the line endings.

/// True if `recorded` is the checksum of `sql` with its own line endings, with LF or with CRLF.
pub(crate) fn matches(sql: &str, recorded: &[u8]) -> bool {
    let _ = (sql, recorded);
    unimplemented!()
}
