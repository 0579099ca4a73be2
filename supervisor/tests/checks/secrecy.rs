//! Details are for those with the token, and secrets for nobody.

use serde_json::{Value, json};

use crate::lab::{Manner, Server, check};
use crate::programs::Postgres;
use crate::support::{Runmate, Setup, eventually, free_address, http, process};

const TOKEN: &str = "open-sesame-0123";
const WRONG: &str = "wr0ng-passw0rd/é";
const WRONG_ENCODED: &str = "wr0ng-passw0rd%2F%C3%A9";
const KEY: &str = "k3y-of-the-api";
const PATHS: [&str; 5] = ["/livez", "/healthz", "/readyz", "/health", "/metrics"];

/// What must be nowhere: as it is, encoded, or in part.
const SECRETS: [&str; 4] = [WRONG, WRONG_ENCODED, "wr0ng", KEY];

fn assert_silent(text: &str, what: &str) {
    for secret in SECRETS {
        assert!(!text.contains(secret), "{secret} in {what}: {text}");
    }
}

/// Without the token: a bare status, and the phase for probes.
fn assert_bare(run: &Runmate, address: std::net::SocketAddr) {
    for path in PATHS {
        let (_, body) = http::get(address, path).expect("health answers");
        assert_silent(&body, path);
        if path == "/metrics" {
            for line in body.lines().filter(|line| !line.starts_with('#')) {
                assert!(line.starts_with("runmate_health_status{"), "{line}");
            }
            continue;
        }
        let body: Value = serde_json::from_str(&body).expect("JSON");
        let fields = body.as_object().expect("an object");
        for field in fields.keys() {
            let allowed = field == "status" || field == "phase" && path.ends_with('z');
            assert!(allowed, "{field} at {path}\n{}", run.said());
        }
    }
    for wrong in ["", "open", "open-sesame-01234", "OPEN-SESAME-0123"] {
        let (_, body) = http::get_as(address, "/health", wrong).expect("health answers");
        assert!(!body.contains("checks"), "{body}");
    }
}

#[test]
fn no_secret_is_in_any_body_metric_or_line_however_a_check_fails() {
    let database = Postgres::start("postgres", "right");
    let nonsense = Server::start();
    nonsense.behave(Manner::Answers("418 Teapot"));
    let nobody = free_address();
    let address = free_address();
    let user = "user-of-the-database";
    let of = |scheme: &str, place: &str| format!("{scheme}://{user}:{WRONG_ENCODED}@{place}/shop");
    let kinds = [
        (
            "denied",
            "postgres",
            of("postgres", &format!("127.0.0.1:{}", database.port())),
        ),
        ("refused", "postgres", of("postgres", &nobody.to_string())),
        (
            "strange",
            "postgres",
            of("postgres", &nonsense.address.to_string()),
        ),
        ("strange2", "mysql", of("mysql", &nonsense.address.to_string())),
        ("refused2", "mysql", of("mysql", &nobody.to_string())),
        (
            "strange3",
            "redis",
            format!("redis://:{WRONG_ENCODED}@{}/0", nonsense.address),
        ),
        (
            "refused3",
            "redis",
            format!("redis://:{WRONG_ENCODED}@{nobody}/0"),
        ),
        (
            "api",
            "http",
            format!("http://{}/{KEY}?key={KEY}", nonsense.address),
        ),
        (
            "api2",
            "http",
            format!("https://{}/{KEY}?key={KEY}", nonsense.address),
        ),
        (
            "nameless",
            "http",
            format!("https://no-such-host.example.com/{KEY}"),
        ),
    ];
    let mut config = process("app", "wait TERM", "secrets = []");
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, kind, url) in &kinds {
        let file = dir.path().join(name);
        std::fs::write(&file, url).expect("write");
        let variable = name.to_uppercase();
        config += &check(name, &format!("{kind} = \"${{{variable}}}\""), "");
        config += &format!("[secrets.{variable}]\nfrom = \"file:{}\"\n", file.display());
    }
    config += &format!("[health]\nlisten = \"{address}\"\ntoken = \"{TOKEN}\"\n");
    let run = Setup::new(&config).start();
    for (name, ..) in &kinds {
        run.wait_for_event("check_failing", name);
        assert_bare(&run, address);
    }
    for path in PATHS {
        let (_, body) = http::get_as(address, path, TOKEN).expect("health answers");
        assert_silent(&body, path);
    }
    let (_, body) = http::get_as(address, "/health", TOKEN).expect("health answers");
    for (name, ..) in &kinds {
        assert!(body.contains(&format!("\"{name}:")), "{name} in {body}");
    }
    run.signal(libc::SIGTERM);
    eventually("draining", || {
        let body = http::get(address, "/healthz").ok().map(|(_, body)| body);
        body.is_none_or(|body| body.contains("draining")).then_some(())
    });
    run.exit();
    assert_silent(&run.said(), "the log");
    assert!(!run.said().contains(TOKEN));
}

