//! Who a process is and what it finds at its start.
//!
//! These tests change identities and therefore need root, as in a container of CI.

mod support;

use std::ffi::CString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

use serde_json::{Value, json};
use support::{Setup, install, process};

fn need_root() {
    // SAFETY: no memory is involved.
    let uid = unsafe { libc::geteuid() };
    assert_eq!(
        uid, 0,
        "this test starts processes as other users: run it as root"
    );
}

/// Makes the working directory an image with nothing but the static programs and these two files, and
/// has runmate see it as `/`, running as `uid`.
fn in_image(setup: &mut Setup, uid: u32, passwd: &str, group: &str) {
    let root = setup.dir().to_owned();
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    let runmate = Path::new(env!("CARGO_BIN_EXE_runmate"));
    for program in [runmate, &support::fixture_path()] {
        install(program, &inside(program.to_str().unwrap()), 0o755);
    }
    fs::create_dir(inside("/etc")).unwrap();
    fs::write(inside("/etc/passwd"), passwd).unwrap();
    fs::write(inside("/etc/group"), group).unwrap();
    // Every container has it, whatever its image.
    fs::create_dir(inside("/dev")).unwrap();
    let null = CString::new(inside("/dev/null").as_os_str().as_bytes()).unwrap();
    // SAFETY: the path ends in NUL.
    let made = unsafe { libc::mknod(null.as_ptr(), libc::S_IFCHR | 0o666, libc::makedev(1, 3)) };
    assert_eq!(made, 0, "mknod: {}", std::io::Error::last_os_error());
    fs::set_permissions(inside("/dev/null"), fs::Permissions::from_mode(0o666)).unwrap();
    // SAFETY: the closure makes only system calls, on memory that lives for ever.
    unsafe {
        setup.command().pre_exec(move || {
            let done = libc::chroot(c".".as_ptr()) == 0
                && libc::setgroups(0, std::ptr::null()) == 0
                && libc::setgid(uid) == 0
                && libc::setuid(uid) == 0;
            done.then_some(()).ok_or_else(std::io::Error::last_os_error)
        })
    };
}

/// Copies the fixture to where any user can get at it: the target directory may be closed to others.
fn public_fixture(setup: &Setup) {
    install(&support::fixture_path(), &setup.dir().join("fixture"), 0o755);
}

/// Runs `./fixture STEPS` with these keys and returns the JSON line with this field.
fn tell(steps: &str, more: &str, field: &str) -> Value {
    tell_with(steps, more, field, |_| {})
}

fn tell_with(steps: &str, more: &str, field: &str, prepare: impl FnOnce(&mut Setup)) -> Value {
    let words: Vec<&str> = ["./fixture"].into_iter().chain(steps.split(' ')).collect();
    let mut setup = Setup::new(&format!("[process.app]\ncommand = {}\n{more}", json!(words)));
    public_fixture(&setup);
    prepare(&mut setup);
    let exit = setup.start().exit();
    assert_eq!(exit.code, Some(0), "{:?}", exit.lines);
    let line = exit.lines.into_iter().find(|line| !line[field].is_null());
    line.unwrap_or_else(|| panic!("no {field}"))
}

/// An account of this machine: uid, gid, home.
fn account(name: &str) -> (u32, u32, String) {
    let passwd = fs::read_to_string("/etc/passwd").unwrap();
    let mut lines = passwd.lines().map(|line| line.split(':').collect::<Vec<_>>());
    let line = lines.find(|line| line[0] == name).expect("an account");
    (
        line[2].parse().unwrap(),
        line[3].parse().unwrap(),
        line[5].to_owned(),
    )
}

/// Real, effective and saved: none is root's any more.
fn all_three(id: u32) -> Value {
    json!([id, id, id])
}

#[test]
fn a_user_by_name_brings_its_group_and_its_home() {
    need_root();
    let (uid, gid, home) = account("nobody");
    let more = "user = \"nobody\"\nenv_inherit = true";
    let ids = tell("ids", more, "uids");
    assert_eq!(ids["uids"], all_three(uid));
    assert_eq!(ids["gids"], all_three(gid));
    let found = tell_with("env", more, "env", |setup| {
        setup.command().env("HOME", "/root").env("USER", "root");
    });
    assert_eq!(found["env"]["HOME"], home.as_str());
    assert_eq!(found["env"]["USER"], "nobody");
    assert_eq!(found["env"]["LOGNAME"], "nobody");
}

#[test]
fn a_user_by_numbers_needs_no_account() {
    need_root();
    let more = "user = \"54321:54322\"";
    let ids = tell("ids", more, "uids");
    assert_eq!(ids["uids"], all_three(54321));
    assert_eq!(ids["gids"], all_three(54322));
    assert_eq!(ids["groups"], json!([]), "root's groups are gone");
    let found = tell_with("env", more, "env", |setup| {
        setup.command().env("HOME", "/somewhere");
    });
    assert_eq!(found["env"]["HOME"], "/somewhere");
}

