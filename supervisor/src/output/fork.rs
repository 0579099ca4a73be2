//! Where the lines of one stream go besides stdout, or instead of it: into the stdin of forwarders.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::Arc;

use runmate_lines::{Formatter, Level, Names, Origin, Piece, Stamp};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout_at};

use super::feed::{Feed, LineEnd};
use super::sink::{Admission, Sink};
use crate::config::LogFormat;

/// The ways of the lines of one stream.
#[derive(Debug)]
pub struct Fork {
    to_stdout: bool,
    targets: Vec<Target>,
    /// For lines that stdout gets in another format.
    own: Option<RefCell<Own>>,
    moved: Rc<Notify>,
}

#[derive(Debug)]
struct Target {
    feed: Rc<Feed>,
    /// Our number there.
    source: usize,
    /// What is to become of the chunk under way.
    admission: Cell<Admission>,
    /// A part of the current line was dropped.
    part_lost: Cell<bool>,
    /// Lines of the chunk under way that were dropped.
    dropped: Cell<u64>,
    /// Where those end that were not.
    ends: RefCell<Vec<LineEnd>>,
}

#[derive(Debug)]
struct Own {
    formatter: Formatter,
    batch: Vec<u8>,
}

impl Fork {
    /// The way of the lines of a process to its forwarders; `format` is how stdout gets them, if it does. `moved` is
    /// what all feeds tell.
    pub fn new(
        feeds: impl IntoIterator<Item = Rc<Feed>>,
        origin: &Origin,
        (format, to_stdout): (LogFormat, bool),
        names: &Arc<Names>,
        max_line: usize,
        moved: Rc<Notify>,
    ) -> Fork {
        let target = |feed: Rc<Feed>| {
            Some(Target {
                source: feed.source(&origin.process)?,
                feed,
                admission: Cell::new(Admission::Drop),
                part_lost: Cell::default(),
                dropped: Cell::default(),
                ends: RefCell::default(),
            })
        };
        let own = to_stdout && format != LogFormat::Json;
        Fork {
            to_stdout,
            targets: feeds.into_iter().filter_map(target).collect(),
            own: own.then(|| {
                RefCell::new(Own {
                    formatter: Formatter::new(LogFormat::Json, Arc::clone(names), origin, max_line),
                    batch: Vec::new(),
                })
            }),
            moved,
        }
    }

    /// Waits until it is known what is to become of the next chunk; says so for stdout.
    pub(super) async fn admit(&self, sink: &Sink) -> Admission {
        let stdout = async {
            match self.to_stdout {
                true => sink.admit().await,
                false => Admission::Elsewhere,
            }
        };
        // At the same time: one that is stuck is not to be waited for after another.
        tokio::join!(stdout, self.admit_targets()).0
    }

    /// As [`Fork::admit`], without waiting: `None` if it would have to.
    pub(super) fn try_admit(&self, sink: &Sink) -> Option<Admission> {
        self.look().ok()?;
        match self.to_stdout {
            true => sink.try_admit(),
            false => Some(Admission::Elsewhere),
        }
    }

    async fn admit_targets(&self) {
        loop {
            let mut moved = std::pin::pin!(self.moved.notified());
            moved.as_mut().enable();
            match self.look() {
                Ok(()) => return,
                Err(until) => _ = timeout_at(until, moved).await,
            }
        }
    }

    /// `Err`: not yet known of all, look again then.
    fn look(&self) -> Result<(), Instant> {
        let mut soonest: Option<Instant> = None;
        for target in &self.targets {
            match target.feed.look() {
                Ok(admission) => target.admission.set(admission),
                Err(until) => soonest = Some(soonest.map_or(until, |soonest| soonest.min(until))),
            }
        }
        soonest.map_or(Ok(()), Err)
    }

    /// Whether the forwarders get the lines as stdout does, or would, and one of them gets those of this chunk.
    pub(super) fn shares_lines(&self) -> bool {
        self.own.is_none() && self.is_wanted()
    }

    fn is_wanted(&self) -> bool {
        let mut targets = self.targets.iter();
        targets.any(|target| target.admission.get() == Admission::Write)
    }

    /// Takes one line, or a part of one, which is the end of so many lines of the process; with it, what is shared
    /// has got that long. `valid` as for [`Formatter::write`].
    pub(super) fn take(
        &self,
        piece: Piece<'_>,
        (lines, shared): (u64, usize),
        level: Option<Level>,
        stamp: Stamp,
        valid: bool,
    ) {
        let mut at = shared;
        if let Some(own) = &self.own {
            let Own { formatter, batch } = &mut *own.borrow_mut();
            match self.is_wanted() {
                true => formatter.write(batch, piece, level, stamp, valid),
                false => formatter.skip(piece),
            }
            at = batch.len();
        }
        for target in &self.targets {
            let dropped = target.admission.get() == Admission::Drop;
            // Of whom a part was lost, the line is lost, and counts as such once, when it ends.
            let lost = dropped || target.part_lost.get();
            target.part_lost.set(lost && !piece.last);
            if lost {
                target.dropped.set(target.dropped.get() + lines);
            }
            if !dropped {
                let lines = if lost { 0 } else { lines };
                target.ends.borrow_mut().push(LineEnd { at, lines });
            }
        }
    }

    /// The chunk is over. `shared`: its lines as stdout gets them, or would.
    pub(super) fn give(&self, shared: &[u8]) {
        let mut own = self.own.as_ref().map(RefCell::borrow_mut);
        let batch = own.as_ref().map_or(shared, |own| &own.batch);
        for target in &self.targets {
            target.feed.count_dropped(target.source, target.dropped.take());
            let ends = target.ends.take();
            if target.admission.get() == Admission::Write && !batch.is_empty() {
                target.feed.push(target.source, batch, &ends);
            }
        }
        if let Some(own) = &mut own {
            // Not kept: its stream may have nothing more to say for a long time.
            own.batch = Vec::new();
        }
    }
}
