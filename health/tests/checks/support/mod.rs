//! What the tests share: servers of their own, a proxy that can freeze, certificates.

pub mod certificates;
pub mod daemon;
pub mod mariadb;
pub mod postgres;
#[path = "../../../../supervisor/tests/support/programs.rs"]
pub mod programs;
pub mod proxy;
pub mod redis;

use std::future::Future;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use runmate_health::{Check, Failure, FailureKind, Looked};

/// Longer than any look of these tests takes; it only ends what would hang.
const LONG: Duration = Duration::from_secs(30);

/// One look, as the scheduler does it; `None` if it was given up after `limit`.
pub async fn look_for(check: &(impl Check + ?Sized), limit: Duration) -> Option<Looked> {
    tokio::time::timeout(limit, check.look()).await.ok()
}

/// One look that has all the time.
pub async fn look(check: &(impl Check + ?Sized)) -> Looked {
    look_for(check, LONG).await.expect("a look ends")
}

/// One look that has to pass.
pub async fn passes(check: &(impl Check + ?Sized)) {
    if let Err(failure) = look(check).await {
        panic!("it does not pass: {failure}");
    }
}

/// Why one look fails; of what it says nothing may be confidential.
pub async fn why(check: &(impl Check + ?Sized)) -> String {
    let Failure { kind, why, .. } = look(check).await.expect_err("it has to fail");
    assert_eq!(kind, FailureKind::Failed, "{why}");
    assert!(
        !why.contains(PASSWORD) && !why.contains(PASSWORD_ENCODED),
        "{why}"
    );
    why
}

/// The password of all servers: no character of it may stand in a URL as it is.
pub const PASSWORD: &str = "s/cr@t #1";
pub const PASSWORD_ENCODED: &str = "s%2Fcr%40t%20%231";

/// Waits until something is so, and fails if it does not become so.
pub async fn until<F: Future<Output = bool>>(what: &str, mut is_so: impl FnMut() -> F) {
    let deadline = Instant::now() + LONG;
    while !is_so().await {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Set in a process that runs a single test.
const ALONE: &str = "RUNMATE_TEST_ALONE";

/// Runs a test in a process of its own, with variables of its own, started by `wrapper` if that is not empty.
/// There `inside` is called; `prepare` makes the variables, and what has to stay until that has ended.
pub fn alone<T>(
    test: &str,
    wrapper: &[&str],
    prepare: impl FnOnce() -> (Vec<(&'static str, PathBuf)>, T),
    inside: impl FnOnce(),
) {
    if std::env::var_os(ALONE).is_some_and(|name| name == test) {
        return inside();
    }
    let itself = std::env::current_exe().expect("this program");
    let mut words: Vec<_> = wrapper.iter().map(|word| (*word).into()).collect();
    words.push(itself.into_os_string());
    let (variables, _kept) = prepare();
    let output = Command::new(&words[0])
        .args(&words[1..])
        .args(["--exact", test, "--nocapture"])
        .env(ALONE, test)
        .envs(variables)
        .output()
        .unwrap_or_else(|error| panic!("cannot run {:?}: {error}", words[0]));
    let said = [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned());
    assert!(output.status.success(), "{}\n{}", said[0], said[1]);
    assert!(
        said[0].contains("1 passed"),
        "no test is called {test}: {}",
        said[0]
    );
}

/// A runtime like the one that checks have in PID 1.
pub fn block_on(future: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime")
        .block_on(future);
}

/// A path that a test got from who runs it alone.
pub fn given(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"))
}
