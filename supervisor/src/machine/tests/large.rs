//! Larger plans, walked at random: the invariants of `world` on every edge, and an end is reached.

use proptest::prelude::*;

use super::super::event::Event;
use super::super::plan::{Kind, OnExit, Plan, Policy, Restart, Scope};
use super::world::World;
use super::{main_service, plan, secs, service};

fn policy(index: usize) -> impl Strategy<Value = Policy> {
    let after = prop::collection::btree_set(0..index.max(1), 0..=index.min(3));
    (
        after,
        any::<bool>(),
        prop::option::of(1..4u64),
        0..3usize,
        any::<bool>(),
        any::<bool>(),
        prop::option::of(0..30u64),
    )
        .prop_map(move |(after, is_task, ready, restart, ignore, group, grace)| {
            let after: Vec<usize> = after.into_iter().filter(|dep| *dep < index).collect();
            let mut policy = service(&after);
            policy.kind = if is_task { Kind::Task } else { Kind::Service };
            policy.ready_within = if is_task { None } else { ready.map(secs) };
            policy.restart = [Restart::Never, Restart::OnFailure, Restart::Always][restart];
            policy.on_exit = if ignore { OnExit::Ignore } else { OnExit::Shutdown };
            policy.stop.scope = if group { Scope::Group } else { Scope::Process };
            policy.stop.grace = grace.map(secs);
            policy
        })
}

fn plans() -> impl Strategy<Value = Plan> {
    (4..9usize)
        .prop_flat_map(|count| {
            let policies: Vec<_> = (0..count).map(policy).collect();
            (policies, 0..count, 0..4u64, 1..30u64, any::<u64>())
        })
        .prop_map(|(mut policies, main, delay, budget, seed)| {
            let after = std::mem::take(&mut policies[main].after);
            policies[main] = Policy {
                after,
                ..main_service(&[])
            };
            let mut plan = plan(main, policies);
            plan.drain_delay = secs(delay);
            plan.stop_budget = secs(budget);
            plan.jitter_seed = seed;
            plan
        })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_walk_keeps_the_invariants_and_ends(
        plan in plans(),
        orphan: bool,
        choices in prop::collection::vec(any::<u16>(), 300),
    ) {
        let mut world = World::new(plan, orphan);
        world.feed(Event::Start).map_err(TestCaseError::fail)?;
        let mut walked = Vec::new();
        for choice in choices {
            let moves = world.moves(None);
            if moves.is_empty() {
                break;
            }
            let step = moves[usize::from(choice) % moves.len()];
            walked.push(step);
            world.apply(step).map_err(|why| TestCaseError::fail(format!("{why}\n{walked:#?}")))?;
        }
        // From wherever the walk ended, one stop and the passing of time lead to the exit.
        if world.exited.is_none() {
            world.feed(Event::Signal(crate::signal::Signal::TERM)).map_err(TestCaseError::fail)?;
        }
        for _ in 0..1_000 {
            if world.exited.is_some() {
                break;
            }
            let moves = world.moves(None);
            let killed = |step: &&super::world::Move| !matches!(step,
                super::world::Move::Signal(_) | super::world::Move::Ready(_) | super::world::Move::Unhealthy(_));
            // The last move is time, unless somebody is about to die of SIGKILL.
            let step = *moves.iter().rev().find(killed).expect("a move");
            walked.push(step);
            world.apply(step).map_err(|why| TestCaseError::fail(format!("{why}\n{walked:#?}")))?;
        }
        prop_assert!(world.exited.is_some(), "no exit after {walked:#?}");
    }
}
