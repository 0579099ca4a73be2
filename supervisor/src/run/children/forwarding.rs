//! The lives of forwarders: their stdin, and their end.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout_at};

use super::Children;
use crate::config::{self, Stdin};
use crate::event_loop;
use crate::machine::{ProcessId, Target};
use crate::output::{Feed, FeedCounts, FeedOptions, FeedSource, Fork, Origin, Sink, Stream};
use crate::process::{SpawnError, StdinFrom};
use crate::run::probes::Message;
use crate::signal::Signal;

/// How much may wait for a forwarder, beside its pipe, before its sources are held back.
const QUEUE: usize = 512 << 10;
/// Who has read everything gets this long to end by itself before it is told to.
const LINGER: Duration = Duration::from_secs(1);

/// The ways into the forwarders.
pub(in crate::run) struct Feeds {
    by_forwarder: BTreeMap<ProcessId, Rc<Feed>>,
    /// What all of them tell when there is room again.
    moved: Rc<Notify>,
    /// Signals that wait until their forwarder has got everything.
    held: BTreeMap<ProcessId, (Target, Signal)>,
}

/// The numbers of the lines of one process on their way to another one.
pub(in crate::run) type Counted = BTreeMap<(ProcessId, ProcessId), Arc<FeedCounts>>;

impl Feeds {
    /// `counts` by source and forwarder.
    pub fn new(plan: &config::Plan, sink: &Rc<Sink>, counts: &Counted) -> Feeds {
        let moved = Rc::new(Notify::new());
        let options = FeedOptions {
            capacity: QUEUE,
            blocked: plan.logs.blocked,
        };
        let mut by_forwarder = BTreeMap::new();
        for (place, process) in plan.processes.iter().enumerate() {
            let (forwarder, Stdin::Logs(sources)) = (ProcessId(place), &process.stdin) else {
                continue;
            };
            let source = |source: &ProcessId| FeedSource {
                name: plan.processes[source.0].name.clone(),
                counts: counts.get(&(*source, forwarder)).cloned().unwrap_or_default(),
            };
            let sources = sources.iter().map(source).collect();
            let (name, sink, moved) = (process.name.clone(), Rc::clone(sink), Rc::clone(&moved));
            let feed = Feed::new(name, sources, options, sink, moved);
            by_forwarder.insert(forwarder, Rc::new(feed));
        }
        Feeds {
            by_forwarder,
            moved,
            held: BTreeMap::new(),
        }
    }

    fn all(&self) -> impl Iterator<Item = &Rc<Feed>> {
        self.by_forwarder.values()
    }

    /// Counts what was read since this was last looked at.
    pub fn bring_up_to_date(&self) {
        self.all().for_each(|feed| feed.bring_up_to_date());
    }

    /// Says what was lost and not yet told of.
    pub fn say_losses(&self) {
        self.all().for_each(|feed| feed.say_losses());
    }
}

impl Children {
    /// Where the lines of this stream go besides stdout, or instead of it.
    pub(super) fn fork(&self, process: ProcessId, origin: &Origin) -> Option<Fork> {
        let mut forwarders = self.plan.forwarders(process).peekable();
        forwarders.peek()?;
        let plan = &self.plan.processes[process.0];
        Some(Fork::new(
            forwarders.filter_map(|forwarder| self.feeds.by_forwarder.get(&forwarder).cloned()),
            origin,
            (plan.format, plan.to_stdout),
            &self.sink.names(),
            self.plan.logs.max_line,
            Rc::clone(&self.feeds.moved),
        ))
    }

    /// The stdin of a forwarder's next life.
    pub(super) fn stdin_of_forwarder(&self, forwarder: ProcessId) -> Result<StdinFrom, SpawnError> {
        let user = self.plan.processes[forwarder.0].user.as_ref();
        let Some(feed) = self.feeds.by_forwarder.get(&forwarder) else {
            return Ok(StdinFrom::Null);
        };
        feed.stdin(user).map(StdinFrom::File).map_err(|error| SpawnError {
            step: "make its pipes",
            error,
        })
    }

    /// This process will not live again: if it is a forwarder, what it has not read is lost.
    pub fn gone_for_good(&mut self, process: ProcessId) {
        self.feeds.held.remove(&process);
        if let Some(feed) = self.feeds.by_forwarder.get(&process) {
            feed.give_up();
        }
    }

    /// A drain has begun: who does not live now will not live again.
    pub fn no_new_lives(&mut self) {
        for process in (0..self.lives.len()).map(ProcessId) {
            if self.lives[process.0].is_none() {
                self.gone_for_good(process);
            }
        }
    }

    /// The stop signal of a drain. A forwarder gets it last: after all that its sources have written, and after the end
    /// of its stdin; not at all if it ends by itself then. `killed_at`: when its grace is over. Half of it is ours.
    pub fn stop(&mut self, process: ProcessId, target: Target, signal: Signal, killed_at: Instant) {
        let sources = match &self.plan.processes[process.0].stdin {
            Stdin::Logs(sources) => sources.as_slice(),
            Stdin::Null | Stdin::Inherit => &[],
        };
        let feed = self.feeds.by_forwarder.get(&process);
        let (Some(feed), Some(life)) = (feed, &self.lives[process.0]) else {
            return self.signal(process, target, signal);
        };
        // Everybody is to stop at once then, and its sources go on writing: nothing that it could wait for.
        if sources.iter().any(|source| self.lives[source.0].is_some()) {
            return self.signal(process, target, signal);
        }
        self.feeds.held.insert(process, (target, signal));
        let names: Vec<&str> = sources
            .iter()
            .map(|source| self.plan.processes[source.0].name.as_str())
            .collect();
        let streams = self.streams.iter();
        let streams: Vec<Rc<Stream>> = streams
            .filter(|stream| names.contains(&stream.process()))
            .cloned()
            .collect();
        let (feed, pid, sender) = (Rc::clone(feed), life.pid, self.sender.clone());
        let now = Instant::now();
        let by = now + killed_at.saturating_duration_since(now) / 2;
        event_loop::spawn(async move {
            let _ = timeout_at(by, async {
                for stream in &streams {
                    stream.read_all().await;
                }
            })
            .await;
            feed.close(by).await;
            sleep_until(by.min(Instant::now() + LINGER)).await;
            let _ = sender.send(Message::Forwarded(process, pid));
        });
    }

    /// The forwarder has got everything, or its time for that is over: the signal that was held.
    pub fn send_held(&mut self, process: ProcessId) {
        if let Some((target, signal)) = self.feeds.held.remove(&process) {
            self.signal(process, target, signal);
        }
    }

    /// Nothing is waited for any more: all signals that are held.
    pub fn send_all_held(&mut self) {
        for (process, (target, signal)) in std::mem::take(&mut self.feeds.held) {
            self.signal(process, target, signal);
        }
    }

    /// The ways into the forwarders.
    pub fn feeds(&self) -> &Feeds {
        &self.feeds
    }
}
