//! The command line, and where the config comes from.

mod support;

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Output;

use serde_json::Value;
use support::{Exit, Setup, fixture, fixture_path, process};

const ENTRYPOINT: &str = r#"ENTRYPOINT ["runmate", "run", "--"]"#;

fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// `run -- FIXTURE STEPS` after these words.
fn with_command(words: &[&str], steps: &str) -> Vec<String> {
    let fixture = fixture_path().display().to_string();
    let words = words.iter().copied().chain([fixture.as_str()]);
    words.chain(steps.split(' ')).map(str::to_owned).collect()
}

/// The messages of the `config_error` lines.
fn config_errors(exit: &Exit) -> Vec<&Value> {
    let lines = exit.lines.iter();
    lines
        .filter(|line| support::is_own(line, "config_error"))
        .collect()
}

#[test]
fn an_unknown_first_word_shows_the_entrypoint() {
    for words in [
        vec!["node", "server.js"],
        vec!["nginx"],
        vec!["/bin/sh", "-c", "true"],
    ] {
        let output = Setup::without_config().args(words).output();
        assert_eq!(output.status.code(), Some(64));
        assert_eq!(stdout(&output), "");
        assert!(
            stderr(&output).lines().any(|line| line == ENTRYPOINT),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_first_word_that_is_not_utf8_is_refused_like_any_other() {
    let word = OsStr::from_bytes(b"caf\xe9");
    let output = Setup::without_config().args([word]).output();
    assert_eq!(output.status.code(), Some(64), "{}", stderr(&output));
    assert!(stderr(&output).contains("`caf\u{fffd}` is not a command of runmate"));
}

#[test]
fn a_wrong_option_of_run_is_an_exit_line() {
    for words in [vec!["run", "--no-such-option"], vec!["run", "-c"]] {
        let exit = Setup::without_config().args(words).start().exit();
        assert_eq!(exit.code, Some(64));
        assert_eq!(exit.lines.len(), 1);
        assert_eq!(exit.line()["cause"], "usage");
        let message = exit.line()["message"].as_str().unwrap();
        assert!(message.contains(ENTRYPOINT), "{message}");
    }
}

#[test]
fn a_wrong_option_of_another_command_goes_to_stderr() {
    let output = Setup::without_config()
        .args(["check", "--no-such-option"])
        .output();
    assert_eq!(output.status.code(), Some(64));
    assert_eq!(stdout(&output), "");
    assert!(stderr(&output).contains("--no-such-option"));
}

#[test]
fn a_config_without_its_option_is_no_command() {
    let message = "the COMMAND other.toml is no program; to name a config, write -c other.toml";
    let config = process("app", "exit 3", "");
    let output = Setup::new(&config).args(["check", "other.toml"]).output();
    assert_eq!(output.status.code(), Some(78));
    assert_eq!(stdout(&output).trim_end(), message);
    let exit = Setup::new(&config).args(["run", "other.toml"]).start().exit();
    assert_eq!(exit.code, Some(78));
    assert_eq!(config_errors(&exit)[0]["message"], message);
}

#[test]
fn help_and_version_are_no_errors() {
    for word in ["--help", "--version"] {
        let output = Setup::without_config().args([word]).output();
        assert_eq!(output.status.code(), Some(0));
        assert!(stdout(&output).contains("runmate"));
        assert_eq!(stderr(&output), "");
    }
    let help = stdout(&Setup::without_config().args(["--help"]).output());
    assert!(help.contains(ENTRYPOINT));
}

#[test]
fn a_command_alone_needs_no_config() {
    for words in [&["run", "--"][..], &["run"]] {
        let exit = Setup::without_config()
            .args(with_command(words, "say -c exit 3"))
            .start()
            .exit();
        assert_eq!(exit.code, Some(3));
        assert_eq!(exit.messages("app"), ["-c"], "its options are its own");
        assert_eq!(exit.line()["name"], "app");
    }
}

#[test]
fn a_config_in_the_working_directory_is_found() {
    for words in [&[][..], &["run"], &["run", "--"]] {
        let exit = Setup::new(&process("app", "exit 5", ""))
            .args(words.to_vec())
            .start()
            .exit();
        assert_eq!(exit.code, Some(5), "{words:?}");
        assert_eq!(exit.lines[0]["config"], "runmate.toml");
    }
}

#[test]
fn a_command_replaces_that_of_the_main_process() {
    let config = process("app", "exit 5", "env = { KEPT = \"yes\" }") + &process("sidecar", "wait TERM", "");
    let exit = Setup::new(&config)
        .args(with_command(&["run", "--"], "env exit 6"))
        .start()
        .exit();
    assert_eq!(exit.code, Some(6));
    assert!(exit.has("started", "sidecar"));
    let env = exit.lines.iter().find(|line| line["env"].is_object());
    assert_eq!(env.unwrap()["env"]["KEPT"], "yes", "the rest of it stays");
}

#[test]
fn the_first_of_the_configs_counts() {
    let one = |code: i32| {
        format!(
            "{}\n[health]\nlisten = \"off\"\n",
            process("app", &format!("exit {code}"), "")
        )
    };
    let setup = || {
        let setup = Setup::new(&process("app", "exit 4", ""));
        std::fs::write(setup.dir().join("one.toml"), one(1)).unwrap();
        std::fs::write(setup.dir().join("two.toml"), one(2)).unwrap();
        setup
    };
    let code = |setup: Setup| setup.start().exit().code;
    let inline = one(3);
    assert_eq!(code(setup()), Some(4));
    assert_eq!(code(setup().env("RUNMATE_CONFIG_INLINE", &inline)), Some(3));
    let both = || {
        setup()
            .env("RUNMATE_CONFIG_INLINE", &inline)
            .env("RUNMATE_CONFIG", "two.toml")
    };
    assert_eq!(code(both()), Some(2));
    assert_eq!(code(both().args(["run", "-c", "one.toml"])), Some(1));
    assert_eq!(code(both().args(["run", "--config=one.toml"])), Some(1));
}

#[test]
fn an_inline_config_may_hold_several_lines() {
    let config = process("app", "say inline exit 3", "") + "\n[health]\nlisten = \"off\"\n";
    let exit = Setup::without_config()
        .env("RUNMATE_CONFIG_INLINE", &config)
        .start()
        .exit();
    assert_eq!(exit.code, Some(3));
    assert_eq!(exit.messages("app"), ["inline"]);
    assert_eq!(exit.lines[0]["config"], "RUNMATE_CONFIG_INLINE");
}

#[test]
fn nothing_to_run_shows_what_to_write() {
    let exit = Setup::without_config().start().exit();
    assert_eq!(exit.code, Some(78));
    let errors = config_errors(&exit);
    let message = errors[0]["message"].as_str().unwrap();
    assert!(message.contains(ENTRYPOINT), "{message}");
    assert!(message.contains("[process.app]"), "{message}");
}

#[test]
fn all_config_errors_come_at_once_and_nothing_is_started() {
    let config = "[process.app]\n\
                  comand = [\"true\"]\n\
                  restart = \"sometimes\"\n\
                  after = [\"databse\"]\n\
                  [process.database]\n\
                  command = \"touch started\"\n\
                  stop = { grace = \"soon\" }\n\
                  umask = \"${NOT_SET}\"\n";
    let run = Setup::new(config).start();
    let exit = run.exit();
    assert_eq!(exit.code, Some(78));
    assert_eq!(exit.line()["cause"], "config");
    let errors = config_errors(&exit);
    let found: Vec<(&str, i64)> = errors
        .iter()
        .map(|error| (error["key"].as_str().unwrap(), error["line"].as_i64().unwrap()))
        .collect();
    assert_eq!(
        found,
        [
            ("process.app.command", 1),
            ("process.app.comand", 2),
            ("process.app.restart", 3),
            ("process.app.after", 4),
            ("process.database.stop.grace", 7),
            ("process.database.umask", 8),
        ]
    );
    for error in &errors {
        assert_eq!(error["level"], "ERROR");
        assert_eq!(error["file"], "runmate.toml");
    }
    for (place, hint) in [
        (1, "did you mean \"command\"?"),
        (3, "did you mean \"database\"?"),
    ] {
        let message = errors[place]["message"].as_str().unwrap();
        assert!(message.contains(hint), "{message}");
    }
    assert!(!run.dir().join("started").exists());
}

#[test]
fn a_config_that_cannot_be_read_is_an_error_and_not_passed_over() {
    let code = |setup: Setup| setup.start().exit();
    for (exit, file) in [
        (code(Setup::new("[process.app\n")), "runmate.toml"),
        (
            code(Setup::without_config().args(["run", "-c", "none.toml"])),
            "none.toml",
        ),
        (
            code(Setup::without_config().env("RUNMATE_CONFIG", "none.toml")),
            "none.toml",
        ),
    ] {
        assert_eq!(exit.code, Some(78));
        assert_eq!(config_errors(&exit).len(), 1);
        assert_eq!(config_errors(&exit)[0]["file"], file);
    }
}

#[test]
fn check_shows_the_plan_and_starts_nothing() {
    let config =
        process("app", "touch started", "user = \"0:0\"") + &process("task", "exit 0", "kind = \"task\"");
    let setup = Setup::new(&config).args(["check"]);
    let dir = setup.dir().join("started");
    let output = setup.output();
    assert_eq!(output.status.code(), Some(0), "{}", stdout(&output));
    assert_eq!(stdout(&output).lines().last(), Some("ok"));
    assert!(stdout(&output).contains("task"));
    assert_eq!(stderr(&output), "");
    assert!(!dir.exists());
}

#[test]
fn check_does_not_mind_a_reader_that_is_gone() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_runmate"))
        .args(["check", "--", "true"])
        .stdout(writer)
        .output()
        .expect("runmate can be started");
    assert_eq!(stderr(&output), "");
    assert_eq!(output.status.code(), Some(0));
}

#[test]
fn check_tells_machines_the_same() {
    let output = Setup::new(&process("app", "exit 0", ""))
        .args(["check", "--json"])
        .output();
    assert_eq!(output.status.code(), Some(0));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], true);
    assert!(answer["plan"].is_object());

    let output = Setup::new("[process.app]\ncommand = 3\n")
        .args(["check", "--json"])
        .output();
    assert_eq!(output.status.code(), Some(78));
    let answer: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(answer["ok"], false);
    assert_eq!(answer["findings"][0]["key"], "process.app.command");
    assert_eq!(answer["findings"][0]["line"], 2);
    assert_eq!(answer["findings"][0]["severity"], "error");
}

#[test]
fn check_finds_what_only_a_start_would_show() {
    let config = "[process.app]\ncommand = [\"no-such-program\"]\ncwd = \"/no/such/directory\"\n";
    let output = Setup::new(config).args(["check"]).output();
    assert_eq!(output.status.code(), Some(78));
    let text = stdout(&output);
    assert!(text.contains("no-such-program"), "{text}");
    assert!(text.contains("/no/such/directory"), "{text}");
    assert_eq!(text.lines().last(), Some("not ok"));
}

#[test]
fn check_takes_a_command_as_run_does() {
    for (words, code) in [
        (vec!["check", "--", "true"], 0),
        (vec!["check", "--", "no-such-program"], 78),
    ] {
        let output = Setup::new(&format!("[process.app]\ncommand = {}", fixture("exit 0")))
            .args(words)
            .output();
        assert_eq!(output.status.code(), Some(code), "{}", stdout(&output));
    }
}
