//! A health check asks for a new life of a process.

use super::super::event::{Action, Cause, End, Event, Fault, Report, Target};
use super::super::plan::{OnExit, Policy, Restart};
use super::scenarios::{A, B, Story, finish, signals};
use super::{main_service, plan, secs, service, task};
use crate::signal::Signal;

#[test]
fn an_unhealthy_process_is_stopped_and_starts_again_even_if_it_never_restarts_by_itself() {
    let mut main = main_service(&[]);
    main.stop.grace = Some(secs(3));
    assert_eq!(main.restart, Restart::Never);
    let mut story = Story::new(plan(0, vec![main]));
    let actions = story.at(1, Event::Unhealthy(A));
    assert_eq!(actions[0], Action::Report(Report::Unhealthy(A)));
    assert_eq!(signals(&actions), [(A, Target::Process(100), Signal::TERM)]);
    let view = story.machine.view();
    assert_eq!((view.processes[0].state, view.down), ("stopping", vec![A]));
    assert_eq!(story.machine.deadline(), Some(secs(4)), "its grace");
    assert_eq!(
        signals(&story.at(4, Event::Tick)),
        [(A, Target::Group(100), Signal::KILL)]
    );
    let actions = story.end(4, A, End::Killed(Signal::KILL));
    assert_eq!(actions, [Action::Report(Report::Restarting(A, secs(1), 1))]);
    assert_eq!(story.machine.view().processes[0].state, "restarting");
    story.at(5, Event::Tick);
    let view = story.machine.view();
    assert_eq!(
        (view.processes[0].state, view.processes[0].restarts),
        ("ready", 1)
    );
}

#[test]
fn a_success_at_the_end_of_an_unhealthy_life_is_no_reason_to_stay_away() {
    let sidecar = Policy {
        restart: Restart::OnFailure,
        ..service(&[])
    };
    let mut story = Story::new(plan(0, vec![main_service(&[]), sidecar]));
    story.at(1, Event::Unhealthy(B));
    let actions = story.end(1, B, End::Exited(0));
    assert_eq!(actions, [Action::Report(Report::Restarting(B, secs(1), 1))]);
}

#[test]
fn those_that_come_after_an_unhealthy_process_stay_as_they_are() {
    let mut story = Story::new(plan(1, vec![service(&[]), main_service(&[0])]));
    let actions = story.at(1, Event::Unhealthy(A));
    assert_eq!(signals(&actions), [(A, Target::Process(100), Signal::TERM)]);
    story.end(1, A, End::Exited(0));
    story.at(2, Event::Tick);
    let states: Vec<_> = story
        .machine
        .view()
        .processes
        .iter()
        .map(|one| one.state)
        .collect();
    assert_eq!(states, ["ready", "ready"]);
}

#[test]
fn only_who_is_ready_has_a_life_to_lose() {
    let probed = Policy {
        ready_within: Some(secs(60)),
        ..main_service(&[])
    };
    let mut story = Story::new(plan(1, vec![task(&[]), probed]));
    assert_eq!(story.at(1, Event::Unhealthy(A)), [], "a task");
    assert_eq!(story.at(1, Event::Unhealthy(B)), [], "not ready yet");
    story.at(2, Event::Ready(B));
    assert_eq!(signals(&story.at(3, Event::Unhealthy(B))).len(), 1);
    assert_eq!(story.at(4, Event::Unhealthy(B)), [], "stopping already");
    story.end(5, B, End::Exited(0));
    assert_eq!(story.at(5, Event::Unhealthy(B)), [], "waiting for its next life");
}

#[test]
fn nobody_is_restarted_once_a_stop_was_asked_for() {
    let mut serving = plan(0, vec![main_service(&[])]);
    serving.drain_delay = secs(5);
    let mut story = Story::new(serving);
    story.at(1, Event::Signal(Signal::TERM));
    assert_eq!(story.at(2, Event::Unhealthy(A)), [], "it still serves");
    story.at(6, Event::Tick);
    assert_eq!(story.at(7, Event::Unhealthy(A)), []);
}

#[test]
fn a_stop_while_an_unhealthy_process_is_stopping_is_an_ordinary_drain() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    story.at(1, Event::Unhealthy(A));
    let actions = story.at(2, Event::Signal(Signal::TERM));
    assert_eq!(signals(&actions), [], "it was told already");
    story.end(3, A, End::Exited(0));
    assert_eq!(finish(&mut story, 3), (0, Cause::Signal(Signal::TERM)));
}

#[test]
fn a_stop_between_two_lives_of_an_unhealthy_process_starts_no_other() {
    let mut story = Story::new(plan(0, vec![main_service(&[])]));
    story.at(1, Event::Unhealthy(A));
    story.end(2, A, End::Killed(Signal::TERM));
    story.at(2, Event::Signal(Signal::TERM));
    assert_eq!(finish(&mut story, 2), (143, Cause::Signal(Signal::TERM)));
}

#[test]
fn spent_restarts_of_an_unhealthy_process_are_no_success_whatever_its_end_was() {
    for end in [End::Exited(0), End::Killed(Signal::TERM), End::Exited(3)] {
        let mut main = main_service(&[]);
        main.backoff.restarts = 1;
        let mut plan = plan(0, vec![main]);
        plan.success_codes = vec![143, 0, 3];
        let mut story = Story::new(plan);
        story.at(1, Event::Unhealthy(A));
        story.end(1, A, end);
        story.at(2, Event::Tick);
        story.at(3, Event::Unhealthy(A));
        story.end(3, A, end);
        assert_eq!(
            finish(&mut story, 3),
            (1, Cause::RestartsSpent(A, Fault::Unhealthy))
        );
    }
}

#[test]
fn the_container_goes_on_without_an_unhealthy_process_that_it_may_lose() {
    let mut sidecar = service(&[]);
    sidecar.on_exit = OnExit::Ignore;
    sidecar.backoff.restarts = 0;
    let mut story = Story::new(plan(0, vec![main_service(&[]), sidecar]));
    story.at(1, Event::Unhealthy(B));
    let actions = story.end(1, B, End::Exited(0));
    let spent = Cause::RestartsSpent(B, Fault::Unhealthy);
    assert_eq!(actions, [Action::Report(Report::Ignored(B, spent))]);
}

#[test]
fn the_delays_start_over_if_it_was_ready_for_long_before_it_was_unhealthy() {
    let mut sidecar = service(&[]);
    sidecar.backoff.restarts = 9;
    sidecar.backoff.max = secs(60);
    let mut story = Story::new(plan(0, vec![main_service(&[]), sidecar]));
    let mut next = |found: u64, ended: u64| {
        story.at(found, Event::Unhealthy(B));
        story.end(ended, B, End::Exited(0));
        let due = story.machine.deadline().expect("a restart");
        story.at(due.as_secs(), Event::Tick);
        due - secs(ended)
    };
    assert_eq!(next(1, 1), secs(1));
    // Ready from 2 to 3, and from 6 on for four seconds, which is `reset`; the time it takes to stop is no merit.
    assert_eq!(next(3, 4), secs(2));
    assert_eq!(next(9, 12), secs(4));
    assert_eq!(next(20, 20), secs(1));
}
