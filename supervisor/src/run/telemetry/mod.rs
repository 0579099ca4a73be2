//! Traces on their way out: what the journal finished is queued and handed to the helper that exports.
//!
//! The helper is there only while there is something to send. Whatever becomes of it, the container goes on: spans
//! that nobody took wait for the next time, the oldest give way to new ones, and one line is written about an outage.

mod export;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::time::{Duration, SystemTime};

use opentelemetry_aws::trace::XrayIdGenerator;
use tokio::time::{Instant, sleep};

use super::children::Children;
use super::errands::ErrandId;
use super::log;
use super::probes::{Message, Sender};
use crate::config::{Exporter, Plan};
use crate::event_loop;
use crate::helper::export_protocol::{Answer, Rejection};
use crate::machine::{End, Event, ProcessId, Report};
use crate::output::{Level, Line};
use crate::secrets::Values;
use crate::secrets::environment::Inherited;
use crate::trace::journal::{Ending, Journal, Moment};
use crate::trace::{Context, Span};

/// Spans that wait at most. A restart is two, a drain one for each process and itself.
const QUEUE: usize = 512;
/// From the end of a trace to its export: others may follow, and the app that has just started comes first.
const PAUSE: Duration = Duration::from_secs(1);
/// How long an export may take while the container runs.
const TIMEOUT: Duration = Duration::from_secs(10);
/// The pause after an export that failed; it doubles from the first to the second.
const FIRST_RETRY: Duration = Duration::from_secs(5);
const LONGEST_RETRY: Duration = Duration::from_secs(300);
/// What the end of the container may take longer for the sake of its traces.
pub(super) const LAST_EXPORT: Duration = Duration::from_secs(2);

/// Traces, if an exporter is on. Off, it is nothing and does nothing.
pub(super) struct Telemetry(Option<Box<On>>);

struct On {
    journal: Journal,
    /// When runmate started.
    zero: Instant,
    /// What stays the same in every export.
    way: export::Way,
    queue: Queue,
    state: State,
    /// The container stops: only the last export is left.
    stopping: bool,
    /// What was said of the exports that have gone wrong since the last that went well.
    trouble: Option<Trouble>,
    retry: Duration,
}

/// What can go wrong with an export.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Trouble {
    /// Nobody took the spans; they wait.
    Failed,
    /// The collector does not want them.
    Rejected,
}

/// Where exporting stands.
enum State {
    /// There is nothing to send, or nobody was told yet.
    Idle,
    /// [`Message::Export`] will come.
    Waiting,
    /// The helper has these.
    Sending(ErrandId, Vec<Span>),
}

/// Spans that wait, the oldest first.
#[derive(Default)]
struct Queue {
    spans: VecDeque<Span>,
    /// Spans that gave way to newer ones.
    dropped: u64,
}

impl Queue {
    fn add(&mut self, spans: impl IntoIterator<Item = Span>) {
        self.spans.extend(spans);
        self.trim();
    }

    /// Spans that come before all others: nobody took them.
    fn put_back(&mut self, spans: Vec<Span>) {
        for span in spans.into_iter().rev() {
            self.spans.push_front(span);
        }
        self.trim();
    }

    fn trim(&mut self) {
        while self.spans.len() > QUEUE {
            self.spans.pop_front();
            self.dropped += 1;
        }
    }

    fn take(&mut self) -> Vec<Span> {
        std::mem::take(&mut self.spans).into()
    }
}

impl Telemetry {
    /// No traces at all.
    pub fn off() -> Telemetry {
        Telemetry(None)
    }

    /// The boot has been under way since `zero`.
    pub fn new(plan: &Plan, inherited: &Inherited, zero: Instant) -> Telemetry {
        if plan.trace.exporter == Exporter::Off {
            return Telemetry::off();
        }
        let ids = Box::new(XrayIdGenerator::default());
        Telemetry(Some(Box::new(On {
            journal: Journal::new(plan, ids, moment(zero)),
            zero,
            way: export::Way::new(plan, inherited),
            queue: Queue::default(),
            state: State::Idle,
            stopping: false,
            trouble: None,
            retry: FIRST_RETRY,
        })))
    }

    /// What lines about the whole belong to.
    pub fn current(&self) -> Option<Context> {
        self.0.as_ref()?.journal.current()
    }

