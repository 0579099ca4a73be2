//! Runmate's own lines on their way to the queue: as events of `tracing`, together with the warnings of
//! libraries.
//!
//! Libraries are heard from WARN on, with their message alone: their fields are where values of others
//! would stand. Helpers and other commands install no subscriber, so there they are not heard at all.

use std::error::Error;
use std::fmt::{self, Debug, Display};
use std::sync::{Arc, OnceLock};
use std::time::SystemTime;

use runmate_lines::{Level, Masks};
use tracing::field::{Field, Visit};
use tracing::level_filters::LevelFilter;
use tracing::subscriber::Interest;
use tracing::{Dispatch, Event, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

use super::event::{Line, Look};
use super::queue::Shared;

/// The target of runmate's own events.
const TARGET: &str = "runmate";

/// Own lines never wait. While the queue is full, this much of them is queued all the same: they are few,
/// and they say why.
const OWN_EXTRA: usize = 64 << 10;
/// What libraries say is cut there.
const LONGEST_MESSAGE: usize = 1024;

/// Writes events into the queue.
#[derive(Debug)]
pub(super) struct Writer {
    pub shared: Arc<Shared>,
    pub look: Look,
    /// As in the sink's options.
    pub capacity: usize,
    /// What must not come out, once that is known.
    pub masks: Arc<OnceLock<Arc<Masks>>>,
}

impl Writer {
    /// What events are sent to.
    pub fn dispatch(self) -> Dispatch {
        Dispatch::new(tracing_subscriber::registry().with(self))
    }

    fn write(&self, line: &Line) {
        let line = line.masked(self.masks.get().map(Arc::as_ref));
        let mut queue = self.shared.lock();
        let full = queue.bytes >= self.capacity;
        if !full {
            queue.own_over = 0;
        } else if queue.own_over >= OWN_EXTRA {
            return queue.count_dropped("runmate", 1);
        }
        let report = (!full).then(|| queue.report(&self.look)).flatten();
        let mut batch = report.unwrap_or_else(|| queue.buffer());
        line.write(&mut batch, &self.look, SystemTime::now());
        if full {
            queue.own_over += batch.len();
        }
        self.shared.push(queue, batch);
    }
}

/// Sends a line as an event to whoever is the current subscriber.
pub(super) fn send(line: &Line) {
    // A callsite has one level.
    macro_rules! send {
        ($level:ident) => {
            tracing::event!(
                target: TARGET,
                tracing::Level::$level,
                line = line as &(dyn Error + 'static),
                "{}",
                line.message()
            )
        };
    }
    match line.level() {
        Level::Fatal | Level::Error => send!(ERROR),
        Level::Warn => send!(WARN),
        Level::Info | Level::Debug | Level::Trace => send!(INFO),
    }
}

impl<S: Subscriber> Layer<S> for Writer {
    fn register_callsite(&self, metadata: &'static Metadata<'static>) -> Interest {
        // Asked once for each place in the code: what is not wanted costs nothing afterwards.
        match is_wanted(metadata) {
            true => Interest::always(),
            false => Interest::never(),
        }
    }

    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        is_wanted(metadata)
    }

    fn max_level_hint(&self) -> Option<LevelFilter> {
        Some(LevelFilter::INFO)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        event.record(&mut Heard {
            writer: self,
            metadata: event.metadata(),
        });
    }
}

/// Our own events, and what libraries warn of. No spans: nobody asks for them.
fn is_wanted(metadata: &Metadata<'_>) -> bool {
    metadata.is_event() && (metadata.target() == TARGET || *metadata.level() <= tracing::Level::WARN)
}

/// Looks at the fields of one event.
struct Heard<'a> {
    writer: &'a Writer,
    metadata: &'a Metadata<'a>,
}

