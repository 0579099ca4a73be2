//! What the kernel would refuse at exec (E2BIG, without a name) is refused before, by name.

use super::fault::FaultServer;
use super::support::{Exit, process};
use super::{assert_unsaid, env_of, secret, stop, with_server};

fn refused(server: &FaultServer, names: &[&str]) -> Exit {
    let config = process("app", "touch started wait TERM", "");
    let mut setup = with_server(&config, server);
    for name in names {
        setup = setup.env(name, &secret(&name.to_lowercase()));
    }
    let run = setup.start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78), "{:?}", exit.lines);
    assert!(!run.dir().join("started").exists());
    assert_unsaid(&exit, &["xxxxxxxx"]);
    exit
}

#[test]
fn one_value_that_is_too_long() {
    let server = FaultServer::start();
    server
        .secret(&secret("big"), &"x".repeat(131_072))
        .secret(&secret("small"), "v");
    let exit = refused(&server, &["BIG", "SMALL"]);
    let message = exit.line()["message"].to_string();
    assert!(message.contains("BIG") && message.contains("as = "), "{message}");
}

#[test]
fn the_longest_value_that_fits() {
    let server = FaultServer::start();
    // The name, "=" and the NUL count too.
    let value = "x".repeat(131_072 - "BIG=".len() - 1);
    server.secret(&secret("big"), &value);
    let config = "[process.app]\ncommand = 'echo ${#BIG}; exec sleep 1000'\n";
    let run = with_server(config, &server).env("BIG", &secret("big")).start();
    run.wait_for_message("app", &value.len().to_string());
    stop(&run);
    server.secret(&secret("big"), &(value + "x"));
    refused(&server, &["BIG"]);
}

#[test]
fn values_that_are_too_long_together() {
    let server = FaultServer::start();
    let names: Vec<String> = (0..120).map(|index| format!("V{index}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    for name in &names {
        server.secret(&secret(&name.to_lowercase()), &"x".repeat(65_000));
    }
    let exit = refused(&server, &names);
    let message = exit.line()["message"].to_string();
    assert!(message.contains("environment"), "{message}");
}

#[test]
fn a_file_has_no_such_limit() {
    let server = FaultServer::start();
    server.secret(&secret("big"), &"x".repeat(200_000));
    let config = process("app", "env wait TERM", "")
        + &format!("[secrets.BIG]\nfrom = {:?}\nas = \"file\"\n", secret("big"));
    let run = with_server(&config, &server).start();
    let env = env_of(&run, "app");
    let content = std::fs::read(env["BIG"].as_str().expect("a path")).expect("readable");
    assert_eq!(content.len(), 200_000);
    stop(&run);
}
