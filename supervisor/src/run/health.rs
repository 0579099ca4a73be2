//! The machine's view as the health endpoints tell it.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use runmate_health::{Access, Component, Health, Phase as HealthPhase, Snapshot, Status};

use crate::config::{self, Text};
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
        // One that is a secret comes later.
        let token = config.token.as_ref().and_then(Text::literal);
        Access::Token(token.map(str::to_owned))
    };
    Health::new(access)
}

/// What to publish. `migrate`: the task that migrates, if there is one.
pub(super) fn snapshot(view: &View, names: &[String], migrate: Option<ProcessId>, now: Duration) -> Snapshot {
    let name = |process: &ProcessId| names[process.0].as_str();
    let list = |processes: &[ProcessId]| processes.iter().map(name).collect::<Vec<_>>().join(", ");
    // Everybody waits for it, so until it is settled nothing else happens.
    let migrating = migrate.is_some_and(|migrate| view.unready.contains(&migrate));
    let phase = match view.phase {
        Phase::Booting => HealthPhase::Booting,
        Phase::Starting if migrating => HealthPhase::Migrating,
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
        _ if migrating && view.phase == Phase::Starting => Err("the database is being migrated".to_owned()),
        unready => Err(format!("not ready: {}", list(unready))),
    };
    let components = view.processes.iter().zip(names).map(|(process, name)| {
        let (status, output) = match process.state {
            "ready" | "done" => (Status::Pass, None),
            state @ ("restarting" | "ended") => (Status::Warn, Some(format!("{name} is {state}"))),
            // In a drain everybody does.
            "stopping" if matches!(view.phase, Phase::Starting | Phase::Up) => {
                (Status::Warn, Some(format!("{name} is being stopped")))
            }
            _ if process.restarts > 0 => (Status::Warn, Some(format!("{name} is starting again"))),
            _ => (Status::Pass, None),
        };
        let mut component = Component::new(name, process.state, status);
        component.pid = process.pid;
        component.restarts = process.restarts;
        component.uptime = process.ready_since.map(|since| now.saturating_sub(since));
        component.output = output;
        component
    });
    // Whoever is down while the container runs is being restarted: the end of anybody else who must
    // stay would have started the drain.
    let degraded = !view.down.is_empty();
    let mut snapshot = Snapshot::new(phase);
    snapshot.healthy = healthy;
    snapshot.ready = ready;
    snapshot.degraded = degraded;
    snapshot.components = components.collect();
    snapshot.since_start = now;
    snapshot
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::machine::ProcessView;

    /// What is said of a process that was ready once, in this phase.
    fn said(phase: Phase, state: &'static str) -> Snapshot {
        let process = ProcessView {
            state,
            pid: None,
            ready_since: None,
            restarts: 0,
        };
        let view = View {
            phase,
            processes: vec![process],
            down: vec![ProcessId(0)],
            unready: vec![ProcessId(0)],
        };
        snapshot(&view, &["app".to_owned()], None, Duration::ZERO)
    }

    #[test]
    fn a_process_that_is_stopped_for_a_new_life_is_a_warning_and_not_up() {
        let said = said(Phase::Up, "stopping");
        assert_eq!(said.healthy, Err("not up: app".to_owned()));
        assert!(said.degraded, "it is being mended");
        let app = &said.components[0];
        assert_eq!(
            (app.status, app.output.as_deref()),
            (Status::Warn, Some("app is being stopped"))
        );
    }

    #[test]
    fn a_process_that_stops_with_the_container_is_no_warning_of_its_own() {
        let said = said(Phase::Draining, "stopping");
        assert_eq!(
            (said.components[0].status, &said.components[0].output),
            (Status::Pass, &None)
        );
    }
}
