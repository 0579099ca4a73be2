//! `findings` and `explain` on whole plans.
use std::net::TcpListener;

use super::*;

/// The findings of a text, health off unless it says otherwise, so that no test needs port 9180.
fn found(world: &World, text: &str) -> Vec<String> {
    let health = if text.contains("[health]") {
        ""
    } else {
        "\n[health]\nlisten = \"off\"\n"
    };
    let plan = world
        .read(&format!("{text}{health}"))
        .unwrap_or_else(|errors| panic!("{errors}"));
    let root = world.root.path().display().to_string();
    findings(&plan, &world.env)
        .iter()
        .map(|finding| finding.to_string().replace(&root, ""))
        .collect()
}

#[test]
fn commands_and_directories_must_be_there() {
    let world = World::new().env("PATH", "/usr/bin:/bin");
    assert_eq!(
        found(&world, "[process.app]\ncommand = [\"sh\"]\ncwd = \"/\""),
        Vec::<String>::new()
    );
    let root = world.root.path().display();
    let text = format!(
        "[process.app]\ncommand = [\"nod\"]\nready = {{ exec = \"true\" }}\n\
         [process.b]\ncommand = [\"sh\"]\ncwd = \"{root}/none\"\n\
         [process.c]\ncommand = [\"sh\"]\ncwd = \"{root}/etc/passwd\"\n\
         [process.d]\ncommand = [\"./passwd\"]\ncwd = \"{root}/etc\"\n\
         [process.e]\ncommand = [\"sh\"]\nenv = {{ PATH = \"/none\" }}\nready = {{ exec = [\"/none\"] }}\n\
         [process.f]\ncommand = [\"sh\"]\nenv_inherit = false\n"
    );
    assert_eq!(
        found(&world, &text),
        [
            "error: process.app.command: there is no nod in PATH (/usr/bin:/bin); install it or write its full path",
            "error: process.b.cwd: /none does not exist; create it in the image, or correct the path",
            "error: process.c.cwd: /etc/passwd is no directory; create it in the image, or correct the path",
            "error: process.d.command: /etc/./passwd may not be executed; run chmod +x on it (COPY --chmod=755)",
            "error: process.e.command: there is no sh in PATH (/none); install it or write its full path",
            "error: process.e.ready.exec: /none does not exist; correct the path or COPY it into the image",
        ]
    );
}

#[test]
fn the_user_of_a_process_must_get_to_its_program() {
    use std::os::unix::fs::PermissionsExt;
    let world = World::new();
    let root = world.root.path();
    let tool = root.join("srv/tool");
    fs::copy("/bin/true", &tool).unwrap();
    // A stranger gets through /tmp and, unless opened, not into the temporary directory below it.
    let mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    let text = format!(
        "[process.app]\ncommand = [\"{}\"]\nuser = \"www-data\"",
        tool.display()
    );
    let denied = |found: Vec<String>| {
        found
            .into_iter()
            .filter(|line| line.contains("www-data may"))
            .collect::<Vec<_>>()
    };
    mode(root, 0o700);
    mode(&tool, 0o755);
    let at = "error: process.app.command: www-data may not execute /srv/tool: permission is denied at";
    assert_eq!(
        denied(found(&world, &text)),
        [format!("{at} ; run chmod o+x or chown on it")]
    );
    mode(root, 0o755);
    mode(&tool, 0o744);
    assert_eq!(
        denied(found(&world, &text)),
        [format!("{at} /srv/tool; run chmod o+x or chown on it")]
    );
    mode(&tool, 0o755);
    assert_eq!(denied(found(&world, &text)), Vec::<String>::new());
}

#[test]
fn ports_are_claimed_once_and_must_be_free() {
    let world = World::new().env("PATH", "/bin");
    let busy = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = busy.local_addr().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let in_use = "is in use; stop what listens there (it may be runmate itself), or write another port";
    let text = format!("[process.app]\ncommand = [\"sh\"]\n[health]\nlisten = \"{taken}\"");
    assert_eq!(
        found(&world, &text),
        [format!("error: health.listen: {taken} {in_use}")]
    );
    let text = format!("[process.app]\ncommand = [\"sh\"]\nready = {{ tcp = \"{taken}\" }}");
    assert_eq!(
        found(&world, &text),
        [format!("warning: process.app.ready.tcp: {taken} {in_use}")]
    );
    let text = format!(
        "[process.app]\ncommand = [\"sh\"]\nready = {{ http = \"http://{free}/\" }}\n[health]\nlisten = \":{}\"",
        free.port()
    );
    assert_eq!(
        found(&world, &text),
        [format!(
            "error: process.app.ready.http: port {} is claimed by health.listen too; give one of them another port",
            free.port()
        )]
    );
}

#[test]
fn warnings_of_the_plan_are_findings() {
    let world = World::new().env("PATH", "/bin");
    let text = "[process.app]\ncommand = [\"sh\"]\nstop = { grace = \"1m\" }";
    assert_eq!(
        found(&world, text),
        [
            "warning: process.app.stop.grace of 1m is longer than run.stop_budget and will be cut to what is left of 9s."
        ]
    );
}

const TWO: &str = r#"
[process.app]
command = ["nginx", "-g", "daemon off;"]
after = ["init"]
ready = { tcp = ":8080" }
env = { TOKEN = "hidden" }
user = "www-data"
[process.init]
kind = "task"
command = "rm -rf tmp"
restart = "on-failure"
"#;

