//! Again only where it helps, never beyond the deadline.

mod support;

use std::time::Duration;

use support::fault::{
    BATCH_GET_SECRET, ConnectionFault, Fault, FaultServer, GET_PARAMETERS, GET_SECRET, Wrong,
};
use support::{REGION, Resolve, parameter_arn, secret_arn};

fn server() -> (FaultServer, String, String) {
    let server = FaultServer::start();
    let (secret, parameter) = (secret_arn(REGION, "app/db"), parameter_arn(REGION, "/app/key"));
    server.secret(&secret, "value").parameter(&parameter, "value");
    (server, secret, parameter)
}

#[test]
fn passing_troubles_pass() {
    for (fault, times) in [
        (Fault::Throttle(None), 3),
        (Fault::ServerError, 2),
        (Fault::Unavailable, 2),
        (Fault::Close, 2),
    ] {
        for (of, action) in [(0, "secret"), (1, "parameter")] {
            let (server, secret, parameter) = server();
            server.fault("*", fault.clone(), times);
            let reference = [secret, parameter][of].clone();
            let resolved = Resolve::with(&server).get("NAME", &reference).run();
            assert_eq!(resolved.value("NAME"), "value", "{fault:?} of a {action}");
            assert_eq!(server.calls().len(), times + 1, "{fault:?} of a {action}");
        }
    }
}

#[test]
fn connections_that_are_reset_are_made_again() {
    let (server, secret, _) = server();
    server.connection_fault(ConnectionFault::Reset, 2);
    let resolved = Resolve::with(&server).get("NAME", &secret).run();
    assert_eq!(resolved.value("NAME"), "value");
    assert_eq!((server.connections(), server.calls().len()), (3, 1));
}

#[test]
fn what_will_not_pass_is_asked_once() {
    for wrong in [Wrong::Denied, Wrong::Kms, Wrong::KeyDisabled] {
        let (server, _, parameter) = server();
        server.wrong(&parameter, wrong);
        Resolve::with(&server).get("NAME", &parameter).run();
        assert_eq!(server.count(GET_PARAMETERS), 1, "{wrong:?}");
    }
    for wrong in [
        Wrong::Denied,
        Wrong::Kms,
        Wrong::KeyDisabled,
        Wrong::ScheduledForDeletion,
    ] {
        let (server, secret, _) = server();
        server.wrong(&secret, wrong);
        let staged = format!("{secret}::AWSCURRENT:");
        Resolve::with(&server).get("NAME", &staged).run();
        assert_eq!(server.calls().len(), 1, "{wrong:?}: {:#?}", server.calls());
    }
    for fault in [Fault::ExpiredToken, Fault::UnknownKey] {
        let (server, _, parameter) = server();
        server.fault("*", fault.clone(), usize::MAX);
        Resolve::with(&server).get("NAME", &parameter).run();
        assert_eq!(server.calls().len(), 1, "{fault:?}");
    }
    let (server, ..) = server();
    let none = secret_arn(REGION, "none");
    Resolve::with(&server)
        .get("NAME", &format!("{none}::AWSCURRENT:"))
        .run();
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn a_service_that_says_when_is_asked_then() {
    let (server, secret, _) = server();
    server.fault("*", Fault::Throttle(Some(2)), 1);
    let resolved = Resolve::with(&server).get("NAME", &secret).run();
    assert_eq!(resolved.value("NAME"), "value");
    let calls = server.calls();
    assert_eq!(calls.len(), 2);
    let waited = calls[1].at - calls[0].at;
    assert!(waited >= Duration::from_secs(2), "{waited:?}");
}

#[test]
fn a_service_that_says_too_late_is_not_asked_again() {
    let (server, secret, _) = server();
    server.fault("*", Fault::Throttle(Some(60)), usize::MAX);
    let resolve = Resolve::with(&server).timeout(Duration::from_secs(2));
    let resolved = resolve.get("NAME", &secret).run();
    assert_eq!(resolved.kind("NAME"), "throttled");
    assert!(resolved.took < Duration::from_secs(3), "{:?}", resolved.took);
    assert_eq!(server.calls().len(), 1);
}

#[test]
fn throttling_without_end_ends_in_time() {
    let (server, secret, parameter) = server();
    server.fault("*", Fault::Throttle(None), usize::MAX);
    let resolve = Resolve::with(&server).timeout(Duration::from_secs(2));
    let resolved = resolve.get("SECRET", &secret).get("PARAMETER", &parameter).run();
    assert_eq!(resolved.kind("SECRET"), "throttled");
    assert_eq!(resolved.kind("PARAMETER"), "throttled");
    assert_eq!(resolved.entry("SECRET")["class"], "Unavailable");
    assert!(resolved.took < Duration::from_secs(3), "{:?}", resolved.took);
    let calls = server.calls().len();
    assert!((4..=60).contains(&calls), "with pauses that grow: {calls}");
}

#[test]
fn whoever_hangs_is_left_at_the_deadline() {
    for fault in [Fault::Hang, Fault::HangInBody] {
        let (server, secret, parameter) = server();
        server.fault(BATCH_GET_SECRET, fault.clone(), usize::MAX);
        server.fault(GET_SECRET, fault.clone(), usize::MAX);
        let resolve = Resolve::with(&server).timeout(Duration::from_secs(2));
        let resolved = resolve.get("SECRET", &secret).get("PARAMETER", &parameter).run();
        assert_eq!(resolved.kind("SECRET"), "timed_out", "{fault:?}");
        assert_eq!(resolved.entry("SECRET")["class"], "Unavailable");
        assert_eq!(resolved.value("PARAMETER"), "value", "the others are not lost");
        assert!(
            resolved.took < Duration::from_secs(3),
            "{fault:?}: {:?}",
            resolved.took
        );
    }
}

#[test]
fn a_connection_that_hangs_is_left_at_the_deadline() {
    let (server, secret, _) = server();
    server.connection_fault(ConnectionFault::Hang, usize::MAX);
    let resolve = Resolve::with(&server).timeout(Duration::from_secs(2));
    let resolved = resolve.get("NAME", &secret).run();
    assert_eq!(resolved.kind("NAME"), "timed_out");
    assert!(resolved.took < Duration::from_secs(3), "{:?}", resolved.took);
}

fn one_attempt(fault: Fault) {
    let (server, secret, _) = server();
    server.fault("*", fault.clone(), 1);
    let resolved = Resolve::with(&server).get("NAME", &secret).run();
    assert_eq!(resolved.value("NAME"), "value", "{fault:?}");
    assert!(
        resolved.took < Duration::from_secs(20),
        "{fault:?}: {:?}",
        resolved.took
    );
    assert_eq!(server.calls().len(), 2);
}

#[test]
fn one_attempt_that_hangs_is_not_the_end() {
    one_attempt(Fault::Hang);
}

#[test]
fn one_answer_that_hangs_is_not_the_end() {
    one_attempt(Fault::HangInBody);
}