#[test]
fn a_secret_that_is_no_url_is_refused_without_being_shown() {
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("db");
    for (kind, wrong) in [
        (
            "postgres",
            format!("mysql://{WRONG_ENCODED}@hidden.example.com/shop"),
        ),
        ("postgres", WRONG.to_owned()),
        (
            "redis",
            format!("redis://:{WRONG_ENCODED}@hidden.example.com:99999999"),
        ),
        ("http", format!("http://user:{WRONG_ENCODED}@example.com/")),
        ("tcp", WRONG.to_owned()),
    ] {
        std::fs::write(&file, &wrong).expect("write");
        let config = process("app", "touch started", "secrets = []")
            + &check("db", &format!("{kind} = \"${{DB}}\""), "")
            + &format!("[secrets.DB]\nfrom = \"file:{}\"\n", file.display());
        let run = Setup::new(&config).with_health().start();
        let exit = run.exit();
        assert_eq!(exit.code, Some(78), "{kind}: {}", run.said());
        assert!(!run.dir().join("started").exists());
        let error = run.wait_for("the error", |line| line["event"] == "config_error");
        let message = error["message"].as_str().expect("a message");
        assert!(
            message.starts_with(&format!("health.check.db.{kind}: ")),
            "{message}"
        );
        assert_silent(&run.said(), "the log");
        assert!(!run.said().contains("hidden.example.com"), "{}", run.said());
    }
}

#[test]
fn passwords_stand_in_no_command_line_and_no_environment() {
    let database = Postgres::start("postgres", "right");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("db");
    let url = format!("postgres://postgres:right@127.0.0.1:{}/postgres", database.port());
    std::fs::write(&file, &url).expect("write");
    let config = process("app", "wait TERM", "secrets = []")
        + &check("db", "postgres = \"${DB}\"", "")
        + &format!("[secrets.DB]\nfrom = \"file:{}\"\n", file.display());
    // A variable that the helper has no use for.
    let run = Setup::new(&config)
        .env("ANOTHER_URL", "postgres://of-the-app")
        .with_health()
        .start();
    assert_unreadable(&run);
    stop_passing(&run);
}

/// The variables of libpq, as the app has them.
#[test]
fn a_password_in_a_variable_of_libpq_may_be_a_secret() {
    let database = Postgres::start("postgres", "right");
    let dir = tempfile::tempdir().expect("a temporary directory");
    let file = dir.path().join("password");
    std::fs::write(&file, "right").expect("write");
    let reference = format!("file:{}", file.display());
    let url = format!("postgres://postgres@127.0.0.1:{}/postgres", database.port());
    let app =
        process("app", "wait TERM", "secrets = []") + &check("db", &format!("postgres = \"{url}\""), "");
    let named = format!("[secrets.PGPASSWORD]\nfrom = \"{reference}\"\n");
    // Found in the environment, and named in the config.
    for setup in [
        Setup::new(&app).env("PGPASSWORD", &reference),
        Setup::new(&(app.clone() + &named)),
    ] {
        let run = setup.with_health().start();
        assert_unreadable(&run);
        stop_passing(&run);
        assert!(!run.said().contains("right"), "{}", run.said());
    }
}

fn stop_passing(run: &Runmate) {
    assert_eq!(
        run.get("/health").1["checks"]["db:responseTime"][0]["status"],
        json!("pass")
    );
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(0));
}

/// The check passes, and nobody can read in /proc how.
fn assert_unreadable(run: &Runmate) {
    crate::lab::wait_state(run, "db", "passing");
    let helper = crate::lab::helper(run).pid;
    let read = |what: &str| {
        let bytes =
            std::fs::read(format!("/proc/{helper}/{what}")).expect("its /proc; this test has to run as root");
        String::from_utf8_lossy(&bytes).replace('\0', "\n")
    };
    assert!(!read("cmdline").contains("right"));
    assert!(!read("environ").contains("right") && !read("environ").contains("ANOTHER_URL"));
    // Nobody of the same user may look into it.
    let status = std::fs::metadata(format!("/proc/{helper}/environ")).expect("it runs");
    assert_eq!(std::os::unix::fs::MetadataExt::uid(&status), 0);
}
