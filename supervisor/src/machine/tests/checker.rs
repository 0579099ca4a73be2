//! Enumerates every reachable state of small plans, breadth first, and checks the invariants of
//! `world` on every edge. Times are kept relative to "now", so that the number of states is finite.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::rc::Rc;
use std::time::Duration;

use super::super::event::{Event, Time};
use super::super::plan::{OnExit, Plan, Policy, Restart, Scope};
use super::super::state::{Kill, Machine, Stage, State};
use super::world::{Move, World};
use super::{main_service, plan, secs, service, task};

/// The way to a state, for the report of a violation.
struct Path {
    step: Move,
    before: Option<Rc<Path>>,
}

fn describe(path: &Option<Rc<Path>>) -> String {
    let mut steps = Vec::new();
    let mut at = path;
    while let Some(path) = at {
        steps.push(format!("  {:?}", path.step));
        at = &path.before;
    }
    steps.reverse();
    steps.join("\n")
}

/// Everything that decides what can happen from here on, with times relative to now. Left out is
/// what only counts (restarts in all, pids).
fn key(world: &World) -> u64 {
    let mut hasher = DefaultHasher::new();
    let now = world.now;
    let ahead = |time: Time| time.as_millis() as i64 - now.as_millis() as i64;
    hash_stage(&world.machine, &ahead, &mut hasher);
    for (track, policy) in world.machine.tracks.iter().zip(&world.machine.plan().policies) {
        std::mem::discriminant(&track.state).hash(&mut hasher);
        match track.state {
            State::Starting { late, .. } => late.map(ahead).hash(&mut hasher),
            State::Ready { since, .. } => (now - since).min(policy.backoff.reset).hash(&mut hasher),
            State::Backoff { until, left } => (ahead(until), left.is_some()).hash(&mut hasher),
            State::Stopping { body, kill, why } => {
                std::mem::discriminant(&body).hash(&mut hasher);
                hash_kill(kill, &ahead, &mut hasher);
                why.hash(&mut hasher);
            }
            _ => {}
        }
        track.was_ready.hash(&mut hasher);
        let in_drain = |time| world.drain_began.is_some_and(|began| time >= began);
        track
            .last
            .map(|(end, time)| (end, in_drain(time)))
            .hash(&mut hasher);
        // Beyond the cap a longer row changes nothing.
        let capped = policy.backoff.min * (1 << track.in_a_row) >= policy.backoff.max;
        if capped { 99 } else { track.in_a_row }.hash(&mut hasher);
        let within = policy.backoff.within;
        for time in track.recent.iter().filter(|time| now - **time < within) {
            (now - *time).hash(&mut hasher);
        }
    }
    for body in &world.bodies {
        (
            body.leader.is_some(),
            body.group.is_some(),
            body.killed,
            body.was_ready,
            body.over,
            body.stopped_early,
            body.unhealthy,
        )
            .hash(&mut hasher);
    }
    (
        world.orphan,
        world.orphan_killed,
        world.hurry,
        world.signals,
        world.patience,
    )
        .hash(&mut hasher);
    world.drain_began.map(ahead).hash(&mut hasher);
    hasher.finish()
}

fn hash_kill(kill: Kill, ahead: &impl Fn(Time) -> i64, hasher: &mut DefaultHasher) {
    match kill {
        Kill::At(time) => Some(ahead(time)).hash(hasher),
        Kill::Sent => None::<i64>.hash(hasher),
    }
}

fn hash_stage(machine: &Machine, ahead: &impl Fn(Time) -> i64, hasher: &mut DefaultHasher) {
    std::mem::discriminant(&machine.stage).hash(hasher);
    match &machine.stage {
        Stage::Running { up } => up.hash(hasher),
        Stage::Delaying { drain, until } => (ahead(drain.kill_all), ahead(*until)).hash(hasher),
        Stage::Draining { drain } => (ahead(drain.kill_all), drain.hurry).hash(hasher),
        Stage::Sweeping { drain, kill } => {
            ahead(drain.kill_all).hash(hasher);
            hash_kill(*kill, ahead, hasher);
        }
        Stage::Booting | Stage::Gone => {}
    }
}

struct Explored {
    states: usize,
    exits: usize,
}

/// `patience`: how often health checks ask for a new life.
fn explore(plan: &Plan, broken: &[Option<bool>], quantum: Option<Duration>, patience: u32) -> Explored {
    let mut seen = HashSet::new();
    let mut queue = VecDeque::new();
    let mut exits = 0;
    for orphan in [false, true] {
        let mut world = World::new(plan.clone(), orphan);
        world.broken = broken.to_vec();
        world.patience = patience;
        // A stop may arrive before the first process.
        for first in [Event::Start, Event::Signal(crate::signal::Signal::TERM)] {
            let mut world = world.clone();
            world
                .feed(first)
                .unwrap_or_else(|why| panic!("{why}\nat the first event\n{plan:#?}"));
            queue.push_back((world, None));
        }
    }
    while let Some((world, path)) = queue.pop_front() {
        for step in world.moves(quantum) {
            let mut next = world.clone();
            let path = Some(Rc::new(Path {
                step,
                before: path.clone(),
            }));
            if let Err(why) = next.apply(step) {
                panic!(
                    "{why}\nafter\n{}\n{:#?}\n{plan:#?}",
                    describe(&path),
                    next.machine
                );
            }
            if seen.insert(key(&next)) {
                exits += usize::from(next.exited.is_some());
                assert!(seen.len() < 3_000_000, "the plan has too many states: {plan:#?}");
                queue.push_back((next, path));
            }
        }
    }
    assert!(exits > 0, "no way leads to an exit: {plan:#?}");
    Explored {
        states: seen.len(),
        exits,
    }
}

