//! Finding any of many strings in much text.
//!
//! Every string is at least eight bytes long, so not every place of the text has to be looked at: one
//! four-byte block in each `stride` is enough, if the blocks at `stride` consecutive places of each string
//! are known. Nearly every look ends at one bit of a table that stays in the first cache. Compared with the
//! searchers of a library (Teddy, Aho-Corasick) this has no limit to the number of strings, takes some
//! kilobytes for a thousand, and leaves nothing of them in memory when it is dropped.

use std::ops::Range;

use zeroize::Zeroizing;

/// The shortest string that can be found, in bytes.
pub(super) const LEAST: usize = 8;
/// What is looked at at once.
const BLOCK: usize = 4;
/// Longer steps gain little, and each makes the table fuller.
const LONGEST_STRIDE: usize = 16;
/// Blocks that are looked at before the loop asks whether one of them was known.
const BATCH: usize = 8;
/// The bits of the table: with a thousand needles one look in twelve finds a bit that another block has set.
const BITS: u32 = 16;

type Filter = [u64; 1 << (BITS - 6)];

/// Finds its strings in any text.
pub(super) struct Finder {
    needles: Vec<Zeroizing<Vec<u8>>>,
    longest: usize,
    stride: usize,
    /// A bit for the hash of each known block; too little to tell one from it.
    filter: Box<Filter>,
    /// The known blocks, sorted, and the needle and place in it that each is from.
    blocks: Zeroizing<Vec<u32>>,
    places: Vec<(usize, usize)>,
}

impl Finder {
    /// Of `needles` those that are too short are left out; `None` if none is left.
    pub fn new(mut needles: Vec<Zeroizing<Vec<u8>>>) -> Option<Finder> {
        needles.retain(|needle| needle.len() >= LEAST);
        needles.sort_unstable_by(|one, other| one.as_slice().cmp(other));
        needles.dedup();
        let longest = needles.iter().map(|needle| needle.len()).max()?;
        let shortest = needles.iter().map(|needle| needle.len()).min()?;
        let stride = (shortest + 1 - BLOCK).min(LONGEST_STRIDE);
        let mut known: Zeroizing<Vec<(u32, usize, usize)>> =
            Zeroizing::new(Vec::with_capacity(needles.len() * stride));
        for (index, needle) in needles.iter().enumerate() {
            let first = rarest(needle, stride);
            known.extend((first..first + stride).map(|place| (block(needle, place), index, place)));
        }
        known.sort_unstable();
        let mut filter: Box<Filter> = Box::new([0; _]);
        for (block, ..) in known.iter() {
            let (word, bit) = hash(*block);
            filter[word] |= 1 << bit;
        }
        Some(Finder {
            longest,
            stride,
            filter,
            blocks: Zeroizing::new(known.iter().map(|(block, ..)| *block).collect()),
            places: known.iter().map(|(_, needle, place)| (*needle, *place)).collect(),
            needles,
        })
    }

    /// The length of the longest string.
    pub fn longest(&self) -> usize {
        self.longest
    }

    /// Where the strings are in `text`, in order; what overlaps is one range.
    pub fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut found = Vec::new();
        let mut at = 0;
        while let Some(window) = text.get(at..at + BATCH * self.stride) {
            if self.any_known(window) {
                (0..BATCH).for_each(|step| self.look(text, at + step * self.stride, &mut found));
            }
            at += BATCH * self.stride;
        }
        while at + BLOCK <= text.len() {
            self.look(text, at, &mut found);
            at += self.stride;
        }
        if found.len() > 1 {
            merge(&mut found);
        }
        found
    }

    /// Whether one of the blocks at the beginning of each step may be a needle's. Written out, without a branch
    /// in between: the looks do not wait for each other.
    fn any_known(&self, window: &[u8]) -> bool {
        let known = |step: usize| self.may_be_known(block(window, step * self.stride));
        let any = known(0) | known(1) | known(2) | known(3) | known(4) | known(5) | known(6) | known(7);
        any & 1 != 0
    }

    /// The lowest bit says whether the block may be a needle's.
    #[inline(always)]
    fn may_be_known(&self, block: u32) -> u64 {
        let (word, bit) = hash(block);
        self.filter[word] >> bit
    }

    /// Adds the needles that have the block at `at` where they have one that is known.
    fn look(&self, text: &[u8], at: usize, found: &mut Vec<Range<usize>>) {
        let block = block(text, at);
        if self.may_be_known(block) & 1 == 0 {
            return;
        }
        let first = self.blocks.partition_point(|known| *known < block);
        let same = self.blocks[first..].iter().take_while(|known| **known == block);
        for (_, (needle, place)) in same.zip(&self.places[first..]) {
            let needle = &self.needles[*needle];
            if let Some(start) = at.checked_sub(*place)
                && text[start..].starts_with(needle)
            {
                found.push(start..start + needle.len());
            }
        }
    }
}

/// No word of what it holds.
impl std::fmt::Debug for Finder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Finder({} needles)", self.needles.len())
    }
}

#[inline(always)]
fn block(text: &[u8], at: usize) -> u32 {
    let bytes = text[at..].first_chunk::<BLOCK>();
    u32::from_le_bytes(*bytes.expect("the callers leave room for a block"))
}

/// The word and bit of the table. Multiplied by 2^32 divided by the golden ratio, the upper bits depend on
/// all lower ones.
#[inline(always)]
fn hash(block: u32) -> (usize, u32) {
    let hash = block.wrapping_mul(0x9e37_79b1) >> (32 - BITS);
    ((hash >> 6) as usize, hash & 63)
}

/// Where in the needle the `stride` blocks begin that ordinary text has least: lower-case letters and
/// punctuation of URLs are what logs are made of.
fn rarest(needle: &[u8], stride: usize) -> usize {
    let window = stride + BLOCK - 1;
    let rare = |byte: &&u8| byte.is_ascii_uppercase() || byte.is_ascii_digit() || !byte.is_ascii();
    let score = |first: &usize| needle[*first..*first + window].iter().filter(rare).count();
    // Of several that are equal the last: what is secret of a URL is not at its beginning.
    (0..=needle.len() - window).max_by_key(score).unwrap_or(0)
}

/// Sorts the ranges and makes one of those that overlap.
fn merge(found: &mut Vec<Range<usize>>) {
    found.sort_unstable_by_key(|range| range.start);
    found.dedup_by(|next, last| {
        let overlap = next.start < last.end;
        if overlap {
            last.end = last.end.max(next.end);
        }
        overlap
    });
}
