//! What is told of lives that end well, and of those that do not.
use super::*;

const CODE_3: End = End::Exited(3);

/// A task, then a service that says when it is ready.
const TWO: &str = "[process.task]\nkind = \"task\"\ncommand = [\"x\"]\n\
    [process.app]\ncommand = [\"x\"]\nafter = [\"task\"]\nready = { tcp = \"127.0.0.1:1\", timeout = \"5s\" }\n\
    restart = \"on-failure\"\nbackoff = { min = \"1s\", max = \"1s\", restarts = 2 }\n";

const PLAIN: &str = "[process.app]\ncommand = [\"x\"]\n";

fn up() -> World {
    let mut world = World::new(TWO);
    world.after(10).start();
    world.after(20).ends(0, End::Exited(0));
    world.after(30).ready(1);
    world
}

fn at(span: &Span) -> (u128, u128) {
    let millis = |time: SystemTime| time.duration_since(DAWN).unwrap().as_millis();
    (millis(span.began), millis(span.ended))
}

fn ready(name: &str) -> (String, String, Option<String>) {
    (name.to_owned(), "ready".to_owned(), None)
}

#[test]
fn a_boot_has_a_start_for_each_process_and_the_wait_for_the_last() {
    let mut world = up();
    assert_eq!(world.told("start"), [ready("task"), ready("app")]);
    let boot = world.one("boot");
    assert_eq!((at(&boot), boot.failure.clone()), ((0, 60), None));
    assert_eq!(of(&boot, "runmate.outcome"), "up");
    assert_eq!(at(&world.one("ready")), (30, 60));
    let starts: Vec<_> = world
        .spans()
        .iter()
        .filter(|span| span.name == "start")
        .map(at)
        .collect();
    assert_eq!(starts, [(10, 30), (30, 60)]);
    assert_eq!(world.journal.current(), None, "the boot is over");
}

#[test]
fn secrets_are_a_part_and_their_failure_is_that_of_the_boot() {
    let mut world = World::new(PLAIN);
    let now = world.moment();
    assert!(world.journal.secrets(2, now).is_some());
    world.after(40);
    let mut failed = World::new(PLAIN);
    failed.journal.secrets(2, now);
    let later = world.moment();
    failed.journal.refused("denied", 77, later);
    world.journal.secrets_done(later);
    world.start();
    assert_eq!(
        (at(&world.one("secrets")), world.one("boot").failure),
        ((0, 40), None)
    );
    assert_eq!(of(&world.one("secrets"), "runmate.secrets.count"), "2");
    for name in ["secrets", "boot"] {
        assert_eq!(failed.one(name).failure.as_deref(), Some("denied"), "{name}");
    }
    assert_eq!(of(&failed.one("boot"), "process.exit.code"), "77");
    assert!(
        failed.journal.current().is_some(),
        "the exit line belongs to the boot"
    );
}

#[test]
fn migrations_have_a_name_of_their_own() {
    let mut world = World::new(&format!("{PLAIN}[migrate]\ndatabase = \"sqlite:x.db\"\n"));
    world.start().after(5).ends(1, End::Exited(0));
    assert_eq!(world.told("migrate"), [ready("migrate")]);
    assert_eq!(world.told("start"), [ready("app")]);
}

#[test]
fn a_failed_task_fails_the_boot_and_the_rest_was_stopped() {
    let text = format!(
        "{PLAIN}ready = {{ tcp = \"127.0.0.1:1\" }}\n[process.task]\nkind = \"task\"\ncommand = [\"x\"]\n"
    );
    let mut world = World::new(&text);
    world.start().after(5).ends(1, CODE_3);
    world.after(5).ends(0, End::Killed(Signal::TERM));
    assert!(world.exited);
    let failed = |name: &str, why: &str| (name.to_owned(), "failed".to_owned(), Some(why.to_owned()));
    assert_eq!(
        world.told("start"),
        [
            failed("task", "ended badly"),
            ("app".into(), "stopped".into(), None)
        ]
    );
    assert_eq!(world.told("boot"), [failed("", "because")]);
    let drain = world.one("drain");
    assert_eq!(
        (of(&drain, "runmate.cause"), of(&drain, "process.exit.code")),
        ("task_failed".into(), "3".into())
    );
    let stop = world.one("stop");
    assert_eq!(
        (
            of(&stop, "runmate.outcome"),
            of(&stop, "runmate.stop.signal"),
            of(&stop, "runmate.process.signal")
        ),
        ("stopped".into(), "SIGTERM".into(), "SIGTERM".into())
    );
}

