//! What PID 1 asks of the system for its checks: nothing that leads into libraries of the image.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::lab::check;
use crate::support::{Setup, eventually, free_address, process};

/// What glibc opens to learn the name of an account, and what PostgreSQL's clients read.
const FOREIGN: [&str; 3] = ["/etc/nsswitch.conf", "nscd/socket", ".pgpass"];

/// What each thread called, by its id.
fn traces(dir: &Path) -> HashMap<i32, String> {
    let files = std::fs::read_dir(dir).expect("a directory").flatten();
    let traces = files.filter_map(|file| {
        let name = file.file_name().into_string().ok()?;
        let thread = name.strip_prefix("trace.")?.parse().ok()?;
        Some((thread, std::fs::read_to_string(file.path()).ok()?))
    });
    traces.collect()
}

/// The threads of a process, by the calls that began them: `clone3({flags=...CLONE_THREAD...} => {...}, 88) = 123`.
fn threads(process: i32, traces: &HashMap<i32, String>) -> Vec<i32> {
    let mut threads = vec![process];
    let mut next = 0;
    while let Some(trace) = threads.get(next).and_then(|thread| traces.get(thread)) {
        let begun = trace.lines().filter(|line| line.contains("CLONE_THREAD"));
        let begun = begun.filter_map(|line| line.rsplit_once("= ")?.1.parse().ok());
        threads.extend(begun.collect::<Vec<i32>>());
        next += 1;
    }
    threads
}

#[test]
fn pid_1_reads_urls_of_databases_without_asking_who_it_is() {
    let nobody = free_address();
    let (plain, secret) = (free_address(), free_address());
    let traced = tempfile::tempdir().expect("a temporary directory");
    let file = traced.path().join("url");
    std::fs::write(&file, format!("postgres://{secret}/shop")).expect("write");
    // Without a user, whose name is then asked of the system, and without a password.
    let config = process("app", "wait TERM", "secrets = []")
        + &check("plain", &format!("postgres = \"postgres://{plain}/shop\""), "")
        + &check("secret", "postgres = \"${DB}\"", "")
        + &check("mysql", &format!("mysql = \"mysql://{nobody}\""), "")
        + &check("redis", &format!("redis = \"redis://{nobody}\""), "")
        + &check("fds", "fds = {}", "")
        + &format!("[secrets.DB]\nfrom = \"file:{}\"\n", file.display());
    let mut setup = Setup::new(&config).with_health();
    let dir = setup.dir().to_owned();
    let command = setup.command();
    *command = Command::new("strace");
    command.args(["-D", "-ff", "-e", "trace=%file,connect,clone,clone3", "-o"]);
    command
        .arg(traced.path().join("trace"))
        .arg(env!("CARGO_BIN_EXE_runmate"));
    command.current_dir(&dir).env("HOME", &dir).env_remove("PGUSER");
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let run = setup.start();
    for name in ["plain", "secret", "mysql", "redis"] {
        run.wait_for_event("check_failing", name);
    }
    run.signal(libc::SIGTERM);
    run.exit();
    let traces = eventually("the whole trace", || {
        let traces = traces(traced.path());
        traces.get(&run.pid)?.contains("+++ exited").then_some(traces)
    });
    let own = threads(run.pid, &traces);
    for thread in &own {
        let asked = traces.get(thread).into_iter().flat_map(|trace| trace.lines());
        let foreign = asked.filter(|line| FOREIGN.iter().any(|name| line.contains(name)));
        assert_eq!(foreign.collect::<Vec<_>>(), Vec::<&str>::new());
    }
    // The helper does ask, so it would have been seen.
    let others = traces.iter().filter(|(thread, _)| !own.contains(thread));
    assert!(others.into_iter().any(|(_, trace)| trace.contains(FOREIGN[0])));
}
