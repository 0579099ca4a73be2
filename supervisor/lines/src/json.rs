//! JSON strings from arbitrary bytes, at the speed of a copy where nothing needs escaping.

const HEX: &[u8; 16] = b"0123456789abcdef";
/// What stands for bytes that are not UTF-8.
const REPLACEMENT: &str = "\u{fffd}";

/// Appends `text` as the inside of a JSON string (RFC 8259, section 7): quotation mark, backslash
/// and control characters escaped, all else as it is. `text` must be valid UTF-8.
pub(super) fn escape_into(out: &mut Vec<u8>, text: &[u8]) {
    let mut rest = text;
    loop {
        let clean = clean_prefix(rest);
        out.extend_from_slice(&rest[..clean]);
        let Some(&byte) = rest.get(clean) else { return };
        match short_escape(byte) {
            Some(letter) => out.extend_from_slice(&[b'\\', letter]),
            None => {
                out.extend_from_slice(b"\\u00");
                out.push(HEX[usize::from(byte >> 4)]);
                out.push(HEX[usize::from(byte & 15)]);
            }
        }
        rest = &rest[clean + 1..];
    }
}

/// What follows the backslash, for those that need only one byte more.
fn short_escape(byte: u8) -> Option<u8> {
    Some(match byte {
        b'"' | b'\\' => byte,
        b'\n' => b'n',
        b'\r' => b'r',
        b'\t' => b't',
        0x08 => b'b',
        0x0c => b'f',
        _ => return None,
    })
}

/// Like [`escape_into`] for any bytes; what is not UTF-8 becomes U+FFFD. Says whether there was any.
pub(super) fn escape_lossy_into(out: &mut Vec<u8>, bytes: &[u8]) -> bool {
    let mut replaced = false;
    for chunk in bytes.utf8_chunks() {
        escape_into(out, chunk.valid().as_bytes());
        if !chunk.invalid().is_empty() {
            replaced = true;
            out.extend_from_slice(REPLACEMENT.as_bytes());
        }
    }
    replaced
}

/// How many bytes from the start take at most `room` bytes once they are escaped. What is valid UTF-8 is
/// never cut within a character, what is not never within what becomes one U+FFFD. `room`: at least 16,
/// so that it is always at least one.
pub(super) fn fitting(bytes: &[u8], valid: bool, room: usize) -> usize {
    const LONGEST_ESCAPE: usize = 6;
    if bytes.len() <= room / LONGEST_ESCAPE {
        return bytes.len();
    }
    let mut room = room;
    if valid {
        return fitting_text(bytes, &mut room);
    }
    let mut fits = 0;
    for chunk in bytes.utf8_chunks() {
        let text = fitting_text(chunk.valid().as_bytes(), &mut room);
        fits += text;
        let replaced = chunk.invalid().len();
        if text < chunk.valid().len() || (replaced > 0 && room < REPLACEMENT.len()) {
            return fits;
        }
        if replaced > 0 {
            room -= REPLACEMENT.len();
            fits += replaced;
        }
    }
    fits
}

/// As [`fitting`] for valid UTF-8; takes what it needs from `room`.
fn fitting_text(text: &[u8], room: &mut usize) -> usize {
    let mut fits = 0;
    loop {
        let clean = clean_prefix(&text[fits..]);
        if clean > *room {
            let is_continuation = |at: usize| text[at] & 0xc0 == 0x80;
            let mut cut = fits + *room;
            while is_continuation(cut) {
                cut -= 1;
            }
            return cut;
        }
        *room -= clean;
        fits += clean;
        let Some(&byte) = text.get(fits) else { return fits };
        let escaped = if short_escape(byte).is_some() { 2 } else { 6 };
        if escaped > *room {
            return fits;
        }
        *room -= escaped;
        fits += 1;
    }
}

/// How many bytes from the start need no escape. Sixteen bytes are looked at together where every processor
/// can; what is left, eight in one integer, which is fast on every architecture. Both at every optimisation
/// level.
#[inline]
pub(super) fn clean_prefix(bytes: &[u8]) -> usize {
    #[cfg(not(target_arch = "x86_64"))]
    let rest = bytes;
    #[cfg(target_arch = "x86_64")]
    let rest = {
        let (blocks, rest) = bytes.as_chunks();
        for (index, block) in blocks.iter().enumerate() {
            let found = escapes_in(block);
            if found != 0 {
                return index * block.len() + found.trailing_zeros() as usize;
            }
        }
        rest
    };
    bytes.len() - rest.len() + clean_prefix_by_words(rest)
}

