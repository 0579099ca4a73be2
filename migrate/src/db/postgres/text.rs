//! Text that goes into SQL, and places in SQL. Pure.

/// A literal, whatever `standard_conforming_strings` says. PostgreSQL has no NUL in texts.
pub(super) fn quote(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 3);
    quoted.push_str("E'");
    for c in text.chars() {
        match c {
            '\0' => continue,
            '\'' | '\\' => quoted.push(c),
            _ => {}
        }
        quoted.push(c);
    }
    quoted.push('\'');
    quoted
}

/// A name in quotes.
pub(super) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\"").replace('\0', ""))
}

/// Bytes as an expression of type `bytea`.
pub(super) fn bytes(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(bytes.len() * 2 + 20);
    hex.push_str("decode('");
    for byte in bytes {
        hex.push_str(&format!("{byte:02x}"));
    }
    hex.push_str("', 'hex')");
    hex
}

/// The key of the advisory lock that sqlx takes for a database.
pub(super) fn sqlx_lock(database: &str) -> i64 {
    0x3d32_ad9e * i64::from(crc32(database.as_bytes()))
}

/// CRC-32 as in zip and Ethernet.
fn crc32(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for byte in bytes {
        crc ^= u32::from(*byte);
        for _ in 0..8 {
            let odd = crc & 1 == 1;
            crc >>= 1;
            if odd {
                crc ^= 0xedb8_8320;
            }
        }
    }
    !crc
}

/// Where the server's position (in characters, from 1) is in a text, in bytes.
pub(super) fn offset(text: &str, position: usize) -> usize {
    let mut characters = text.char_indices();
    characters
        .nth(position.saturating_sub(1))
        .map_or(text.len(), |(at, _)| at)
}

/// The line of a place, from 1.
pub(super) fn line(text: &str, offset: usize) -> u32 {
    let before = text.as_bytes().get(..offset).unwrap_or(text.as_bytes());
    1 + before.iter().filter(|byte| **byte == b'\n').count() as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_end_where_they_should() {
        assert_eq!(quote("a'b\\c\0d"), "E'a''b\\\\cd'");
        assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
        assert_eq!(bytes(&[0, 255]), "decode('00ff', 'hex')");
    }

    #[test]
    fn the_key_of_sqlx() {
        // The check value of this CRC.
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
        assert_eq!(sqlx_lock(""), 0);
        assert_eq!(sqlx_lock("123456789"), 0x3d32_ad9e * 0xcbf4_3926);
    }

    #[test]
    fn positions_count_characters() {
        let sql = "-- é\nSELECT 'ü';\nSELECT nope;";
        // The server counts 27 characters before `nope`.
        let position = sql.chars().position(|c| c == 'n').map(|at| at + 1);
        let at = offset(sql, position.expect("there"));
        assert_eq!((&sql[at..], line(sql, at)), ("nope;", 3));
        assert_eq!(offset(sql, 1000), sql.len());
        assert_eq!(offset(sql, 0), 0);
    }
}
