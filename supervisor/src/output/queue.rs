//! The queue in front of stdout, and the thread that empties it.
//!
//! Writing happens on a thread of its own: stdout belongs to whoever started us and may be shared,
//! so it cannot be made non-blocking, and a blocked write must stop neither signals nor health.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use runmate_lines::Level;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::counts::Count;
use super::event::{Line, Look};
use crate::process::sys;

/// Batches up to this size are joined to the one before them, so that many small lines cost few
/// system calls when stdout is slow.
const JOIN: usize = 64 << 10;
/// Buffers kept for reuse, and the largest of them. A chunk of nothing but newlines grows a
/// hundredfold in its envelopes; such a buffer is not kept.
const SPARE: usize = 4;
const SPARE_BYTES: usize = 1 << 20;
/// Most that is written at once where a write waits for all of it: nothing is seen of its progress.
const BLOCKING_WRITE: usize = 64 << 10;
/// How often a full disk is tried again.
const RETRY: Duration = Duration::from_millis(100);

/// What the event loop and the writer share.
#[derive(Debug)]
pub(super) struct Shared {
    queue: Mutex<Queue>,
    /// For the writer: there is something to write.
    work: Condvar,
    /// Lines that were taken for stdout and could not be written. The writer alone adds to it.
    pub unwritten: Arc<Count>,
    /// For the loop: stdout has moved.
    pub moved: Notify,
    look: Look,
}

#[derive(Debug)]
pub(super) struct Queue {
    batches: VecDeque<Vec<u8>>,
    /// Bytes in `batches`, and what is left of the batch under way.
    pub bytes: usize,
    /// When stdout last took something.
    pub moved: Instant,
    /// Since when the queue has been full without a pause.
    pub full_since: Option<Instant>,
    /// Bytes of our own lines that were queued since it was full.
    pub own_over: usize,
    /// Somebody waits for [`Shared::moved`].
    pub awaited: bool,
    /// Lines dropped since the last report, by process.
    dropped: BTreeMap<String, u64>,
    /// Nobody reads any more: the last write failed for good.
    broken: bool,
    spare: Vec<Vec<u8>>,
}

impl Shared {
    pub fn new(look: Look) -> Shared {
        let queue = Queue {
            batches: VecDeque::new(),
            bytes: 0,
            moved: Instant::now(),
            full_since: None,
            own_over: 0,
            awaited: false,
            dropped: BTreeMap::new(),
            broken: false,
            spare: Vec::new(),
        };
        Shared {
            queue: Mutex::new(queue),
            work: Condvar::new(),
            unwritten: Arc::default(),
            moved: Notify::new(),
            look,
        }
    }

    pub fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while holding it cannot leave the queue torn; its numbers are still right.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// Queues whole lines.
    pub fn push(&self, mut queue: MutexGuard<'_, Queue>, mut batch: Vec<u8>) {
        queue.bytes += batch.len();
        match queue.batches.back_mut() {
            _ if batch.is_empty() => queue.keep(batch),
            Some(last) if last.len() + batch.len() <= JOIN => {
                last.append(&mut batch);
                queue.keep(batch);
            }
            _ => queue.batches.push_back(batch),
        }
        drop(queue);
        self.work.notify_one();
    }

    /// Adds to the number of lines that did not make it.
    pub fn count_dropped(&self, process: &str, lines: u64) {
        if lines > 0 {
            self.lock().count_dropped(process, lines);
            // Should everything else be written already, the report is all there is to do.
            self.work.notify_one();
        }
    }

    /// The writer's life. It ends with the program.
    pub fn write_all_batches(&self, stdout: &Stdout) {
        loop {
            let batch = self.next_batch();
            let mut rest = &batch[..];
            while !rest.is_empty() {
                match stdout.write(rest) {
                    Ok(count) => {
                        rest = &rest[count..];
                        self.written(count);
                    }
                    Err(error) if is_temporary(&error) => std::thread::park_timeout(RETRY),
                    Err(_) => {
                        self.lost(rest);
                        break;
                    }
                }
            }
            self.lock().keep(batch);
        }
    }

