//! The port the platform connects to, and who listens there.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use crate::config::{Probe, Process};
use crate::output::{Level, Line};
use crate::process::{Listener, missing_listener};

/// When `$PORT` must be listened on. Platforms give up on a new container after 25 s or more.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// The address that the platform connects to, from the value of `$PORT`.
pub(super) fn platform_address(port: Option<&str>) -> Option<SocketAddr> {
    let port = port?.parse().ok().filter(|port| *port != 0)?;
    Some(SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)))
}

/// A warning if nobody can be reached where the platform connects.
pub(super) fn check_platform_address(expected: SocketAddr, listeners: &[Listener]) -> Option<Line> {
    let why = missing_listener(expected, listeners)?;
    Some(
        Line::new(
            Level::Warn,
            "port_not_served",
            format!("{why}; the platform connects to {expected} (from $PORT)"),
        )
        .with("expected", expected.to_string()),
    )
}

/// Why a probe of an address failed, in terms of what does listen.
pub(super) fn explain_probe(process: &Process, listeners: &[Listener]) -> Option<String> {
    let address = match &process.ready.as_ref()?.probe {
        Probe::Http(target) => target.address,
        Probe::Tcp(address) => *address,
        Probe::Exec(_) | Probe::Log(_) | Probe::Fd(_) => return None,
    };
    Some(match missing_listener(address, listeners) {
        Some(why) => format!("{why}; expected {address}"),
        None => format!("something listens on {address}, but does not answer as expected"),
    })
}
