//! Processes: bad input and the exact lines it gets.
use super::*;

fn check(text: &str, expected: &[&str]) {
    let world = World::new().env("PORT", "8080");
    assert_eq!(errors(&world, text), expected, "{text}");
}

#[test]
fn commands_are_checked() {
    check(
        r#"[process.app]
command = []
[process.b]
command = "  "
[process.c]
command = [""]
[process.d]
command = [1, "x", "${NOPE}"]
[process.e]
command = 5"#,
        &[
            r#"2: process.app.command: cannot be empty; write a list such as ["node", "server.js"], or a string for /bin/sh"#,
            r#"4: process.b.command: cannot be empty; write a list such as ["node", "server.js"], or a string for /bin/sh"#,
            "6: process.c.command: the program's name is empty; write it first",
            "8: process.d.command: cannot be a number; write a string in quotes",
            "8: process.d.command: the variable NOPE is not set; set it or write ${NOPE:-default}",
            r#"10: process.e.command: cannot be a number; write a list such as ["node", "server.js"], or a string for /bin/sh"#,
        ],
    );
    check(
        r#"[process.app]
command = [
  "x",
  "a\u0000b",
]"#,
        &["4: process.app.command: cannot hold a NUL character; remove it"],
    );
}

#[test]
fn keys_of_a_process_are_checked() {
    check(
        r#"[process.app]
command="x"
main = "yes"
kind = "job"
restart = true
on_exit = "ignore"
umask = "999"
user = "nobody"
cwd = ""
stdin = "tty"
env_inherit = "all""#,
        &[
            "3: process.app.main: cannot be a string; write true or false",
            r#"4: process.app.kind: cannot be "job"; write "service" or "task""#,
            r#"5: process.app.restart: cannot be true or false; write "always", "on-failure" or "never""#,
            "6: process.app.on_exit: the end of the main process ends the container; remove this, or make another one main",
            r#"7: process.app.umask: "999" is no umask; write an octal number in quotes such as "0027""#,
            r#"8: process.app.user: there is no user "nobody" in /etc/passwd; add it or write UID:GID"#,
            "9: process.app.cwd: cannot be empty; write a directory",
            r#"10: process.app.stdin: cannot be "tty"; write "null", "inherit" or { logs = ["app"] }"#,
            "11: process.app.env_inherit: cannot be a string; write true, false or a list of names",
        ],
    );
    check(
        r#"[process.app]
command="x"
umask = 27
user = 33
env = { "A=B" = "x", "" = "y", C = 5, D = "${D}" }"#,
        &[
            r#"3: process.app.umask: cannot be a number; write an octal number in quotes such as "0027""#,
            "4: process.app.user: cannot be a number; write a name, a number, USER:GROUP or UID:GID in quotes",
            r#"5: process.app.env."A=B": "A=B" cannot name a variable; write a name without '=' and NUL"#,
            r#"5: process.app.env."": "" cannot name a variable; write a name without '=' and NUL"#,
            "5: process.app.env.C: cannot be a number; write the value in quotes",
            "5: process.app.env.D: the variable D is not set; set it or write ${D:-default}",
        ],
    );
    check(
        r#"[process.app]
command="x"
stop={signal="CONT"}
[process."a b"]
command="x"
[process.runmate]
command="x""#,
        &[
            r#"3: process.app.stop.signal: SIGCONT stops no process; write "SIGTERM", "SIGINT" or "SIGQUIT""#,
            r#"4: process."a b": a name of a process is made of letters, digits, '_', '.' and '-'; rename it"#,
            "6: process.runmate: the name runmate marks the supervisor's own lines; rename the process",
        ],
    );
    check(
        r#"[process.app]
command="x"
stdin="inherit"
[process.b]
command="x"
stdin="inherit""#,
        &[r#"6: process.b.stdin: only one process can inherit stdin; write "null" here or there"#],
    );
}

#[test]
fn main_must_be_clear() {
    check(
        r#"[process.a]
command="x"
main=true
[process.b]
command="x"
main=true"#,
        &[
            "3: process.a.main: only one process can be main; keep main = true on one of: a, b",
            "6: process.b.main: only one process can be main; keep main = true on one of: a, b",
        ],
    );
    check(
        r#"[process.a]
command="x"
[process.b]
command="x""#,
        &["1: process: it is not clear which process is main; set main = true on one of: a, b"],
    );
    check(
        r#"[process.a]
command="x"
kind="task""#,
        &[
            r#"1: process: no process is a service, so nothing would stay up; remove kind = "task" from the main process"#,
        ],
    );
    check(
        r#"[process.a]
command="x"
kind="task"
main=true
ready={tcp=":1"}
restart="always""#,
        &[
            r#"4: process.a.main: a task cannot be main; remove kind = "task" (a service may end too, and gives its exit code)"#,
            "5: process.a.ready: a task is ready when it has succeeded; remove this, or make it a service",
            r#"6: process.a.restart: a task that is always restarted never ends; write "on-failure", or make it a service"#,
        ],
    );
    check(
        r#"[process.a]
command="x"
main = false"#,
        &["1: process: every service has main = false; remove it from the main process"],
    );
}

#[test]
fn after_names_other_processes_without_cycles() {
    check(
        r#"[process.app]
command="x"
after=["b"]
[process.b]
command="x"
after=["c"]
[process.c]
command="x"
after=["b", "c", "ap"]"#,
        &[
            "6: process.b.after: a cycle: b -> c -> b would wait for each other for ever; remove one step",
            r#"9: process.c.after: there is no process "ap"; write the name of another one; did you mean "app"?"#,
            "9: process.c.after: a cycle: c -> c would wait for each other for ever; remove one step",
        ],
    );
}

#[test]
fn ready_is_checked() {
    check(
        "[process.app]\ncommand=\"x\"\nready={log=\"up\"}\n[logs]\nformat=\"inherit\"",
        &[
            "3: process.app.ready: cannot wait for a line: with logs.format \"inherit\" none passes through runmate; change either",
        ],
    );
    check(
        r#"[process.app]
command="x"
ready={}
[process.b]
command="x"
ready={tcp=":1", fd=2}
[process.c]
command="x"
ready={http="https://x", timeout=5, interval="0s"}
[process.d]
command="x"
ready={http="http://db:5432/"}
[process.e]
command="x"
ready={log="("}
[process.f]
command="x"
ready="http://x""#,
        &[
            "3: process.app.ready: names nothing to wait for; write one of http, tcp, exec, log, fd",
            "6: process.b.ready: cannot wait for tcp and fd at once; keep one of them",
            "6: process.b.ready.fd: 2 is out of range; write a number from 3 to 1023",
            r#"9: process.c.ready.timeout: a bare number has no unit; write "5s""#,
            "9: process.c.ready.interval: cannot be 0s; write a longer duration",
            "9: process.c.ready.http: https cannot be probed, PID 1 has no TLS; probe the plain port, or use tcp or exec",
            r#"12: process.d.ready.http: "db" is no literal address and PID 1 resolves no names; write 127.0.0.1 or [::1], or localhost"#,
            r#"15: process.e.ready.log: "(" is no regular expression: found open group without closing ')'; correct it"#,
            r#"18: process.f.ready: cannot be a string; write a table such as { http = "http://127.0.0.1:8000/up" }"#,
        ],
    );
}

#[test]
fn stop_backoff_and_signals_are_checked() {
    check(
        r#"[process.app]
command="x"
backoff={min="1m", restarts=-1}
stop={signal="SIGKILL", grace="1w", scope="all"}
signals={SIGTERM="SIGTERM", KILL="HUP", SIGUP="HUP", SEGV="X", HUP="CHLD", USR1="USR1", SIGUSR1="HUP"}"#,
        &[
            "3: process.app.backoff.restarts: -1 is out of range; write a number from 0 to 4294967295",
            "3: process.app.backoff: min 1m is longer than max 30s; write a max of at least 1m",
            r#"4: process.app.stop.signal: SIGKILL leaves no time to stop; write grace = "0s" for a kill at once"#,
            r#"4: process.app.stop.grace: "1w" is no duration; write one such as "500ms", "5s", "2m" or "1m30s""#,
            r#"4: process.app.stop.scope: cannot be "all"; write "process" or "group""#,
            "5: process.app.signals.SIGTERM: SIGTERM stops the container and cannot be passed on; remove it, or set stop.signal",
            "5: process.app.signals.KILL: SIGKILL cannot be passed on: no handler can take it; remove it",
            r#"5: process.app.signals.SIGUP: "SIGUP" is no signal; write a name such as "SIGTERM"; did you mean "SIGHUP"?"#,
            "5: process.app.signals.SEGV: SIGSEGV cannot be passed on: no handler can take it; remove it",
            r#"5: process.app.signals.SEGV: "X" is no signal; write a name such as "SIGTERM""#,
            "5: process.app.signals.HUP: SIGCHLD cannot be sent as a message; write another signal",
            "5: process.app.signals.SIGUSR1: SIGUSR1 is given twice; keep one",
        ],
    );
}
