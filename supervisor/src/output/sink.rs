//! The one way to stdout, and the rules for a stdout that is slow, stuck or gone.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use runmate_lines::{Masks, Names};
use tokio::time::{Instant, timeout_at};
use tracing::Dispatch;

use super::counts::Count;
use super::event::{Line, Look};
use super::own::{self, Writer};
use super::queue::{Shared, Stdout};
use crate::config::LogFormat;

/// How the sink behaves.
#[derive(Clone, Debug)]
pub struct SinkOptions {
    /// How lines look.
    pub look: Look,
    /// How many bytes may wait for stdout before readers are held back.
    pub capacity: usize,
    /// How long they may be held back by a stdout that does not move at all.
    pub blocked: Duration,
}

/// The way to stdout. Belongs to the event loop's thread.
#[derive(Debug)]
pub struct Sink {
    options: SinkOptions,
    shared: Arc<Shared>,
    /// Set once the secrets are there, before the first process starts.
    masks: Arc<OnceLock<Arc<Masks>>>,
    /// Where runmate's own lines go first.
    pub(super) dispatch: Dispatch,
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
        let shared = Arc::new(Shared::new(options.look.clone()));
        let writer = Arc::clone(&shared);
        let stdout = Stdout::new(stdout);
        std::thread::Builder::new()
            .name("stdout".into())
            .stack_size(128 << 10)
            .spawn(move || writer.write_all_batches(&stdout))?;
        let masks = Arc::new(OnceLock::new());
        let dispatch = Writer {
            shared: Arc::clone(&shared),
            look: options.look.clone(),
            capacity: options.capacity,
            masks: Arc::clone(&masks),
        }
        .dispatch();
        Ok(Sink {
            options,
            shared,
            masks,
            dispatch,
        })
    }

    /// From here on what libraries warn of becomes lines, too. For the one sink that is there as long as
    /// the program; others change nothing.
    pub fn hear_libraries(&self) {
        let _ = tracing::dispatcher::set_global_default(self.dispatch.clone());
    }

    /// The format of runmate's own lines.
    pub fn format(&self) -> LogFormat {
        self.options.look.format
    }

    /// What the fields of JSON lines are called.
    pub fn names(&self) -> Arc<Names> {
        Arc::clone(&self.options.look.names)
    }

    /// From here on these secrets do not come out: in runmate's own lines, and in those of the streams that are
    /// made after this.
    pub fn hide(&self, masks: Masks) {
        // Secrets are resolved once.
        let _ = self.masks.set(Arc::new(masks));
    }

    /// What must not come out.
    pub(super) fn masks(&self) -> Option<Arc<Masks>> {
        self.masks.get().cloned()
    }

    /// Writes a line of runmate's own.
    pub fn line(&self, line: &Line) {
        tracing::dispatcher::with_default(&self.dispatch, || own::send(line));
    }

    /// Writes the last line, with the number of those that were lost before it. Nothing keeps it out, and
    /// it takes no way round.
    pub fn last_line(&self, line: &Line) {
        let line = &line.masked(self.masks.get().map(Arc::as_ref));
        let mut queue = self.shared.lock();
        let mut batch = queue.report(&self.options.look).unwrap_or_default();
        line.write(&mut batch, &self.options.look, SystemTime::now());
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

    /// Lines of all processes, runmate's own among them, that were lost because nobody reads stdout any more.
    pub fn unwritten(&self) -> Arc<Count> {
        Arc::clone(&self.shared.unwritten)
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
            if let Some(report) = queue.report(&self.options.look) {
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
