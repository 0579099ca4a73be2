//! Cutting a stream of bytes into lines, and lines that are too long into parts.

/// One line, or a part of one, without its newline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    /// What it says; not always UTF-8.
    pub bytes: &'a [u8],
    /// Whether the line ends here. A line is whole if it ends with its first piece.
    pub last: bool,
}

/// Cuts what it is given into pieces of at most `limit` bytes. What it holds back for the next
/// call is never longer than `limit`.
#[derive(Debug)]
pub struct Framer {
    limit: usize,
    /// The current line has begun with a piece that was given out.
    begun: bool,
}

impl Framer {
    /// `limit`: the longest piece, in bytes; at least 16.
    pub fn new(limit: usize) -> Framer {
        Framer {
            limit: limit.max(16),
            begun: false,
        }
    }

    /// Gives out every piece that is complete in `bytes` and says how many bytes that took; the
    /// rest belongs in front of the next chunk.
    pub fn feed(&mut self, bytes: &[u8], mut each: impl FnMut(Piece<'_>)) -> usize {
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', bytes) {
            self.line(&bytes[start..newline], &mut each);
            start = newline + 1;
        }
        // A line that goes on past the limit need not be complete to be given out in parts.
        while bytes.len() - start > self.limit {
            start += self.part(&bytes[start..], &mut each);
        }
        start
    }

    /// Gives out what is left as the last line, which has no newline.
    pub fn finish(&mut self, rest: &[u8], mut each: impl FnMut(Piece<'_>)) {
        if !rest.is_empty() || self.begun {
            self.line(rest, &mut each);
        }
    }

    fn line(&mut self, mut line: &[u8], each: &mut impl FnMut(Piece<'_>)) {
        while line.len() > self.limit {
            let taken = self.part(line, each);
            line = &line[taken..];
        }
        self.begun = false;
        each(Piece {
            bytes: line,
            last: true,
        });
    }

    fn part(&mut self, line: &[u8], each: &mut impl FnMut(Piece<'_>)) -> usize {
        let cut = char_boundary(line, self.limit);
        self.begun = true;
        each(Piece {
            bytes: &line[..cut],
            last: false,
        });
        cut
    }
}

/// The last place at or before `limit` that does not cut a UTF-8 sequence in two. In bytes that
/// are not UTF-8, `limit` itself.
fn char_boundary(bytes: &[u8], limit: usize) -> usize {
    let is_continuation = |byte: u8| byte & 0xc0 == 0x80;
    // A sequence has at most three continuation bytes.
    (limit - 3..=limit)
        .rev()
        .find(|at| !is_continuation(bytes[*at]))
        .unwrap_or(limit)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Feeds the text in chunks, as pipes would deliver it.
    fn run(text: &[u8], chunk: usize, limit: usize) -> Vec<(Vec<u8>, bool)> {
        let mut framer = Framer::new(limit);
        let mut carry = Vec::new();
        let mut out = Vec::new();
        for chunk in text.chunks(chunk.max(1)) {
            carry.extend_from_slice(chunk);
            let used = framer.feed(&carry, |piece| out.push((piece.bytes.to_vec(), piece.last)));
            carry.drain(..used);
            assert!(carry.len() <= limit.max(16));
        }
        framer.finish(&carry, |piece| out.push((piece.bytes.to_vec(), piece.last)));
        out
    }

    #[test]
    fn lines_come_out_whole_and_the_last_needs_no_newline() {
        let out = run(b"one\n\ntwo\nthree", 2, 100);
        let lines: Vec<_> = out
            .iter()
            .map(|(bytes, _)| std::str::from_utf8(bytes).unwrap())
            .collect();
        assert_eq!(lines, ["one", "", "two", "three"]);
        assert!(out.iter().all(|(_, last)| *last));
    }

    #[test]
    fn a_trailing_newline_makes_no_empty_line() {
        assert_eq!(run(b"one\n", 10, 100).len(), 1);
        assert_eq!(run(b"", 10, 100).len(), 0);
    }

    #[test]
    fn long_lines_come_in_pieces() {
        let out = run(&[b'x'; 40], 7, 16);
        let shape: Vec<_> = out.iter().map(|(bytes, last)| (bytes.len(), *last)).collect();
        assert_eq!(shape, [(16, false), (16, false), (8, true)]);
    }

    #[test]
    fn a_part_never_cuts_a_character() {
        for (bytes, _) in run("ä€🦀".repeat(50).as_bytes(), 11, 17) {
            assert!(std::str::from_utf8(&bytes).is_ok());
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_or_added_and_chunks_do_not_matter(
            text in prop::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..300),
            chunk in 1..50usize,
            limit in 16..40usize,
        ) {
            let out = run(&text, chunk, limit);
            let mut joined = Vec::new();
            for (bytes, last) in &out {
                prop_assert!(bytes.len() <= limit);
                joined.extend_from_slice(bytes);
                if *last {
                    joined.push(b'\n');
                }
            }
            let mut expected = text.clone();
            if expected.last().is_some_and(|byte| *byte != b'\n') {
                expected.push(b'\n');
            }
            prop_assert_eq!(joined, expected);
        }
    }
}
