//! Random bytes that are the same on every run, for the writer and for the test that checks them.

/// The size of one [`Random::chunk`].
const CHUNK: usize = 64 << 10;

/// xorshift64* (Vigna, "An experimental exploration of Marsaglia's xorshift generators, scrambled").
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Random {
        Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }

    /// Some more bytes. Most chunks are plainly random, which makes lines of 256 bytes on average;
    /// every eighth has no newline at all and is one long line.
    pub fn chunk(&mut self) -> Vec<u8> {
        let one_line = self.next().is_multiple_of(8);
        let mut bytes = Vec::with_capacity(CHUNK);
        while bytes.len() < CHUNK {
            bytes.extend_from_slice(&self.next().to_le_bytes());
        }
        if one_line {
            bytes
                .iter_mut()
                .filter(|byte| **byte == b'\n')
                .for_each(|byte| *byte = b'"');
        }
        bytes
    }
}
