//! Who sees what.

use super::fault::FaultServer;
use super::memory;
use super::programs::find_program;
use super::support::{Setup, free_address, http, process};
use super::{app, env_of, secret, stop, with_server};

#[test]
fn a_sidecar_gets_neither_the_value_nor_the_variable_that_held_the_reference() {
    let server = FaultServer::start();
    server
        .secret(&secret("a"), "value a")
        .secret(&secret("b"), "value b");
    let sidecars = process("none", "env wait TERM", "")
        + &process("some", "env wait TERM", "secrets = [\"B\"]")
        + &process("all", "env wait TERM", "secrets = \"all\"")
        + &process("task", "env", "kind = \"task\"");
    let run = with_server(&(app("") + &sidecars), &server)
        .env("A", &secret("a"))
        .env("B_ARN", &secret("b"))
        .start();
    for (name, a, b) in [
        ("app", Some("value a"), Some("value b")),
        ("all", Some("value a"), Some("value b")),
        ("some", None, Some("value b")),
        ("none", None, None),
        ("task", None, None),
    ] {
        let env = env_of(&run, name);
        assert_eq!((env["A"].as_str(), env["B"].as_str()), (a, b), "{name}");
        assert_eq!(env["B_ARN"], secret("b").as_str(), "it is no secret");
    }
    stop(&run);
}

#[test]
fn main_can_be_given_fewer() {
    let server = FaultServer::start();
    server
        .secret(&secret("a"), "value a")
        .secret(&secret("b"), "value b");
    let run = with_server(&app("secrets = [\"A\"]\n"), &server)
        .env("A", &secret("a"))
        .env("B", &secret("b"))
        .start();
    let env = env_of(&run, "app");
    assert_eq!(env["A"], "value a");
    assert!(env["B"].is_null());
    stop(&run);
}

#[test]
fn a_secret_that_does_not_exist_cannot_be_given() {
    let exit = Setup::new(&app(
        "secrets = [\"DATABSE_URL\"]\n[secrets.DATABASE_URL]\nfrom = \"file:x\"\n",
    ))
    .start()
    .exit();
    assert_eq!(exit.code, Some(78));
    let said = exit
        .lines
        .iter()
        .any(|line| line["message"].to_string().contains("DATABASE_URL"));
    assert!(said, "{:?}", exit.lines);
}

/// The real one. It writes its title where the kernel shows the environment, and keeps a copy of that: so
/// all of its memory is searched.
#[test]
fn nginx_has_none_of_it() {
    memory::need_root();
    let nginx = find_program("nginx");
    let server = FaultServer::start();
    let address = free_address();
    server.secret(&secret("a"), "never-to-be-seen");
    let web = format!(
        "[process.nginx]\ncommand = [{nginx:?}, \"-p\", \".\", \"-c\", \"nginx.conf\"]\n\
         ready = {{ http = \"http://{address}/\" }}\n"
    );
    let setup = with_server(&(app("after = [\"nginx\"]\n") + &web), &server)
        .env("DATABASE_PASSWORD", &secret("a"))
        .env("OTHER_ARN", &secret("a"));
    let temporary: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
        .map(|name| format!("{name}_temp_path {name};"))
        .concat();
    let config = format!(
        "daemon off; pid nginx.pid; error_log stderr; events {{}}\n\
         http {{ access_log off; {temporary} server {{ listen {address}; location / {{ return 204; }} }} }}\n"
    );
    std::fs::write(setup.dir().join("nginx.conf"), config).expect("write");
    let run = setup.start();
    assert_eq!(env_of(&run, "app")["DATABASE_PASSWORD"], "never-to-be-seen");
    let started = run.wait_for_event("started", "nginx");
    let pid = started["pid"].as_i64().expect("a pid");
    assert_eq!(http::get(address, "/").expect("nginx answers").0, 204);
    let environ = std::fs::read(format!("/proc/{pid}/environ")).expect("readable");
    let mut parts = memory::of_process(pid as i32, |_| true);
    parts.push(("environ".to_owned(), environ));
    let somewhere = |text: &str| parts.iter().find(|(_, bytes)| memory::holds(bytes, text));
    for gone in ["never-to-be-seen", "DATABASE_PASSWORD", "OTHER="] {
        let found = somewhere(gone).map(|(name, _)| name);
        assert_eq!(found, None, "{gone} is in nginx");
    }
    // It is no secret; and the search works.
    assert!(somewhere("OTHER_ARN=arn:").is_some());
    stop(&run);
}
