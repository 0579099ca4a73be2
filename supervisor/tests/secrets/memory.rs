//! Where values must not be: output, the environment and the files of PID 1, core dumps, other users' eyes.

use std::fs::{self, File};
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use super::fault::{Fault, FaultServer};
use super::support::{Setup, eventually, install, process};
use super::{app, assert_unsaid, env_of, parameter, secret, stop, with_server};

/// Most of this can be seen only by root.
pub fn need_root() {
    // SAFETY: no memory is involved.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(
        root,
        "this test looks into processes that are closed to others: run it as root"
    );
}

/// Whether the bytes hold the text.
pub fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

#[test]
fn values_are_nowhere_but_in_the_child_and_the_heap() {
    need_root();
    let values = [
        "value-of-the-secret",
        "value-of-the-parameter",
        "value-of-the-file",
    ];
    let server = FaultServer::start();
    server
        .secret(&secret("db"), values[0])
        .parameter(&parameter("/key"), values[1]);
    server.secret(&secret("file"), values[2]);
    let config = process("app", "ready wait TERM", "")
        + &format!("[secrets.FILE]\nfrom = {:?}\nas = \"file\"\n", secret("file"));
    let run = with_server(&config, &server)
        .env("DB", &secret("db"))
        .env("KEY_ARN", &parameter("/key"))
        .start();
    run.wait_for_message("app", "ready");
    let child = run.wait_for_event("started", "app")["pid"]
        .as_i64()
        .expect("a pid");
    let environ = |pid: i64| fs::read(format!("/proc/{pid}/environ")).expect("readable by root");
    // What is looked for is where it belongs: the search itself works.
    assert!(values[..2].iter().all(|value| holds(&environ(child), value)));
    assert!(
        of_process(run.pid, |_| true)
            .iter()
            .any(|part| holds(&part.1, values[0]))
    );
    for value in values {
        assert!(
            !holds(&environ(run.pid.into()), value),
            "{value} in the environment of PID 1"
        );
        for (name, bytes) in of_process(run.pid, |name| name.starts_with('/')) {
            assert!(!holds(&bytes, value), "{value} in {name}");
        }
        for (name, bytes) in open_files(run.pid) {
            assert!(!holds(&bytes, value), "{value} in {name}");
        }
    }
    assert_unsaid(&stop(&run), &values);
}

/// The mappings of a process whose name is wanted, with their bytes. Read-only code is there too.
pub fn of_process(pid: i32, wanted: impl Fn(&str) -> bool) -> Vec<(String, Vec<u8>)> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).expect("readable by root");
    let mut memory = File::open(format!("/proc/{pid}/mem")).expect("readable by root");
    let mut found = Vec::new();
    for line in maps.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (range, rights) = (fields.next().expect("a range"), fields.next().expect("rights"));
        let name = fields.nth(3).unwrap_or_default().to_owned();
        if !rights.starts_with('r') || name.starts_with("[v") || !wanted(&name) {
            continue;
        }
        let (from, to) = range.split_once('-').expect("a range");
        let number = |text| u64::from_str_radix(text, 16).expect("a number");
        let mut bytes = vec![0; (number(to) - number(from)) as usize];
        memory.seek(SeekFrom::Start(number(from))).expect("seek");
        memory
            .read_exact(&mut bytes)
            .unwrap_or_else(|error| panic!("{line}: {error}"));
        found.push((name, bytes));
    }
    found
}

/// The regular files that a process has open, those without a name included.
fn open_files(pid: i32) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).expect("readable by root");
    let paths = entries.flatten().map(|entry| entry.path());
    let regular = paths.filter(|path| {
        let kind = fs::metadata(path).map(|data| data.file_type());
        kind.is_ok_and(|kind| kind.is_file() && !kind.is_char_device())
    });
    let named = regular.map(|path| {
        let name = fs::read_link(&path).unwrap_or_default();
        (name.display().to_string(), fs::read(&path).unwrap_or_default())
    });
    named.collect()
}