#[test]
fn a_plan_is_explained_in_start_order() {
    assert_eq!(
        explain(&plan(TWO)),
        "config     RUNMATE_CONFIG_INLINE
platform   docker
drain      drain_delay 0s, stop_budget 9s
health     0.0.0.0:9180 (default), no details: no token is set
logs       json, secrets masked, tracebacks joined: auto, lines up to 15360 bytes, blocked at most 5s
trace      off

1. init (task)
   command   /bin/sh -c \"rm -rf tmp\"
   ready     once it has succeeded
   restart   on-failure, 500ms to 30s apart, at most 5 within 5m; then shutdown
   stop      SIGTERM to the group, grace what the stop_budget leaves

2. app (main service)
   command   nginx -g \"daemon off;\"
   after     init
   ready     tcp 127.0.0.1:8080, within 1m
   restart   never; then shutdown
   stop      SIGQUIT (preset nginx) to the process, grace what the stop_budget leaves
   signals   SIGHUP, SIGUSR1, SIGUSR2, SIGWINCH
   user      33:33 (www-data), groups [4]
   env       TOKEN
"
    );
}

#[test]
fn the_json_holds_the_same_and_no_values() {
    let json = explain_json(&plan(TWO));
    assert_eq!(json["processes"][0]["name"], "init");
    assert_eq!(json["processes"][0]["command"], "rm -rf tmp");
    let app = &json["processes"][1];
    assert_eq!((&app["main"], &app["preset"]), (&true.into(), &"nginx".into()));
    assert_eq!(
        (&app["stop"]["signal"], &app["env"][0]),
        (&"SIGQUIT".into(), &"TOKEN".into())
    );
    assert_eq!(json["stop_budget_ms"], 9000);
    assert!(!json.to_string().contains("hidden"));
}

const CHECKED: &str = r#"
[process.app]
command = ["sh"]
[health.check.db]
postgres = "postgres://app:hush@db.example.com:5432/app?sslmode=require&token=hush"
level = "required"
[health.check.cache]
redis = "redis://:${PASSWORD}@cache.example.com"
[health.check.web]
http = "http://127.0.0.1:8000/hush"
restart = "app"
interval = "5s"
timeout = "1s"
[health.check.api]
http = "https://api.example.com/hush"
[health.check.near]
tcp = "[::1]:6379"
[health.check.far]
tcp = "cache.example.com:6379"
[health.check.hidden]
tcp = "${PASSWORD}:1"
[health.check.socket]
postgres = "postgres:///app?host=/run/postgresql&password=hush"
[health.check.asked]
postgres = "postgres://app:hush@/app?host=db.example.com&password=hush"
[health.check.default]
postgres = "postgres:///app"
[health.check.queue]
exec = ["no-such-program", "-a", "hush"]
[health.check.shell]
exec = "redis-cli -a hush ping"
[health.check.space]
disk = { path = "/nowhere/data", min_free = "1MiB" }
[health.check.certificate]
certificate = "/nowhere/tls.pem"
[health.check.memory]
memory = {}
"#;

fn checked() -> World {
    World::new()
        .env("PATH", "/bin")
        .env("PASSWORD", "file:/run/secret")
}

#[test]
fn checks_are_explained_without_what_may_be_secret() {
    let plan = checked().read(CHECKED).expect("a plan");
    let text = explain(&plan);
    let lines: Vec<&str> = text
        .lines()
        .filter_map(|line| line.strip_prefix("check      "))
        .collect();
    let usual = "degraded after 3 failures, every 10s for at most 2s";
    assert_eq!(
        lines,
        [
            "db: postgres db.example.com:5432, required after 3 failures, every 10s for at most 2s, in the helper".into(),
            format!("cache: redis ${{PASSWORD}}, {usual}, in the helper"),
            "web: http 127.0.0.1:8000, degraded after 3 failures, every 5s for at most 1s, in PID 1; restarts app".into(),
            format!("api: http api.example.com, {usual}, in the helper"),
            format!("near: tcp [::1]:6379, {usual}, in PID 1"),
            format!("far: tcp cache.example.com:6379, {usual}, in the helper"),
            format!("hidden: tcp ${{PASSWORD}}, {usual}, in PID 1 or in the helper"),
            format!("socket: postgres on this machine, {usual}, in the helper"),
            format!("asked: postgres db.example.com, {usual}, in the helper"),
            format!("default: postgres on the host of PGHOST, or on this machine, {usual}, in the helper"),
            format!("queue: exec no-such-program, {usual}, in PID 1"),
            format!("shell: exec /bin/sh, {usual}, in PID 1"),
            format!("space: disk /nowhere/data, at least 1048576 bytes free, {usual}, in PID 1"),
            format!("certificate: certificate /nowhere/tls.pem, valid for 14d or more, {usual}, in the helper"),
            format!("memory: memory at most 90% used, {usual}, in PID 1"),
        ]
    );
    let json = explain_json(&plan);
    assert_eq!(
        json["health"]["checks"][2],
        serde_json::json!({
            "name": "web", "kind": "http", "target": "127.0.0.1:8000", "level": "degraded", "interval_ms": 5000,
            "timeout_ms": 1000, "fail_after": 3, "pass_after": 1, "restart": "app", "runs": "in PID 1",
        })
    );
    assert!(
        !text.contains("hush") && !json.to_string().contains("hush"),
        "{text}{json}"
    );
}

#[test]
fn what_a_check_needs_of_the_image_is_looked_for() {
    let about = |line: &String| line.contains("health.check.");
    let lines: Vec<String> = found(&checked(), CHECKED).into_iter().filter(about).collect();
    assert_eq!(
        lines,
        [
            "error: health.check.queue.exec: there is no no-such-program in PATH (/bin); install it or write its full path",
            "warning: health.check.space.disk: /nowhere/data does not exist here; unless it is mounted at run time, \
             correct the path",
            "warning: health.check.certificate.certificate: /nowhere/tls.pem does not exist here; unless it is \
             mounted at run time, correct the path",
        ]
    );
}
