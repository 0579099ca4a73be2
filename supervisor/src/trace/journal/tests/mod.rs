//! Stories: the real machine decides, the journal writes down, and every trace must fit together.
mod random;
mod stories;

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use opentelemetry::trace::{SpanId, TraceId};
use opentelemetry_sdk::trace::IdGenerator;

use super::*;
use crate::machine::{Action, Event, Machine, Pid, Plan as MachinePlan};
use crate::signal::Signal;

/// When all stories begin.
const DAWN: SystemTime = SystemTime::UNIX_EPOCH;

#[derive(Debug, Default)]
struct Counter(AtomicU64);

impl IdGenerator for Counter {
    fn new_trace_id(&self) -> TraceId {
        TraceId::from(u128::from(self.0.fetch_add(1, Ordering::Relaxed)) + 1)
    }

    fn new_span_id(&self) -> SpanId {
        SpanId::from(self.0.fetch_add(1, Ordering::Relaxed) + 1)
    }
}

/// A container without an operating system: the machine and the journal, fed as the loop feeds them.
struct World {
    machine: Machine,
    journal: Journal,
    now: Time,
    alive: BTreeMap<usize, Pid>,
    /// Processes that cannot be started.
    broken: BTreeSet<usize>,
    next_pid: Pid,
    exited: bool,
    spans: Vec<Span>,
}

impl World {
    fn new(text: &str) -> World {
        let env = BTreeMap::new();
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("runmate.toml");
        std::fs::write(&file, text).unwrap();
        let plan = config::load(&config::Inputs {
            file: Some(&file),
            command: Vec::new(),
            env: &env,
            root: dir.path(),
            cwd: dir.path(),
        })
        .unwrap();
        let machine = Machine::new(MachinePlan {
            policies: plan
                .processes
                .iter()
                .map(|process| process.policy.clone())
                .collect(),
            main: plan.main,
            drain_delay: Duration::ZERO,
            stop_budget: Duration::from_secs(9),
            success_codes: Vec::new(),
            jitter_seed: 0,
        });
        let now = Moment {
            wall: DAWN,
            time: Time::ZERO,
        };
        World {
            journal: Journal::new(&plan, Box::new(Counter::default()), now),
            machine,
            now: Time::ZERO,
            alive: BTreeMap::new(),
            broken: BTreeSet::new(),
            next_pid: 100,
            exited: false,
            spans: Vec::new(),
        }
    }

    fn moment(&self) -> Moment {
        Moment {
            wall: DAWN + self.now,
            time: self.now,
        }
    }

    fn after(&mut self, millis: u64) -> &mut World {
        self.now += Duration::from_millis(millis);
        self
    }

    fn feed(&mut self, event: Event) -> &mut World {
        let mut events = VecDeque::from([event]);
        while let Some(event) = events.pop_front() {
            for action in self.machine.step(self.now, event) {
                events.extend(self.perform(action));
            }
        }
        self.spans.extend(self.journal.take());
        self
    }

    fn perform(&mut self, action: Action) -> Option<Event> {
        let now = self.moment();
        match action {
            Action::Spawn(process) => {
                self.journal.starting(process, now);
                if self.broken.contains(&process.0) {
                    self.journal.not_started(process, 127, now);
                    return Some(Event::SpawnFailed {
                        process,
                        code: 127,
                        temporary: false,
                    });
                }
                let pid = self.next_pid;
                self.next_pid += 1;
                self.alive.insert(process.0, pid);
                self.journal.started(process, pid);
                return Some(Event::Spawned(process, pid));
            }
            Action::Report(report) => {
                let why = matches!(report, Report::Draining { .. } | Report::Unhealthy(_));
                self.journal.report(&report, why.then_some("because"), now);
            }
            Action::Sweep(_) => return Some(Event::NoChildren),
            Action::Exit { code, .. } => {
                self.journal.exit(code, now);
                self.exited = true;
            }
            Action::Signal(..) => {}
        }
        None
    }

    fn start(&mut self) -> &mut World {
        self.feed(Event::Start)
    }

