//! The lines of some processes on their way into the stdin of another one, the forwarder.
//!
//! The pipe is ours, with both of its ends, and outlives the forwarder: what one life has not read, the next one
//! finds. The kernel tells how much is unread, so it is known of every line whether it was read as a whole, and
//! forwarded and dropped lines add up to all. Of a line that a forwarder had begun to read when it ended, the rest
//! is dropped: half a line is of no use to the next one.
//!
//! Memory is bounded by the pipe and a queue in front of it. While both are full, the sources are held back; once
//! that has taken the configured time in all, lines are dropped and counted instead, without any more waiting, until
//! the forwarder has caught up.

mod lines;
mod patience;

use std::cell::RefCell;
use std::io::{self, IoSlice};
use std::os::fd::{AsRawFd, OwnedFd};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runmate_lines::Level;
use tokio::net::unix::pipe;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep, timeout_at};

use super::counts::FeedCounts;
use super::event::Line;
use super::sink::{Admission, Sink};
use crate::config::User;
use crate::event_loop;
use crate::process::sys;
pub(super) use lines::LineEnd;
use lines::Lines;
use patience::Patience;

/// A large pipe lets the forwarder pause without anybody else having to.
const PIPE_SIZE: i32 = 1 << 20;
/// Most chunks that are written at once.
const CHUNKS: usize = 16;
/// How often it is looked whether the forwarder has read everything: nobody tells of that.
const POLL: Duration = Duration::from_millis(10);
/// Who loses lines all the time says so this often.
const REPORT_EVERY: Duration = Duration::from_secs(60);

/// A process whose lines are forwarded.
#[derive(Debug)]
pub struct FeedSource {
    /// Its name in the config.
    pub name: String,
    /// What became of its lines.
    pub counts: Arc<FeedCounts>,
}

/// How feeds behave.
#[derive(Clone, Copy, Debug)]
pub struct FeedOptions {
    /// How many bytes may wait for room in the pipe before sources are held back.
    pub capacity: usize,
    /// How long they may be held back in all until the forwarder has caught up.
    pub blocked: Duration,
}

/// The way into the stdin of one forwarder. Belongs to the event loop's thread.
#[derive(Debug)]
pub struct Feed {
    name: String,
    sources: Vec<FeedSource>,
    options: FeedOptions,
    sink: Rc<Sink>,
    state: RefCell<State>,
    /// For who waits for room; one for all feeds, so that a source may wait for several.
    moved: Rc<Notify>,
    /// For the task that writes: there is something to do.
    work: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// `None` before the first life of the forwarder and after its last one.
    stdin: Option<Rc<OwnedFd>>,
    /// The end that we write to; `None` also once the forwarder is to see the end of its stdin.
    pipe: Option<Rc<pipe::Sender>>,
    lines: Lines,
    patience: Patience,
    /// Lines dropped since the last report, by source.
    unreported: Vec<u64>,
    reported: Option<Instant>,
}

impl Feed {
    /// A feed whose forwarder was not started yet.
    pub fn new(
        name: String,
        sources: Vec<FeedSource>,
        options: FeedOptions,
        sink: Rc<Sink>,
        moved: Rc<Notify>,
    ) -> Feed {
        let state = State {
            unreported: vec![0; sources.len()],
            ..State::default()
        };
        Feed {
            name,
            sources,
            options,
            sink,
            state: RefCell::new(state),
            moved,
            work: Notify::new(),
        }
    }

    /// The stdin of the next life of the forwarder, which runs as `user`; made for the first one.
    ///
    /// # Errors
    /// If there is no pipe to be had.
    pub fn stdin(self: &Rc<Self>, user: Option<&User>) -> io::Result<Rc<OwnedFd>> {
        let mut state = self.state.borrow_mut();
        if let Some(stdin) = &state.stdin {
            let stdin = Rc::clone(stdin);
            self.drop_torn_line(&mut state, &stdin)?;
            // A life before may have changed it, and all of them share it.
            sys::set_nonblocking(stdin.as_raw_fd(), false)?;
            return Ok(stdin);
        }
        let (read, write) = sys::pipe()?;
        sys::enlarge_pipe(write.as_raw_fd(), PIPE_SIZE);
        sys::give_pipe(&read, user);
        sys::set_nonblocking(read.as_raw_fd(), false)?;
        let stdin = Rc::new(read);
        state.stdin = Some(Rc::clone(&stdin));
        state.pipe = Some(Rc::new(pipe::Sender::from_owned_fd(write)?));
        drop(state);
        event_loop::spawn(Rc::clone(self).write_on());
        Ok(stdin)
    }

