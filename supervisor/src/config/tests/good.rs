//! Plans: the search, the defaults, the presets.

use std::time::Duration;

use crate::machine::{Backoff, Kind, OnExit, Restart, Scope, Stop};
use crate::signal::Signal;

use super::*;

fn argv(words: &[&str]) -> Command {
    Command::Argv(words.iter().map(|word| word.to_string()).collect())
}

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
        (&app.env_inherit, app.stdin, app.format),
        (&EnvInherit::All, Stdin::Null, LogFormat::Json)
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
            public_details: false
        }
    );
    assert_eq!(
        plan.logs,
        Logs {
            format: LogFormat::Json,
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
fn defaults_follow_the_kind_and_the_role() {
    let plan = plan(
        "[process.app]\ncommand = [\"a\"]\n[process.side]\ncommand = \"b\"\n\
         [process.once]\ncommand = [\"c\"]\nrestart = \"never\"\n\
         [process.task]\nkind = \"task\"\ncommand = [\"d\"]",
    );
    let of = |place: usize| {
        let policy = &plan.processes[place].policy;
        (
            policy.restart,
            policy.on_exit,
            policy.stop.scope,
            policy.signals.len(),
        )
    };
    assert_eq!(plan.main, ProcessId(0));
    assert_eq!(of(0), (Restart::Never, OnExit::Shutdown, Scope::Process, 4));
    assert_eq!(of(1), (Restart::Always, OnExit::Shutdown, Scope::Group, 0));
    assert_eq!(of(2), (Restart::Never, OnExit::Ignore, Scope::Process, 0));
    assert_eq!(of(3), (Restart::Never, OnExit::Shutdown, Scope::Process, 0));
}

#[test]
fn every_key_of_a_process_arrives() {
    let world = World::new().env("PORT", "8000").env("ROLE", "www-data");
    let text = r#"
        [process.z]
        kind = "task"
        command = "echo ${NOT_OURS} $$"
        [process.app]
        command = ["serve", "--port=${PORT}", "${MODE:-fast}", "$$5"]
        after = ["z", "z"]
        ready = { http = "http://localhost:${PORT}/up", timeout = "5s", interval = "100ms" }
        restart = "on-failure"
        backoff = { min = "0s", restarts = 2 }
        signals = { usr1 = "SIGTERM", SIGRTMIN = "37" }
        cwd = "/srv/${ROLE}"
        user = "${ROLE}:adm"
        umask = "0027"
        env = { URL = "http://${ROLE}", "dotted.name" = "" }
        env_inherit = ["PATH", "LANG"]
        stdin = "inherit"
        logs = { format = "raw", stdout = true }
        [process.app.stop]
        signal = "INT"
        grace = "1m30s"
        scope = "group"
    "#;
    let plan = world.read(text).unwrap();
    assert_eq!(plan.main, ProcessId(1));
    assert_eq!(
        plan.processes[0].command,
        Command::Shell("echo ${NOT_OURS} $$".into())
    );
    let app = &plan.processes[1];
    assert_eq!(app.command, argv(&["serve", "--port=8000", "fast", "$5"]));
    assert_eq!(app.policy.after, [ProcessId(0)]);
    assert_eq!(app.policy.ready_within, Some(Duration::from_secs(5)));
    let ready = app.ready.as_ref().unwrap();
    assert_eq!(ready.interval, Duration::from_millis(100));
    let Probe::Http(target) = &ready.probe else {
        panic!("{ready:?}")
    };
    assert_eq!(
        (target.host.as_str(), target.path.as_str()),
        ("localhost:8000", "/up")
    );
    assert_eq!(target.address.to_string(), "127.0.0.1:8000");
    assert_eq!(app.policy.restart, Restart::OnFailure);
    assert_eq!(
        app.policy.backoff,
        Backoff {
            min: Duration::ZERO,
            restarts: 2,
            ..Backoff::default()
        }
    );
    let signal = |number| Signal::from_number(number).unwrap();
    assert_eq!(
        app.policy.signals,
        [(Signal::USR1, Signal::TERM), (signal(34), signal(37))]
    );
    let stop = Stop {
        signal: Signal::INT,
        grace: Some(Duration::from_secs(90)),
        scope: Scope::Group,
    };
    assert_eq!(app.policy.stop, stop);
    assert_eq!(app.cwd.as_deref(), Some(Path::new("/srv/www-data")));
    let user = app.user.as_ref().unwrap();
    assert_eq!((user.uid, user.gid, user.groups.as_slice()), (33, 4, &[][..]));
    assert_eq!(app.umask, Some(0o27));
    assert_eq!(app.env["URL"], "http://www-data");
    assert_eq!(app.env["dotted.name"], "");
    assert_eq!(
        app.env_inherit,
        EnvInherit::Only(vec!["PATH".into(), "LANG".into()])
    );
    assert_eq!((app.stdin, app.format), (Stdin::Inherit, LogFormat::Raw));
    assert_eq!(
        plan.warnings,
        [
            "process.app.stop.grace of 1m30s is longer than run.stop_budget and will be cut to what is left of 9s."
        ]
    );
}

#[test]
fn probes_read() {
    let probe = |ready: &str| {
        let plan = plan(&format!("[process.app]\ncommand = \"x\"\nready = {{ {ready} }}"));
        let ready = plan.processes[0].ready.clone().unwrap();
        assert_eq!(
            plan.processes[0].policy.ready_within,
            Some(Duration::from_secs(60))
        );
        assert_eq!(ready.interval, Duration::from_millis(500));
        ready.probe
    };
    assert!(matches!(probe("tcp = \"localhost:80\""), Probe::Tcp(a) if a.to_string() == "127.0.0.1:80"));
    assert!(matches!(probe("exec = [\"true\"]"), Probe::Exec(c) if c == argv(&["true"])));
    assert!(matches!(probe("exec = \"true\""), Probe::Exec(Command::Shell(_))));
    assert!(matches!(probe("log = \"^started$\""), Probe::Log(r) if r.is_match("started")));
    assert!(matches!(probe("fd = 3"), Probe::Fd(3)));
}

#[test]
fn presets_give_way_to_a_signal_of_ones_own() {
    let stop = |rest: &str| {
        let plan = plan(&format!("[process.app]\n{rest}"));
        (
            plan.processes[0].preset,
            plan.processes[0].policy.stop.signal,
            plan.processes[0].policy.signals.len(),
        )
    };
    assert_eq!(stop("command = [\"httpd\"]"), (Some("apache2"), Signal::WINCH, 3));
    assert_eq!(
        stop("command = [\"nginx\"]\nstop = { grace = \"1s\" }"),
        (Some("nginx"), Signal::QUIT, 4)
    );
    assert_eq!(
        stop("command = [\"nginx\"]\nstop.signal = \"TERM\""),
        (None, Signal::TERM, 4)
    );
    assert_eq!(stop("command = \"nginx\""), (None, Signal::TERM, 4));
    assert_eq!(stop("command = [\"x\"]\nsignals = {}"), (None, Signal::TERM, 0));
}

#[test]
fn run_health_and_logs_read() {
    let world = World::new()
        .env("ECS_CONTAINER_METADATA_URI_V4", "http://x")
        .env("TOKEN", "");
    let app = "[process.app]\ncommand = [\"x\"]\n";
    let seconds = |text: &str| {
        let run = world.read(&format!("{app}[run]\n{text}")).unwrap().run;
        (
            run.platform.to_string(),
            run.drain_delay.as_secs(),
            run.stop_budget.as_secs(),
        )
    };
    assert_eq!(seconds(""), ("ecs".into(), 5, 28));
    assert_eq!(
        seconds("platform = \"auto\"\ndrain_delay = \"auto\"\nstop_budget = \"auto\""),
        ("ecs".into(), 5, 28)
    );
    assert_eq!(seconds("platform = \"app-runner\""), ("app-runner".into(), 2, 9));
    assert_eq!(seconds("stop_budget = \"4s\""), ("ecs".into(), 2, 4));
    assert_eq!(
        seconds("stop_budget = \"115s\"\ndrain_delay = \"15s\""),
        ("ecs".into(), 15, 115)
    );

    let listen = |text: &str| {
        let health = world
            .read(&format!("{app}[health]\nlisten = \"{text}\""))
            .unwrap()
            .health;
        assert!(health.explicit);
        health.listen.map(|address| address.to_string())
    };
    assert_eq!(listen("off"), None);
    assert_eq!(listen(":9000").as_deref(), Some("0.0.0.0:9000"));
    assert_eq!(listen("[::]:9180").as_deref(), Some("[::]:9180"));
    let health = world
        .read(&format!(
            "{app}[health]\ntoken = \"${{TOKEN}}\"\ndetails = \"public\""
        ))
        .unwrap()
        .health;
    assert_eq!((health.token, health.public_details), (None, true));

    let logs = "[logs]\nformat = \"text\"\nstyle = \"lambda\"\nmultiline = \"off\"\nmax_line = \"1MiB\"\nblocked = \"0s\"\n[trace]\nexporter = \"off\"\nservice = \"x\"";
    let plan = world.read(&format!("{app}{logs}")).unwrap();
    assert_eq!(
        plan.logs,
        Logs {
            format: LogFormat::Text,
            max_line: 1 << 20,
            blocked: Duration::ZERO
        }
    );
    assert_eq!(plan.processes[0].format, LogFormat::Text);
}

#[test]
fn warnings_name_variables_and_never_values() {
    let arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf";
    let world = World::new().env("DB", arn).env("PORT", "9180");
    let text = format!("[process.app]\ncommand = [\"x\"]\nenv = {{ API = \"{arn}\" }}");
    assert_eq!(
        world.read(&text).unwrap().warnings,
        [
            "DB holds a reference that this version passes on unresolved.",
            "process.app.env.API holds a reference that this version passes on unresolved.",
            "the default health port 9180 is also $PORT; set health.listen to another port or to \"off\".",
        ]
    );
}

#[test]
fn probe_needs_only_the_health_section() {
    let world = World::new().file(
        "srv/runmate.toml",
        "[process.app]\nrestart = \"x\"\n[health]\nlisten = \":8181\"\n[migrate]\n",
    );
    let health = world.with(None, load_health).unwrap();
    assert_eq!(health.listen.unwrap().port(), 8181);
    assert_eq!(
        World::new()
            .with(None, load_health)
            .unwrap()
            .listen
            .unwrap()
            .port(),
        9180
    );
}