    /// What lines about this process belong to.
    pub fn life(&self, process: ProcessId) -> Option<Context> {
        let on = self.0.as_ref()?;
        on.journal.life(process).or(on.journal.current())
    }

    /// So many secrets are being resolved.
    pub fn secrets(&mut self, count: usize) -> Option<Context> {
        let on = self.0.as_mut()?;
        on.journal.secrets(count, on.now())
    }

    /// The secrets are there.
    pub fn secrets_done(&mut self) {
        if let Some(on) = &mut self.0 {
            on.journal.secrets_done(on.now());
        }
    }

    /// These are the values of the variables that the helper needs.
    pub fn give_secrets(&mut self, plan: &Plan, values: &Values) {
        if let Some(on) = &mut self.0 {
            on.way.give_secrets(plan, values);
        }
    }

    /// Nothing may be started.
    pub fn refused(&mut self, why: &str, code: i32) {
        if let Some(on) = &mut self.0 {
            on.journal.refused(why, code, on.now());
        }
    }

    /// A process is about to be started.
    pub fn starting(&mut self, process: ProcessId) -> Option<Context> {
        let on = self.0.as_mut()?;
        on.journal.starting(process, on.now())
    }

    /// What came of it.
    pub fn started(&mut self, event: &Event) {
        let Some(on) = &mut self.0 else { return };
        match event {
            Event::Spawned(process, pid) => on.journal.started(*process, *pid),
            Event::SpawnFailed { process, code, .. } => on.journal.not_started(*process, *code, on.now()),
            _ => {}
        }
    }

    /// A process was reaped.
    pub fn ended(&mut self, process: ProcessId, end: End, group_alive: bool, oom: Option<bool>) {
        if let Some(on) = &mut self.0 {
            let ending = Ending {
                end,
                how: &log::end_in_words(end),
                group_alive,
                oom,
            };
            on.journal.ended(process, &ending, on.now());
        }
    }

    /// The last of a process group is gone.
    pub fn group_gone(&mut self, process: ProcessId) {
        if let Some(on) = &mut self.0 {
            on.journal.group_gone(process, on.now());
        }
    }

    /// The machine reports; gives what the line about it belongs to. `why` is asked for where it matters.
    pub fn report(&mut self, report: &Report, why: impl FnOnce() -> Option<String>) -> Option<Context> {
        let on = self.0.as_mut()?;
        let now = on.now();
        on.journal.report(report, why().as_deref(), now)
    }

    /// A drain begins: no export may be in its way. The caller kills the helper of one that is under way; its answer may
    /// be here all the same.
    pub fn begin_drain(&mut self) {
        if let Some(on) = &mut self.0 {
            on.stopping = true;
        }
    }

    /// The container ends.
    pub fn exit(&mut self, code: i32) {
        if let Some(on) = &mut self.0 {
            on.journal.exit(code, on.now());
        }
    }

    /// Sees to it that what is finished is sent. Whole traces, so that a boot does not start a helper for each step.
    pub fn collect(&mut self, sender: &Sender) {
        let Some(on) = &mut self.0 else { return };
        let spans = on.journal.take();
        let complete = spans.iter().any(|span| span.parent.is_none());
        on.queue.add(spans);
        // After a failure the next attempt has its time, whatever else happens.
        if complete && !on.stopping && matches!(on.state, State::Idle) {
            on.wait(PAUSE, sender);
        }
    }

    /// It is time to send.
    pub fn export(&mut self, children: &mut Children, sender: &Sender) -> Option<Line> {
        let on = self.0.as_mut()?;
        if on.stopping || !matches!(on.state, State::Waiting) {
            return None;
        }
        on.state = State::Idle;
        let spans = on.queue.take();
        if spans.is_empty() {
            return None;
        }
        let (job, spans) = on.way.job(spans, TIMEOUT);
        match export::start(children, &job, &on.way, sender) {
            Ok(id) => {
                on.state = State::Sending(id, spans);
                None
            }
            Err(why) => {
                on.queue.put_back(spans);
                on.failed(&why, sender)
            }
        }
    }

