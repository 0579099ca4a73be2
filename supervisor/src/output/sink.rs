//! The one writer that owns stdout, and the bounded queue in front of it.
//!
//! Writing happens on a thread of its own: stdout belongs to whoever started us and may be shared,
//! so it cannot be made non-blocking, and a blocked write must stop neither signals nor health.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::event::{Level, Line};
use crate::config::LogFormat;
use crate::process::sys;

/// How the sink behaves.
#[derive(Clone, Copy, Debug)]
pub struct SinkOptions {
    /// The format of runmate's own lines.
    pub format: LogFormat,
    /// How many bytes may wait for stdout before readers are held back.
    pub capacity: usize,
    /// How long they may be held back by a stdout that does not move at all.
    pub blocked: Duration,
}

/// Batches up to this size are joined to the one before them, so that many small lines cost few
/// system calls when stdout is slow.
const JOIN: usize = 64 << 10;
/// Runmate's own lines may go over the capacity by this much: they are few, and they say why.
const OWN_EXTRA: usize = 64 << 10;
/// Buffers kept for reuse.
const SPARE: usize = 4;

/// The way to stdout. Belongs to the event loop's thread.
#[derive(Debug)]
pub struct Sink {
    options: SinkOptions,
    shared: Arc<Shared>,
    pressure: RefCell<Pressure>,
}

#[derive(Debug, Default)]
struct Pressure {
    /// Since when the queue has been full without a pause.
    full_since: Option<Instant>,
    dropping: bool,
    /// Lines dropped since the last report, by process.
    dropped: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
struct Shared {
    queue: Mutex<Queue>,
    /// For the writer: there is something to write.
    work: Condvar,
    /// For the loop: there is room again.
    room: Notify,
}

#[derive(Debug, Default)]
struct Queue {
    batches: VecDeque<Vec<u8>>,
    /// Bytes in `batches` and in the write under way.
    bytes: usize,
    spare: Vec<Vec<u8>>,
    /// Lines that a failed write lost.
    failed_lines: u64,
    /// Somebody waits for `room`.
    awaited: bool,
}

/// What to do with a chunk that is about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Format and push it.
    Write,
    /// Count its lines; stdout is stuck.
    Drop,
}