#[test]
fn a_command_that_is_not_there_is_said() {
    let mut world = World::new(PLAIN);
    world.broken.insert(0);
    world.start();
    assert!(world.exited);
    let why = "cannot be started: exit code 127".to_owned();
    assert_eq!(world.told("start"), [("app".into(), "failed".into(), Some(why))]);
    assert_eq!(world.told("stop"), []);
}

#[test]
fn a_stop_while_booting_ends_the_boot_without_a_failure() {
    for secrets in [false, true] {
        let mut world = World::new(TWO);
        let now = world.moment();
        if secrets {
            world.journal.secrets(1, now);
        } else {
            world.start();
        }
        world.after(5).term().after(5).ends(0, End::Killed(Signal::TERM));
        assert!(world.exited);
        assert_eq!(world.told("boot"), [(String::new(), "stopped".into(), None)]);
        assert_eq!(at(&world.one("boot")), (0, 5));
        assert_eq!(world.told("ready"), [], "not everything was started");
        assert_eq!(world.told("stop").len(), usize::from(!secrets));
        assert_eq!(world.told("secrets").len(), usize::from(secrets));
    }
}

#[test]
fn a_restart_is_a_trace_of_its_own() {
    let mut world = up();
    world.after(40).ends(1, CODE_3);
    assert_eq!(world.told("restart"), [], "it goes on");
    world.tick().after(50).ready(1);
    let restart = world.one("restart");
    assert_eq!((at(&restart), restart.failure.clone()), ((100, 1150), None));
    for (key, value) in [
        ("runmate.process.name", "app"),
        ("runmate.restart.reason", "ended"),
        ("process.exit.code", "3"),
        ("runmate.restart.attempt", "1"),
        ("runmate.restart.delay", "1"),
        ("runmate.oom", "false"),
        ("runmate.outcome", "ready"),
    ] {
        assert_eq!(of(&restart, key), value, "{key}");
    }
    let starts = world
        .spans()
        .iter()
        .filter(|span| span.parent == Some(restart.context.span));
    let starts: Vec<_> = starts
        .map(|span| (span.name.clone(), at(span), of(span, "process.pid")))
        .collect();
    assert_eq!(starts, [("start".to_owned(), (1100, 1150), "102".to_owned())]);
}

#[test]
fn a_start_that_is_never_ready_fails_until_restarts_are_spent() {
    let mut world = World::new(TWO);
    world.start().ends(0, End::Exited(0));
    for _ in 0..3 {
        // Time is up, it obeys, and the pause is over.
        world.tick().after(1).ends(1, End::Killed(Signal::TERM));
        world.tick();
    }
    assert!(world.exited);
    let why = || Some("not ready after 5.000 s".to_owned());
    let failed = || ("app".to_owned(), "failed".to_owned(), why());
    assert_eq!(world.told("restart"), [failed(), failed()]);
    assert_eq!(world.told("start"), [ready("task"), failed(), failed(), failed()]);
    let reasons = world.spans().iter().filter(|span| span.name == "restart");
    let reasons: BTreeSet<String> = reasons.map(|span| of(span, "runmate.restart.reason")).collect();
    assert_eq!(reasons, BTreeSet::from(["not_ready".to_owned()]));
    assert_eq!(
        world.told("boot"),
        [(String::new(), "failed".into(), Some("because".into()))]
    );
}

#[test]
fn an_unhealthy_process_names_the_check() {
    let mut world = up();
    world.after(1).feed(Event::Unhealthy(ProcessId(1)));
    world.after(1).ends(1, End::Killed(Signal::TERM)).tick().ready(1);
    let restart = world.one("restart");
    assert_eq!(
        (
            of(&restart, "runmate.restart.reason"),
            of(&restart, "runmate.restart.check")
        ),
        ("unhealthy".into(), "because".into())
    );
    assert_eq!(of(&restart, "runmate.process.signal"), "SIGTERM");
    assert_eq!(world.told("stop"), [], "that was no drain");
}

