//! Plans: defaults, presets and every key.

use std::time::Duration;

use crate::machine::{Backoff, OnExit, Restart, Scope, Stop};
use crate::signal::Signal;

use super::*;

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
    assert_eq!(app.env["URL"].literal(), Some("http://www-data"));
    assert_eq!(app.env["dotted.name"].literal(), Some(""));
    assert_eq!(
        app.env_inherit,
        EnvInherit::Only(vec!["PATH".into(), "LANG".into()])
    );
    assert_eq!((&app.stdin, app.format), (&Stdin::Inherit, LogFormat::Raw));
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

    let logs = "[logs]\nformat = \"text\"\nstyle = \"lambda\"\nmask = false\nmultiline = \"java\"\nmax_line = \"1MiB\"\nblocked = \"0s\"\n[trace]\nexporter = \"off\"\nservice = \"x\"";
    let plan = world.read(&format!("{app}{logs}")).unwrap();
    assert_eq!(
        plan.logs,
        Logs {
            format: LogFormat::Text,
            style: crate::config::Style::Lambda,
            fields: Default::default(),
            mask: false,
            multiline: crate::config::Multiline::Only(crate::config::Language::Java),
            max_line: 1 << 20,
            blocked: Duration::ZERO
        }
    );
    assert_eq!(plan.processes[0].format, LogFormat::Text);
}

#[test]
fn the_default_port_of_health_gives_way_to_the_app() {
    let plan = World::new()
        .env("PORT", "9180")
        .read("[process.app]\ncommand = [\"x\"]")
        .unwrap();
    assert_eq!(plan.health.listen, None);
    assert_eq!(
        plan.warnings,
        [
            "there are no health endpoints: their default port 9180 is $PORT, where the app listens; set health.listen to another port, or to \"off\".",
        ]
    );
}

#[test]
fn migrations_are_a_task_that_all_others_wait_for() {
    let world = World::new().env("DATABASE_URL", "postgresql://app:pw@db.example.com/app");
    let text =
        "[process.app]\ncommand = [\"x\"]\n[process.warmup]\nkind = \"task\"\ncommand = \"y\"\n[migrate]\n";
    let plan = world.read(text).expect("valid");
    let migration = plan.migration().expect("a task");
    assert_eq!(plan.processes[migration.0].name, "migrate");
    assert_eq!(plan.main, ProcessId(0));
    for other in &plan.processes[..migration.0] {
        assert!(other.policy.after.contains(&migration), "{}", other.name);
    }
    let migrate = plan.migrate.expect("a section");
    assert_eq!(migrate.work, MigrateWork::Dir("migrations".into()));
    assert_eq!(
        migrate.database.as_ref().and_then(Text::literal),
        Some("postgresql://app:pw@db.example.com/app")
    );
    assert_eq!(
        (migrate.wait, migrate.lock_timeout),
        (Duration::from_secs(600), Duration::from_secs(5))
    );
}

#[test]
fn the_database_of_migrations_is_the_direct_one_if_there_is_one() {
    let world = World::new()
        .env("DATABASE_URL", "postgres://pooler.example.com/app")
        .env("MIGRATE_DATABASE_URL", "postgres://db.example.com/app");
    let plan = world
        .read("[process.app]\ncommand = [\"x\"]\n[migrate]\n")
        .expect("valid");
    let database = plan
        .migrate
        .and_then(|migrate| migrate.database)
        .expect("a database");
    assert_eq!(database.literal(), Some("postgres://db.example.com/app"));
}
