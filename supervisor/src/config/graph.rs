//! What ties the processes together: which one is main, who waits for whom, the order of starts.

use crate::machine::{Kind, ProcessId};

use super::process::Header;
use super::reader::Value;
use super::{Plan, suggest};

/// The place of the main process in `headers`; if none can be, that is recorded at `at`.
pub(super) fn main(headers: &[Header], processes: &Value) -> Option<usize> {
    let place = |wanted: &dyn Fn(&Header) -> bool| -> Vec<usize> {
        headers
            .iter()
            .enumerate()
            .filter(|(_, header)| wanted(header))
            .map(|(place, _)| place)
            .collect()
    };
    let names = |places: &[usize]| {
        places
            .iter()
            .map(|place| headers[*place].name.as_str())
            .collect::<Vec<_>>()
            .join(", ")
    };
    let marked = place(&|header| header.main == Some(true));
    for place in &marked {
        let Some(value) = headers[*place].get("main") else {
            continue;
        };
        if marked.len() > 1 {
            value.error(format!(
                "only one process can be main; keep main = true on one of: {}",
                names(&marked)
            ));
        }
        if headers[*place].kind == Kind::Task {
            value.error("a task cannot be main; remove kind = \"task\" (a service may end too, and gives its exit code)");
        }
    }
    if let Some(first) = marked.first() {
        return Some(*first);
    }
    let services = place(&|header| header.kind == Kind::Service && header.main != Some(false));
    if let Some(app) = services.iter().find(|place| headers[**place].name == "app") {
        return Some(*app);
    }
    match services.as_slice() {
        [only] => return Some(*only),
        [] if place(&|header| header.kind == Kind::Service).is_empty() => processes.doc.missing(
            Some(processes.at),
            &processes.key,
            "no process is a service, so nothing would stay up; remove kind = \"task\" from the main process",
        ),
        [] => processes.error("every service has main = false; remove it from the main process"),
        [..] => processes.doc.missing(
            Some(processes.at),
            &processes.key,
            format!(
                "it is not clear which process is main; set main = true on one of: {}",
                names(&services)
            ),
        ),
    }
    None
}

/// The processes that each process waits for. `sources`: whose lines each takes; whoever takes lines starts before
/// those who write them, and stops after them.
pub(super) fn after(headers: &[Header], sources: &[Vec<ProcessId>]) -> Vec<Vec<ProcessId>> {
    let known = || headers.iter().map(|header| header.name.as_str());
    let mut edges: Vec<Vec<ProcessId>> = Vec::new();
    for header in headers {
        let mut waits_for = Vec::new();
        let names = header
            .get("after")
            .and_then(|value| value.list("a list of names such as [\"warmup\"]"));
        for value in names.unwrap_or_default() {
            let Some(name) = value.string("the name of a process in quotes") else {
                continue;
            };
            match known().position(|known| known == name) {
                Some(place) if !waits_for.contains(&ProcessId(place)) => waits_for.push(ProcessId(place)),
                Some(_) => {}
                None => {
                    let hint = suggest::did_you_mean(&name, known());
                    let message =
                        format!("there is no process {name:?}; write the name of another one{hint}");
                    value.doc.missing(Some(value.at), &value.key, message);
                }
            }
        }
        edges.push(waits_for);
    }
    for (forwarder, sources) in sources.iter().enumerate() {
        for source in sources {
            let waits_for = &mut edges[source.0];
            if !waits_for.contains(&ProcessId(forwarder)) {
                waits_for.push(ProcessId(forwarder));
            }
        }
    }
    for cycle in cycles(&edges) {
        // One that takes its own lines is told so by who reads the names.
        if let [place] = cycle[..]
            && sources[place].contains(&ProcessId(place))
        {
            continue;
        }
        refuse(&cycle, headers, sources);
    }
    edges
}

