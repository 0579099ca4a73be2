//! Stories with exact times and codes.

use super::super::event::{Action, Cause, End, Event, Fault, Report, Target};
use super::super::plan::{OnExit, Plan, Policy, ProcessId, Restart, Scope};
use super::super::state::Machine;
use super::{main_service, plan, secs, service, task};
use crate::signal::Signal;

pub(super) const A: ProcessId = ProcessId(0);
pub(super) const B: ProcessId = ProcessId(1);

pub(super) struct Story {
    pub(super) machine: Machine,
}

impl Story {
    /// Starts the plan; every process that is asked for gets the pid 100 + its number.
    pub(super) fn new(plan: Plan) -> Story {
        let mut story = Story {
            machine: Machine::new(plan),
        };
        story.at(0, Event::Start);
        story
    }

    /// One event; spawns are answered. Returns all actions but the spawns.
    pub(super) fn at(&mut self, seconds: u64, event: Event) -> Vec<Action> {
        let mut seen = Vec::new();
        let mut actions = self.machine.step(secs(seconds), event);
        while let Some(Action::Spawn(process)) = actions.last().cloned() {
            seen.extend(actions);
            actions = self
                .machine
                .step(secs(seconds), Event::Spawned(process, 100 + process.0 as i32));
        }
        seen.extend(actions);
        seen
    }

    pub(super) fn end(&mut self, seconds: u64, process: ProcessId, end: End) -> Vec<Action> {
        self.at(
            seconds,
            Event::Ended {
                process,
                end,
                group_alive: false,
            },
        )
    }
}

fn exit(actions: &[Action]) -> Option<(i32, Cause)> {
    actions.iter().find_map(|action| match action {
        Action::Exit { code, cause } => Some((*code, *cause)),
        _ => None,
    })
}

pub(super) fn signals(actions: &[Action]) -> Vec<(ProcessId, Target, Signal)> {
    let all = actions.iter().filter_map(|action| match action {
        Action::Signal(process, target, signal) => Some((*process, *target, *signal)),
        _ => None,
    });
    all.filter(|(_, _, signal)| *signal != Signal::CONT).collect()
}

/// The exit that follows once no child is left.
pub(super) fn finish(story: &mut Story, seconds: u64) -> (i32, Cause) {
    exit(&story.at(seconds, Event::NoChildren)).expect("an exit")
}

#[test]
fn the_exit_code_is_mains_own() {
    for code in [0, 1, 3, 255] {
        let mut story = Story::new(plan(0, vec![main_service(&[])]));
        story.end(1, A, End::Exited(code));
        assert_eq!(finish(&mut story, 1), (code, Cause::MainEnded(End::Exited(code))));
    }
}

#[test]
fn a_main_that_died_of_a_signal_gives_128_plus_n() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    story.end(1, A, End::Killed(Signal::KILL));
    assert_eq!(finish(&mut story, 1).0, 137);
}

#[test]
fn a_drain_gives_mains_code_and_success_codes_map_it() {
    for (success_codes, expected) in [(vec![], 143), (vec![143], 0)] {
        let mut plan = plan(0, vec![main_service(&[])]);
        plan.success_codes = success_codes;
        let mut story = Story::new(plan);
        let actions = story.at(1, Event::Signal(Signal::TERM));
        assert_eq!(signals(&actions), [(A, Target::Process(100), Signal::TERM)]);
        story.end(2, A, End::Killed(Signal::TERM));
        assert_eq!(finish(&mut story, 2).0, expected);
    }
}

#[test]
fn a_stop_before_main_started_is_143() {
    let mut story = Story::new(plan(1, vec![task(&[]), main_service(&[0])]));
    story.at(1, Event::Signal(Signal::TERM));
    story.end(2, A, End::Killed(Signal::TERM));
    assert_eq!(finish(&mut story, 2).0, 143);

    let mut unstarted = Machine::new(plan(0, vec![main_service(&[])]));
    let actions = unstarted.step(secs(0), Event::Signal(Signal::INT));
    assert!(actions.contains(&Action::Sweep(Signal::TERM)));
    assert_eq!(exit(&unstarted.step(secs(0), Event::NoChildren)).unwrap().0, 130);
}

