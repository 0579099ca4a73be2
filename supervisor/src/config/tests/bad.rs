//! Documents and sections: bad input and the exact lines it gets.
use super::*;

fn check(text: &str, expected: &[&str]) {
    let world = World::new().env("PORT", "8080");
    assert_eq!(errors(&world, text), expected, "{text}");
}

#[test]
fn a_text_without_a_process_says_what_to_write() {
    check(
        "",
        &[
            r#" process: there is no process; write [process.app] with command = ["node", "server.js"], or give a COMMAND"#,
        ],
    );
    check(
        "[process]",
        &[
            r#"1: process: there is no process; write [process.app] with command = ["node", "server.js"], or give a COMMAND"#,
        ],
    );
    check(
        "process = 3",
        &["1: process: cannot be a number; write tables [process.NAME]"],
    );
    check(
        r#"[process]
app = "node""#,
        &["2: process.app: cannot be a string; write a table such as [process.app]"],
    );
    check(
        r#"command = ["x"]"#,
        &["1: command: belongs to a process; write it under [process.app]"],
    );
    check(
        r#"[proces.app]
command=["x"]"#,
        &[r#"1: proces: unknown key; did you mean "process"?"#],
    );
    check(
        r#"[[process]]
command="x""#,
        &["1: process: cannot be a list; write tables [process.NAME]"],
    );
}

#[test]
fn misspelt_keys_get_the_right_one() {
    check(
        "[process.app]",
        &[
            r#"1: process.app.command: is missing; write command = ["PROGRAM", "ARGUMENT"], or give a COMMAND after "runmate run --""#,
        ],
    );
    check(
        r#"[process.app]
comand = ["x"]
image = "y""#,
        &[
            r#"1: process.app.command: is missing; write command = ["PROGRAM", "ARGUMENT"], or give a COMMAND after "runmate run --""#,
            r#"2: process.app.comand: unknown key; did you mean "command"?"#,
            "3: process.app.image: unknown key; known here: command, main, kind, after, ready, restart, backoff, on_exit, stop, signals, cwd, user, umask, env, env_inherit, secrets, stdin, logs",
        ],
    );
}

#[test]
fn syntax_errors_come_with_what_else_is_wrong() {
    check(
        r#"[process.app
command = ["x"]
restart = "sometimes""#,
        &["1: cannot read this line: unclosed table, expected `]`"],
    );
    check(
        r#"[process.app]
command = "x"
command = "y"
restart = "alwyas""#,
        &[
            "3: cannot read this line: duplicate key",
            r#"4: process.app.restart: cannot be "alwyas"; write "always", "on-failure" or "never"; did you mean "always"?"#,
        ],
    );
    check(
        r#"[process.app]
command = "x
restart = "alwyas"
[run]
drain_delay = 5
stop_budget = "1 minute""#,
        &[
            r#"2: cannot read this line: invalid basic string, expected `"`"#,
            r#"3: process.app.restart: cannot be "alwyas"; write "always", "on-failure" or "never"; did you mean "always"?"#,
            r#"5: run.drain_delay: a bare number has no unit; write "5s""#,
            r#"6: run.stop_budget: "1 minute" is no duration; write one such as "500ms", "5s", "2m" or "1m30s""#,
        ],
    );
    check(
        r#"a = "\ud800"
= 3
b = 1979-05-27
[x"#,
        &[
            "1: cannot read this line: invalid value, expected unicode hexadecimal value",
            "2: cannot read this line: unquoted keys cannot be empty, expected letters, numbers, `-`, `_`",
            "3: b: unknown key; processes are written as [process.NAME]",
            "4: cannot read this line: unclosed table, expected `]`",
        ],
    );
}

#[test]
fn sections_are_checked() {
    check(
        r#"[process.app]
command="x"
[run]
platform="ec2"
success_codes=[143, 256, -1, "0"]
drain_delay="9s"
[health]
listen=":8080"
details="all"
tokn="x"
[logs]
format="xml"
max_line="1B"
blocked="x""#,
        &[
            r#"4: run.platform: cannot be "ec2"; write "app-runner", "ecs", "cloud-run", "kubernetes", "docker" or "auto"; did you mean "ecs"?"#,
            "5: run.success_codes: 256 is out of range; write a number from 0 to 255",
            "5: run.success_codes: -1 is out of range; write a number from 0 to 255",
            "5: run.success_codes: cannot be a string; write a whole number from 0 to 255",
            "6: run.drain_delay: 9s leaves nothing of the stop_budget of 9s; write a shorter delay or a longer run.stop_budget",
            "8: health.listen: port 8080 is $PORT, where the app listens; write another port",
            r#"9: health.details: cannot be "all"; write "token" or "public""#,
            r#"10: health.tokn: unknown key; did you mean "token"?"#,
            r#"12: logs.format: cannot be "xml"; write "json", "text", "raw" or "inherit""#,
            r#"13: logs.max_line: out of range; write a size from "256B" to "1MiB""#,
            r#"14: logs.blocked: "x" is no duration; write one such as "500ms", "5s", "2m" or "1m30s""#,
        ],
    );
    check(
        r#"[process.app]
command="x"
[health]
listen=9180
[logs]
max_line=15"#,
        &[
            r#"4: health.listen: cannot be a number; write an address such as "0.0.0.0:9180", or "off""#,
            r#"6: logs.max_line: a bare number has no unit; write "15B""#,
        ],
    );
    for token in ["secret\\n", " secret", "sec\\u0007ret"] {
        check(
            &format!("[process.app]\ncommand=\"x\"\n[health]\ntoken=\"{token}\""),
            &["4: health.token: no request can carry a line break, or a space at either end; remove it"],
        );
    }
    check(
        r#"[process.app]
command="x"
cwd="/a/${B}/${C""#,
        &[
            "3: process.app.cwd: the variable B is not set; set it or write ${B:-default}",
            "3: process.app.cwd: a ${ has no closing }; write $${ for a plain ${",
        ],
    );
}

#[test]
fn migrations_that_cannot_be() {
    let text = r#"
[process.app]
command = ["x"]
[process.migrate]
command = ["y"]
[migrate]
database = "oracle://app:hunter2@db.example.com/app"
dir = "migrations"
command = ["rake", "db:migrate"]
on_failure = "ignore"
"#;
    let found = errors(&World::new(), text);
    let expected = [
        "6: migrate: [process.migrate] has the name of the task that [migrate] is; rename the process",
        "7: migrate.database: the database URL's scheme \"oracle\" is not known; write \
         postgres://USER:PASSWORD@HOST:PORT/DATABASE, mysql://... or sqlite:FILE",
        "9: migrate.command: a directory is migrated by runmate itself, a command by its own means; keep one of \
         the two",
        "10: migrate.on_failure: cannot be \"ignore\"; write \"shutdown\" or \"continue\"",
    ];
    assert_eq!(found, expected);
}