    fn ready(&mut self, process: usize) -> &mut World {
        self.feed(Event::Ready(ProcessId(process)))
    }

    fn ends(&mut self, process: usize, end: End) -> &mut World {
        self.ends_with(process, end, false)
    }

    fn ends_with(&mut self, process: usize, end: End, group_alive: bool) -> &mut World {
        if self.alive.remove(&process).is_none() {
            return self;
        }
        let ending = Ending {
            end,
            how: "ended badly",
            group_alive,
            oom: Some(false),
        };
        let now = self.moment();
        self.journal.ended(ProcessId(process), &ending, now);
        self.feed(Event::Ended {
            process: ProcessId(process),
            end,
            group_alive,
        })
    }

    fn group_gone(&mut self, process: usize) -> &mut World {
        let now = self.moment();
        self.journal.group_gone(ProcessId(process), now);
        self.feed(Event::GroupGone(ProcessId(process)))
    }

    fn tick(&mut self) -> &mut World {
        if let Some(deadline) = self.machine.deadline() {
            self.now = self.now.max(deadline);
        }
        self.feed(Event::Tick)
    }

    fn term(&mut self) -> &mut World {
        self.feed(Event::Signal(Signal::TERM))
    }

    /// All spans so far, once they were found to fit together.
    fn spans(&mut self) -> &[Span] {
        self.spans.extend(self.journal.take());
        check(&self.spans, self.journal.first, self.exited);
        &self.spans
    }

    /// What became of the spans of this name: process, outcome, failure.
    fn told(&mut self, name: &str) -> Vec<(String, String, Option<String>)> {
        let told = |span: &Span| {
            (
                of(span, "runmate.process.name"),
                of(span, "runmate.outcome"),
                span.failure.clone(),
            )
        };
        self.spans()
            .iter()
            .filter(|span| span.name == name)
            .map(told)
            .collect()
    }

    fn one(&mut self, name: &str) -> Span {
        let spans = self.spans().iter().filter(|span| span.name == name);
        let found: Vec<Span> = spans.cloned().collect();
        assert_eq!(found.len(), 1, "{name}: {found:#?}");
        found.into_iter().next().unwrap()
    }
}

/// An attribute as text; empty if there is none.
fn of(span: &Span, key: &str) -> String {
    let mut found = span.attributes.iter().filter(|(name, _)| name == key);
    let value = found.next().map(|(_, value)| match value {
        Value::Text(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Real(real) => real.to_string(),
        Value::Flag(flag) => flag.to_string(),
    });
    assert_eq!(found.next(), None, "{key} twice: {span:?}");
    value.unwrap_or_default()
}

/// What holds of all traces. `whole`: nothing is under way any more.
fn check(spans: &[Span], boot: Context, whole: bool) {
    let mut ids = BTreeSet::new();
    for span in spans {
        assert!(ids.insert(span.context.span), "twice: {span:?}");
        assert!(span.began <= span.ended, "{span:?}");
        let mut keys = BTreeSet::new();
        assert!(
            span.attributes.iter().all(|(key, _)| keys.insert(key)),
            "{span:?}"
        );
        let is_root = ["boot", "restart", "drain"].contains(&span.name.as_str());
        assert_eq!(is_root, span.parent.is_none(), "{span:?}");
        assert_eq!(is_root, span.kind == crate::trace::Kind::Server, "{span:?}");
        let linked = (is_root && span.name != "boot").then_some(boot);
        assert_eq!(span.link, linked, "{span:?}");
        let Some(parent) = span.parent else { continue };
        let root = spans.iter().find(|other| other.context.span == parent);
        let Some(root) = root else {
            assert!(!whole, "no parent: {span:?}");
            continue;
        };
        assert_eq!(root.context.trace, span.context.trace);
        assert!(
            root.began <= span.began && span.ended <= root.ended,
            "{span:?} in {root:?}"
        );
    }
    for name in ["boot", "drain"] {
        let count = spans.iter().filter(|span| span.name == name).count();
        assert!(count <= 1 && (count == 1 || !whole), "{count} times {name}");
    }
}