#[test]
fn a_stop_in_the_pause_before_a_restart_ends_it() {
    let mut world = up();
    world.after(1).ends(1, CODE_3).after(10).term();
    assert!(world.exited);
    assert_eq!(world.told("restart"), [("app".into(), "stopped".into(), None)]);
    assert_eq!(world.told("stop"), [], "nobody lived");
}

#[test]
fn who_does_not_stop_was_killed_and_who_stays_was_left_behind() {
    let mut killed = World::new(PLAIN);
    killed
        .start()
        .after(5)
        .term()
        .tick()
        .after(1)
        .ends(0, End::Killed(Signal::KILL));
    let stop = killed.one("stop");
    assert_eq!(
        (of(&stop, "runmate.outcome"), of(&stop, "runmate.process.signal")),
        ("killed".into(), "SIGKILL".into())
    );
    assert_eq!(stop.failure.as_deref(), Some("did not stop in time"));
    let mut stuck = World::new(PLAIN);
    stuck.start().after(5).term().tick().tick();
    assert!(stuck.exited);
    assert_eq!(of(&stuck.one("stop"), "runmate.outcome"), "abandoned");
}

#[test]
fn a_stop_lasts_until_the_group_is_empty() {
    let mut world = World::new(PLAIN);
    world.start().term().after(5).ends_with(0, End::Exited(0), true);
    world.after(20).group_gone(0);
    assert_eq!(at(&world.one("stop")), (0, 25));
    assert_eq!(world.told("stop"), [("app".into(), "stopped".into(), None)]);
}

#[test]
fn who_ends_before_its_turn_is_told_too() {
    let text = format!("{PLAIN}[process.side]\ncommand = [\"x\"]\nafter = [\"app\"]\n");
    let mut world = World::new(&text);
    world.start().after(5).term().after(5).ends(0, End::Exited(0));
    world.after(5).ends(1, End::Exited(0));
    assert!(world.exited);
    let told = world.told("stop");
    assert_eq!(
        told,
        [
            ("app".into(), "exited".into(), None),
            ("side".into(), "stopped".into(), None)
        ]
    );
}

#[test]
fn a_clock_that_is_set_moves_whole_traces_only() {
    let mut world = World::new(PLAIN);
    world.start();
    // An hour back; the time since the start goes on.
    world.now += Duration::from_secs(7200);
    let wall = DAWN + Duration::from_secs(3600);
    let now = Moment {
        wall,
        time: world.now,
    };
    world.journal.ended(
        ProcessId(0),
        &Ending {
            end: End::Exited(0),
            how: "",
            group_alive: false,
            oom: None,
        },
        now,
    );
    let cause = Cause::MainEnded(End::Exited(0));
    let report = Report::Draining {
        cause,
        delay: Duration::ZERO,
        budget: Duration::ZERO,
    };
    world.journal.report(&report, None, now);
    world.journal.exit(0, now);
    world.exited = true;
    let drain = world.one("drain");
    assert_eq!((drain.began, drain.ended), (wall, wall));
}

/// What is before 1970 cannot be handed to the helper.
#[test]
fn nothing_began_before_1970() {
    let mut world = World::new(PLAIN);
    world.start();
    let app = ProcessId(0);
    let at = |wall, time| Moment {
        wall: DAWN + Duration::from_secs(wall),
        time: Duration::from_secs(time),
    };
    let ending = Ending {
        end: End::Exited(1),
        how: "",
        group_alive: false,
        oom: None,
    };
    world.journal.ended(app, &ending, at(10, 10));
    // The clock was set back to its first seconds.
    let restarting = Report::Restarting(app, Duration::ZERO, 1);
    world.journal.report(&restarting, None, at(5, 20));
    world.journal.starting(app, at(5, 20));
    world.journal.report(&Report::Ready(app), None, at(5, 20));
    let spans = world.journal.take();
    let restart = spans.iter().find(|span| span.name == "restart").unwrap();
    assert_eq!(restart.began, DAWN);
    serde_json::to_string(&spans).unwrap();
}