/// A policy with each restart rule, end rule, readiness and scope.
fn variants(base: impl Fn() -> Policy) -> Vec<Policy> {
    let mut all = Vec::new();
    for restart in [Restart::Never, Restart::OnFailure, Restart::Always] {
        for on_exit in [OnExit::Shutdown, OnExit::Ignore] {
            for ready_within in [None, Some(secs(2))] {
                let base = base();
                if base.kind == super::Kind::Task && ready_within.is_some() {
                    continue;
                }
                let mut policy = Policy {
                    restart,
                    on_exit,
                    ready_within,
                    ..base
                };
                if restart == Restart::OnFailure {
                    policy.stop.scope = Scope::Group;
                    policy.stop.grace = Some(secs(3));
                }
                all.push(policy);
            }
        }
    }
    all
}

#[test]
fn one_process() {
    let mut states = 0;
    for policy in variants(|| main_service(&[]))
        .into_iter()
        .chain(variants(|| task(&[])))
    {
        for drain_delay in [0, 2] {
            for broken in [None, Some(false), Some(true)] {
                let mut plan = plan(0, vec![policy.clone()]);
                plan.drain_delay = secs(drain_delay);
                states += explore(&plan, &[broken], Some(secs(1)), 2).states;
            }
        }
    }
    assert!(states > 1_000, "only {states} states");
}

#[test]
fn two_processes() {
    let mut states = 0;
    for after in [&[][..], &[0]] {
        for other in variants(|| service(&[]))
            .into_iter()
            .chain(variants(|| task(&[])))
        {
            for (first, second, main) in [
                // The sidecar or task comes first, main after it; and the other way round.
                (other.clone(), main_service(after), 1),
                (
                    main_service(&[]),
                    Policy {
                        after: service(after).after,
                        ..other.clone()
                    },
                    0,
                ),
            ] {
                for drain_delay in [0, 2] {
                    let mut plan = plan(main, vec![first.clone(), second.clone()]);
                    plan.drain_delay = secs(drain_delay);
                    plan.stop_budget = secs(6);
                    // Once, and where nothing but an order can be broken: each time doubles the states, and the
                    // rest is seen with one process.
                    let plain = other.ready_within.is_none() && other.on_exit == OnExit::Shutdown;
                    let patience = u32::from(plain && !after.is_empty() && drain_delay == 0);
                    states += explore(&plan, &[None, None], None, patience).states;
                }
            }
        }
    }
    assert!(states > 10_000, "only {states} states");
}

#[test]
fn two_processes_of_which_one_cannot_be_executed() {
    for other in variants(|| service(&[]))
        .into_iter()
        .chain(variants(|| task(&[])))
    {
        for temporary in [false, true] {
            let plan = plan(1, vec![other.clone(), main_service(&[0])]);
            explore(&plan, &[Some(temporary), None], None, 1);
        }
    }
}

#[test]
fn two_processes_in_fine_time() {
    let probed = |grace| {
        let mut probed = Policy {
            ready_within: Some(secs(2)),
            restart: Restart::OnFailure,
            ..service(&[])
        };
        probed.stop.grace = grace;
        probed
    };
    for (first, main, drain_delay) in [
        (probed(None), main_service(&[0]), 1),
        // The grace of a failed start may end within the drain delay.
        (probed(Some(secs(1))), main_service(&[]), 3),
    ] {
        let mut plan = plan(1, vec![first, main]);
        plan.drain_delay = secs(drain_delay);
        plan.stop_budget = secs(4);
        let explored = explore(&plan, &[None, None], Some(secs(1)), 0);
        assert!(explored.states > 1_000 && explored.exits > 10);
    }
}

#[test]
fn three_processes() {
    let once = |after: &[usize]| Policy {
        backoff: super::Backoff {
            restarts: 1,
            within: secs(3),
            ..service(&[]).backoff
        },
        ..service(after)
    };
    let probed = |after: &[usize]| Policy {
        ready_within: Some(secs(2)),
        ..once(after)
    };
    let ignored = |after: &[usize]| Policy {
        on_exit: OnExit::Ignore,
        restart: Restart::Never,
        ..once(after)
    };
    let plans = [
        ("chain", plan(1, vec![task(&[]), main_service(&[0]), once(&[1])])),
        (
            "chain of probes",
            plan(1, vec![probed(&[]), main_service(&[0]), ignored(&[1])]),
        ),
        ("fork", plan(0, vec![main_service(&[]), probed(&[0]), once(&[0])])),
        ("join", plan(2, vec![task(&[]), once(&[]), main_service(&[0, 1])])),
        (
            "side by side",
            plan(0, vec![main_service(&[]), once(&[]), ignored(&[])]),
        ),
    ];
    for (name, mut plan) in plans {
        plan.stop_budget = secs(6);
        let explored = explore(&plan, &[None; 3], None, u32::from(name == "chain"));
        assert!(explored.states > 500, "{name}: only {} states", explored.states);
    }
}