fn clean_prefix_by_words(bytes: &[u8]) -> usize {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let (blocks, rest) = bytes.as_chunks();
    for (index, block) in blocks.iter().enumerate() {
        let word = u64::from_le_bytes(*block);
        // A borrow sets the top bit of a byte that is less than what is taken from it. The borrow may
        // spill into later bytes, so only the lowest bit that is set is sure; it is the one we want.
        let below = |word: u64, least: u8| word.wrapping_sub(ONES * u64::from(least)) & !word & TOPS;
        let equal = |byte: u8| below(word ^ (ONES * u64::from(byte)), 1);
        let found = below(word, 0x20) | equal(b'"') | equal(b'\\');
        if found != 0 {
            return index * block.len() + found.trailing_zeros() as usize / 8;
        }
    }
    let clean = rest.iter().position(needs_escape).unwrap_or(rest.len());
    bytes.len() - rest.len() + clean
}

fn needs_escape(byte: &u8) -> bool {
    (*byte < 0x20) | (*byte == b'"') | (*byte == b'\\')
}

/// A bit for each byte that needs an escape.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn escapes_in(block: &[u8; 16]) -> u32 {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_loadu_si128, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    };
    // SAFETY: SSE2 is part of every x86_64, and the load, which needs no alignment, is of the block's bytes.
    let bits = unsafe {
        let bytes = _mm_loadu_si128(block.as_ptr().cast());
        let equal = |byte: u8| _mm_cmpeq_epi8(bytes, _mm_set1_epi8(byte as i8));
        let control = _mm_cmpeq_epi8(bytes, _mm_min_epu8(bytes, _mm_set1_epi8(0x1f)));
        _mm_movemask_epi8(_mm_or_si128(control, _mm_or_si128(equal(b'"'), equal(b'\\'))))
    };
    bits as u32
}

/// What [`escapes_in_block`] looks at, in bytes.
pub(super) const BLOCK: usize = 64;

/// A bit for each byte of a block of the text that needs an escape: the first one is block 0.
#[inline]
pub(super) fn escapes_in_block(text: &[u8], block: usize) -> u64 {
    let begin = block * BLOCK;
    if let Some(block) = text[begin..].first_chunk() {
        return escapes_in_all(block);
    }
    // The text ends within it.
    if let Some(last) = text.last_chunk() {
        return escapes_in_all(last) >> (begin + BLOCK - text.len());
    }
    let mut block = [b' '; BLOCK];
    block[..text.len()].copy_from_slice(text);
    escapes_in_all(&block)
}

#[cfg(target_arch = "x86_64")]
fn escapes_in_all(block: &[u8; BLOCK]) -> u64 {
    let (parts, _) = block.as_chunks();
    let bits = parts.iter().enumerate();
    bits.fold(0, |all, (index, part)| {
        all | u64::from(escapes_in(part)) << (16 * index)
    })
}

#[cfg(not(target_arch = "x86_64"))]
fn escapes_in_all(block: &[u8; BLOCK]) -> u64 {
    let bits = block.iter().enumerate();
    bits.fold(0, |all, (index, byte)| {
        all | u64::from(needs_escape(byte)) << index
    })
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

    proptest! {
        #[test]
        fn what_fits_is_as_much_as_possible_and_no_more(
            bytes in prop_oneof![
                prop::collection::vec(any::<u8>(), 1..200),
                "[a-z\"\\\\\\x00-\\x1fäöü€🦀]{1,100}".prop_map(String::into_bytes),
            ],
            room in 16..100usize,
        ) {
            let valid = std::str::from_utf8(&bytes).is_ok();
            let mut joined = Vec::new();
            let mut rest = &bytes[..];
            while !rest.is_empty() {
                let fits = fitting(rest, valid, room);
                prop_assert!(fits > 0);
                let before = joined.len();
                escape_lossy_into(&mut joined, &rest[..fits]);
                prop_assert!(joined.len() - before <= room);
                let left = room - (joined.len() - before);
                prop_assert!(fits == rest.len() || left < 6, "{left} of {room} bytes are left");
                rest = &rest[fits..];
            }
            let mut whole = Vec::new();
            escape_lossy_into(&mut whole, &bytes);
            prop_assert_eq!(joined, whole);
        }
    }

    #[test]
    fn an_escape_is_found_wherever_it_stands() {
        for length in 0..150 {
            for at in 0..length {
                for byte in [b'"', b'\\', 0, 0x1f, b'\n'] {
                    // Above the range of ASCII, nothing is taken for a control character.
                    let mut bytes: Vec<u8> = (0..length).map(|at| b"x \xff\x80!"[at % 5]).collect();
                    bytes[at] = byte;
                    assert_eq!(clean_prefix(&bytes), at);
                    let blocks = (0..length.div_ceil(BLOCK)).map(|block| escapes_in_block(&bytes, block));
                    let (block, bit) = (at / BLOCK, at % BLOCK);
                    let expected = (0..length.div_ceil(BLOCK)).map(|each| u64::from(each == block) << bit);
                    assert!(blocks.eq(expected));
                }
            }
        }
    }
}
