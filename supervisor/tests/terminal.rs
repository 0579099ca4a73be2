//! Who gets the terminal of a shell. The one of `docker run -it` is in `docker/console.rs`.

use std::process::{Command, Stdio};

/// An app that says whether it is the foreground job.
const CONFIG: &str = r#"
[process.app]
command = ["perl", "-MPOSIX", "-e", "print tcgetpgrp(0) == getpgrp() ? 'has' : 'lacks', ' the terminal'"]
stdin   = "inherit"

[health]
listen = "off"
"#;

/// Has a shell with job control run this line; what appears on its terminal.
fn in_a_shell(line: &str) -> String {
    // script(1) provides the terminal.
    let output = Command::new("script")
        .args(["-qec", &format!("sh -mc '{line}'"), "/dev/null"])
        .env("RUNMATE", env!("CARGO_BIN_EXE_runmate"))
        .env("RUNMATE_CONFIG_INLINE", CONFIG)
        .stdin(Stdio::null())
        .output()
        .expect("script(1), of bsdutils, can be started");
    String::from_utf8(output.stdout).expect("UTF-8")
}

#[test]
fn in_the_foreground_the_app_gets_it() {
    let screen = in_a_shell("$RUNMATE run; echo and back");
    assert!(screen.contains("has the terminal"), "{screen}");
    assert!(screen.contains("and back"), "{screen}");
}

/// Interactive shells end when somebody takes it from them.
#[test]
fn in_the_background_it_stays_with_the_shell() {
    let screen = in_a_shell("$RUNMATE run & wait");
    assert!(screen.contains("lacks the terminal"), "{screen}");
}
