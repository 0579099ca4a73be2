//! The one way to stdout, and the rules for a stdout that is slow, stuck or gone.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::time::{Instant, timeout_at};

use super::event::Line;
use super::queue::{Shared, Stdout};
use crate::config::LogFormat;

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

/// Runmate's own lines never wait. While the queue is full, this much of them is queued all the same:
/// they are few, and they say why.
const OWN_EXTRA: usize = 64 << 10;

/// The way to stdout. Belongs to the event loop's thread.
#[derive(Debug)]
pub struct Sink {
    options: SinkOptions,
    shared: Arc<Shared>,
}

/// What to do with a chunk that is about to be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Admission {
    /// Format and push it.
    Write,
    /// Count its lines; stdout is stuck.
    Drop,
    /// Neither: its lines go elsewhere.
    Elsewhere,
}

impl Sink {
    /// Starts the writer on `stdout`.
    ///
    /// # Errors
    /// If no thread can be started.
    pub fn start(stdout: OwnedFd, options: SinkOptions) -> io::Result<Sink> {
        let shared = Arc::new(Shared::new(options.format));
        let writer = Arc::clone(&shared);
        let stdout = Stdout::new(stdout);
        std::thread::Builder::new()
            .name("stdout".into())
            .stack_size(128 << 10)
            .spawn(move || writer.write_all_batches(&stdout))?;
        Ok(Sink { options, shared })
    }

    /// The format of runmate's own lines.
    pub fn format(&self) -> LogFormat {
        self.options.format
    }

    /// Writes a line of runmate's own.
    pub fn line(&self, line: &Line) {
        let mut queue = self.shared.lock();
        let full = queue.bytes >= self.options.capacity;
        if !full {
            queue.own_over = 0;
        } else if queue.own_over >= OWN_EXTRA {
            return queue.count_dropped("runmate", 1);
        }
        let report = (!full).then(|| queue.report(self.options.format)).flatten();
        let mut batch = report.unwrap_or_else(|| queue.buffer());
        line.write(&mut batch, self.options.format, SystemTime::now());
        if full {
            queue.own_over += batch.len();
        }
        self.shared.push(queue, batch);
    }

    /// Writes the last line, with the number of those that were lost before it. Nothing keeps it out.
    pub fn last_line(&self, line: &Line) {
        let mut queue = self.shared.lock();
        let mut batch = queue.report(self.options.format).unwrap_or_default();
        line.write(&mut batch, self.options.format, SystemTime::now());
        self.shared.push(queue, batch);
    }

    /// An empty buffer, used before if possible.
    pub(super) fn buffer(&self) -> Vec<u8> {
        self.shared.lock().buffer()
    }

    /// Queues whole lines.
    pub(super) fn push(&self, batch: Vec<u8>) {
        self.shared.push(self.shared.lock(), batch);
    }

    /// Adds to the number of lines that did not make it.
    pub(super) fn count_dropped(&self, process: &str, lines: u64) {
        self.shared.count_dropped(process, lines);
    }

    /// Waits until a chunk may be read, and says what is to become of it.
    pub(super) async fn admit(&self) -> Admission {
        loop {
            let mut moved = std::pin::pin!(self.shared.moved.notified());
            moved.as_mut().enable();
            match self.look() {
                Ok(admission) => return admission,
                // Then, or when stdout moves: in both cases look again.
                Err(patience) => _ = timeout_at(patience, moved).await,
            }
        }
    }

    /// As [`Sink::admit`], without waiting: `None` if it would have to.
    pub(super) fn try_admit(&self) -> Option<Admission> {
        self.look().ok()
    }

    /// `Err`: not yet known, wait until then.
    fn look(&self) -> Result<Admission, Instant> {
        let mut queue = self.shared.lock();
        if queue.bytes < self.options.capacity {
            queue.full_since = None;
            if let Some(report) = queue.report(self.options.format) {
                self.shared.push(queue, report);
            }
            return Ok(Admission::Write);
        }
        let now = Instant::now();
        let full_since = *queue.full_since.get_or_insert(now);
        let patience = full_since.max(queue.moved) + self.options.blocked;
        if now >= patience {
            return Ok(Admission::Drop);
        }
        queue.awaited = true;
        Err(patience)
    }

    /// Waits until everything queued was written, at most until `deadline`. Says whether it was.
    pub async fn flush(&self, deadline: Instant) -> bool {
        loop {
            let mut moved = std::pin::pin!(self.shared.moved.notified());
            moved.as_mut().enable();
            {
                let mut queue = self.shared.lock();
                if queue.bytes == 0 {
                    return true;
                }
                queue.awaited = true;
            }
            if timeout_at(deadline, moved).await.is_err() {
                return false;
            }
        }
    }

    /// How long a stuck stdout may hold things up.
    pub fn patience(&self) -> Duration {
        self.options.blocked
    }
}
