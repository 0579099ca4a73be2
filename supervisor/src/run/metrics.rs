//! What `/metrics` tells beside health: lines, what became of them, and how long processes were in which state.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use runmate_health::{Family, Kind};
use tokio::time::Instant;

use super::children::Counted;
use crate::config::{LogFormat, Plan};
use crate::machine::{Phase, ProcessId, View};
use crate::output::{Count, StreamCounts};

/// The names of the streams, in the order of their counts.
const STREAMS: [&str; 2] = ["stdout", "stderr"];

/// The numbers of all lines, by the process of the plan.
pub(super) struct Counters {
    streams: Vec<[Arc<StreamCounts>; 2]>,
    /// By source and forwarder.
    pub forwarded: Counted,
    /// Of all, as nobody knows any more whose a line is that could not be written.
    unwritten: Arc<Count>,
}

impl Counters {
    pub fn new(plan: &Plan, unwritten: Arc<Count>) -> Counters {
        let ids = || (0..plan.processes.len()).map(ProcessId);
        let ways = ids().flat_map(|source| plan.forwarders(source).map(move |forwarder| (source, forwarder)));
        Counters {
            streams: ids().map(|_| Default::default()).collect(),
            forwarded: ways.map(|way| (way, Arc::default())).collect(),
            unwritten,
        }
    }

    /// The counts of a stream by its name.
    pub fn stream(&self, process: ProcessId, stream: &str) -> Arc<StreamCounts> {
        let place = usize::from(stream == STREAMS[1]);
        Arc::clone(&self.streams[process.0][place])
    }
}

/// How long processes were in which state.
#[derive(Debug)]
pub(super) struct Times {
    zero: Instant,
    processes: Mutex<Vec<ProcessTimes>>,
}

#[derive(Clone, Debug, Default)]
struct ProcessTimes {
    /// The state and its beginning.
    state: Option<(&'static str, Duration)>,
    /// Of states that are over.
    over: BTreeMap<&'static str, Duration>,
    /// When it began to stop in the drain, and when it was over.
    drain: Option<(Duration, Option<Duration>)>,
}

impl Times {
    /// `zero` is the zero of the times that [`Times::update`] gets.
    pub fn new(processes: usize, zero: Instant) -> Times {
        Times {
            zero,
            processes: Mutex::new(vec![ProcessTimes::default(); processes]),
        }
    }

    /// Things are like this now.
    pub fn update(&self, view: &View, now: Duration) {
        let draining = matches!(view.phase, Phase::Draining | Phase::Exiting);
        let mut processes = self.processes.lock().unwrap_or_else(PoisonError::into_inner);
        for (process, seen) in processes.iter_mut().zip(&view.processes) {
            process.enter(seen.state, draining, now);
        }
    }
}

impl ProcessTimes {
    fn enter(&mut self, state: &'static str, draining: bool, now: Duration) {
        if draining && state == "stopping" {
            self.drain.get_or_insert((now, None));
        } else if let Some((_, end @ None)) = &mut self.drain {
            *end = Some(now);
        }
        match &self.state {
            Some((current, _)) if *current == state => {}
            _ => {
                if let Some((before, since)) = self.state.replace((state, now)) {
                    *self.over.entry(before).or_default() += now.saturating_sub(since);
                }
            }
        }
    }

    /// The time in each state until now.
    fn in_states(&self, now: Duration) -> BTreeMap<&'static str, Duration> {
        let mut times = self.over.clone();
        if let Some((state, since)) = self.state {
            *times.entry(state).or_default() += now.saturating_sub(since);
        }
        times
    }
}

