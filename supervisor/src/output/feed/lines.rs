//! Which lines were read by a forwarder, are in its pipe, or wait for room there. Pure.

use std::collections::VecDeque;

/// Chunks up to this size are joined to the one before them.
const JOIN: usize = 64 << 10;

/// The lines of one feed. Offsets count the bytes that were ever written to the pipe.
#[derive(Debug, Default)]
pub(super) struct Lines {
    queue: VecDeque<Chunk>,
    /// Bytes in the queue.
    queued: usize,
    /// How much was written to the pipe.
    written: u64,
    /// How much of it was read.
    read: u64,
    /// Where the first line starts that was not read as a whole.
    begin: u64,
    /// The lines from there on whose ends are in the pipe.
    unread: VecDeque<Written>,
}

/// Lines of one source; the first may have lost its beginning to the pipe.
#[derive(Debug)]
struct Chunk {
    source: usize,
    bytes: Vec<u8>,
    /// How much of it is in the pipe already.
    written: usize,
}

/// A line in the pipe.
#[derive(Clone, Copy, Debug)]
struct Written {
    source: usize,
    /// The offset behind it.
    end: u64,
}

/// The rest of a line whose beginning was read by somebody who is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub source: usize,
    /// How much of the rest is in the pipe; it comes first there.
    pub in_pipe: usize,
}

