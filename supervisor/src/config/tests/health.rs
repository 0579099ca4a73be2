//! `[health.check.NAME]`: every kind, every default, and what is refused.

use std::time::Duration;

use runmate_health::{Level, Settings};

use super::*;

const APP: &str = "[process.app]\ncommand = [\"x\"]\n[process.once]\nkind = \"task\"\ncommand = [\"y\"]\n";

/// The only check of a config with these keys.
fn check(keys: &str) -> HealthCheck {
    let plan = plan(&format!("{APP}[health.check.it]\n{keys}"));
    let [check] = plan.health.checks.as_slice() else {
        panic!("{keys}: {:?}", plan.health.checks)
    };
    check.clone()
}

fn kind(keys: &str) -> CheckKind {
    check(keys).kind
}

/// The errors of a check with these keys, without line and beginning of the key.
fn refused(keys: &str) -> Vec<String> {
    let world = World::new().env("EMPTY", "").env("SECRET", "file:/run/secret");
    let lines = errors(&world, &format!("{APP}[health.check.it]\n{keys}"));
    let line = |line: &String| {
        let (_, rest) = line
            .split_once("health.check.it")
            .unwrap_or_else(|| panic!("{line}"));
        rest.trim_start_matches('.').to_owned()
    };
    lines.iter().map(line).collect()
}

fn warnings(keys: &str) -> Vec<String> {
    plan(&format!("{APP}[health.check.it]\n{keys}")).warnings
}

#[test]
fn every_kind_reads() {
    for (key, url) in [
        ("postgres", "postgres://app:pw@db.example.com/app"),
        ("mysql", "mysql://app:pw@db.example.com/app"),
        ("redis", "redis://127.0.0.1:6379"),
        ("http", "http://127.0.0.1:8000/up"),
        ("tcp", "[::1]:6379"),
    ] {
        let kind = kind(&format!("{key} = \"{url}\""));
        assert_eq!(kind.name(), key);
        assert_eq!(kind.url().and_then(Text::literal), Some(url));
    }
    assert_eq!(kind("exec = [\"true\"]"), CheckKind::Exec(argv(&["true"])));
    assert_eq!(
        kind("exec = \"a | b\""),
        CheckKind::Exec(Command::Shell("a | b".into()))
    );
    let disk = |path: &str, min_free| CheckKind::Disk {
        path: path.into(),
        min_free,
    };
    assert_eq!(kind("disk = \"/tmp\""), disk("/tmp", Share::Percent(10)));
    assert_eq!(
        kind("disk = { path = \"/srv\", min_free = \"100MiB\" }"),
        disk("/srv", Share::Bytes(100 << 20))
    );
    assert_eq!(
        kind("disk = { path = \"/srv\", min_free = \"5%\" }"),
        disk("/srv", Share::Percent(5))
    );
    assert_eq!(kind("memory = {}"), CheckKind::Memory { max_used: 90 });
    assert_eq!(
        kind("memory = { max_used = \"75%\" }"),
        CheckKind::Memory { max_used: 75 }
    );
    assert_eq!(kind("fds = {}"), CheckKind::Fds { max_used: 80 });
    assert_eq!(kind("fds.max_used = \"1%\""), CheckKind::Fds { max_used: 1 });
    let days = |days: u64| Duration::from_secs(days * 24 * 3600);
    let file = |path: &str, min_valid| CheckKind::Certificate {
        of: CertificateOf::File(path.into()),
        min_valid,
    };
    let server = |server: &str, min_valid| CheckKind::Certificate {
        of: CertificateOf::Server(server.into()),
        min_valid,
    };
    assert_eq!(
        kind("certificate = \"/etc/tls.pem\""),
        file("/etc/tls.pem", days(14))
    );
    assert_eq!(kind("certificate = \"./tls.pem\""), file("./tls.pem", days(14)));
    assert_eq!(
        kind("certificate = \"api.example.com:443\""),
        server("api.example.com:443", days(14))
    );
    assert_eq!(
        kind("certificate = { file = \"tls.pem\", min_valid = \"0s\" }"),
        file("tls.pem", Duration::ZERO)
    );
    assert_eq!(
        kind("certificate = { server = \"[::1]:443\", min_valid = \"30d\" }"),
        server("[::1]:443", days(30))
    );
}

