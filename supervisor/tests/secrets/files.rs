//! `as = "file"`: in memory, for one user, for as long as we run.

use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::fault::FaultServer;
use super::{app, assert_unsaid, env_of, secret, stop, with_server};

fn config(sidecars: &str) -> String {
    let named = format!("[secrets.KEY]\nfrom = {:?}\nas = \"file\"\n", secret("key"));
    app("") + sidecars + &named
}

#[test]
fn the_variable_holds_the_path_of_a_file_that_goes_with_us() {
    let server = FaultServer::start();
    // ff 00 fe: files take any bytes.
    server.binary_secret(&secret("key"), "/wD+");
    let run = with_server(&config(""), &server).start();
    let env = env_of(&run, "app");
    let path = Path::new(env["KEY"].as_str().expect("a path"));
    assert!(path.starts_with("/dev/shm"), "{path:?}");
    assert_eq!(std::fs::read(path).expect("readable"), [0xff, 0, 0xfe]);
    let data = path.metadata().expect("there");
    // SAFETY: no memory is involved.
    let own = unsafe { (libc::geteuid(), libc::getegid()) };
    assert_eq!(
        (data.mode() & 0o7777, data.uid(), data.gid()),
        (0o400, own.0, own.1)
    );
    let top = path.components().take(4).collect::<std::path::PathBuf>();
    stop(&run);
    assert!(!top.exists(), "{top:?} is left behind");
}

#[test]
fn each_user_has_a_copy_of_its_own() {
    let server = FaultServer::start();
    server.secret(&secret("key"), "value of the key");
    // SAFETY: no memory is involved.
    let root = unsafe { libc::geteuid() } == 0;
    assert!(root, "this test starts processes as other users: run it as root");
    let setup = with_server("", &server);
    let fixture = setup.dir().join("fixture");
    super::support::install(&super::support::fixture_path(), &fixture, 0o755);
    let line = |steps: &str| {
        let mut argv = vec![fixture.display().to_string()];
        argv.extend(steps.split(' ').map(str::to_owned));
        serde_json::to_string(&argv).expect("strings")
    };
    let reader = format!(
        "[process.reader]\ncommand = {}\nuser = \"54321:54322\"\nsecrets = [\"KEY\"]\n\
         [process.cat]\nkind = \"task\"\ncommand = 'cat \"$KEY\"'\nuser = \"54321:54322\"\nsecrets = [\"KEY\"]\n",
        line("env wait TERM")
    );
    std::fs::write(
        setup.dir().join("own.toml"),
        config(&reader) + "[health]\nlisten = \"off\"\n",
    )
    .expect("write");
    let run = setup.args(["run", "-c", "own.toml"]).start();
    let (own, other) = (env_of(&run, "app"), env_of(&run, "reader"));
    assert_ne!(own["KEY"], other["KEY"]);
    let data = Path::new(other["KEY"].as_str().expect("a path"))
        .metadata()
        .expect("there");
    assert_eq!(
        (data.mode() & 0o7777, data.uid(), data.gid()),
        (0o400, 54321, 54322)
    );
    let value = run.wait_for_message("cat", "value of the key");
    assert_eq!(value["stream"], "stdout", "it can read it");
    stop(&run);
}

#[test]
fn nothing_is_left_behind_by_a_start_that_fails() {
    let server = FaultServer::start();
    server.secret(&secret("key"), "value of the key");
    let more = "[process.other]\ncommand = [\"/nonexistent/program\"]\nsecrets = [\"KEY\"]\n";
    let run = with_server(&config(more), &server).start();
    let pid = run.pid;
    let exit = run.exit();
    assert_ne!(exit.code, Some(0));
    assert_unsaid(&exit, &["value of the key"]);
    let left = std::fs::read_dir("/dev/shm").expect("readable").flatten();
    let ours = format!("runmate-{pid}.");
    let left: Vec<_> = left
        .filter(|entry| entry.file_name().to_string_lossy().starts_with(&ours))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}
