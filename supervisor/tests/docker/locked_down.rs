//! The least a container can have: no root, no writable file, no capability, no file but runmate.

use crate::docker::{Container, Images};

/// `docker run` options for it.
pub const LOCKED: &[&str] = &[
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

/// The only program in a scratch image is runmate, so it is the main process too.
fn probing(restart: &str) -> String {
    format!(
        "RUNMATE_CONFIG_INLINE=[process.app]\n\
         command = [\"/runmate\", \"probe\", \"http://127.0.0.1:9180/livez\"]\n{restart}"
    )
}

#[test]
fn it_runs_from_scratch_with_nothing_but_itself() {
    let config = probing("");
    let container = Container::run(Images::scratch(), &[LOCKED, &["-e", &config]].concat(), &[]);
    assert_eq!(
        container.wait(),
        0,
        "the probe finds the health of the runmate that started it"
    );
    container.exit_line();
}

#[test]
fn probe_answers_in_a_scratch_image() {
    let backoff = "restart = \"always\"\nbackoff = { min = \"200ms\", max = \"200ms\", restarts = 10000 }\n";
    let config = probing(backoff);
    let container = Container::run(Images::scratch(), &[LOCKED, &["-e", &config]].concat(), &[]);
    container.until("probe succeeds", |c| {
        probe(c, "http://127.0.0.1:9180/livez") == Some(0)
    });
    assert_eq!(
        probe(&container, "http://127.0.0.1:9/livez"),
        Some(1),
        "nothing listens there"
    );
    assert_eq!(
        probe(&container, "http://127.0.0.1:9180/nowhere"),
        Some(1),
        "404 is not well"
    );
    container.stop();
    container.exit_line();
}

/// The exit code of a HEALTHCHECK command.
fn probe(container: &Container, url: &str) -> Option<i32> {
    container.exec(&["/runmate", "probe", url]).status.code()
}
