//! One pipe of one child.

mod out;

use std::borrow::Cow;
use std::cell::RefCell;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::SystemTime;

use runmate_lines::{Formatter, Framer, Joined, Joiner, Masker, Origin, Piece, Stamp};
use tokio::net::unix::pipe;
use tokio::time::{Instant, timeout_at};

use super::counts::StreamCounts;
use super::fork::Fork;
use super::sink::{Admission, Sink};
use crate::config::{LogFormat, Logs};
use crate::process::sys;
use out::Out;

/// How much is read at once. Two thirds of a line's cost are the kernel's copies: few, large reads.
const CHUNK: usize = 128 << 10;

/// How much is read at once where lines are shorter than [`SHORT_LINE`], and at first: empty ones grow a
/// hundredfold in their envelopes, and what was read is kept until stdout and the forwarders have taken it.
const SMALL_CHUNK: usize = 8 << 10;
/// In bytes, on average of what was read last.
const SHORT_LINE: u64 = 16;

/// More than a full pipe (1 MiB) holds. Whoever still writes after that is not the one whose last words are
/// wanted, and must not keep us.
const FULL_PIPE: u64 = 2 << 20;

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
    /// There are secrets to hide.
    masker: Option<Masker>,
    framer: Framer,
    /// Lines of tracebacks become one event.
    joiner: Option<Joiner>,
    formatter: Formatter,
    /// The beginning of a line whose end was not read yet.
    carry: Vec<u8>,
    /// How much is read next.
    chunk: usize,
    watch: Option<Watch>,
    /// Lines that ended within a part of the current event that was dropped; `None`: no part was.
    lost: Option<u64>,
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
    /// `pipe` is the read end; `format` is the process's own, all else is as `logs` says.
    ///
    /// # Errors
    /// If the pipe cannot be registered with the event loop.
    pub fn new(
        pipe: OwnedFd,
        format: LogFormat,
        origin: Origin,
        logs: &Logs,
        watch: Option<Watch>,
        sink: Rc<Sink>,
        scratch: Scratch,
    ) -> io::Result<Stream> {
        let formatter = Formatter::new(format, sink.names(), &origin, logs.max_line);
        let framer = Framer::new(formatter.room());
        let masker = sink.masks().map(Masker::new);
        // In the other formats a line is a line.
        let joiner = match format {
            LogFormat::Json => {
                let stamp = Stamp::at(SystemTime::now());
                Joiner::new(logs.multiline, Instant::now().into_std(), stamp)
            }
            LogFormat::Text | LogFormat::Raw | LogFormat::Inherit => None,
        };
        Ok(Stream {
            pipe: pipe::Receiver::from_owned_fd(pipe)?,
            sink,
            scratch,
            process: origin.process,
            counts: Arc::default(),
            fork: None,
            state: RefCell::new(State {
                masker,
                framer,
                joiner,
                formatter,
                carry: Vec::new(),
                chunk: SMALL_CHUNK,
                watch,
                lost: None,
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
        loop {
            let deadline = self.state.borrow().joiner.as_ref().and_then(Joiner::deadline);
            let readable = match deadline {
                None => self.pipe.readable().await,
                Some(deadline) => match timeout_at(deadline.into(), self.pipe.readable()).await {
                    Ok(readable) => readable,
                    Err(_) => {
                        let admission = self.admit().await;
                        self.release(admission);
                        continue;
                    }
                },
            };
            if readable.is_err() {
                return;
            }
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
        let before = self.counts.bytes.get();
        while self.counts.bytes.get() - before < FULL_PIPE {
            let admission = match &self.fork {
                None => self.sink.try_admit(),
                Some(fork) => fork.try_admit(&self.sink),
            };
            let Some(admission) = admission else { return };
            if self.read(admission, Ask::Kernel) != Progress::Some {
                return self.release(admission);
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
        let room = &mut scratch[carried..carried + state.chunk];
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
        let lines = self.counts.lines.get();
        self.give_out(&mut state, bytes, admission, false);
        let lines = self.counts.lines.get() - lines;
        state.chunk = match lines * SHORT_LINE > count as u64 {
            true => SMALL_CHUNK,
            false => CHUNK,
        };
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

    /// Cuts `bytes`, which begin with what was carried, into lines and writes or counts them. What is not yet a
    /// line is carried on.
    fn give_out(&self, state: &mut State, bytes: &[u8], admission: Admission, end: bool) {
        let State {
            masker,
            framer,
            joiner,
            formatter,
            carry,
            watch,
            lost,
            ..
        } = state;
        let (bytes, ready) = match masker {
            Some(masker) => masker.mask(bytes, end),
            None => (Cow::Borrowed(bytes), bytes.len()),
        };
        let mut out = Out::new(self, admission, formatter, lost);
        let stamp = Stamp::at(SystemTime::now());
        if let Some(joiner) = joiner {
            joiner.arrived(Instant::now().into_std(), stamp);
        }
        // Most chunks are valid as a whole, and then so are their lines.
        let valid = simdutf8::basic::from_utf8(&bytes).is_ok();
        let mut each = |piece: Piece<'_>| {
            if watch.as_ref().is_some_and(|watch| watch.look(piece.bytes)) {
                *watch = None;
            }
            let joined = joiner
                .as_mut()
                .map(|joiner| joiner.feed(piece, &mut |piece, stamp| out.give_held(piece, stamp)));
            if joined != Some(Joined::Held) {
                out.give(piece, None, stamp, valid);
            }
        };
        let mut used = framer.feed(&bytes[..ready], &mut each);
        if end {
            framer.finish(&bytes[used..], &mut each);
            used = bytes.len();
        }
        carry.clear();
        carry.extend_from_slice(&bytes[used..]);
        if let Some(masker) = masker {
            masker.took(used);
        }
        if let Some(joiner) = joiner.as_mut().filter(|_| end) {
            joiner.release(&mut |piece, stamp| out.give_held(piece, stamp));
        }
        out.push(&self.process);
    }

    /// Gives out what is held of a traceback.
    fn release(&self, admission: Admission) {
        let mut state = self.state.borrow_mut();
        let State {
            joiner: Some(joiner),
            formatter,
            lost,
            ..
        } = &mut *state
        else {
            return;
        };
        let mut out = Out::new(self, admission, formatter, lost);
        joiner.release(&mut |piece, stamp| out.give_held(piece, stamp));
        out.push(&self.process);
    }
}
