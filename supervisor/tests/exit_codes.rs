//! The exit code of the container, and the last line that explains it.

mod support;

use runmate::signal::Signal;
use support::{Exit, Setup, install, process};

fn exit_of(config: &str) -> Exit {
    Setup::new(config).start().exit()
}

/// Every signal that ends a process by default: signal(7).
fn fatal_signals() -> impl Iterator<Item = Signal> {
    let harmless = [libc::SIGCHLD, libc::SIGCONT, libc::SIGURG, libc::SIGWINCH];
    let stopping = [libc::SIGSTOP, libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU];
    // The C library keeps 32 and 33 for itself.
    let others = [32, 33];
    (1..=Signal::MAX)
        .filter(move |n| !harmless.contains(n) && !stopping.contains(n) && !others.contains(n))
        .filter_map(Signal::from_number)
}

#[test]
fn the_exit_code_of_the_main_process_is_passed_on() {
    for code in 0..=255 {
        let exit = exit_of(&process("app", &format!("exit {code}"), ""));
        assert_eq!(exit.code, Some(code));
        assert_eq!(exit.line()["cause"], "main_ended");
        assert_eq!(exit.line()["process_code"], code);
        assert_eq!(exit.line()["level"], if code == 0 { "INFO" } else { "ERROR" });
    }
}

#[test]
fn a_main_process_that_dies_of_signal_n_gives_128_plus_n() {
    for signal in fatal_signals() {
        let exit = exit_of(&process("app", &format!("raise {signal}"), ""));
        assert_eq!(exit.code, Some(128 + signal.number()), "{signal}");
        assert_eq!(exit.line()["cause"], "main_ended");
        assert_eq!(exit.line()["signal"], signal.to_string());
    }
}

#[test]
fn a_stop_ends_with_the_code_that_main_chooses() {
    for (steps, code) in [
        ("ready wait TERM exit 0", 0),
        ("ready wait TERM exit 3", 3),
        ("default ready deaf", 143),
    ] {
        let run = Setup::new(&process("app", steps, "")).start();
        run.wait_for_message("app", "ready");
        run.signal(libc::SIGTERM);
        let exit = run.exit();
        assert_eq!(exit.code, Some(code), "{steps}");
        assert_eq!(exit.line()["cause"], "signal");
    }
}

/// Every deploy stops containers; an alarm on ERROR lines must not hear of it.
#[test]
fn only_a_stop_that_had_to_kill_is_an_error() {
    for (steps, stop, level) in [
        ("default ready deaf", "", "INFO"),
        ("ready wait TERM exit 3", "", "INFO"),
        ("ready deaf", "stop = { grace = \"100ms\" }", "ERROR"),
    ] {
        let run = Setup::new(&process("app", steps, stop)).start();
        run.wait_for_message("app", "ready");
        run.signal(libc::SIGTERM);
        assert_eq!(run.exit().line()["level"], level, "{steps}");
    }
}

#[test]
fn success_codes_become_0() {
    let config = process("app", "default ready deaf", "[run]\nsuccess_codes = [143, 7]");
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    assert_eq!(exit.code, Some(0));
    assert_eq!(exit.line()["signal"], "SIGTERM", "the truth is told all the same");
    assert_eq!(
        exit_of(&process("app", "exit 7", "[run]\nsuccess_codes = [143, 7]")).code,
        Some(0)
    );
    assert_eq!(
        exit_of(&process("app", "exit 8", "[run]\nsuccess_codes = [143, 7]")).code,
        Some(8)
    );
}

#[test]
fn what_is_not_there_gives_127_and_the_reason() {
    for (command, reason) in [
        (r#"["no-such-program"]"#, "there is no no-such-program in PATH"),
        (r#"["/no/such/program"]"#, "/no/such/program does not exist"),
        (
            r#"["./missing-interpreter"]"#,
            "its interpreter /no/interpreter does not",
        ),
    ] {
        let exit = unstartable(command, "");
        assert_eq!(exit.code, Some(127), "{command}");
        assert_reason(&exit, reason, 127);
    }
}

#[test]
fn what_may_not_be_executed_gives_126_and_the_reason() {
    for (command, more, reason) in [
        (
            r#"["./plain"]"#,
            "",
            "plain may not be executed; run chmod +x on it",
        ),
        (r#"["/"]"#, "", "/ is a directory"),
        // execvp(3) would have handed these two to sh.
        (r#"["./text"]"#, "", "text is no program"),
        (r#"["./alien"]"#, "", "alien is built for another processor"),
        (
            r#"["true"]"#,
            "cwd = \"/no/such/directory\"",
            "cannot change to its working directory",
        ),
    ] {
        let exit = unstartable(command, more);
        assert_eq!(exit.code, Some(126), "{command}");
        assert_reason(&exit, reason, 126);
    }
}

/// Runs a command beside files that cannot be executed, under a policy that would try again.
fn unstartable(command: &str, more: &str) -> Exit {
    let setup = Setup::new(&format!(
        "[process.app]\ncommand = {command}\nrestart = \"always\"\n{more}"
    ));
    // The head of an ELF file for a machine that there is not: elf(5).
    let mut alien = vec![0; 64];
    alien[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
    alien[16] = 2;
    alien[18..20].copy_from_slice(&[0xEF, 0xBE]);
    for (name, content, mode) in [
        ("plain", &b"#!/bin/sh\n"[..], 0o644),
        ("text", b"echo hello\n", 0o755),
        ("alien", &alien, 0o755),
        ("missing-interpreter", b"#!/no/interpreter\n", 0o755),
    ] {
        let source = setup.dir().join("source");
        std::fs::write(&source, content).unwrap();
        install(&source, &setup.dir().join(name), mode);
    }
    setup.start().exit()
}

fn assert_reason(exit: &Exit, reason: &str, code: i32) {
    let starts = exit.lines.iter().filter(|line| line["event"] == "cannot_start");
    let starts: Vec<_> = starts.collect();
    assert_eq!(starts.len(), 1, "no second attempt: {:?}", exit.lines);
    let message = starts[0]["message"].as_str().unwrap();
    assert!(message.contains(reason), "{message}");
    assert_eq!(starts[0]["code"], code);
    assert_eq!(exit.line()["cause"], "cannot_execute");
    assert_eq!(exit.line()["name"], "app");
}

#[test]
fn a_shell_says_127_itself() {
    let exit = exit_of("[process.app]\ncommand = \"no-such-program\"");
    assert_eq!(exit.code, Some(127));
    assert_eq!(exit.line()["cause"], "main_ended");
}

#[test]
fn the_last_line_tells_how_it_went() {
    let sidecar = process(
        "sidecar",
        "exit 4",
        "backoff = { min = \"0s\", max = \"0s\", restarts = 2 }",
    );
    let run = Setup::new(&(process("app", "ready wait TERM exit 3", "") + &sidecar)).start();
    let exit = run.exit();
    let line = exit.line();
    assert_eq!(line["cause"], "restarts_spent");
    assert_eq!(line["name"], "sidecar");
    assert_eq!(line["code"], 4);
    assert_eq!(line["process_code"], 4);
    assert_eq!(line["restarts"], 2);
    assert!(line["uptime"].as_f64().unwrap() <= run.started.elapsed().as_secs_f64());
}
