//! The machine without a process and without a clock.
//!
//! `checker` enumerates every reachable state of small plans; `large` walks larger plans at random;
//! `scenarios` and `unhealthy` tell stories with exact times.

mod checker;
mod large;
mod new_life;
mod scenarios;
mod unhealthy;
mod world;

use std::time::Duration;

use super::plan::{Backoff, Kind, OnExit, Plan, Policy, ProcessId, Restart, Scope, Stop};
use crate::signal::Signal;

pub(super) const fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

/// A service that is ready at once and may be restarted twice.
pub(super) fn service(after: &[usize]) -> Policy {
    Policy {
        kind: Kind::Service,
        after: after.iter().copied().map(ProcessId).collect(),
        ready_within: None,
        restart: Restart::Always,
        backoff: Backoff {
            min: secs(1),
            max: secs(2),
            reset: secs(4),
            restarts: 2,
            within: secs(8),
        },
        on_exit: OnExit::Shutdown,
        stop: Stop {
            signal: Signal::TERM,
            grace: None,
            scope: Scope::Process,
        },
        signals: Vec::new(),
    }
}

pub(super) fn main_service(after: &[usize]) -> Policy {
    Policy {
        restart: Restart::Never,
        signals: vec![(Signal::HUP, Signal::USR1)],
        ..service(after)
    }
}

pub(super) fn task(after: &[usize]) -> Policy {
    Policy {
        kind: Kind::Task,
        restart: Restart::Never,
        ..service(after)
    }
}

pub(super) fn plan(main: usize, policies: Vec<Policy>) -> Plan {
    Plan {
        policies,
        main: ProcessId(main),
        drain_delay: Duration::ZERO,
        stop_budget: secs(10),
        success_codes: Vec::new(),
        jitter_seed: 0,
    }
}