impl Visit for Heard<'_> {
    fn record_error(&mut self, _: &Field, value: &(dyn Error + 'static)) {
        if self.metadata.target() == TARGET
            && let Some(line) = value.downcast_ref::<Line>()
        {
            self.writer.write(line);
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        if self.metadata.target() == TARGET || field.name() != "message" {
            return;
        }
        let level = match *self.metadata.level() {
            tracing::Level::ERROR => Level::Error,
            _ => Level::Warn,
        };
        let mut message = format!("{value:?}");
        // Before it is cut: nobody knows the first half of a secret.
        if let Some(masks) = self.writer.masks.get() {
            masks.text(&mut message);
        }
        message.truncate(message.floor_char_boundary(LONGEST_MESSAGE));
        let line = Line::new(level, "library", message).with("target", self.metadata.target());
        self.writer.write(&line);
    }
}

/// `tracing` hands on values of other types than its own only as text, or as errors. That is all the
/// error there is in a line.
impl Error for Line {}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::LogFormat;
    use crate::output::{Sink, SinkOptions};
    use serde_json::Value;
    use std::io::{BufRead, BufReader, PipeReader};
    use std::time::Duration;

    fn sink() -> (Sink, BufReader<PipeReader>) {
        let (reader, writer) = std::io::pipe().unwrap();
        let options = SinkOptions {
            look: Look {
                format: LogFormat::Json,
                names: Arc::default(),
            },
            capacity: 1 << 20,
            blocked: Duration::from_secs(5),
        };
        (
            Sink::start(writer.into(), options).unwrap(),
            BufReader::new(reader),
        )
    }

    fn next(lines: &mut BufReader<PipeReader>) -> Value {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    }

    #[test]
    fn each_sink_has_its_own_lines_with_their_fields() {
        let ((one, mut from_one), (two, mut from_two)) = (sink(), sink());
        for (sink, number) in [(&one, 1), (&two, 2), (&one, 3)] {
            sink.line(&Line::new(Level::Warn, "test", "hello").with("number", number));
        }
        let first = next(&mut from_one);
        assert_eq!(
            (&first["level"], &first["event"], &first["message"]),
            (&"WARN".into(), &"test".into(), &"hello".into())
        );
        assert_eq!(first["number"], 1);
        assert_eq!(next(&mut from_one)["number"], 3);
        assert_eq!(next(&mut from_two)["number"], 2);
    }

    #[test]
    fn libraries_are_heard_from_warn_on_and_without_their_fields() {
        let (sink, mut lines) = sink();
        tracing::dispatcher::with_default(&sink.dispatch, || {
            tracing::info!(target: "hyper", "nothing to see");
            tracing::warn!(target: "sqlx::options", url = "postgres://user:secret@db", "unknown option");
            let span = tracing::error_span!("connection", password = "secret");
            let _entered = span.enter();
            tracing::error!(target: "h2", "{}", "x".repeat(5000));
            tracing::trace!(target: "h2", "frame");
        });
        sink.line(&Line::new(Level::Info, "test", "the end"));
        let first = next(&mut lines);
        assert_eq!(first["event"], "library");
        assert_eq!(
            (&first["level"], &first["target"]),
            (&"WARN".into(), &"sqlx::options".into())
        );
        assert_eq!(first["message"], "unknown option");
        assert!(!first.to_string().contains("secret"), "{first}");
        let second = next(&mut lines);
        assert_eq!(
            (&second["level"], &second["target"]),
            (&"ERROR".into(), &"h2".into())
        );
        assert_eq!(second["message"].as_str().unwrap().len(), LONGEST_MESSAGE);
        assert_eq!(next(&mut lines)["event"], "test");
    }

    #[test]
    fn what_is_cut_of_a_message_shows_no_half_of_a_secret() {
        let (sink, mut lines) = sink();
        sink.hide(Masks::new([&b"correct-horse-battery"[..]].into_iter()).unwrap());
        let filler = "x".repeat(LONGEST_MESSAGE - 10);
        tracing::dispatcher::with_default(&sink.dispatch, || {
            tracing::error!(target: "h2", "{filler}correct-horse-battery");
        });
        assert_eq!(next(&mut lines)["message"], format!("{filler}***"));
    }

    #[test]
    fn other_values_that_look_like_ours_are_not() {
        let (sink, mut lines) = sink();
        tracing::dispatcher::with_default(&sink.dispatch, || {
            let line = Line::new(Level::Error, "exit", "not ours");
            tracing::warn!(target: "other", line = &line as &(dyn Error + 'static));
        });
        sink.line(&Line::new(Level::Info, "test", "ours"));
        assert_eq!(next(&mut lines)["event"], "test");
    }
}
