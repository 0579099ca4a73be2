//! Where a config is found, and what a COMMAND does with and without one.

use std::time::Duration;

use crate::machine::{Backoff, Kind, OnExit, Restart, Scope, Stop};
use crate::signal::Signal;

use super::*;

#[test]
fn a_command_alone_is_the_process_app_with_all_defaults() {
    let plan = World::new()
        .command(&["node", "server.js", "$HOME ${X}"])
        .search()
        .unwrap();
    assert_eq!(plan.source, Source::CommandLine);
    assert_eq!(plan.main, ProcessId(0));
    let [app] = plan.processes.as_slice() else {
        panic!("{plan:?}")
    };
    assert_eq!(app.name, "app");
    assert_eq!(app.command, argv(&["node", "server.js", "$HOME ${X}"]));
    assert_eq!(app.policy.kind, Kind::Service);
    assert_eq!(app.policy.restart, Restart::Never);
    assert_eq!(app.policy.on_exit, OnExit::Shutdown);
    assert_eq!(app.policy.ready_within, None);
    assert_eq!(
        app.policy.stop,
        Stop {
            signal: Signal::TERM,
            grace: None,
            scope: Scope::Process
        }
    );
    assert_eq!(app.policy.backoff, Backoff::default());
    let same = |signal| (signal, signal);
    assert_eq!(
        app.policy.signals,
        [
            same(Signal::HUP),
            same(Signal::USR1),
            same(Signal::USR2),
            same(Signal::WINCH)
        ]
    );
    assert_eq!(
        (&app.cwd, &app.user, app.umask, app.preset),
        (&None, &None, None, None)
    );
    assert_eq!(
        (&app.env_inherit, &app.stdin, app.format),
        (&EnvInherit::All, &Stdin::Null, LogFormat::Json)
    );
    assert_eq!(plan.run.platform, Platform::Docker);
    assert_eq!(plan.run.drain_delay, Duration::ZERO);
    assert_eq!(plan.run.stop_budget, Duration::from_secs(9));
    assert_eq!(plan.run.success_codes, Vec::<i32>::new());
    assert_eq!(
        plan.health,
        Health {
            listen: Some("0.0.0.0:9180".parse().unwrap()),
            explicit: false,
            token: None,
            public_details: false,
            checks: Vec::new(),
        }
    );
    assert_eq!(
        plan.logs,
        Logs {
            format: LogFormat::Json,
            style: crate::config::Style::Lambda,
            fields: Default::default(),
            mask: true,
            multiline: crate::config::Multiline::Auto,
            max_line: 15360,
            blocked: Duration::from_secs(5)
        }
    );
    assert_eq!(plan.warnings, Vec::<String>::new());
}

#[test]
fn nothing_at_all_shows_the_fix() {
    let error = World::new().search().unwrap_err().to_string();
    for line in [
        "ENTRYPOINT [\"runmate\", \"run\", \"--\"]",
        "CMD [\"node\", \"server.js\"]",
        "[process.app]",
    ] {
        assert!(error.contains(line), "{error}");
    }
}

#[test]
fn the_first_config_found_is_taken() {
    let text = |name: &str| format!("[process.{name}]\ncommand = \"x\"\n");
    let world = World::new()
        .file("srv/given.toml", &text("given"))
        .file("srv/variable.toml", &text("variable"))
        .env("RUNMATE_CONFIG", "variable.toml")
        .env("RUNMATE_CONFIG_INLINE", &text("inline"))
        .file("srv/runmate.toml", &text("here"))
        .file("etc/runmate/runmate.toml", &text("etc"));
    let name = |plan: Result<Plan, ConfigErrors>| plan.unwrap().processes[0].name.clone();
    assert_eq!(name(world.with(Some("given.toml"), load)), "given");
    assert_eq!(name(world.search()), "variable");
    let world = world.env("RUNMATE_CONFIG", "");
    assert_eq!(name(world.search()), "inline");
    assert_eq!(world.search().unwrap().source, Source::Inline);
    let world = world.env("RUNMATE_CONFIG_INLINE", "");
    assert_eq!(name(world.search()), "here");
    assert_eq!(
        world.search().unwrap().source,
        Source::File("runmate.toml".into())
    );
    fs::remove_file(world.root.path().join("srv/runmate.toml")).unwrap();
    assert_eq!(name(world.search()), "etc");
}

