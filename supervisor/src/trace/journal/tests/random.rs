//! Whatever happens, in whatever order: the traces fit together, and nothing stays open.
use proptest::prelude::*;

use super::*;

const THREE: &str = "[process.task]\nkind = \"task\"\ncommand = [\"x\"]\nrestart = \"on-failure\"\n\
    [process.app]\ncommand = [\"x\"]\nafter = [\"task\"]\nrestart = \"on-failure\"\n\
    ready = { tcp = \"127.0.0.1:1\", timeout = \"2s\" }\n\
    [process.side]\ncommand = [\"x\"]\non_exit = \"ignore\"\nbackoff = { restarts = 1 }\n";

#[derive(Clone, Debug)]
enum Step {
    After(u64),
    Tick,
    Ready(usize),
    Unhealthy(usize),
    Ends(usize, i32, bool),
    GroupGone(usize),
    Break(usize),
    Term,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..2000u64).prop_map(Step::After),
        4 => Just(Step::Tick),
        6 => (0..3usize).prop_map(Step::Ready),
        2 => (0..3usize).prop_map(Step::Unhealthy),
        6 => (0..3usize, 0..2, any::<bool>()).prop_map(|(process, code, group)| Step::Ends(process, code, group)),
        2 => (0..3usize).prop_map(Step::GroupGone),
        1 => (0..3usize).prop_map(Step::Break),
        1 => Just(Step::Term),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]
    #[test]
    fn traces_fit_together(steps in prop::collection::vec(step(), 0..40)) {
        let mut world = World::new(THREE);
        world.start();
        let mut groups = BTreeSet::new();
        for step in steps {
            if world.exited {
                break;
            }
            match step {
                Step::After(millis) => _ = world.after(millis),
                Step::Tick => _ = world.tick(),
                Step::Ready(process) => _ = world.ready(process),
                Step::Unhealthy(process) => _ = world.feed(Event::Unhealthy(ProcessId(process))),
                Step::Ends(process, code, group) => {
                    let alive = world.alive.contains_key(&process);
                    world.ends_with(process, End::Exited(code), group);
                    if alive && group {
                        groups.insert(process);
                    }
                }
                Step::GroupGone(process) => {
                    if groups.remove(&process) {
                        world.group_gone(process);
                    }
                }
                Step::Break(process) => _ = world.broken.insert(process),
                Step::Term => _ = world.term(),
            }
            world.spans();
        }
        if !world.exited {
            world.term();
        }
        for _ in 0..20 {
            world.tick();
        }
        prop_assert!(world.exited);
        world.spans();
        let lives = &world.journal.lives;
        prop_assert!(lives.iter().all(|life| life.start.is_none() && life.restart.is_none() && life.stop.is_none()));
    }
}