impl Sink {
    /// Starts the writer on `stdout`.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(stdout: OwnedFd, options: SinkOptions) -> io::Result<Sink> {
        let shared = Arc::new(Shared::default());
        let writer = Arc::clone(&shared);
        std::thread::Builder::new()
            .name("stdout".into())
            .stack_size(128 << 10)
            .spawn(move || writer.write_all_batches(&stdout))?;
        Ok(Sink {
            options,
            shared,
            pressure: RefCell::default(),
        })
    }

    /// The format of runmate's own lines.
    pub fn format(&self) -> LogFormat {
        self.options.format
    }

    /// Writes a line of runmate's own.
    pub fn line(&self, line: &Line) {
        let full = self.shared.lock().bytes >= self.options.capacity + OWN_EXTRA;
        if full {
            return self.count_dropped("runmate", 1);
        }
        self.report_dropped();
        let mut batch = self.buffer();
        line.write(&mut batch, self.options.format, SystemTime::now());
        self.push(batch);
    }

    /// An empty buffer, used before if possible.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.shared.lock().spare.pop().unwrap_or_default()
    }

    /// Queues whole lines.
    pub(super) fn push(&self, mut batch: Vec<u8>) {
        let mut queue = self.shared.lock();
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
        self.shared.work.notify_one();
    }

    /// Waits until a chunk may be read, and says what is to become of it.
    pub(super) async fn admit(&self) -> Admission {
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            room.as_mut().enable();
            if let Some(admission) = self.try_admit() {
                return admission;
            }
            self.shared.lock().awaited = true;
            let full_since = self.pressure.borrow().full_since;
            // The writer may have made room between the two looks.
            let Some(since) = full_since.filter(|_| !self.has_room()) else {
                continue;
            };
            if tokio::time::timeout_at(since + self.options.blocked, room)
                .await
                .is_err()
            {
                self.pressure.borrow_mut().dropping = true;
            }
        }
    }

    /// As [`Sink::admit`], without waiting: `None` if it would have to.
    pub(super) fn try_admit(&self) -> Option<Admission> {
        if self.has_room() {
            self.pressure.borrow_mut().full_since = None;
            self.report_dropped();
            return Some(Admission::Write);
        }
        let mut pressure = self.pressure.borrow_mut();
        pressure.full_since.get_or_insert_with(Instant::now);
        pressure.dropping.then_some(Admission::Drop)
    }

    fn has_room(&self) -> bool {
        self.shared.lock().bytes < self.options.capacity
    }

    /// Adds to the number of lines that did not make it.
    pub(super) fn count_dropped(&self, process: &str, lines: u64) {
        if lines > 0 {
            let mut pressure = self.pressure.borrow_mut();
            *pressure.dropped.entry(process.to_owned()).or_default() += lines;
        }
    }

    /// Says how many lines were lost, in front of whatever is written next.
    fn report_dropped(&self) {
        let mut pressure = self.pressure.borrow_mut();
        pressure.dropping = false;
        let mut by_process = std::mem::take(&mut pressure.dropped);
        drop(pressure);
        let failed = std::mem::take(&mut self.shared.lock().failed_lines);
        if failed > 0 {
            by_process.insert("(write failed)".into(), failed);
        }
        let total: u64 = by_process.values().sum();
        if total == 0 {
            return;
        }
        let by_process: serde_json::Map<_, _> = by_process
            .into_iter()
            .map(|(process, lines)| (process, lines.into()))
            .collect();
        let line = Line::new(
            Level::Error,
            "dropped",
            format!("{total} lines were lost because stdout could not be written to"),
        )
        .with("lines", total)
        .with("by_process", serde_json::Value::Object(by_process));
        let mut batch = self.buffer();
        line.write(&mut batch, self.options.format, SystemTime::now());
        self.push(batch);
    }

    /// Waits until everything queued was written, at most until `deadline`. Says whether it was.
    pub async fn flush(&self, deadline: Instant) -> bool {
        loop {
            let mut room = std::pin::pin!(self.shared.room.notified());
            room.as_mut().enable();
            {
                let mut queue = self.shared.lock();
                if queue.bytes == 0 {
                    return true;
                }
                queue.awaited = true;
            }
            if tokio::time::timeout_at(deadline, room).await.is_err() {
                return false;
            }
        }
    }

    /// How long a stuck stdout may hold things up.
    pub fn patience(&self) -> Duration {
        self.options.blocked
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic while holding it cannot leave the queue torn; its numbers are still right.
        self.queue.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    /// The writer's life. It ends with the program.
    fn write_all_batches(&self, stdout: &OwnedFd) {
        loop {
            let mut queue = self.lock();
            let batch = loop {
                match queue.batches.pop_front() {
                    Some(batch) => break batch,
                    None => {
                        queue = self
                            .work
                            .wait(queue)
                            .unwrap_or_else(|poisoned| poisoned.into_inner());
                    }
                }
            };
            drop(queue);
            let written = sys::write_all(stdout.as_raw_fd(), &batch);
            let lost = batch.len() - written;
            let failed_lines = memchr::memchr_iter(b'\n', &batch[batch.len() - lost..]).count() as u64;
            let mut queue = self.lock();
            queue.failed_lines += failed_lines;
            queue.bytes -= batch.len();
            queue.keep(batch);
            if std::mem::take(&mut queue.awaited) {
                drop(queue);
                self.room.notify_waiters();
            }
        }
    }
}

impl Queue {
    fn keep(&mut self, mut batch: Vec<u8>) {
        if self.spare.len() < SPARE {
            batch.clear();
            self.spare.push(batch);
        }
    }
}