#[test]
fn supplementary_groups_come_from_the_image() {
    need_root();
    let config = process("app", "ids wait TERM", "user = \"web\"")
        + &process("sidecar", "ids wait TERM", "user = \"web:logs\"");
    let mut setup = Setup::new(&config);
    let passwd = "root:x:0:0::/root:/bin/sh\nweb:x:3001:3002::/srv/web:/bin/false\n";
    let group = "web:x:3002:\nadm:x:3003:web,other\nlogs:x:3004:web\nother:x:3005:other\n";
    in_image(&mut setup, 0, passwd, group);
    let run = setup.start();
    let ids = |name: &str| {
        run.wait_for(&format!("ids of {name}"), |line| {
            line["process"] == name && !line["uids"].is_null()
        })
    };
    let app = ids("app");
    assert_eq!(app["uids"], all_three(3001));
    assert_eq!(app["gids"], all_three(3002));
    assert_eq!(app["groups"], json!([3003, 3004]));
    let sidecar = ids("sidecar");
    assert_eq!(sidecar["gids"], all_three(3004));
    assert_eq!(sidecar["groups"], json!([3003]));
}

#[test]
fn it_runs_in_an_empty_image_as_any_user() {
    need_root();
    let mut setup = Setup::new(&process("app", "ready wait TERM exit 6", ""));
    in_image(&mut setup, 4321, "", "");
    let run = setup.start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGTERM);
    assert_eq!(run.exit().code, Some(6));
}

#[test]
fn without_a_path_the_usual_places_are_searched() {
    need_root();
    let mut setup = Setup::new("[process.app]\ncommand = [\"tool\", \"exit\", \"6\"]\nenv_inherit = false");
    in_image(&mut setup, 0, "", "");
    let tool = setup.dir().join("usr/local/bin/tool");
    install(&support::fixture_path(), &tool, 0o755);
    assert_eq!(setup.start().exit().code, Some(6));
}

#[test]
fn without_root_another_user_cannot_be_had() {
    need_root();
    let mut setup = Setup::new(&process("app", "exit 0", "user = \"1:1\""));
    in_image(&mut setup, 4321, "", "");
    let exit = setup.start().exit();
    assert_eq!(exit.code, Some(126));
    let line = exit.lines.iter().find(|line| line["event"] == "cannot_start");
    let message = line.unwrap()["message"].as_str().unwrap();
    assert!(message.contains("cannot set its group id"), "{message}");
}

#[test]
fn umask_and_directory_are_set_or_inherited() {
    need_root();
    let dir = tempfile::tempdir().unwrap();
    let cwd = dir.path().canonicalize().unwrap();
    fs::set_permissions(&cwd, fs::Permissions::from_mode(0o755)).unwrap();
    install(&support::fixture_path(), &cwd.join("fixture"), 0o755);
    let more = format!("user = \"nobody\"\numask = \"0027\"\ncwd = \"{}\"", cwd.display());
    let ids = tell("ids", &more, "uids");
    assert_eq!(ids["umask"], "0027");
    assert_eq!(ids["cwd"], cwd.to_str().unwrap());

    let ids = tell_with("ids", "", "uids", |setup| {
        // SAFETY: one system call.
        unsafe {
            setup.command().pre_exec(|| {
                libc::umask(0o031);
                Ok(())
            })
        };
    });
    assert_eq!(ids["umask"], "0031");
}

#[test]
fn a_directory_that_the_user_may_not_enter_is_named() {
    need_root();
    let closed = tempfile::tempdir().unwrap();
    fs::set_permissions(closed.path(), fs::Permissions::from_mode(0o700)).unwrap();
    let config = format!(
        "[process.app]\ncommand = [\"true\"]\nuser = \"nobody\"\ncwd = \"{}\"",
        closed.path().display()
    );
    let exit = Setup::new(&config).start().exit();
    assert_eq!(exit.code, Some(126));
    let line = exit.lines.iter().find(|line| line["event"] == "cannot_start");
    let message = line.unwrap()["message"].as_str().unwrap();
    assert!(
        message.contains("cannot change to its working directory"),
        "{message}"
    );
}

#[test]
fn the_environment_is_inherited_as_far_as_the_config_says() {
    let env = |more: &str| {
        let run = Setup::new(&process("app", "env", more))
            .env("ONE", "1")
            .env("TWO", "2")
            .start();
        let exit = run.exit();
        let line = exit.lines.iter().find(|line| line["env"].is_object());
        let mut env = line.expect("env")["env"].clone();
        env.as_object_mut().unwrap().remove("PATH");
        env
    };
    assert_eq!(env(""), json!({"ONE": "1", "TWO": "2"}));
    assert_eq!(env("env_inherit = false"), json!({}));
    assert_eq!(env("env_inherit = [\"TWO\", \"THREE\"]"), json!({"TWO": "2"}));
    assert_eq!(
        env("env = { TWO = \"two\", THREE = \"${ONE}-$$-${NONE:-none}\" }"),
        json!({"ONE": "1", "TWO": "two", "THREE": "1-$-none"})
    );
    assert_eq!(
        env("env_inherit = false\nenv = { THREE = \"${ONE}\" }"),
        json!({"THREE": "1"})
    );
}