    /// What came of an export.
    pub fn exported(&mut self, id: ErrandId, answer: &Answer, sender: &Sender) -> Option<Line> {
        let on = self.0.as_mut()?;
        match std::mem::replace(&mut on.state, State::Idle) {
            State::Sending(sent, spans) if sent == id => match answer {
                Ok(rejection) => on.over(rejection.as_ref(), spans.len(), sender),
                // It was killed.
                Err(_) if on.stopping => {
                    on.queue.put_back(spans);
                    None
                }
                Err(why) => {
                    on.queue.put_back(spans);
                    on.failed(why, sender)
                }
            },
            state => {
                on.state = state;
                None
            }
        }
    }

    /// Sends all that is left, until `by` at most; gives what is to be said of it.
    pub async fn last_export(&mut self, by: Instant) -> Option<Line> {
        let on = self.0.as_mut()?;
        on.stopping = true;
        if let State::Sending(_, spans) = std::mem::replace(&mut on.state, State::Idle) {
            on.queue.put_back(spans);
        }
        on.queue.add(on.journal.take());
        let spans = on.queue.take();
        let within = by.saturating_duration_since(Instant::now());
        if spans.is_empty() {
            return None;
        }
        let (job, spans) = on.way.job(spans, within);
        match export::finish(&job, &on.way, by).await {
            Ok(None) => None,
            Ok(Some(rejection)) => on.rejected(&rejection, spans.len()),
            Err(why) => {
                // There is no other time.
                on.queue.dropped += spans.len() as u64;
                on.failure(&why).or_else(|| Some(on.lost(&why)))
            }
        }
    }
}

impl On {
    fn now(&self) -> Moment {
        moment(self.zero)
    }

    fn wait(&mut self, pause: Duration, sender: &Sender) {
        self.state = State::Waiting;
        let sender = sender.clone();
        event_loop::spawn(async move {
            sleep(pause).await;
            let _ = sender.send(Message::Export);
        });
    }

    /// So many spans are not to be sent again.
    fn over(&mut self, rejection: Option<&Rejection>, sent: usize, sender: &Sender) -> Option<Line> {
        self.retry = FIRST_RETRY;
        if !self.stopping && !self.queue.spans.is_empty() {
            self.wait(PAUSE, sender);
        }
        if let Some(rejection) = rejection {
            return self.rejected(rejection, sent);
        }
        let lost = std::mem::take(&mut self.queue.dropped);
        self.trouble.take().map(|_| {
            let message = "traces are exported again";
            Line::new(Level::Info, "trace_recovered", message).with("lost", lost)
        })
    }

    fn failed(&mut self, why: &str, sender: &Sender) -> Option<Line> {
        let line = self.failure(why);
        self.wait(self.retry, sender);
        self.retry = (self.retry * 2).min(LONGEST_RETRY);
        line
    }

    fn failure(&mut self, why: &str) -> Option<Line> {
        self.is_news(Trouble::Failed).then(|| {
            let message = format!("traces cannot be exported: {why}");
            Line::new(Level::Warn, "trace_failed", message)
                .with("why", why)
                .with("waiting", self.queue.spans.len() as u64)
                .with("lost", self.queue.dropped)
        })
    }

    /// The end of an outage that was told of, with the end of everything.
    fn lost(&self, why: &str) -> Line {
        let lost = self.queue.dropped;
        let message = format!("{lost} spans were not exported: {why}");
        Line::new(Level::Info, "trace_lost", message)
            .with("why", why)
            .with("lost", lost)
    }

    fn rejected(&mut self, rejection: &Rejection, sent: usize) -> Option<Line> {
        let why = &rejection.why;
        self.queue.dropped += rejection.spans.unwrap_or(sent as u64);
        self.is_news(Trouble::Rejected).then(|| {
            let message = format!("the collector does not take traces: {why}");
            Line::new(Level::Warn, "trace_rejected", message)
                .with("why", why.as_str())
                .with("lost", self.queue.dropped)
        })
    }

    /// Whether it is to be said: once in an outage.
    fn is_news(&mut self, trouble: Trouble) -> bool {
        self.trouble.replace(trouble) != Some(trouble)
    }
}

fn moment(zero: Instant) -> Moment {
    Moment {
        wall: SystemTime::now(),
        time: zero.elapsed(),
    }
}