/// Records a cycle, with the steps that nobody wrote as such.
fn refuse(cycle: &[usize], headers: &[Header], sources: &[Vec<ProcessId>]) {
    let name = |place: usize| headers[place].name.as_str();
    let mut names: Vec<&str> = cycle.iter().map(|place| name(*place)).collect();
    names.extend(names.first().copied());
    let next = cycle.iter().cycle().skip(1);
    let taken = cycle
        .iter()
        .zip(next)
        .filter(|(from, to)| sources[**to].contains(&ProcessId(**from)))
        .map(|(from, to)| {
            format!(
                "; {} takes the lines of {}, so it starts first",
                name(*to),
                name(*from)
            )
        });
    let why: String = taken.collect();
    let value = cycle
        .iter()
        .find_map(|place| headers[*place].get("after"))
        .or_else(|| cycle.iter().find_map(|place| headers[*place].get("stdin")));
    if let Some(value) = value {
        value.error(format!(
            "a cycle: {} would wait for each other for ever{why}; remove one step",
            names.join(" -> ")
        ));
    }
}

/// Cycles of a graph, each as the places it goes through, starting at its lowest one. Every cycle
/// shares a step with one of those found, so mending all of them leaves few rounds, if any.
fn cycles(edges: &[Vec<ProcessId>]) -> Vec<Vec<usize>> {
    #[derive(Clone, Copy, PartialEq)]
    enum Seen {
        No,
        OnPath,
        Done,
    }
    let mut seen = vec![Seen::No; edges.len()];
    let mut found = Vec::new();
    for start in 0..edges.len() {
        // A path with, for each step, how many of its edges were followed; not recursive, for the
        // file may chain more processes than the stack can hold.
        let mut path: Vec<(usize, usize)> = Vec::new();
        if seen[start] == Seen::No {
            seen[start] = Seen::OnPath;
            path.push((start, 0));
        }
        while let Some((place, followed)) = path.last_mut() {
            let Some(ProcessId(next)) = edges[*place].get(*followed).copied() else {
                seen[*place] = Seen::Done;
                path.pop();
                continue;
            };
            *followed += 1;
            match seen[next] {
                Seen::No => {
                    seen[next] = Seen::OnPath;
                    path.push((next, 0));
                }
                Seen::OnPath => {
                    let mut cycle: Vec<usize> = path
                        .iter()
                        .map(|(place, _)| *place)
                        .skip_while(|place| *place != next)
                        .collect();
                    let lowest = cycle.iter().enumerate().min_by_key(|(_, place)| **place);
                    let turn = lowest.map_or(0, |(index, _)| index);
                    cycle.rotate_left(turn);
                    found.push(cycle);
                }
                Seen::Done => {}
            }
        }
    }
    found
}

/// The processes in an order in which they can start: dependencies first, else as in the file.
pub(super) fn start_order(plan: &Plan) -> Vec<ProcessId> {
    let mut order: Vec<ProcessId> = Vec::new();
    while order.len() < plan.processes.len() {
        let next = (0..plan.processes.len()).map(ProcessId).find(|id| {
            !order.contains(id)
                && plan.processes[id.0]
                    .policy
                    .after
                    .iter()
                    .all(|before| order.contains(before))
        });
        // A loaded plan has no cycles; one built by hand must not hang us.
        let Some(next) = next else { break };
        order.push(next);
    }
    order
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cycles_are_found_once_each() {
        let graph = |edges: &[&[usize]]| -> Vec<Vec<usize>> {
            let edges: Vec<Vec<ProcessId>> = edges
                .iter()
                .map(|to| to.iter().copied().map(ProcessId).collect())
                .collect();
            cycles(&edges)
        };
        assert_eq!(graph(&[&[], &[0], &[0, 1]]), Vec::<Vec<usize>>::new());
        assert_eq!(graph(&[&[0]]), [[0]]);
        assert_eq!(graph(&[&[1], &[0]]), [[0, 1]]);
        assert_eq!(graph(&[&[3], &[], &[3], &[1, 2]]), [[2, 3]]);
        assert_eq!(graph(&[&[1], &[0], &[3], &[2]]), [[0, 1], [2, 3]]);
    }
}
