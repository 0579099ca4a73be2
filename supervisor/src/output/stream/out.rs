//! What becomes of the lines of one chunk: formatted, forked, counted.

use runmate_lines::{Formatter, Level, Piece, Stamp};

use super::Stream;
use crate::output::counts::StreamCounts;
use crate::output::fork::Fork;
use crate::output::sink::{Admission, Sink};

/// Where the lines of one chunk go.
pub(super) struct Out<'a> {
    sink: &'a Sink,
    fork: Option<&'a Fork>,
    counts: &'a StreamCounts,
    admission: Admission,
    /// Whether anybody gets them as the formatter writes them.
    writes: bool,
    formatter: &'a mut Formatter,
    lost: &'a mut Option<u64>,
    batch: Vec<u8>,
    lines: u64,
    dropped: u64,
}

impl<'a> Out<'a> {
    pub fn new(
        stream: &'a Stream,
        admission: Admission,
        formatter: &'a mut Formatter,
        lost: &'a mut Option<u64>,
    ) -> Out<'a> {
        let fork = stream.fork.as_ref();
        let writes = admission == Admission::Write || fork.is_some_and(Fork::shares_lines);
        let batch = match writes {
            true => stream.sink.buffer(),
            false => Vec::new(),
        };
        Out {
            sink: &stream.sink,
            fork,
            counts: &stream.counts,
            admission,
            writes,
            formatter,
            lost,
            batch,
            lines: 0,
            dropped: 0,
        }
    }

    /// Writes or counts what was held: a traceback, or a line that might have begun one.
    pub fn give_held(&mut self, piece: Piece<'_>, stamp: Stamp) {
        // No line has a newline within.
        let within = memchr::memchr_iter(b'\n', piece.bytes).count() as u64;
        let level = (within > 0).then_some(Level::Error);
        self.give_lines(piece, within, level, stamp, false);
    }

    /// Writes or counts a piece. `level` is that of the line if somebody knows it; `valid` says that its bytes are
    /// known to be UTF-8.
    #[inline]
    pub fn give(&mut self, piece: Piece<'_>, level: Option<Level>, stamp: Stamp, valid: bool) {
        self.give_lines(piece, 0, level, stamp, valid);
    }

    /// As [`Out::give`]; so many lines end within the piece.
    #[inline]
    fn give_lines(&mut self, piece: Piece<'_>, within: u64, level: Option<Level>, stamp: Stamp, valid: bool) {
        match self.writes {
            true => self.formatter.write(&mut self.batch, piece, level, stamp, valid),
            false => self.formatter.skip(piece),
        }
        let lines = within + u64::from(piece.last);
        self.lines += lines;
        if let Some(fork) = self.fork {
            fork.take(piece, (lines, self.batch.len()), level, stamp, valid);
        }
        if self.admission == Admission::Drop {
            *self.lost.get_or_insert(0) += within;
        }
        // A line counts once, when it ends, if any part of it was lost.
        if piece.last
            && let Some(within) = self.lost.take()
        {
            self.dropped += within + 1;
        }
    }

    pub fn push(mut self, process: &str) {
        self.sink.count_dropped(process, self.dropped);
        self.counts.lines.add(self.lines);
        self.counts.dropped.add(self.dropped);
        if let Some(fork) = self.fork {
            fork.give(&self.batch);
        }
        if self.admission != Admission::Write {
            // Whatever is in it is not for stdout; the buffer goes back.
            self.batch.clear();
        }
        if self.writes {
            self.sink.push(self.batch);
        }
    }
}
