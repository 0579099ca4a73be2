//! One pipe of one child.

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;

use tokio::net::unix::pipe;

use super::counts::StreamCounts;
use super::fork::Fork;
use super::format::{Formatter, Origin, Stamp};
use super::frame::{Framer, Piece};
use super::sink::{Admission, Sink};
use crate::config::LogFormat;
use crate::process::sys;

/// How much is read at once. Two thirds of a line's cost are the kernel's copies: few, large reads.
const CHUNK: usize = 128 << 10;

/// More reads than a full pipe (1 MiB) takes. Whoever still writes after them is not the one whose last
/// words are wanted, and must not keep us.
const FULL_PIPE: usize = 16;

/// The read buffer, one for all streams: a stream needs it only while it cuts a chunk into lines.
pub type Scratch = Rc<RefCell<Vec<u8>>>;

/// Waits for a line that matches: `ready = { log = "…" }`. Both streams of a process have a copy; the
/// first match is the only one.
#[derive(Clone)]
pub struct Watch {
    regex: regex_lite::Regex,
    /// Taken at the first match.
    found: Rc<RefCell<Option<Found>>>,
}

/// What is called at the first match.
type Found = Box<dyn FnOnce()>;

impl Watch {
    /// `found` is called once.
    pub fn new(regex: regex_lite::Regex, found: Box<dyn FnOnce()>) -> Watch {
        let found = Rc::new(RefCell::new(Some(found)));
        Watch { regex, found }
    }

    /// Looks at a line. Says whether there is nothing more to look for.
    fn look(&self, line: &[u8]) -> bool {
        if self.found.borrow().is_some() {
            if !self.regex.is_match(&String::from_utf8_lossy(line)) {
                return false;
            }
            if let Some(found) = self.found.take() {
                found();
            }
        }
        true
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Watch({})", self.regex)
    }
}

/// Reads a pipe until its end and writes its lines to the sink.
#[derive(Debug)]
pub struct Stream {
    pipe: pipe::Receiver,
    sink: Rc<Sink>,
    scratch: Scratch,
    process: String,
    counts: Arc<StreamCounts>,
    /// Where its lines go besides stdout, or instead of it.
    fork: Option<Fork>,
    state: RefCell<State>,
}

#[derive(Debug)]
struct State {
    framer: Framer,
    formatter: Formatter,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    watch: Option<Watch>,
    /// A part of the current line was dropped.
    part_lost: bool,
    ended: bool,
}

/// Whom a read asks whether there is something to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ask {
    /// The event loop, which knows what it was told the last time it looked.
    Loop,
    /// The kernel. A process that is gone wrote its last words before the loop hears of its death, but
    /// the loop may hear of them after it.
    Kernel,
}

/// What one read brought.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Progress {
    Some,
    Empty,
    End,
}

impl Stream {
    /// `pipe` is the read end; `max_line` the longest line written, envelope included, in bytes.
    ///
    /// # Errors
    /// If the pipe cannot be registered with the event loop.
    pub fn new(
        pipe: OwnedFd,
        format: LogFormat,
        origin: Origin,
        max_line: usize,
        watch: Option<Watch>,
        sink: Rc<Sink>,
        scratch: Scratch,
    ) -> io::Result<Stream> {
        let formatter = Formatter::new(format, &origin, max_line);
        let framer = Framer::new(formatter.room());
        Ok(Stream {
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            sink,
            scratch,
            process: origin.process,
            counts: Arc::default(),
            fork: None,
            state: RefCell::new(State {
                framer,
                formatter,
                carry: Vec::new(),
                watch,
                part_lost: false,
                ended: false,
            }),
        })
    }

    /// Has its lines go to others, too, or only to them.
    pub fn forked(mut self, fork: Option<Fork>) -> Stream {
        self.fork = fork;
        self
    }

    /// Has its lines counted there.
    pub fn counted(mut self, counts: Arc<StreamCounts>) -> Stream {
        self.counts = counts;
        self
    }

    /// The name of the process that writes it.
    pub fn process(&self) -> &str {
        &self.process
    }

    /// Waits until a chunk may be read, and says what stdout gets of it.
    async fn admit(&self) -> Admission {
        match &self.fork {
            None => self.sink.admit().await,
            Some(fork) => fork.admit(&self.sink).await,
        }
    }