#[test]
fn the_defaults_are_those_of_the_library() {
    let found = check("tcp = \"127.0.0.1:1\"");
    assert_eq!(
        (found.name.as_str(), found.settings, found.restart),
        ("it", Settings::default(), None)
    );
}

#[test]
fn every_setting_arrives() {
    let found = check(
        "tcp = \"127.0.0.1:1\"\ninterval = \"1m\"\ntimeout = \"5s\"\nfail_after = 5\npass_after = 2\n\
         level = \"critical\"\nrestart = \"app\"",
    );
    let settings = Settings::default()
        .level(Level::Critical)
        .interval(Duration::from_secs(60))
        .timeout(Duration::from_secs(5))
        .fail_after(5)
        .pass_after(2);
    assert_eq!((found.settings, found.restart), (settings, Some(ProcessId(0))));
}

#[test]
fn a_timeout_that_nobody_wrote_fits_into_the_interval() {
    let found = check("tcp = \"127.0.0.1:1\"\ninterval = \"500ms\"");
    assert_eq!(found.settings.timeout, Duration::from_millis(500));
}

#[test]
fn checks_keep_the_order_of_the_file() {
    let plan = plan(&format!(
        "{APP}[health.check]\nz = {{ memory = {{}} }}\na = {{ fds = {{}} }}"
    ));
    let names: Vec<&str> = plan
        .health
        .checks
        .iter()
        .map(|check| check.name.as_str())
        .collect();
    assert_eq!(names, ["z", "a"]);
}

#[test]
fn urls_hold_secrets_and_variables() {
    let world = World::new()
        .env("DB_HOST", "db.example.com")
        .env("PASSWORD", "file:/run/secret");
    let text =
        format!("{APP}[health.check.it]\npostgres = \"postgres://app:${{PASSWORD}}@${{DB_HOST}}/app\"");
    let plan = world.read(&text).expect("a plan");
    let url = plan.health.checks[0].kind.url().expect("a URL");
    assert_eq!(url.secrets().collect::<Vec<_>>(), ["PASSWORD"]);
    assert_eq!(
        url.fill(|_| Some("s3cret")).as_deref(),
        Ok("postgres://app:s3cret@db.example.com/app")
    );
}