#[test]
fn dependants_start_in_order_and_stop_in_reverse() {
    let mut story = Story::new(plan(0, vec![main_service(&[]), service(&[0])]));
    let actions = story.at(5, Event::Signal(Signal::TERM));
    assert_eq!(signals(&actions), [(B, Target::Process(101), Signal::TERM)]);
    let actions = story.end(6, B, End::Exited(0));
    assert_eq!(signals(&actions), [(A, Target::Process(100), Signal::TERM)]);
}

#[test]
fn drain_delay_keeps_serving_and_a_second_stop_ends_it() {
    let mut plan = plan(0, vec![main_service(&[]), service(&[0])]);
    plan.drain_delay = secs(5);
    let mut story = Story::new(plan);
    assert_eq!(signals(&story.at(1, Event::Signal(Signal::TERM))), []);
    assert_eq!(story.machine.deadline(), Some(secs(6)));
    let actions = story.at(2, Event::Signal(Signal::TERM));
    let mut hit: Vec<_> = signals(&actions)
        .into_iter()
        .map(|(process, ..)| process)
        .collect();
    hit.sort();
    assert_eq!(hit, [A, B], "everyone at once");
    let actions = story.at(3, Event::Signal(Signal::INT));
    assert!(
        signals(&actions)
            .iter()
            .all(|(_, _, signal)| *signal == Signal::KILL)
    );
    assert_eq!(signals(&actions).len(), 2);
}

#[test]
fn the_first_stop_after_main_ended_is_no_hurry() {
    let mut story = Story::new(plan(0, vec![main_service(&[]), service(&[0])]));
    story.end(1, A, End::Exited(0));
    assert_eq!(story.at(2, Event::Signal(Signal::TERM)), []);
}

#[test]
fn grace_is_what_the_budget_leaves_less_a_second_per_later_level() {
    let chain = plan(0, vec![main_service(&[]), service(&[0]), service(&[1])]);
    let mut story = Story::new(chain);
    let actions = story.at(0, Event::Signal(Signal::TERM));
    let grace = actions.iter().find_map(|action| match action {
        Action::Report(Report::Stopping(_, _, grace)) => Some(*grace),
        _ => None,
    });
    // Budget 10 s, its tail 0.5 s, two later levels.
    assert_eq!(
        grace,
        Some(secs(10) - secs(2) - std::time::Duration::from_millis(500))
    );
}

#[test]
fn who_ignores_the_signal_is_killed_after_its_grace() {
    let mut main = main_service(&[]);
    main.stop.grace = Some(secs(2));
    let mut story = Story::new(plan(0, vec![main]));
    story.at(1, Event::Signal(Signal::TERM));
    assert_eq!(story.machine.deadline(), Some(secs(3)));
    assert_eq!(
        signals(&story.at(3, Event::Tick)),
        [(A, Target::Group(100), Signal::KILL)]
    );
    story.end(3, A, End::Killed(Signal::KILL));
    assert_eq!(finish(&mut story, 3).0, 137);
}

#[test]
fn a_process_that_even_sigkill_does_not_end_is_abandoned_at_the_deadline() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    story.at(0, Event::Signal(Signal::TERM));
    story.at(9, Event::Tick);
    let deadline = story.machine.deadline().unwrap();
    let kill = story.machine.step(deadline, Event::Tick);
    assert_eq!(signals(&kill), [(A, Target::Group(100), Signal::KILL)]);
    let actions = story.at(10, Event::Tick);
    assert!(actions.contains(&Action::Report(Report::Abandoned(vec![A]))));
    assert_eq!(exit(&actions).unwrap().0, 137);
}