/// A run as an ordinary user, by a copy of the binary that this user can get at.
fn as_ordinary_user(server: &FaultServer, dir: &Path, reference: &str) -> std::process::Child {
    let runmate = dir.join("runmate");
    install(Path::new(env!("CARGO_BIN_EXE_runmate")), &runmate, 0o755);
    fs::set_permissions(dir, std::os::unix::fs::PermissionsExt::from_mode(0o755)).expect("chmod");
    let mut command = Command::new(runmate);
    command
        .args(["run", "--", "sh", "-c", "echo ready; read line"])
        .env_clear()
        .envs(server.env())
        .env("PATH", "/usr/bin:/bin")
        .env(
            "RUNMATE_CONFIG_INLINE",
            "[process.app]\ncommand = \"x\"\nstdin = \"inherit\"\n[health]\nlisten = \"off\"",
        )
        .env("NAME", reference)
        .current_dir("/")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .uid(54321)
        .gid(54321);
    // SAFETY: the closure makes one system call.
    unsafe {
        command.pre_exec(|| {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL);
            Ok(())
        })
    };
    command.spawn().expect("runmate starts")
}

/// Whom the kernel says the files of a process in /proc belong to: its user if it is dumpable, else root
/// (proc(5)).
fn owner(pid: u32) -> u32 {
    fs::metadata(format!("/proc/{pid}/environ"))
        .expect("it lives")
        .uid()
}

#[test]
fn not_even_its_own_user_can_look_into_it() {
    need_root();
    for hangs in [false, true] {
        let server = FaultServer::start();
        server.secret(&secret("db"), "value");
        let dir = tempfile::tempdir().expect("a directory");
        if hangs {
            server.fault("*", Fault::Hang, usize::MAX);
        }
        let mut run = as_ordinary_user(&server, dir.path(), &secret("db"));
        if hangs {
            // Before the first value can arrive.
            server.wait_for_calls(1);
            for helper in super::support::proc::children(run.id() as i32) {
                assert_eq!(owner(helper.pid as u32), 0, "the helper");
            }
        } else {
            let children = || super::support::proc::children(run.id() as i32);
            let child = eventually("a child", || {
                let is_shell = |pid: i32| {
                    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "sh")
                };
                children().into_iter().find(|child| is_shell(child.pid))
            });
            assert_eq!(owner(child.pid as u32), 54321, "the child is as usual");
        }
        assert_eq!(owner(run.id()), 0, "hangs: {hangs}");
        run.kill().expect("it lives");
        run.wait().expect("it ends");
    }
    // Without a secret, nothing is different from before.
    let server = FaultServer::start();
    let dir = tempfile::tempdir().expect("a directory");
    let mut run = as_ordinary_user(&server, dir.path(), "plain");
    eventually("a child", || {
        (!super::support::proc::children(run.id() as i32).is_empty()).then_some(())
    });
    assert_eq!(owner(run.id()), 54321);
    run.kill().expect("it lives");
    run.wait().expect("it ends");
}

#[test]
fn runmate_dumps_no_core_and_children_as_they_were_told() {
    let server = FaultServer::start();
    server.secret(&secret("db"), "value");
    let config =
        "[process.app]\ncommand = 'ulimit -Sc; ulimit -Hc; echo ready; read line'\nstdin = \"inherit\"\n";
    let mut setup = with_server(config, &server).env("DB", &secret("db"));
    setup.command().stdin(Stdio::piped());
    // SAFETY: the closure makes one system call, on memory of its own.
    unsafe {
        setup.command().pre_exec(|| {
            let limit = libc::rlimit {
                rlim_cur: 512 * 10,
                rlim_max: 512 * 20,
            };
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
            Ok(())
        })
    };
    let run = setup.start();
    run.wait_for_message("app", "ready");
    let limits = fs::read_to_string(format!("/proc/{}/limits", run.pid)).expect("readable");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    let core: Vec<_> = core.expect("a line").split_ascii_whitespace().collect();
    assert_eq!(core[4], "0", "{limits}");
    run.signal(libc::SIGTERM);
    let exit = run.exit();
    // In blocks of 512 bytes: dash's and bash's `ulimit -c` in sh mode.
    assert_eq!(exit.messages("app")[..2], ["10", "20"]);
}

#[test]
fn without_a_secret_the_core_limit_stays() {
    let mut setup = Setup::new(&app(""));
    // SAFETY: the closure makes one system call, on memory of its own.
    unsafe {
        setup.command().pre_exec(|| {
            let limit = libc::rlimit {
                rlim_cur: 5120,
                rlim_max: 10240,
            };
            libc::setrlimit(libc::RLIMIT_CORE, &limit);
            Ok(())
        })
    };
    let run = setup.start();
    env_of(&run, "app");
    let limits = fs::read_to_string(format!("/proc/{}/limits", run.pid)).expect("readable");
    let core = limits.lines().find(|line| line.starts_with("Max core file size"));
    assert!(core.is_some_and(|line| line.contains("5120")), "{limits}");
    stop(&run);
}