/// What gives the families, whenever somebody asks for them.
pub(super) fn source(
    plan: &Plan,
    counters: &Counters,
    times: Arc<Times>,
) -> impl Fn() -> Vec<Family<'static>> + Send + Sync + 'static {
    let names: Vec<String> = plan
        .processes
        .iter()
        .map(|process| process.name.clone())
        .collect();
    // Of those whose lines do not come by, nothing is known.
    let processes = plan.processes.iter().zip(&counters.streams).enumerate();
    let streams: Vec<(ProcessId, [Arc<StreamCounts>; 2])> = processes
        .filter(|(_, (process, _))| process.format != LogFormat::Inherit)
        .map(|(id, (_, streams))| (ProcessId(id), streams.clone()))
        .collect();
    let forwarded = counters.forwarded.clone();
    let unwritten = Arc::clone(&counters.unwritten);
    move || {
        let process = |id: ProcessId| ("process", names[id.0].clone().into());
        let mut lines = Family::new(
            "runmate_process_lines",
            Kind::Counter,
            "Lines that the process has written.",
        );
        let mut bytes = Family::new(
            "runmate_process_bytes",
            Kind::Counter,
            "Bytes that the process has written.",
        );
        let mut dropped = Family::new(
            "runmate_process_dropped_lines",
            Kind::Counter,
            "Lines of the process that were lost on the way to the destination: stdout or a forwarder.",
        );
        for (id, streams) in &streams {
            for (stream, counts) in STREAMS.into_iter().zip(streams) {
                let labels = vec![process(*id), ("stream", stream.into())];
                lines.add(labels.clone(), counts.lines.get() as f64);
                bytes.add(labels, counts.bytes.get() as f64);
            }
            let lost: u64 = streams.iter().map(|counts| counts.dropped.get()).sum();
            dropped.add(vec![process(*id), ("destination", "stdout".into())], lost as f64);
        }
        let mut taken = Family::new(
            "runmate_process_forwarded_lines",
            Kind::Counter,
            "Lines of the process that the forwarder has read.",
        );
        for ((source, forwarder), counts) in &forwarded {
            let name = &names[forwarder.0];
            let to = |label| vec![process(*source), (label, name.clone().into())];
            taken.add(to("forwarder"), counts.forwarded.get() as f64);
            dropped.add(to("destination"), counts.dropped.get() as f64);
        }
        let mut failed = Family::new(
            "runmate_unwritten_lines",
            Kind::Counter,
            "Lines of all processes and of runmate that were lost because stdout has no reader any more.",
        );
        failed.add(Vec::new(), unwritten.get() as f64);
        let [states, drains] = times_of(&times, &names);
        vec![lines, bytes, dropped, taken, failed, states, drains]
    }
}

fn times_of(times: &Times, names: &[String]) -> [Family<'static>; 2] {
    let mut states = Family::new(
        "runmate_process_state_seconds",
        Kind::Counter,
        "How long the process was in the state, in all.",
    );
    let mut drains = Family::new(
        "runmate_process_drain_seconds",
        Kind::Gauge,
        "How long the process took to stop in the drain, or has taken until now. Absent before.",
    );
    let now = times.zero.elapsed();
    let processes = times.processes.lock().unwrap_or_else(PoisonError::into_inner);
    for (process, name) in processes.iter().zip(names) {
        let label = ("process", name.clone().into());
        for (state, time) in process.in_states(now) {
            states.add(vec![label.clone(), ("state", state.into())], time.as_secs_f64());
        }
        if let Some((began, end)) = process.drain {
            let took = end.unwrap_or(now).saturating_sub(began);
            drains.add(vec![label], took.as_secs_f64());
        }
    }
    [states, drains]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn times_of_states_add_up() {
        let mut process = ProcessTimes::default();
        process.enter("starting", false, SECOND);
        process.enter("ready", false, 3 * SECOND);
        process.enter("ready", false, 4 * SECOND);
        process.enter("restarting", false, 7 * SECOND);
        process.enter("ready", false, 8 * SECOND);
        let times = process.in_states(10 * SECOND);
        let expected = [("ready", 6), ("restarting", 1), ("starting", 2)];
        assert_eq!(
            times.into_iter().collect::<Vec<_>>(),
            expected.map(|(state, seconds)| (state, seconds * SECOND))
        );
        assert_eq!(process.drain, None);
    }

    #[test]
    fn a_drain_lasts_from_the_stop_to_the_end() {
        let mut process = ProcessTimes::default();
        process.enter("stopping", false, SECOND);
        process.enter("ready", true, 2 * SECOND);
        process.enter("stopping", true, 3 * SECOND);
        assert_eq!(process.drain, Some((3 * SECOND, None)));
        process.enter("ended", true, 5 * SECOND);
        process.enter("ended", true, 6 * SECOND);
        assert_eq!(process.drain, Some((3 * SECOND, Some(5 * SECOND))));
    }
}
