//! Out of memory: said, not guessed.

use crate::docker::{Container, Images};

#[test]
fn an_oom_kill_is_named_in_the_exit_line() {
    // Perl and not runmate is what the kernel finds too big.
    let hog = "print \"growing\\n\"; $x .= \"x\" x (1 << 20) for 1 .. 512; print \"grown\\n\"; sleep 1000";
    let limit = ["-m", "64m", "--memory-swap", "64m"];
    let container = Container::run(Images::debian(), &limit, &["perl", "-e", hog]);
    assert_eq!(container.wait(), 137);
    let exit = container.exit_line();
    assert_eq!(exit["oom"], true, "{exit}");
    assert!(!container.said("grown"), "64 MiB were no limit here");
}

#[test]
fn a_plain_sigkill_is_not_called_oom() {
    let container = Container::run(Images::debian(), &["-m", "64m"], &["sh", "-c", "kill -9 $$"]);
    assert_eq!(container.wait(), 137);
    let exit = container.exit_line();
    assert_ne!(exit["oom"], true, "{exit}");
}
