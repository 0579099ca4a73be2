//! The format as a whole: every key is known, and read as what it is.
use super::*;

const REFERENCE: &str = include_str!("../../../../docs/reference.toml");

/// The errors, if there are any.
fn wrong(text: &str) -> Vec<String> {
    let world = World::new().env(
        "DEMO_DB_SECRET_ARN",
        "arn:aws:secretsmanager:eu-west-1:123456789012:secret:db-AbCdEf",
    );
    match world.read(text) {
        Ok(_) => Vec::new(),
        Err(wrong) => wrong.errors.iter().map(ToString::to_string).collect(),
    }
}

#[test]
fn the_reference_holds_nothing_wrong() {
    assert_eq!(wrong(REFERENCE), [""; 0]);
}

#[test]
fn the_reference_names_every_key() {
    use super::super::keys;
    let sections = [
        keys::PROCESS,
        keys::READY,
        keys::BACKOFF,
        keys::STOP,
        keys::PROCESS_LOGS,
        keys::STDIN,
        keys::RUN,
        keys::HEALTH,
        keys::CHECK,
        keys::DISK,
        keys::USED,
        keys::CERTIFICATE,
        keys::LOGS,
        keys::SECRET,
        keys::MIGRATE,
        keys::TRACE,
    ];
    for key in sections.concat() {
        assert!(REFERENCE.contains(key), "{key}");
    }
}

/// The shape of the format as it was first agreed on: every key in its place, values of its type.
#[test]
fn the_agreed_shape_is_known_in_full() {
    let text = r#"
[process.app]
command = ["gunicorn", "-b", "127.0.0.1:8000", "app:app"]
main    = true
kind    = "service"
after   = ["warmup"]
ready   = { http = "http://127.0.0.1:8000/up", timeout = "60s", interval = "500ms" }
restart = "on-failure"
backoff = { min = "500ms", max = "30s", reset = "60s", restarts = 5, within = "5m" }
on_exit = "shutdown"
stop    = { signal = "SIGTERM", grace = "20s", scope = "process" }
signals = { SIGHUP = "SIGHUP" }
cwd     = "/srv/app"
user    = "www-data"
umask   = "0027"
env     = { NEW_RELIC_ENABLED = "true" }
env_inherit = true
secrets = ["DATABASE_URL"]
stdin   = "null"
logs    = { format = "json", stdout = true }
[process.warmup]
kind    = "task"
command = "rm -rf tmp/pids"
[run]
success_codes = []
drain_delay = "auto"
stop_budget = "auto"
platform    = "auto"
[secrets]
exclude = ["PARTNER_ARN"]
timeout = "30s"
[secrets.DATABASE_URL]
from = "${DEMO_DB_SECRET_ARN}"
as   = "database-url"
optional = false
[migrate]
database = "${DATABASE_URL}"
dir      = "migrations"
release  = "${GIT_SHA:-}"
wait     = "10m"
lock_timeout = "5s"
create   = false
on_failure = "shutdown"
[health]
listen = "0.0.0.0:9180"
token  = "${HEALTH_TOKEN:-}"
[health.check.db]
postgres = "${DATABASE_URL}"
interval = "10s"
timeout  = "2s"
fail_after = 3
pass_after = 1
level    = "degraded"
restart  = "app"
[health.check.space]
disk = { path = "/tmp", min_free = "100MiB" }
[logs]
format = "json"
style  = "lambda"
fields = { level = "severity" }
mask   = true
multiline = "auto"
max_line  = "15KiB"
blocked   = "5s"
[trace]
exporter = "auto"
service  = "checkout"
carrier  = false
"#;
    assert_eq!(wrong(text), [""; 0]);
}

#[test]
fn slips_are_found_in_every_section() {
    let text = r#"
[process.app]
command = ["x"]
stdin = { log = ["a"] }
logs = { stdout = false }
[migrate]
databse = "x"
[health.check.db]
postgers = "x"
[trace]
exporter = "off"
servise = "x"
[logs]
style = "esc"
multiline = "pyhton"
[ingress]
"#;
    assert_eq!(
        errors(&World::new(), text),
        [
            "4: process.app.stdin.log: unknown key; did you mean \"logs\"?".to_owned(),
            "4: process.app.stdin: names nobody; write { logs = [\"app\"] } with the processes whose lines it gets"
                .to_owned(),
            "5: process.app.logs.stdout: nobody would get its lines; write stdin = { logs = [\"app\"] } at the process \
             that takes them, or remove this"
                .to_owned(),
            "6: migrate.database: is missing, and neither MIGRATE_DATABASE_URL nor DATABASE_URL is set; set one \
             of them, or write database = \"${NAME}\""
                .to_owned(),
            "7: migrate.databse: unknown key; did you mean \"database\"?".to_owned(),
            "8: health.check.db: names nothing to look at; write one of postgres, mysql, redis, http, tcp, exec, disk, \
             memory, fds, certificate"
                .to_owned(),
            "9: health.check.db.postgers: unknown key; did you mean \"postgres\"?".to_owned(),
            "12: trace.servise: unknown key; did you mean \"service\"?".to_owned(),
            "14: logs.style: cannot be \"esc\"; write \"lambda\", \"ecs\" or \"otel\"; did you mean \"ecs\"?"
                .to_owned(),
            "15: logs.multiline: cannot be \"pyhton\"; write \"auto\", \"python\", \"java\", \"go\", \"node\", \"rust\" or \
             \"off\"; did you mean \"python\"?"
                .to_owned(),
            "16: ingress: reserved for a later version; remove it".to_owned(),
        ]
    );
}