#[test]
fn those_left_behind_by_a_leader_get_the_stop_signal_too() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    story.at(1, Event::Signal(Signal::TERM));
    let left = Event::Ended {
        process: A,
        end: End::Exited(0),
        group_alive: true,
    };
    assert_eq!(
        signals(&story.at(2, left)),
        [(A, Target::Group(100), Signal::TERM)]
    );
    assert_eq!(
        story.machine.deadline(),
        Some(secs(1) + secs(10) - std::time::Duration::from_millis(500))
    );
    assert!(
        story
            .at(3, Event::GroupGone(A))
            .contains(&Action::Sweep(Signal::TERM))
    );
}

#[test]
fn a_group_that_was_signalled_as_one_is_not_signalled_twice() {
    let mut main = main_service(&[]);
    main.stop.scope = Scope::Group;
    let mut story = Story::new(plan(0, vec![main]));
    assert_eq!(
        signals(&story.at(1, Event::Signal(Signal::TERM))),
        [(A, Target::Group(100), Signal::TERM)]
    );
    let left = Event::Ended {
        process: A,
        end: End::Killed(Signal::TERM),
        group_alive: true,
    };
    assert_eq!(story.at(1, left), [], "the shell is gone; its child drains on");
}

#[test]
fn restarts_back_off_exponentially_and_are_spent() {
    let mut story = Story::new(plan(0, vec![main_service(&[]), service(&[])]));
    let delay = |actions: &[Action]| {
        actions.iter().find_map(|action| match action {
            Action::Report(Report::Restarting(_, delay, _)) => Some(*delay),
            _ => None,
        })
    };
    assert_eq!(delay(&story.end(0, B, End::Exited(7))), Some(secs(1)));
    story.at(1, Event::Tick);
    assert_eq!(delay(&story.end(1, B, End::Exited(7))), Some(secs(2)));
    story.at(3, Event::Tick);
    story.end(3, B, End::Exited(7));
    story.end(4, A, End::Exited(0));
    assert_eq!(
        finish(&mut story, 4),
        (7, Cause::RestartsSpent(B, Fault::Ended(End::Exited(7))))
    );
}

#[test]
fn backoff_starts_over_only_after_it_stayed_ready() {
    let mut sidecar = service(&[]);
    sidecar.backoff.within = secs(1);
    let mut story = Story::new(plan(0, vec![main_service(&[]), sidecar]));
    story.end(0, B, End::Exited(1));
    story.at(1, Event::Tick);
    // Three seconds up, `reset` is four: the row goes on.
    story.end(4, B, End::Exited(1));
    assert_eq!(story.machine.deadline(), Some(secs(6)));
    story.at(6, Event::Tick);
    story.end(10, B, End::Exited(1));
    assert_eq!(story.machine.deadline(), Some(secs(11)));
}

#[test]
fn spent_restarts_of_a_sidecar_that_exits_0_give_1() {
    let mut sidecar = service(&[]);
    sidecar.backoff.restarts = 0;
    let mut story = Story::new(plan(0, vec![main_service(&[]), sidecar]));
    story.end(1, B, End::Exited(0));
    story.end(2, A, End::Exited(0));
    assert_eq!(finish(&mut story, 2).0, 1);
}

#[test]
fn a_failed_task_ends_the_container_with_its_code() {
    let mut story = Story::new(plan(1, vec![task(&[]), main_service(&[0])]));
    story.end(1, A, End::Exited(9));
    assert_eq!(finish(&mut story, 1), (9, Cause::TaskFailed(A, End::Exited(9))));
}

#[test]
fn an_ignored_end_lets_dependants_start() {
    let ignored = Policy {
        on_exit: OnExit::Ignore,
        ..task(&[])
    };
    let mut story = Story::new(plan(1, vec![ignored, main_service(&[0])]));
    let actions = story.end(1, A, End::Exited(9));
    assert!(actions.contains(&Action::Report(Report::Ignored(
        A,
        Cause::TaskFailed(A, End::Exited(9))
    ))));
    assert!(actions.contains(&Action::Spawn(B)));
}

