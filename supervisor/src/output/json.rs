//! JSON strings from arbitrary bytes, at the speed of a copy where nothing needs escaping.

const HEX: &[u8; 16] = b"0123456789abcdef";

/// Appends `text` as the inside of a JSON string (RFC 8259, section 7): quotation mark, backslash
/// and control characters escaped, all else as it is. `text` must be valid UTF-8.
pub(super) fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let clean = clean_prefix(rest);
        out.extend_from_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        let short = match byte {
            b'"' => b'"',
            b'\\' => b'\\',
            b'\n' => b'n',
            b'\r' => b'r',
            b'\t' => b't',
            0x08 => b'b',
            0x0c => b'f',
            _ => 0,
        };
        if short == 0 {
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(&[b'\\', short]);
        }
        rest = &rest[clean + 1..];
    }
}

/// Like [`escape_into`] for any bytes; what is not UTF-8 becomes U+FFFD. Says whether there was any.
pub(super) fn escape_lossy_into(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut replaced = false;
    for chunk in bytes.utf8_chunks() {
        escape_into(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            replaced = true;
            out.extend_from_slice("\u{fffd}".as_bytes());
        }
    }
    replaced
}

/// How many bytes from the start need no escape. Whole blocks are tested without a branch inside,
/// a shape that compilers turn into vector instructions on every architecture.
fn clean_prefix(bytes: &[u8]) -> usize {
    const BLOCK: usize = 32;
    let needs_escape = |byte: u8| (byte < 0x20) | (byte == b'"') | (byte == b'\\');
    let mut clean = 0;
    for block in bytes.chunks_exact(BLOCK) {
        if block.iter().fold(false, |any, byte| any | needs_escape(*byte)) {
            break;
        }
        clean += BLOCK;
    }
    clean
        + bytes[clean..]
            .iter()
            .position(|byte| needs_escape(*byte))
            .unwrap_or(bytes.len() - clean)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(bytes: &[u8]) -> (Vec<u8>, bool) {
        let mut out = vec![b'"'];
        let replaced = escape_lossy_into(&mut out, bytes);
        out.push(b'"');
        (out, replaced)
    }

    proptest! {
        #[test]
        fn any_text_reads_back_the_same(text in ".{0,200}") {
            let (out, replaced) = escaped(text.as_bytes());
            prop_assert!(!replaced);
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), text);
        }

        #[test]
        fn any_bytes_read_back_as_std_would_replace_them(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let (out, replaced) = escaped(&bytes);
            let expected = String::from_utf8_lossy(&bytes);
            prop_assert_eq!(replaced, std::str::from_utf8(&bytes).is_err());
            prop_assert_eq!(serde_json::from_slice::<String>(&out).unwrap(), expected);
        }
    }

    #[test]
    fn an_escape_is_found_wherever_it_stands() {
        for length in 0..100 {
            for at in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    let mut bytes = vec![b'x'; length];
                    bytes[at] = byte;
                    assert_eq!(clean_prefix(&bytes), at);
                }
            }
        }
    }
}
