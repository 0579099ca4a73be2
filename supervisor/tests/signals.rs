//! Signals that arrive at runmate and go on to the processes.

mod support;

use runmate::signal::Signal;
use support::{Exit, Runmate, Setup, process};

/// Every signal that may stand on the left of `signals`.
fn forwardable() -> Vec<Signal> {
    let all = (1..=Signal::MAX).filter_map(Signal::from_number);
    all.filter(|signal| signal.can_be_forwarded() && !signal.starts_drain())
        .collect()
}

/// How often the process said that it got the signal.
fn count(lines: &[serde_json::Value], process: &str, signal: Signal) -> usize {
    let text = format!("got {signal}");
    lines
        .iter()
        .filter(|line| line["process"] == process && line["message"] == text.as_str())
        .count()
}

fn stop(run: &Runmate) -> Exit {
    run.signal(libc::SIGTERM);
    run.exit()
}

#[test]
fn every_signal_of_the_config_arrives_as_often_as_it_was_sent() {
    let signals: Vec<String> = forwardable()
        .iter()
        .map(|signal| format!("\"{signal}\" = \"{signal}\""))
        .collect();
    let more = format!("signals = {{ {} }}", signals.join(", "));
    let run = Setup::new(&process("app", "ready wait TERM exit 9", &more)).start();
    run.wait_for_message("app", "ready");
    for times in 1..=2 {
        for signal in forwardable() {
            run.signal(signal.number());
            run.wait_until(&format!("{signal} number {times}"), |lines| {
                (count(lines, "app", signal) == times).then_some(())
            });
        }
    }
    let exit = stop(&run);
    assert_eq!(exit.code, Some(9));
    let got = exit.messages("app").len();
    assert_eq!(got, 1 + 2 * forwardable().len() + 1, "ready, each twice, SIGTERM");
}

#[test]
fn by_default_hup_usr1_usr2_and_winch_reach_main_and_nobody_else() {
    let config = process("app", "ready wait TERM", "") + &process("sidecar", "ready wait TERM", "");
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("sidecar", "ready");
    let expected = [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH];
    for signal in expected {
        run.signal(signal.number());
        run.wait_for_message("app", &format!("got {signal}"));
    }
    let exit = stop(&run);
    assert_eq!(
        exit.messages("app"),
        [
            "ready",
            "got SIGHUP",
            "got SIGUSR1",
            "got SIGUSR2",
            "got SIGWINCH",
            "got SIGTERM"
        ]
    );
    assert_eq!(exit.messages("sidecar"), ["ready", "got SIGTERM"]);
}

#[test]
fn a_signal_may_become_another_one_and_reach_several() {
    let more = "signals = { SIGHUP = \"SIGUSR2\" }";
    let config = process("app", "ready wait TERM", more) + &process("sidecar", "ready wait TERM", more);
    let run = Setup::new(&config).start();
    for name in ["app", "sidecar"] {
        run.wait_for_message(name, "ready");
    }
    // Taken by runmate as ever, and meant for nobody.
    run.signal(libc::SIGUSR1);
    run.signal(libc::SIGHUP);
    for name in ["app", "sidecar"] {
        run.wait_for_message(name, "got SIGUSR2");
    }
    let exit = stop(&run);
    for name in ["app", "sidecar"] {
        assert_eq!(exit.messages(name), ["ready", "got SIGUSR2", "got SIGTERM"]);
    }
}

#[test]
fn the_stop_signal_of_a_process_is_its_own() {
    let config = process("app", "ready wait INT exit 4", "stop = { signal = \"SIGINT\" }")
        + &process(
            "sidecar",
            "ready wait QUIT exit 0",
            "stop = { signal = \"SIGQUIT\" }",
        );
    let run = Setup::new(&config).start();
    run.wait_for_message("app", "ready");
    run.wait_for_message("sidecar", "ready");
    let exit = stop(&run);
    assert_eq!(exit.code, Some(4));
    assert_eq!(exit.messages("app"), ["ready", "got SIGINT"]);
    assert_eq!(exit.messages("sidecar"), ["ready", "got SIGQUIT"]);
}

#[test]
fn a_signal_while_main_waits_to_be_restarted_is_for_nobody() {
    let more = "restart = \"always\"\nbackoff = { min = \"60s\", max = \"60s\" }";
    let run = Setup::new(&process("app", "exit 0", more)).start();
    run.wait_for_event("restarting", "app");
    for signal in [Signal::HUP, Signal::USR1, Signal::USR2, Signal::WINCH] {
        run.signal(signal.number());
    }
    assert_eq!(stop(&run).code, Some(143));
}

#[test]
fn a_stop_reaches_a_runmate_that_was_started_with_signals_blocked() {
    let mut setup = Setup::new(&process("app", "ready wait TERM exit 5", ""));
    support::start_with(&mut setup, &[], &[libc::SIGTERM, libc::SIGCHLD]);
    let run = setup.start();
    run.wait_for_message("app", "ready");
    assert_eq!(stop(&run).code, Some(5));
}
