//! runmate in real containers: what only a kernel, a container runtime and other people's servers can
//! show. Everything else is tested without them.
//!
//! `make test` runs this after `scripts/setup-tests.sh`, which provides Docker and the Debian image. The
//! binary under test is `$RUNMATE_BIN`, or else the one cargo has just built for these tests.
//!
//! Nothing here sleeps to wait for something to happen: conditions are polled, with deadlines.

mod app;
mod console;
mod docker;
mod drain;
mod exits;
#[path = "../../../secrets/tests/support/fault.rs"]
mod fault;
mod healthcheck;
mod images;
mod load;
mod locked_down;
mod memory;
mod migrations;
// Most of it is for the tests without containers.
#[allow(dead_code)]
#[path = "../support/otlp.rs"]
mod otlp;
mod reaping;
mod secrets;
mod telemetry;

// As long for the collector as for containers.
use docker::PATIENCE;
