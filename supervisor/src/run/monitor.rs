//! Health as the loop sees it: what the endpoints are told, and the checks.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use runmate_health::{Access, Health};
use tokio::task::AbortHandle;
use tokio::time::Instant;

use super::checks::Checks;
use super::health;
use super::metrics::{self, Counters, Times};
use super::outcomes::{Restarts, Seen};
use super::probes::Sender;
use crate::config::Plan;
use crate::machine::{ProcessId, View};
use crate::output::Sink;

/// The health endpoints, if anybody needs them, and the checks behind them.
pub(super) struct Monitor {
    plan: Rc<Plan>,
    names: Vec<String>,
    health: Option<Health>,
    /// Whether somebody can ask.
    served: bool,
    published: Option<View>,
    /// To be started, once the migrations are over.
    checks: Option<Checks>,
    /// The task that keeps the helper that runs checks.
    keeper: Option<AbortHandle>,
    /// The checks that restart a process.
    restarts: Restarts,
    /// How long processes are in their states.
    times: Arc<Times>,
}

impl Monitor {
    /// `zero` is when runmate started.
    pub fn new(plan: Rc<Plan>, zero: Instant) -> Monitor {
        let processes = plan.processes.iter();
        Monitor {
            names: processes.map(|process| process.name.clone()).collect(),
            health: None,
            served: false,
            published: None,
            checks: None,
            keeper: None,
            restarts: Restarts::new(&plan.health.checks),
            times: Arc::new(Times::new(plan.processes.len(), zero)),
            plan,
        }
    }

    /// From here on these endpoints are told what happens. `served`: somebody can ask them.
    pub fn publish_to(&mut self, health: Health, served: bool, counters: &Counters) {
        if served {
            health.add_metrics(metrics::source(&self.plan, counters, Arc::clone(&self.times)));
        }
        self.health = Some(health);
        self.served = served;
        self.published = None;
    }

    /// Whether somebody can ask.
    pub fn is_served(&self) -> bool {
        self.served
    }

    /// Opens the details to those who have the token.
    pub fn set_token(&self, token: String) {
        if let Some(health) = &self.health {
            health.set_access(Access::Token(Some(token)));
        }
    }

    /// Says what the checks are. None is started before.
    pub fn give_checks(&mut self, checks: Checks) {
        self.checks = Some(checks);
    }

    /// The checks begin, if they have not, once the migrations are over: a database that is being made, and an app that
    /// waits for it, are nothing to look at.
    pub fn begin_checks(&mut self, view: impl FnOnce() -> View, sender: &Sender, sink: &Rc<Sink>) {
        let migrating = |task| view().unready.contains(&task);
        if self.checks.is_none() || self.plan.migration().is_some_and(migrating) {
            return;
        }
        if let (Some(checks), Some(health)) = (self.checks.take(), &self.health) {
            self.keeper = checks.start(&self.plan, health, sender, sink);
        }
    }

    /// The endpoints say so from now on, though nothing was published yet. It costs no more than a flag.
    pub fn begin_drain(&self) {
        if let Some(health) = &self.health {
            health.drain().begin();
        }
    }

    /// Nothing is looked at while we stop: it could only be in the way.
    pub fn stop_checks(&mut self) {
        if let Some(health) = &self.health {
            health.stop_checks();
        }
        if let Some(keeper) = self.keeper.take() {
            keeper.abort();
        }
    }

    /// The process that is to be restarted because of this look, which ended just `now`.
    pub fn restarts(&mut self, seen: &Seen, now: Duration, view: impl FnOnce() -> View) -> Option<ProcessId> {
        let process = self.restarts.process(&seen.name)?;
        let ready_since = view().processes[process.0].ready_since;
        let began = now.saturating_sub(seen.took);
        self.restarts.count(seen, began, ready_since).then_some(process)
    }

    /// Gives the endpoints a new state, if it is new. `view` is how things are, `now` how long we have been running.
    pub fn publish(&mut self, view: impl FnOnce() -> View, now: Duration) {
        let Some(health) = &self.health else { return };
        let view = view();
        if self.published.as_ref() != Some(&view) {
            self.times.update(&view, now);
            health.publish(health::snapshot(&view, &self.names, self.plan.migration(), now));
            self.published = Some(view);
        }
    }

    /// The next state counts as new: durations in the answers have grown since.
    pub fn forget_published(&mut self) {
        self.published = None;
    }
}