#[test]
fn a_config_that_is_named_must_be_readable() {
    let world = World::new().file("srv/latin1.toml", "");
    fs::write(world.root.path().join("srv/latin1.toml"), b"# one\n# caf\xe9\n").unwrap();
    for (file, expected) in [
        (
            "none.toml",
            "none.toml: cannot read the config: No such file or directory (os error 2) (given with -c); correct the path or make it readable",
        ),
        (
            ".",
            ".: cannot read the config: Is a directory (os error 21) (given with -c); correct the path or make it readable",
        ),
        (
            "latin1.toml",
            "latin1.toml: cannot read the config: line 2 is not UTF-8 (given with -c); save it as UTF-8",
        ),
    ] {
        assert_eq!(world.with(Some(file), load).unwrap_err().to_string(), expected);
    }
    let world = world.env("RUNMATE_CONFIG", "gone.toml").command(&["node"]);
    assert!(
        world
            .search()
            .unwrap_err()
            .to_string()
            .contains("named by $RUNMATE_CONFIG")
    );
    let world = World::new().env("RUNMATE_CONFIG_INLINE", "\nx = 1");
    assert_eq!(
        world.search().unwrap_err().errors[0].to_string(),
        "RUNMATE_CONFIG_INLINE:2: x: unknown key; processes are written as [process.NAME]"
    );
}

#[test]
fn a_command_replaces_the_one_of_main_and_its_preset() {
    let text =
        "[process.web]\nmain = true\ncommand = \"serve ${UNSET\"\n[process.side]\ncommand = [\"side\"]";
    let plan = World::new()
        .command(&["/usr/sbin/nginx", "-g", "daemon off;"])
        .read(text)
        .unwrap();
    assert_eq!(
        plan.processes[0].command,
        argv(&["/usr/sbin/nginx", "-g", "daemon off;"])
    );
    assert_eq!(plan.processes[0].preset, Some("nginx"));
    assert_eq!(plan.processes[0].policy.stop.signal, Signal::QUIT);
    assert_eq!(plan.processes[0].policy.stop.scope, Scope::Process);
    assert_eq!(plan.processes[1].command, argv(&["side"]));

    // A config may leave the command to the image, or be silent about the main process.
    let plan = World::new()
        .command(&["node"])
        .read("[process.app]\nrestart = \"always\"")
        .unwrap();
    assert_eq!(plan.processes[0].policy.restart, Restart::Always);
    let plan = World::new()
        .command(&["node"])
        .read("[logs]\nformat = \"text\"")
        .unwrap();
    assert_eq!(
        (plan.processes[0].name.as_str(), plan.processes[0].format),
        ("app", LogFormat::Text)
    );
    let plan = World::new()
        .command(&["node"])
        .read("[process.init]\nkind = \"task\"\ncommand = \"x\"")
        .unwrap();
    assert_eq!(
        (plan.main, plan.processes[1].command.clone()),
        (ProcessId(1), argv(&["node"]))
    );
}

#[test]
fn probe_needs_only_to_know_where_health_listens() {
    let listen = |text: &str| {
        World::new()
            .env("BROKEN", "arn:aws:secretsmanager:nonsense")
            .file("srv/runmate.toml", text)
            .with(None, load_listen)
            .map(|(listen, explicit)| (listen.map(|address| address.to_string()), explicit))
    };
    let elsewhere = "[process.app]\nrestart = \"x\"\n[migrate]\n[health]\ntoken = \"${UNSET}\"\nlater = 1\n";
    let check = "[health.check.db]\npostgres = \"${UNSET}\"\nrestart = \"nobody\"\n[health.check.x]\n";
    let found = |text: &str| listen(&format!("{elsewhere}{text}\n{check}")).expect(text);
    assert_eq!(found("listen = \":8181\""), (Some("0.0.0.0:8181".into()), true));
    assert_eq!(found("listen = \"off\""), (None, true));
    assert_eq!(found(""), (Some("0.0.0.0:9180".into()), false));
    let errors = listen("[health]\nlisten = \"${UNSET}\"").expect_err("unset");
    assert!(errors.to_string().contains("health.listen"), "{errors}");

    let (listen, _) = World::new()
        .with(None, load_listen)
        .expect("no config is none of probe's business");
    assert_eq!(listen.map(|address| address.port()), Some(9180));
    let taken = World::new().env("PORT", "9180");
    assert_eq!(taken.with(None, load_listen).expect("the default"), (None, false));
}
