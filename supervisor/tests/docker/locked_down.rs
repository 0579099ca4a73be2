//! The least a container can have: no root, no writable file, no capability, no file but runmate.

use crate::docker::{Container, Images};

const LOCKED: &[&str] = &[
    "--user",
    "1000:1000",
    "--read-only",
    "--cap-drop",
    "ALL",
    "--security-opt",
    "no-new-privileges",
];

#[test]
fn it_runs_locked_down_on_debian() {
    let script =
        "id -u; touch /x 2>/dev/null || echo read-only; grep NoNewPrivs /proc/self/status; exec sleep 1000";
    let container = Container::run(Images::debian(), LOCKED, &["sh", "-c", script]);
    container.until_said("NoNewPrivs:\t1");
    assert!(container.said("1000") && container.said("read-only"));
    container.stop();
    assert_eq!(container.exit_code(), 143);
    container.exit_line();
}

#[test]
fn dev_stdout_can_be_opened_by_an_ordinary_user() {
    // As nginx does it for its access log. Docker's own pipe belongs to root; runmate's to the user.
    let container = Container::run(
        Images::debian(),
        LOCKED,
        &["sh", "-c", "echo opened > /dev/stdout"],
    );
    assert_eq!(container.wait(), 0);
    assert!(container.said("opened"));
}

#[test]
fn it_runs_from_scratch_with_nothing_but_itself() {
    // The only program in the image is runmate, so it is the main process too: an outer one that
    // supervises an inner one, which is no PID 1, finds no command and says so.
    let options = [LOCKED, &["-e", "RUNMATE_CONFIG_INLINE=[process.app]\ncommand = [\"/runmate\", \"probe\", \"http://127.0.0.1:9180/livez\"]\n"]].concat();
    let container = Container::run(Images::scratch(), &options, &[]);
    assert_eq!(
        container.wait(),
        0,
        "the probe finds the health of the runmate that started it"
    );
    container.exit_line();
}

#[test]
fn probe_answers_in_a_scratch_image() {
    // A supervisor as the app of a supervisor: the inner one stays until it is told to stop.
    let config = "RUNMATE_CONFIG_INLINE=[process.app]\n\
                  command = [\"/runmate\", \"run\", \"-c\", \"/dev/null\", \"--\", \"/runmate\", \"probe\"]\n\
                  restart = \"always\"\n";
    let options = [LOCKED, &["-e", config]].concat();
    let container = Container::run(Images::scratch(), &options, &[]);
    container.until("probe succeeds", |c| {
        c.exec(&["/runmate", "probe", "http://127.0.0.1:9180/livez"])
            .status
            .success()
    });
    let wrong_port = container.exec(&["/runmate", "probe", "http://127.0.0.1:9/livez"]);
    assert_eq!(
        wrong_port.status.code(),
        Some(1),
        "{}",
        String::from_utf8_lossy(&wrong_port.stdout)
    );
    container.stop();
    container.exit_line();
}