/// How many lines there are.
pub(super) fn count(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

impl Lines {
    /// Bytes that wait for room in the pipe.
    pub fn queued(&self) -> usize {
        self.queued
    }

    /// Whether nothing waits for room in the pipe.
    pub fn is_all_written(&self) -> bool {
        self.queue.is_empty()
    }

    /// Whether there is nothing in the pipe, as far as is known.
    pub fn is_all_read(&self) -> bool {
        self.read == self.written
    }

    /// Adds to the queue.
    pub fn queue(&mut self, source: usize, bytes: &[u8]) {
        self.queued += bytes.len();
        match self.queue.back_mut() {
            Some(last) if last.source == source && last.bytes.len() + bytes.len() <= JOIN => {
                last.bytes.extend_from_slice(bytes);
            }
            _ => self.queue.push_back(Chunk {
                source,
                bytes: bytes.to_vec(),
                written: 0,
            }),
        }
    }

    /// What waits, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.queue.iter().map(|chunk| &chunk.bytes[chunk.written..])
    }

    /// These bytes went past the queue into the pipe.
    pub fn written(&mut self, source: usize, bytes: &[u8]) {
        let start = self.written;
        let end = |newline: usize| start + newline as u64 + 1;
        self.unread
            .extend(memchr::memchr_iter(b'\n', bytes).map(|newline| Written {
                source,
                end: end(newline),
            }));
        self.written += bytes.len() as u64;
    }

    /// So many bytes of the queue went into the pipe.
    pub fn written_from_queue(&mut self, mut count: usize) {
        self.queued -= count;
        while count > 0
            && let Some(mut chunk) = self.queue.pop_front()
        {
            let taken = count.min(chunk.bytes.len() - chunk.written);
            self.written(chunk.source, &chunk.bytes[chunk.written..chunk.written + taken]);
            chunk.written += taken;
            count -= taken;
            if chunk.written < chunk.bytes.len() {
                self.queue.push_front(chunk);
            }
        }
    }

    /// So many bytes are unread in the pipe. `each` is told, source by source, of lines that were read as a whole.
    pub fn settle(&mut self, unread: usize, mut each: impl FnMut(usize, u64)) {
        self.read = self.written.saturating_sub(unread as u64);
        let mut run: Option<(usize, u64)> = None;
        while let Some(line) = self.unread.front().copied()
            && line.end <= self.read
        {
            self.unread.pop_front();
            self.begin = line.end;
            match &mut run {
                Some((source, lines)) if *source == line.source => *lines += 1,
                _ => {
                    if let Some((source, lines)) = run.replace((line.source, 1)) {
                        each(source, lines);
                    }
                }
            }
        }
        if let Some((source, lines)) = run {
            each(source, lines);
        }
    }

    /// If the reader has stopped in the middle of a line, takes that line away; the part of it that is in the pipe has
    /// yet to be. Only right after [`Lines::settle`].
    pub fn take_torn(&mut self) -> Option<Torn> {
        if self.read == self.begin {
            return None;
        }
        if let Some(line) = self.unread.pop_front() {
            let in_pipe = (line.end - self.read) as usize;
            (self.read, self.begin) = (line.end, line.end);
            return Some(Torn {
                source: line.source,
                in_pipe,
            });
        }
        // Its end was not written yet.
        let in_pipe = (self.written - self.read) as usize;
        (self.read, self.begin) = (self.written, self.written);
        let chunk = self.queue.front_mut()?;
        let source = chunk.source;
        let rest = &chunk.bytes[chunk.written..];
        let length = memchr::memchr(b'\n', rest).map_or(rest.len(), |newline| newline + 1);
        chunk.written += length;
        self.queued -= length;
        if chunk.written == chunk.bytes.len() {
            self.queue.pop_front();
        }
        Some(Torn { source, in_pipe })
    }

    /// Takes what waits away, a number of lines for each chunk.
    pub fn take_queue(&mut self) -> Vec<(usize, u64)> {
        self.queued = 0;
        let queue = std::mem::take(&mut self.queue);
        let lines = |chunk: Chunk| (chunk.source, count(&chunk.bytes[chunk.written..]));
        queue.into_iter().map(lines).collect()
    }

    /// Takes the lines away that end in the pipe and were not read as a whole: their sources.
    pub fn take_unread(&mut self) -> Vec<usize> {
        let unread = std::mem::take(&mut self.unread);
        unread.into_iter().map(|line| line.source).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_line_counts_as_read_once_its_newline_was() {
        let mut lines = Lines::default();
        lines.written(0, b"one\ntwo\n");
        let mut read = Vec::new();
        lines.settle(5, |source, count| read.push((source, count)));
        assert_eq!(read, []);
        lines.settle(4, |source, count| read.push((source, count)));
        assert_eq!(read, [(0, 1)]);
        assert_eq!(lines.take_torn(), None);
    }

    #[test]
    fn the_rest_of_a_torn_line_is_taken_from_pipe_and_queue() {
        let mut lines = Lines::default();
        lines.queue(3, b"abcdef\nnext\n");
        lines.written_from_queue(4);
        lines.settle(1, |_, _| panic!("nothing was read as a whole"));
        assert_eq!(
            lines.take_torn(),
            Some(Torn {
                source: 3,
                in_pipe: 1
            })
        );
        assert_eq!(lines.chunks().collect::<Vec<_>>(), [b"next\n"]);
        assert_eq!((lines.queued(), lines.take_torn()), (5, None));
    }

    /// What happens to a feed.
    #[derive(Clone, Debug)]
    enum Step {
        Queue(usize, Vec<usize>),
        Write(usize),
        Read(usize),
        Die,
    }

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let step = prop_oneof![
            (0..3usize, prop::collection::vec(0..6usize, 1..4)).prop_map(|(s, l)| Step::Queue(s, l)),
            (0..20usize).prop_map(Step::Write),
            (0..20usize).prop_map(Step::Read),
            Just(Step::Die),
        ];
        prop::collection::vec(step, 0..60)
    }

    proptest! {
        /// Against a pipe that is a list of bytes: whoever reads finds only whole lines, and all are accounted for.
        #[test]
        fn forwarded_and_dropped_are_all(steps in steps()) {
            let mut lines = Lines::default();
            let (mut pipe, mut life) = (VecDeque::<u8>::new(), Vec::<u8>::new());
            let (mut produced, mut forwarded, mut dropped) = ([0u64; 3], [0u64; 3], [0u64; 3]);
            let mut seen = [0u64; 3];
            let end_of_life = |life: &mut Vec<u8>, seen: &mut [u64; 3]| {
                for line in life.split_inclusive(|byte| *byte == b'\n').filter(|line| line.ends_with(b"\n")) {
                    assert!(line.starts_with(b"<"), "{line:?}");
                    seen[(line[1] - b'0') as usize] += 1;
                }
                life.clear();
            };
            for step in steps {
                match step {
                    Step::Queue(source, lengths) => {
                        let mut bytes = Vec::new();
                        for length in lengths {
                            bytes.extend_from_slice(format!("<{source}{}\n", "x".repeat(length)).as_bytes());
                            produced[source] += 1;
                        }
                        lines.queue(source, &bytes);
                    }
                    Step::Write(most) => {
                        let all: Vec<u8> = lines.chunks().flatten().copied().collect();
                        let count = most.min(all.len());
                        pipe.extend(&all[..count]);
                        lines.written_from_queue(count);
                    }
                    Step::Read(most) => life.extend(pipe.drain(..most.min(pipe.len()))),
                    Step::Die => {
                        lines.settle(pipe.len(), |source, count| forwarded[source] += count);
                        end_of_life(&mut life, &mut seen);
                        if let Some(torn) = lines.take_torn() {
                            pipe.drain(..torn.in_pipe);
                            dropped[torn.source] += 1;
                        }
                    }
                }
                let queued: usize = lines.chunks().map(<[u8]>::len).sum();
                prop_assert_eq!(queued, lines.queued());
            }
            lines.settle(pipe.len(), |source, count| forwarded[source] += count);
            end_of_life(&mut life, &mut seen);
            prop_assert_eq!(seen, forwarded);
            lines.take_unread().into_iter().for_each(|source| dropped[source] += 1);
            lines.take_queue().into_iter().for_each(|(source, count)| dropped[source] += count);
            for source in 0..3 {
                prop_assert_eq!(forwarded[source] + dropped[source], produced[source]);
            }
        }
    }
}