#[test]
fn what_is_wrong_is_said_with_the_remedy() {
    let kinds = "postgres, mysql, redis, http, tcp, exec, disk, memory, fds, certificate";
    let percent = "write a part from \"1%\" to \"99%\"";
    for (keys, expected) in [
        ("", format!(": names nothing to look at; write one of {kinds}")),
        (
            "redis = \"redis://127.0.0.1\"\ntcp = \"127.0.0.1:6379\"",
            ": cannot look at redis and tcp at once; keep one of them".to_owned(),
        ),
        (
            "postgres = \"${EMPTY}\"",
            "postgres: cannot be empty; write one such as \"postgres://USER:PASSWORD@HOST/DATABASE\"".to_owned(),
        ),
        (
            "http = \"127.0.0.1:${UNSET}\"",
            "http: the variable UNSET is not set; set it or write ${UNSET:-default}".to_owned(),
        ),
        (
            "tcp = \"db.example.com\"",
            "tcp: is no host with a port; write one such as \"db.example.com:5432\"".to_owned(),
        ),
        ("disk = {}", "disk.path: is missing; write the path of a file system such as \"/tmp\"".to_owned()),
        ("disk = { path = \"/\", min_free = \"100%\" }", format!("disk.min_free: cannot be \"100%\"; {percent}")),
        (
            "disk = { path = \"/\", min_free = \"5\" }",
            "disk.min_free: \"5\" has no unit; write \"5B\"".to_owned(),
        ),
        (
            "disk = { path = \"/\", min_free = 5 }",
            "disk.min_free: cannot be a number; write a size such as \"100MiB\", or a part such as \"10%\"".to_owned(),
        ),
        ("memory = { max_used = \"0%\" }", format!("memory.max_used: cannot be \"0%\"; {percent}")),
        ("memory = { max_used = \"+9%\" }", format!("memory.max_used: cannot be \"+9%\"; {percent}")),
        (
            "fds = { max_free = \"9%\" }",
            "fds.max_free: unknown key; known here: max_used".to_owned(),
        ),
        (
            "certificate = \"api.example.com\"",
            "certificate: is no server; write one such as \"api.example.com:443\", or a path with \
             a '/' in front"
                .to_owned(),
        ),
        (
            "certificate = { min_valid = \"14d\" }",
            "certificate: names nothing to look at; write one of file, server".to_owned(),
        ),
        (
            "certificate = { file = \"/a\", server = \"b:1\" }",
            "certificate: cannot look at file and server at once; keep one of them".to_owned(),
        ),
        ("memory = {}\ninterval = \"50ms\"", "interval: 50ms is too often; write 100ms or more".to_owned()),
        (
            "memory = {}\ntimeout = \"15s\"",
            "timeout: a look of 15s would not end before the next is due: the interval is 10s; write a shorter \
             timeout, or a longer interval"
                .to_owned(),
        ),
        ("memory = {}\ntimeout = \"0s\"", "timeout: cannot be 0s; write a longer duration".to_owned()),
        (
            "memory = {}\nfail_after = 0",
            "fail_after: 0 is out of range; write a number from 1 to 1000".to_owned(),
        ),
        (
            "memory = {}\nlevel = \"fatal\"",
            "level: cannot be \"fatal\"; write \"info\", \"degraded\", \"required\" or \"critical\"".to_owned(),
        ),
        (
            "memory = {}\nrestart = \"ap\"",
            "restart: there is no process \"ap\"; write the name of one; did you mean \"app\"?".to_owned(),
        ),
        (
            "memory = {}\nrestart = \"once\"",
            "restart: once is a task, which is over once it has succeeded; write the name of a service".to_owned(),
        ),
        (
            "exec = [\"check\", \"${SECRET}\"]",
            "exec: ${SECRET} is a secret, and only process.NAME.env, health.token, the addresses of checks and \
             migrate.database can hold one; a command, for example, can be read by every process: let the program \
             read the variable SECRET"
                .to_owned(),
        ),
    ] {
        assert_eq!(refused(keys), [expected], "{keys}");
    }
    let odd = errors(
        &World::new(),
        &format!("{APP}[health.check.\"a b\"]\nmemory = {{}}"),
    );
    assert_eq!(
        odd,
        [
            "6: health.check.\"a b\": a name of a check is made of letters, digits, '_', '.' and '-'; rename it"
        ]
    );
    let odd = errors(&World::new(), &format!("{APP}[health]\ncheck = 5"));
    assert_eq!(
        odd,
        ["7: health.check: cannot be a number; write tables [health.check.NAME]"]
    );
}

#[test]
fn a_url_under_the_wrong_key_is_not_shown() {
    for (given, scheme, key) in [
        ("postgres", "mysql://app:hush@db/x", "mysql"),
        ("postgres", "mariadb://app:hush@db/x", "mysql"),
        ("mysql", "postgresql+psycopg://app:hush@db/x", "postgres"),
        ("http", "rediss://:hush@db/x", "redis"),
        ("redis", "HTTPS://app:hush@db/x", "http"),
        ("tcp", "postgres://app:hush@db/x", "postgres"),
    ] {
        let found = refused(&format!("{given} = \"{scheme}\""));
        let [error] = found.as_slice() else {
            panic!("{found:?}")
        };
        assert!(error.contains(&format!("belongs under {key};")), "{error}");
        assert!(!error.contains("hush"), "{error}");
    }
    for given in ["postgres", "mysql", "redis", "http", "tcp"] {
        for nonsense in [
            "hush",
            "hush:hush",
            "app:hush@db",
            "://hush",
            "hush://hush@x",
            "//app:hush@db",
        ] {
            let world = World::new();
            let text = format!("{APP}[health.check.it]\n{given} = \"{nonsense}\"");
            if let Err(errors) = world.read(&text) {
                assert!(!errors.to_string().contains("hush"), "{errors}");
            }
        }
    }
}

