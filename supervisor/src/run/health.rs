//! The machine's view as the health endpoints tell it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use runmate_health::{Access, Component, Health, Phase as HealthPhase, Snapshot, Status};

use crate::config;
use crate::machine::{Phase, ProcessId, View};
use crate::process::listeners;

/// Binds the port, before anything else is started. `Err` holds the sentence for the log.
pub(super) fn bind(address: SocketAddr) -> Result<TcpListener, String> {
    TcpListener::bind(address).map_err(|error| {
        let holder = listeners().into_iter().find(|listener| {
            listener.address.port() == address.port() && error.kind() == io::ErrorKind::AddrInUse
        });
        match holder {
            Some(listener) => format!("cannot listen on {address}: {listener}"),
            None => format!("cannot listen on {address}: {error}"),
        }
    })
}

/// The endpoints, ready to be published to.
pub(super) fn endpoints(config: &config::Health) -> Health {
    let access = if config.public_details {
        Access::Public
    } else {
        Access::Token(config.token.clone())
    };
    Health::new(access)
}

/// Serves until the program ends.
pub(super) async fn serve(health: Health, listener: TcpListener) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    axum::serve(listener, health.router()).await
}

/// What to publish.
pub(super) fn snapshot(view: &View, names: &[String], now: Duration) -> Snapshot {
    let name = |process: &ProcessId| names[process.0].as_str();
    let list = |processes: &[ProcessId]| processes.iter().map(name).collect::<Vec<_>>().join(", ");
    let phase = match view.phase {
        Phase::Booting => HealthPhase::Booting,
        Phase::Starting => HealthPhase::Starting,
        Phase::Up => HealthPhase::Up,
        Phase::Draining => HealthPhase::Draining,
        Phase::Exiting => HealthPhase::Exiting,
    };
    let healthy = match view.down.as_slice() {
        [] => Ok(()),
        down => Err(format!("not up: {}", list(down))),
    };
    let ready = match view.unready.as_slice() {
        [] if view.phase == Phase::Up => Ok(()),
        [] => Err(format!("the container is {}", phase.name())),
        unready => Err(format!("not ready: {}", list(unready))),
    };
    let components = view.processes.iter().zip(names).map(|(process, name)| {
        let (status, output) = match process.state {
            "ready" | "done" => (Status::Pass, None),
            state @ ("restarting" | "ended") => (Status::Warn, Some(format!("{name} is {state}"))),
            _ if process.restarts > 0 => (Status::Warn, Some(format!("{name} is starting again"))),
            _ => (Status::Pass, None),
        };
        Component {
            name: name.clone(),
            state: process.state.to_owned(),
            status,
            pid: process.pid,
            restarts: process.restarts,
            uptime: process.ready_since.map(|since| now.saturating_sub(since)),
            output,
        }
    });
    // Whoever is down while the container runs is being restarted: the end of anybody else who must
    // stay would have started the drain.
    let degraded = !view.down.is_empty();
    Snapshot {
        phase,
        healthy,
        ready,
        degraded,
        components: components.collect(),
        since_start: now,
    }
}