    /// The number of a source by its name.
    pub(super) fn source(&self, name: &str) -> Option<usize> {
        self.sources.iter().position(|source| source.name == name)
    }

    /// Queues whole lines of a source, which end there, and writes what there is room for.
    pub(super) fn push(&self, source: usize, batch: &[u8], ends: &[LineEnd]) {
        let mut state = self.state.borrow_mut();
        let Some(pipe) = state.pipe.clone() else {
            return self.drop_lines(&mut state, source, ends.iter().map(|end| end.lines).sum());
        };
        let (mut done, mut ends) = (0, ends);
        while done < batch.len() && state.lines.is_all_written() {
            let Ok(count) = pipe.try_write(&batch[done..]) else {
                break;
            };
            let whole = ends.partition_point(|end| end.at <= done + count);
            state.lines.written(source, count, behind(done, &ends[..whole]));
            (done, ends) = (done + count, &ends[whole..]);
        }
        self.settle(&mut state);
        if done < batch.len() {
            state.lines.queue(source, &batch[done..], behind(done, ends));
            self.work.notify_one();
        }
    }

    /// Adds to the number of lines that were not even given to it.
    pub(super) fn count_dropped(&self, source: usize, lines: u64) {
        self.drop_lines(&mut self.state.borrow_mut(), source, lines);
    }

    /// What is to become of a chunk that is about to be read. `Err`: not yet known, wait until then, or until a feed
    /// has moved.
    pub(super) fn look(&self) -> Result<Admission, Instant> {
        let mut state = self.state.borrow_mut();
        if state.pipe.is_none() {
            return Ok(Admission::Drop);
        }
        if state.lines.queued() < self.options.capacity {
            return Ok(Admission::Write);
        }
        match state.patience.without_room(Instant::now(), self.options.blocked) {
            None => Ok(Admission::Drop),
            Some(until) => Err(until),
        }
    }

    /// The forwarder gets what it has not got yet, then the end of its stdin. Returns once it has read everything,
    /// at the latest then.
    pub async fn close(&self, by: Instant) {
        self.write_all(by).await;
        self.end_pipe();
        while !self.is_read() && Instant::now() < by {
            sleep(POLL).await;
        }
    }

    fn end_pipe(&self) {
        let mut state = self.state.borrow_mut();
        self.drop_queue(&mut state);
        state.pipe = None;
        drop(state);
        self.work.notify_one();
        self.moved.notify_waiters();
    }

    /// There will be no other life of the forwarder: what it has not read is lost.
    pub fn give_up(&self) {
        let mut state = self.state.borrow_mut();
        self.settle(&mut state);
        for (source, lines) in state.lines.take_unread() {
            self.drop_lines(&mut state, source, lines);
        }
        state.stdin = None;
        drop(state);
        self.end_pipe();
        self.say_losses();
    }

    /// Says what was lost since it was last said.
    pub fn say_losses(&self) {
        self.report(&mut self.state.borrow_mut());
    }

    /// Counts what was read since this was last looked at. To be called now and then: who loses nothing more is to be
    /// told of the last losses, too.
    pub fn bring_up_to_date(&self) {
        let mut state = self.state.borrow_mut();
        self.settle(&mut state);
        self.report_if_due(&mut state);
    }

    /// The life of the task that writes what there was no room for.
    async fn write_on(self: Rc<Self>) {
        loop {
            let (pipe, idle) = {
                let state = self.state.borrow();
                let Some(pipe) = state.pipe.clone() else { return };
                (pipe, state.lines.is_all_written())
            };
            tokio::select! {
                () = self.work.notified() => {}
                result = pipe.writable(), if !idle => match result {
                    Ok(()) => self.write_queue(&pipe),
                    Err(_) => return,
                },
            }
        }
    }