#[test]
fn every_process_leads_a_group_of_its_own_and_dies_with_runmate() {
    let config = process("app", "ids wait TERM", "") + &process("sidecar", "ids wait TERM", "");
    let run = Setup::new(&config).start();
    // SAFETY: no memory is involved.
    let session = unsafe { libc::getsid(run.pid) };
    for name in ["app", "sidecar"] {
        let ids = run.wait_for(&format!("ids of {name}"), |line| {
            line["process"] == name && !line["uids"].is_null()
        });
        assert_eq!(ids["group"], ids["own_pid"]);
        assert_eq!(ids["session"], session);
        assert_eq!(ids["death_signal"], libc::SIGKILL);
    }
}

#[test]
fn a_process_of_another_user_dies_with_runmate_too() {
    need_root();
    let setup = Setup::new("[process.app]\ncommand = [\"./fixture\", \"ids\", \"deaf\"]\nuser = \"nobody\"");
    public_fixture(&setup);
    let run = setup.start();
    let ids = run.wait_for("ids", |line| !line["uids"].is_null());
    assert_eq!(ids["death_signal"], libc::SIGKILL, "setuid clears it");
    let pid = ids["own_pid"].as_i64().unwrap() as i32;
    let app = support::proc::Process::look(pid).unwrap();
    run.signal(libc::SIGKILL);
    run.end();
    app.wait_gone();
}

#[test]
fn signals_are_as_by_default_whatever_runmate_was_started_with() {
    // Not the fixture: the runtime of a Rust program ignores SIGPIPE before its main.
    let mut setup = Setup::new("[process.app]\ncommand = [\"cat\", \"/proc/self/status\"]");
    support::start_with(
        &mut setup,
        &[
            libc::SIGINT,
            libc::SIGHUP,
            libc::SIGCHLD,
            libc::SIGUSR2,
            libc::SIGPIPE,
            40,
        ],
        &[libc::SIGINT, libc::SIGTERM, libc::SIGCHLD, libc::SIGALRM, 41],
    );
    let exit = setup.start().exit();
    assert_eq!(exit.code, Some(0));
    let status = exit.messages("app");
    for field in ["SigBlk:", "SigIgn:", "SigCgt:"] {
        let set = status
            .iter()
            .find_map(|line| line.strip_prefix(field))
            .expect(field);
        let set = u64::from_str_radix(set.trim(), 16).unwrap();
        // 32 and 33 are the C library's own: it lets nobody touch them.
        assert_eq!(set & !(0b11 << 31), 0, "{field} {set:x}");
    }
}

#[test]
fn runmate_itself_stops_though_it_was_started_with_the_signals_ignored() {
    let mut setup = Setup::new(&process("app", "ready wait TERM exit 6", ""));
    let signals = &[libc::SIGINT, libc::SIGHUP, libc::SIGCHLD, libc::SIGTERM];
    support::start_with(&mut setup, signals, signals);
    let run = setup.start();
    run.wait_for_message("app", "ready");
    run.signal(libc::SIGHUP);
    run.wait_for_message("app", "got SIGHUP");
    run.signal(libc::SIGINT);
    assert_eq!(run.exit().code, Some(6));
}

#[test]
fn another_user_may_reopen_its_stdout() {
    need_root();
    let steps = ["/dev/stdout one", "/dev/stderr two", "/proc/self/fd/1 three"];
    let steps: Vec<String> = steps.iter().map(|step| format!("reopen {step}")).collect();
    let words: Vec<&str> = steps.iter().flat_map(|step| step.split(' ')).collect();
    let command = json!([vec!["./fixture"], words].concat());
    let setup = Setup::new(&format!("[process.app]\ncommand = {command}\nuser = \"nobody\""));
    public_fixture(&setup);
    let exit = setup.start().exit();
    let streams = |message: &str| {
        let line = exit.lines.iter().find(|line| line["message"] == message);
        line.unwrap_or_else(|| panic!("no {message}: {:?}", exit.lines))["stream"].clone()
    };
    assert_eq!(streams("one"), "stdout");
    assert_eq!(streams("two"), "stderr");
    assert_eq!(streams("three"), "stdout");
}

#[test]
fn without_dev_null_the_log_says_so() {
    need_root();
    let program = support::fixture_path().display().to_string();
    let config = format!("[process.app]\ncommand = {}", json!([program, "exit", "3"]));
    let mut setup = Setup::new(&config);
    in_image(&mut setup, 0, "", "");
    fs::remove_file(setup.dir().join("dev/null")).unwrap();
    let exit = setup.start().exit();
    assert_eq!(exit.code, Some(126));
    let line = &exit.lines[exit.position("cannot_start", "app").unwrap()];
    let message = line["message"].as_str().unwrap();
    assert!(
        message.starts_with("cannot start app: cannot open /dev/null: "),
        "{message}"
    );
}
