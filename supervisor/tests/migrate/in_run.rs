//! `[migrate]`: the task before all processes.

use crate::lab::{Lab, Server, psql, wait_until};
use crate::support::{Setup, free_address, is_event, process};

fn config(url: &str, dir: &std::path::Path, more: &str) -> String {
    process("app", "wait TERM", "")
        + &format!(
            "[migrate]\ndatabase = \"{url}\"\ndir = \"{}\"\n{more}\n",
            dir.display()
        )
}

#[test]
fn it_runs_before_the_processes_and_health_says_so() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("inrun");
    lab.ten_migrations();
    lab.write(
        "migrations/11_wait.sql",
        "SELECT pg_sleep(30) WHERE NOT EXISTS (SELECT FROM go_on);",
    );
    psql(&url, "CREATE TABLE go_on (id int)");
    let run = Setup::new(&config(&url, &lab.path("migrations"), ""))
        .with_health()
        .start();
    run.wait_for("the last migration", |line| line["file"] == "11_wait.sql");
    let (status, body) = run.get("/health");
    assert_eq!(
        (status, body["phase"].as_str()),
        (200, Some("migrating")),
        "{body}"
    );
    assert_eq!(run.get("/healthz").0, 200);
    assert_eq!(run.get("/readyz").0, 503);
    assert_eq!(run.get("/livez").0, 200);
    assert!(!run.lines().iter().any(|line| is_event(line, "started", "app")));
    // Only this one: a cancelled one would be rolled back.
    psql(&url, "INSERT INTO go_on VALUES (1)");
    psql(
        &url,
        "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND false",
    );
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(143));
    assert!(!exit.has("started", "app"));
    let busy = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runmate%'";
    wait_until("no session", || (psql(&url, busy) == "0").then_some(()));

    let run = Setup::new(&config(&url, &lab.path("migrations"), ""))
        .with_health()
        .start();
    run.wait_for_event("ready", "app");
    assert_eq!(run.get("/health").1["phase"], "up");
    let lines = run.lines();
    let applied = lines.iter().filter(|line| line["event"] == "applied");
    let applied: Vec<_> = applied
        .map(|line| (line["process"].as_str(), line["file"].as_str()))
        .collect();
    assert_eq!(applied, [(Some("migrate"), Some("11_wait.sql"))]);
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn a_failure_ends_the_container_with_its_code_unless_told_to_go_on() {
    let lab = Lab::new();
    lab.write("migrations/1_bad.sql", "CREATE TABLE a (id int); NONSENSE;");
    let url = format!("sqlite:{}", lab.path("a.db").display());
    let exit = Setup::new(&config(&url, &lab.path("migrations"), ""))
        .start()
        .exit();
    assert_eq!(exit.code, Some(1));
    assert!(!exit.has("started", "app"));
    assert_eq!(exit.line()["name"], "migrate");
    let failed = exit
        .lines
        .iter()
        .find(|line| line["event"] == "failed")
        .expect("a reason");
    assert_eq!(failed["process"], "migrate");
    assert!(
        failed["message"]
            .as_str()
            .is_some_and(|message| message.contains("1_bad.sql")),
        "{failed}"
    );

    let run = Setup::new(&config(
        &url,
        &lab.path("migrations"),
        "on_failure = \"continue\"",
    ))
    .start();
    run.wait_for_event("ready", "app");
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn the_url_may_be_a_secret_which_only_the_migrations_see() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("secret");
    lab.ten_migrations();
    lab.write("url", &url);
    let config = process("app", "wait TERM", "secrets = []")
        + &format!(
            "[migrate]\ndatabase = \"${{DB}}\"\ndir = \"{}\"\n[secrets.DB]\nfrom = \"file:{}\"\n",
            lab.path("migrations").display(),
            lab.path("url").display()
        );
    let run = Setup::new(&config).start();
    run.wait_for_event("ready", "app");
    assert_eq!(psql(&url, "SELECT count(*) FROM log"), "10");
    let app = run.wait_for_event("started", "app")["pid"]
        .as_i64()
        .expect("a pid");
    let environ = std::fs::read_to_string(format!("/proc/{app}/environ")).expect("environ");
    assert!(!environ.contains("DB="), "{environ}");
    assert!(!run.said().contains("p%40ss"), "{}", run.said());
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn a_command_migrates_with_the_secrets_and_its_output_is_logged() {
    let lab = Lab::new();
    lab.write("word", "hunter2hunter2");
    let url = format!("sqlite:{}", lab.path("a.db").display());
    let config = process("app", "wait TERM", "secrets = []")
        + &format!(
            "[migrate]\ndatabase = \"{url}\"\ncommand = \"echo found ${{#WORD}}; echo oops >&2\"\n\
             [secrets.WORD]\nfrom = \"file:{}\"\n",
            lab.path("word").display()
        );
    let run = Setup::new(&config).start();
    run.wait_for_message("migrate", "found 14");
    run.wait_for_message("migrate", "oops");
    run.wait_for_event("ready", "app");
    run.signal(libc::SIGTERM);
    run.exit();
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let exit = Setup::new("[process.app]\ncommand = [\"true\"]\n[migrate]\ndir = \"x\"\n")
        .start()
        .exit();
    assert_eq!(exit.code, Some(78));
    let line = exit
        .lines
        .iter()
        .find(|line| line["event"] == "config_error")
        .expect("an error");
    assert_eq!(
        (line["line"].as_i64(), line["key"].as_str()),
        (Some(3), Some("migrate.database")),
        "{line}"
    );
    let address = free_address();
    let config = format!(
        "[process.app]\ncommand = [\"true\"]\n[migrate]\ndatabase = \"postgres://app@{address}/app\"\nwait = \"1s\"\n\
         command = [\"true\"]\n"
    );
    let exit = Setup::new(&config).start().exit();
    assert_eq!(exit.code, Some(69));
}

#[test]
fn check_online_asks_the_database_and_changes_nothing() {
    let (lab, server) = (Lab::new(), Server::start());
    let url = server.database("checked");
    lab.ten_migrations();
    let check = |config: &str| {
        let output = Setup::new(config).args(["check", "--online"]).output();
        (
            output.status.code(),
            String::from_utf8_lossy(&output.stdout).into_owned(),
        )
    };
    let good = config(&url, &lab.path("migrations"), "");
    let (code, said) = check(&good);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("/checked: 10 to apply"), "{said}");
    assert!(!said.contains("p%40ss"), "{said}");
    assert_eq!(
        psql(&url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"),
        "0"
    );
    let (code, said) = check(&good.replace("/checked", "/nosuch"));
    assert_eq!(code, Some(78), "{said}");
    assert!(
        said.contains("migrate.database") && said.contains("nosuch"),
        "{said}"
    );
}