    fn next_batch(&self) -> Vec<u8> {
        let mut queue = self.lock();
        loop {
            if let Some(batch) = queue.batches.pop_front() {
                return batch;
            }
            // Not only in front of the next line, which may be long in coming.
            if let Some(report) = queue.report(&self.look) {
                queue.bytes += report.len();
                return report;
            }
            queue = self
                .work
                .wait(queue)
                .unwrap_or_else(|poisoned| poisoned.into_inner());
        }
    }

    fn written(&self, count: usize) {
        let mut queue = self.lock();
        queue.bytes -= count;
        queue.moved = Instant::now();
        queue.broken = false;
        self.wake(queue);
    }

    fn lost(&self, rest: &[u8]) {
        let mut queue = self.lock();
        queue.bytes -= rest.len();
        queue.broken = true;
        let lines = memchr::memchr_iter(b'\n', rest).count() as u64;
        queue.count_dropped("(write failed)", lines);
        self.unwritten.add(lines);
        self.wake(queue);
    }

    fn wake(&self, mut queue: MutexGuard<'_, Queue>) {
        if std::mem::take(&mut queue.awaited) {
            drop(queue);
            self.moved.notify_waiters();
        }
    }
}

impl Queue {
    /// An empty buffer, used before if possible.
    pub fn buffer(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_default()
    }

    fn keep(&mut self, mut batch: Vec<u8>) {
        if self.spare.len() < SPARE && batch.capacity() <= SPARE_BYTES {
            batch.clear();
            self.spare.push(batch);
        }
    }

    pub fn count_dropped(&mut self, process: &str, lines: u64) {
        *self.dropped.entry(process.to_owned()).or_default() += lines;
    }

    /// The line that says how many were lost; `None` if none were, or nobody would hear of it.
    pub fn report(&mut self, look: &Look) -> Option<Vec<u8>> {
        if self.dropped.is_empty() || self.broken {
            return None;
        }
        let by_process = std::mem::take(&mut self.dropped);
        let total: u64 = by_process.values().sum();
        let by_process: serde_json::Map<_, _> = by_process
            .into_iter()
            .map(|(process, lines)| (process, lines.into()))
            .collect();
        let lines = if total == 1 { "line was" } else { "lines were" };
        let line = Line::new(
            Level::Error,
            "dropped",
            format!("{total} {lines} lost because stdout could not be written to"),
        )
        .with("lines", total)
        .with("by_process", serde_json::Value::Object(by_process));
        let mut batch = self.buffer();
        line.write(&mut batch, look, SystemTime::now());
        Some(batch)
    }
}

/// A disk that is full, or a file that is as large as it may be, may have room again, and then the line under
/// way goes on where it stopped. Until then stdout counts as blocked.
fn is_temporary(error: &io::Error) -> bool {
    let errno = error.raw_os_error().unwrap_or(0);
    let temporary = [
        libc::ENOSPC,
        libc::EDQUOT,
        libc::EFBIG,
        libc::ENOMEM,
        libc::ENOBUFS,
    ];
    temporary.contains(&errno)
}

/// Where the lines go.
#[derive(Debug)]
pub(super) struct Stdout {
    fd: OwnedFd,
    /// Most that is written at once.
    most: usize,
}

impl Stdout {
    /// Opens a pipe a second time, where that is allowed: the flags of our own end are ours alone, so it
    /// can be non-blocking. Then a write takes what there is room for, and slow is not the same as stuck.
    pub fn new(fd: OwnedFd) -> Stdout {
        match sys::reopen_pipe(fd.as_raw_fd()) {
            Some(fd) => Stdout { fd, most: usize::MAX },
            None => Stdout {
                fd,
                most: BLOCKING_WRITE,
            },
        }
    }

    /// Writes some of it, waiting until something can be written.
    fn write(&self, bytes: &[u8]) -> io::Result<usize> {
        sys::write(self.fd.as_raw_fd(), &bytes[..bytes.len().min(self.most)])
    }
}
