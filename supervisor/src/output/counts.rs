//! Numbers of lines, for `/metrics`.

use std::sync::atomic::{AtomicU64, Ordering};

/// A number that only one thread adds to, and any may read. No more than a plain store on the way of a line.
#[derive(Debug, Default)]
pub struct Count(AtomicU64);

impl Count {
    /// Adds to it. To be called by one thread alone.
    pub fn add(&self, number: u64) {
        self.0.store(self.get() + number, Ordering::Relaxed);
    }

    /// How much it is.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// What came from one stream of a process, over all of its lives.
#[derive(Debug, Default)]
pub struct StreamCounts {
    /// Lines, the last one included if it has no newline.
    pub lines: Count,
    /// Bytes as they were read, newlines included.
    pub bytes: Count,
    /// Lines that did not make it to stdout.
    pub dropped: Count,
}

/// What became of the lines of one process on their way to one forwarder.
#[derive(Debug, Default)]
pub struct FeedCounts {
    /// Lines that the forwarder has read.
    pub forwarded: Count,
    /// Lines that it never got, or only the beginning of.
    pub dropped: Count,
}