#[test]
fn a_start_that_is_not_ready_in_time_is_stopped_and_counts_as_failed() {
    let main = Policy {
        ready_within: Some(secs(3)),
        ..main_service(&[])
    };
    let mut story = Story::new(plan(0, vec![main]));
    assert_eq!(story.machine.deadline(), Some(secs(3)));
    assert_eq!(
        signals(&story.at(3, Event::Tick)),
        [(A, Target::Process(100), Signal::TERM)]
    );
    story.end(4, A, End::Exited(0));
    assert_eq!(finish(&mut story, 4), (1, Cause::NotReady(A)));
}

#[test]
fn a_failed_start_is_retried_under_the_restart_rule() {
    let sidecar = Policy {
        ready_within: Some(secs(2)),
        restart: Restart::OnFailure,
        ..service(&[])
    };
    let mut story = Story::new(plan(1, vec![sidecar, main_service(&[])]));
    story.at(2, Event::Tick);
    let actions = story.end(2, A, End::Exited(0));
    assert!(
        actions.contains(&Action::Report(Report::Restarting(A, secs(1), 1))),
        "{actions:?}"
    );
}

#[test]
fn what_cannot_be_executed_is_not_retried() {
    let mut machine = Machine::new(plan(
        0,
        vec![Policy {
            restart: Restart::Always,
            ..main_service(&[])
        }],
    ));
    assert_eq!(machine.step(secs(0), Event::Start), [Action::Spawn(A)]);
    let actions = machine.step(
        secs(0),
        Event::SpawnFailed {
            process: A,
            code: 127,
            temporary: false,
        },
    );
    assert!(actions.contains(&Action::Sweep(Signal::TERM)));
    let actions = machine.step(secs(0), Event::NoChildren);
    assert_eq!(exit(&actions), Some((127, Cause::CannotExecute(A, 127))));
}

#[test]
fn a_start_for_which_the_system_had_no_room_is_tried_again() {
    let mut machine = Machine::new(plan(1, vec![service(&[]), main_service(&[])]));
    assert_eq!(machine.step(secs(0), Event::Start), [Action::Spawn(A)]);
    let failed = Event::SpawnFailed {
        process: A,
        code: 75,
        temporary: true,
    };
    let actions = machine.step(secs(0), failed);
    assert!(
        actions.contains(&Action::Report(Report::Restarting(A, secs(1), 1))),
        "{actions:?}"
    );
}

#[test]
fn a_restart_waits_until_what_the_old_life_left_is_gone() {
    let mut story = Story::new(plan(0, vec![main_service(&[]), service(&[])]));
    let left = Event::Ended {
        process: B,
        end: End::Killed(Signal::QUIT),
        group_alive: true,
    };
    assert_eq!(
        signals(&story.at(1, left)),
        [(B, Target::Group(101), Signal::KILL)]
    );
    assert!(story.machine.awaits_group());
    assert_eq!(story.machine.deadline(), None, "the delay alone is not enough");
    story.at(5, Event::Tick);
    assert_eq!(story.machine.view().processes[1].state, "restarting");
    story.at(6, Event::GroupGone(B));
    assert_eq!(story.machine.view().processes[1].state, "ready");
}

#[test]
fn signals_are_forwarded_as_mapped_and_only_to_the_living() {
    let mut story = Story::new(plan(0, vec![main_service(&[]), service(&[])]));
    let actions = story.at(1, Event::Signal(Signal::HUP));
    assert_eq!(signals(&actions), [(A, Target::Process(100), Signal::USR1)]);
    assert_eq!(story.at(1, Event::Signal(Signal::USR2)), []);
}

#[test]
fn orphans_are_swept_at_the_end_and_killed_at_the_deadline() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    let actions = story.end(1, A, End::Exited(5));
    assert!(actions.contains(&Action::Sweep(Signal::TERM)));
    let deadline = story.machine.deadline().unwrap();
    assert_eq!(
        story.machine.step(deadline, Event::Tick),
        [Action::Sweep(Signal::KILL)]
    );
    assert_eq!(finish(&mut story, 11).0, 5);
}