    fn write_queue(&self, pipe: &pipe::Sender) {
        let mut state = self.state.borrow_mut();
        let before = state.lines.queued();
        while !state.lines.is_all_written() {
            let chunks: Vec<IoSlice<'_>> = state.lines.chunks().take(CHUNKS).map(IoSlice::new).collect();
            match pipe.try_write_vectored(&chunks) {
                Ok(count) => state.lines.written_from_queue(count),
                Err(_) => break,
            }
        }
        let taken = before - state.lines.queued();
        state.patience.took(Instant::now(), taken, self.options.capacity);
        self.settle(&mut state);
        self.queue_is_shorter(&mut state);
    }

    /// Some of the queue is gone.
    fn queue_is_shorter(&self, state: &mut State) {
        if state.lines.queued() < self.options.capacity {
            state.patience.with_room(Instant::now());
            self.moved.notify_waiters();
        }
        if state.lines.is_all_written() && state.patience.renew() {
            self.report(state);
        }
    }

    async fn write_all(&self, by: Instant) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            if self.has_nothing_to_write() {
                return;
            }
            if timeout_at(by, moved).await.is_err() {
                return;
            }
        }
    }

    fn has_nothing_to_write(&self) -> bool {
        let state = self.state.borrow();
        state.lines.is_all_written() || state.pipe.is_none()
    }

    fn is_read(&self) -> bool {
        let mut state = self.state.borrow_mut();
        self.settle(&mut state);
        state.stdin.is_none() || state.lines.is_all_read()
    }

    /// Counts the lines that the forwarder has read.
    fn settle(&self, state: &mut State) {
        let Some(stdin) = &state.stdin else { return };
        let Ok(unread) = sys::unread(stdin.as_raw_fd()) else {
            return;
        };
        let sources = &self.sources;
        state.lines.settle(unread, |source, lines| {
            sources[source].counts.forwarded.add(lines)
        });
    }

    /// If the life that ended had begun to read a line, takes the rest of it away.
    fn drop_torn_line(&self, state: &mut State, stdin: &OwnedFd) -> io::Result<()> {
        self.settle(state);
        let Some(torn) = state.lines.take_torn() else {
            return Ok(());
        };
        self.drop_lines(state, torn.source, torn.lines);
        self.queue_is_shorter(state);
        // Whoever else may still read there, a child that it left behind, is not to make us wait.
        sys::set_nonblocking(stdin.as_raw_fd(), true)?;
        let mut left = torn.in_pipe;
        let mut buffer = [0; 4096];
        while left > 0 {
            let most = left.min(buffer.len());
            match sys::read(stdin.as_raw_fd(), &mut buffer[..most]) {
                Ok(0) | Err(_) => break,
                Ok(count) => left -= count,
            }
        }
        Ok(())
    }

    fn drop_queue(&self, state: &mut State) {
        for (source, lines) in state.lines.take_queue() {
            self.drop_lines(state, source, lines);
        }
    }

    fn drop_lines(&self, state: &mut State, source: usize, lines: u64) {
        if lines == 0 {
            return;
        }
        self.sources[source].counts.dropped.add(lines);
        state.unreported[source] += lines;
        // The first loss at once, or nobody would know of it while it goes on.
        self.report_if_due(state);
    }

    fn report_if_due(&self, state: &mut State) {
        if state.reported.is_none_or(|at| at.elapsed() >= REPORT_EVERY) {
            self.report(state);
        }
    }

    fn report(&self, state: &mut State) {
        let total: u64 = state.unreported.iter().sum();
        if total == 0 {
            return;
        }
        state.reported = Some(Instant::now());
        let lost = self.sources.iter().zip(&mut state.unreported);
        let by_process: serde_json::Map<_, _> = lost
            .filter(|(_, lines)| **lines > 0)
            .map(|(source, lines)| (source.name.clone(), std::mem::take(lines).into()))
            .collect();
        let lines = if total == 1 { "line was" } else { "lines were" };
        let message = format!(
            "{total} {lines} lost on the way to {} because it did not take them",
            self.name
        );
        let line = Line::new(Level::Error, "dropped", message)
            .with("lines", total)
            .with("by_process", serde_json::Value::Object(by_process))
            .with("forwarder", self.name.as_str());
        self.sink.line(&line);
    }
}

/// These ends as offsets from there.
fn behind(start: usize, ends: &[LineEnd]) -> impl Iterator<Item = LineEnd> + '_ {
    ends.iter().map(move |end| LineEnd {
        at: end.at - start,
        ..*end
    })
}

#[cfg(test)]
mod tests;
