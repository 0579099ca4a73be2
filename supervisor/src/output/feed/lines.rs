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

/// Where a line ends in some bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::output) struct LineEnd {
    /// The offset behind it.
    pub at: usize,
    /// How many lines of the process end there: all that were joined to it, none if it is a part and not the last.
    pub lines: u64,
}

/// Lines of one source; the first may have lost its beginning to the pipe.
#[derive(Debug)]
struct Chunk {
    source: usize,
    bytes: Vec<u8>,
    /// How much of it is in the pipe already.
    written: usize,
    /// Of the lines that are not in the pipe as a whole.
    ends: VecDeque<LineEnd>,
}

/// A line in the pipe.
#[derive(Clone, Copy, Debug)]
struct Written {
    source: usize,
    /// The offset behind it.
    end: u64,
    /// As in [`LineEnd`].
    lines: u64,
}

/// The rest of a line whose beginning was read by somebody who is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Torn {
    pub source: usize,
    /// As in [`LineEnd`].
    pub lines: u64,
    /// How much of the rest is in the pipe; it comes first there.
    pub in_pipe: usize,
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

    /// Adds to the queue. `ends` are those of its lines; the last line ends with it.
    pub fn queue(&mut self, source: usize, bytes: &[u8], ends: impl Iterator<Item = LineEnd>) {
        self.queued += bytes.len();
        match self.queue.back_mut() {
            Some(last) if last.source == source && last.bytes.len() + bytes.len() <= JOIN => {
                let start = last.bytes.len();
                last.bytes.extend_from_slice(bytes);
                last.ends.extend(ends.map(|end| LineEnd {
                    at: start + end.at,
                    ..end
                }));
            }
            _ => self.queue.push_back(Chunk {
                source,
                bytes: bytes.to_vec(),
                written: 0,
                ends: ends.collect(),
            }),
        }
    }

    /// What waits, in order.
    pub fn chunks(&self) -> impl Iterator<Item = &[u8]> {
        self.queue.iter().map(|chunk| &chunk.bytes[chunk.written..])
    }

    /// So many bytes of a source went into the pipe, and in them these lines ended.
    pub fn written(&mut self, source: usize, count: usize, ends: impl Iterator<Item = LineEnd>) {
        let start = self.written;
        self.unread.extend(ends.map(|LineEnd { at, lines }| Written {
            source,
            end: start + at as u64,
            lines,
        }));
        self.written += count as u64;
    }

    /// So many bytes of the queue went into the pipe.
    pub fn written_from_queue(&mut self, mut count: usize) {
        self.queued -= count;
        while count > 0
            && let Some(mut chunk) = self.queue.pop_front()
        {
            let before = chunk.written;
            let taken = count.min(chunk.bytes.len() - before);
            chunk.written += taken;
            let whole = chunk.ends.partition_point(|end| end.at <= chunk.written);
            let ends = chunk.ends.drain(..whole).map(|end| LineEnd {
                at: end.at - before,
                ..end
            });
            self.written(chunk.source, taken, ends);
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
                Some((source, lines)) if *source == line.source => *lines += line.lines,
                _ => {
                    if let Some((source, lines)) = run.replace((line.source, line.lines)) {
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
                lines: line.lines,
                in_pipe,
            });
        }
        // Its end was not written yet.
        let in_pipe = (self.written - self.read) as usize;
        (self.read, self.begin) = (self.written, self.written);
        let chunk = self.queue.front_mut()?;
        let source = chunk.source;
        let LineEnd { at, lines } = chunk.ends.pop_front()?;
        self.queued -= at - chunk.written;
        chunk.written = at;
        if chunk.written == chunk.bytes.len() {
            self.queue.pop_front();
        }
        Some(Torn {
            source,
            lines,
            in_pipe,
        })
    }

    /// Takes what waits away, a number of lines for each chunk.
    pub fn take_queue(&mut self) -> Vec<(usize, u64)> {
        self.queued = 0;
        let queue = std::mem::take(&mut self.queue);
        let lines = |chunk: Chunk| (chunk.source, chunk.ends.iter().map(|end| end.lines).sum());
        queue.into_iter().map(lines).collect()
    }

    /// Takes the lines away that end in the pipe and were not read as a whole: their sources and numbers.
    pub fn take_unread(&mut self) -> Vec<(usize, u64)> {
        let unread = std::mem::take(&mut self.unread);
        unread.into_iter().map(|line| (line.source, line.lines)).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// As a stream gives them, each line the number that `lines` says.
    fn ends(bytes: &[u8], lines: u64) -> impl Iterator<Item = LineEnd> {
        memchr::memchr_iter(b'\n', bytes).map(move |newline| LineEnd {
            at: newline + 1,
            lines,
        })
    }

    #[test]
    fn a_line_counts_as_read_once_its_newline_was() {
        let mut lines = Lines::default();
        lines.written(0, 8, ends(b"one\ntwo\n", 1));
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
        lines.queue(3, b"abcdef\nnext\n", ends(b"abcdef\nnext\n", 7));
        lines.written_from_queue(4);
        lines.settle(1, |_, _| panic!("nothing was read as a whole"));
        assert_eq!(
            lines.take_torn(),
            Some(Torn {
                source: 3,
                lines: 7,
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
                        lines.queue(source, &bytes, ends(&bytes, 1));
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
                            dropped[torn.source] += torn.lines;
                        }
                    }
                }
                let queued: usize = lines.chunks().map(<[u8]>::len).sum();
                prop_assert_eq!(queued, lines.queued());
            }
            lines.settle(pipe.len(), |source, count| forwarded[source] += count);
            end_of_life(&mut life, &mut seen);
            prop_assert_eq!(seen, forwarded);
            lines.take_unread().into_iter().for_each(|(source, count)| dropped[source] += count);
            lines.take_queue().into_iter().for_each(|(source, count)| dropped[source] += count);
            for source in 0..3 {
                prop_assert_eq!(forwarded[source] + dropped[source], produced[source]);
            }
        }
    }
}