#[test]
fn a_variable_in_the_wrong_place_is_not_shown() {
    let url = "postgres://app:hush@db.example.com:5432/x?sslmode=disable";
    for key in [
        "certificate = \"${DATABASE_URL}\"",
        "certificate = { server = \"${DATABASE_URL}\" }",
        "certificate = { file = \"${DATABASE_URL}\" }",
        "disk = \"${DATABASE_URL}\"",
        "disk = { path = \"${DATABASE_URL}\" }",
        "mysql = \"${DATABASE_URL}\"",
        "redis = \"${DATABASE_URL}\"",
        "http = \"${DATABASE_URL}\"",
        "tcp = \"${DATABASE_URL}\"",
    ] {
        let world = World::new().env("DATABASE_URL", url);
        let text = format!("{APP}[health.check.it]\n{key}");
        let found = world.read(&text).expect_err(key).to_string();
        assert!(found.contains("; write "), "{found}");
        assert!(!found.contains("hush"), "{key}: {found}");
    }
}

#[test]
fn secrets_in_urls_do_not_appear_in_debug_output() {
    let found = check("postgres = \"postgres://app:hush@db.example.com/x?token=hush\"");
    assert!(!format!("{found:?}").contains("hush"), "{found:?}");
}

#[test]
fn a_critical_check_of_what_a_fleet_shares_is_warned_of() {
    let fleet = "health.check.it is critical and looks at what other containers use too: when that is down, the platform \
                 replaces all of them, which does not mend it; write level = \"required\" or \"degraded\".";
    for shared in [
        "postgres = \"postgres://app:pw@db.example.com/app\"",
        "mysql = \"mysql://app:pw@db.example.com:3306/app\"",
        "redis = \"rediss://cache.example.com\"",
        "http = \"https://api.example.com/up\"",
        "tcp = \"192.0.2.7:5432\"",
        "postgres = \"postgres:///app?host=db.example.com\"",
        "postgres = \"postgres://localhost/app?hostaddr=192.0.2.7\"",
        // Where PGHOST says.
        "postgres = \"postgres:///app\"",
    ] {
        assert_eq!(
            warnings(&format!("{shared}\nlevel = \"critical\"")),
            [fleet],
            "{shared}"
        );
        assert_eq!(
            warnings(&format!("{shared}\nlevel = \"required\"")),
            [""; 0],
            "{shared}"
        );
    }
    for own in [
        "postgres = \"postgres://app:pw@127.0.0.1/app\"",
        "mysql = \"mysql://app:pw@[::1]:3306/app\"",
        "redis = \"redis://localhost\"",
        "redis = \"unix:/run/redis.sock\"",
        "postgres = \"postgres:///app?host=/run/postgresql\"",
        "postgres = \"postgres://db.example.com/app?host=127.0.0.1\"",
        "mysql = \"mysql://db.example.com/app?socket=/run/mysqld.sock\"",
        "mysql = \"mysql:///app\"",
        "http = \"http://127.0.0.5:8000/up\"",
        "tcp = \"[::1]:5432\"",
        "exec = [\"true\"]",
        "memory = {}",
    ] {
        assert_eq!(
            warnings(&format!("{own}\nlevel = \"critical\"")),
            [""; 0],
            "{own}"
        );
    }
}

#[test]
fn a_restart_that_does_not_mend_anything_is_warned_of() {
    assert_eq!(
        warnings("http = \"http://127.0.0.1:8000/up\"\nrestart = \"app\""),
        [""; 0]
    );
    assert_eq!(
        warnings("tcp = \"db.example.com:5432\"\nrestart = \"app\""),
        [
            "health.check.it restarts app when it fails, and looks at what other containers use too: when that is \
             down, app is restarted in all of them, and they end once process.app.backoff allows no more."
        ]
    );
    assert_eq!(
        warnings("exec = [\"x\"]\nrestart = \"app\"\nlevel = \"info\"\nfail_after = 1"),
        [
            "health.check.it is for information only, and restarts app all the same; write a higher level, or remove \
             restart.",
            "health.check.it restarts app at a single failure, a timeout of 2s included; write a fail_after of 2 or \
             more."
        ]
    );
}

#[test]
fn a_check_that_nobody_can_see_is_warned_of() {
    let off = |keys: &str| {
        let text = format!("{APP}[health]\nlisten = \"off\"\n[health.check.it]\nmemory = {{}}\n{keys}");
        plan(&text).warnings
    };
    assert_eq!(
        off(""),
        [
            "these health checks are not run, as there are no health endpoints to show them and they restart \
             no process: it."
        ]
    );
    assert_eq!(off("restart = \"app\""), [""; 0]);
}