    /// Reads until the end of the pipe, holding its process back while stdout is full.
    pub async fn run(self: Rc<Self>) {
        while self.pipe.readable().await.is_ok() {
            let admission = self.admit().await;
            if self.read(admission, Ask::Loop) == Progress::End {
                return;
            }
            // A busy stream must not keep signals waiting.
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there now, without waiting, as far as there is room for it.
    pub fn catch_up(&self) {
        for _ in 0..FULL_PIPE {
            let admission = match &self.fork {
                None => self.sink.try_admit(),
                Some(fork) => fork.try_admit(&self.sink),
            };
            let Some(admission) = admission else { return };
            if self.read(admission, Ask::Kernel) != Progress::Some {
                return;
            }
        }
    }

    /// Reads what is there now. Waits for room as [`Stream::run`] does.
    pub async fn read_all(&self) {
        loop {
            let admission = self.admit().await;
            if self.read(admission, Ask::Kernel) != Progress::Some {
                return;
            }
            tokio::task::yield_now().await;
        }
    }

    /// Reads what is there now and gives out the last line even if it has no newline. Waits for
    /// room as [`Stream::run`] does.
    pub async fn finish(&self) {
        loop {
            let admission = self.admit().await;
            if self.read(admission, Ask::Kernel) != Progress::Some {
                return self.end(admission);
            }
            // Somebody who escaped us may write for ever: the deadline must be seen.
            tokio::task::yield_now().await;
        }
    }

    /// Whether the pipe has come to its end.
    pub fn ended(&self) -> bool {
        self.state.borrow().ended
    }

    fn read(&self, admission: Admission, ask: Ask) -> Progress {
        let mut state = self.state.borrow_mut();
        if state.ended {
            return Progress::End;
        }
        let mut scratch = self.scratch.borrow_mut();
        let carried = state.carry.len();
        if scratch.len() < carried + CHUNK {
            scratch.resize(carried + CHUNK, 0);
        }
        let room = &mut scratch[carried..carried + CHUNK];
        let result = match ask {
            Ask::Loop => self.pipe.try_read(room),
            Ask::Kernel => sys::read(self.pipe.as_raw_fd(), room),
        };
        let count = match result {
            Ok(0) => {
                drop((state, scratch));
                self.end(admission);
                return Progress::End;
            }
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Progress::Empty,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => return Progress::Some,
            Err(_) => {
                drop((state, scratch));
                self.end(admission);
                return Progress::End;
            }
        };
        self.counts.bytes.add(count as u64);
        scratch[..carried].copy_from_slice(&state.carry);
        let bytes = &scratch[..carried + count];
        let used = self.give_out(&mut state, bytes, admission, false);
        state.carry.clear();
        state.carry.extend_from_slice(&bytes[used..]);
        Progress::Some
    }

    /// The pipe is at its end, or runmate is: the rest is the last line.
    fn end(&self, admission: Admission) {
        let mut state = self.state.borrow_mut();
        if !std::mem::replace(&mut state.ended, true) {
            let rest = std::mem::take(&mut state.carry);
            self.give_out(&mut state, &rest, admission, true);
        }
    }

    /// Cuts `bytes` into lines and writes or counts them; says how many bytes that took.
    fn give_out(&self, state: &mut State, bytes: &[u8], admission: Admission, end: bool) -> usize {
        let State {
            framer,
            formatter,
            watch,
            part_lost,
            ..
        } = state;
        let (mut lines, mut dropped) = (0, 0);
        let fork = self.fork.as_ref();
        let writes = admission == Admission::Write || fork.is_some_and(Fork::shares_lines);
        let mut batch = match writes {
            true => self.sink.buffer(),
            false => Vec::new(),
        };
        let stamp = Stamp::now();
        // Most chunks are valid as a whole, and then so are their lines.
        let valid = simdutf8::basic::from_utf8(bytes).is_ok();
        let each = |piece: Piece<'_>| {
            if watch.as_ref().is_some_and(|watch| watch.look(piece.bytes)) {
                *watch = None;
            }
            match writes {
                true => formatter.write(&mut batch, piece, stamp, valid),
                false => formatter.skip(piece),
            }
            *part_lost |= admission == Admission::Drop;
            if let Some(fork) = fork {
                fork.take(piece, stamp, valid);
            }
            lines += u64::from(piece.last);
            // A line counts once, when it ends, if any part of it was lost.
            if piece.last && std::mem::take(part_lost) {
                dropped += 1;
            }
        };
        let used = if end {
            framer.finish(bytes, each);
            bytes.len()
        } else {
            framer.feed(bytes, each)
        };
        self.sink.count_dropped(&self.process, dropped);
        self.counts.lines.add(lines);
        self.counts.dropped.add(dropped);
        if let Some(fork) = fork {
            fork.give(&batch);
        }
        if admission != Admission::Write {
            // Whatever is in it is not for stdout; the buffer goes back.
            batch.clear();
        }
        if writes {
            self.sink.push(batch);
        }
        used
    }
}
