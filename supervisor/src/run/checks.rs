//! The checks of `[health]`: where each runs, once its secrets are there, and their start.
//!
//! All of them have their schedule and their thresholds in PID 1. What needs a driver, TLS or a name to be looked
//! up is looked at by the helper, and a command is run by the one waiter.

use std::collections::BTreeSet;
use std::path::Path;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

use runmate_health::{Check, ComponentType, Health, checks};
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use zeroize::Zeroizing;

use super::commands::Command;
use super::keeper::{self, Remote};
use super::outcomes::Seen;
use super::probes::{Message, Sender};
use crate::config::{self, CertificateOf, CheckKind, HealthCheck, Plan, Share, Text};
use crate::event_loop;
use crate::helper::check_protocol::{Job, Target, frame};
use crate::output::Sink;
use crate::process;
use crate::secrets::environment::{Environment, Inherited};
use crate::secrets::{Owner, Values};

/// All checks that are to run.
pub(super) struct Checks {
    /// By the number of the check in the plan.
    pub places: Vec<(usize, Place)>,
    /// The frame that the helper gets first; `None` if it has nothing to do.
    pub job: Option<Zeroizing<Vec<u8>>>,
    /// What the helper finds in its environment.
    pub env: Environment,
    /// Whether somebody can ask for what they find.
    pub served: bool,
}

/// Where a check runs.
pub(super) enum Place {
    /// In this process.
    Here(Box<dyn Check>),
    /// A command, by the one waiter.
    Command,
    /// In the helper: the number of its target there, and what the check says of itself.
    Helper {
        target: usize,
        component_type: ComponentType,
        measures: Option<String>,
    },
}

impl Checks {
    /// Makes checks of what the plan says. `served`: somebody can ask for what they find; otherwise only those run
    /// that restart a process.
    ///
    /// # Errors
    /// All that is wrong, a sentence each.
    pub fn settle(
        plan: &Plan,
        values: &Values,
        inherited: &Inherited,
        served: bool,
    ) -> Result<Checks, Vec<String>> {
        let mut places = Vec::new();
        let mut job = Job::default();
        let mut wrong = Vec::new();
        for (index, check) in plan.health.checks.iter().enumerate() {
            match place(check, values, &mut job.targets) {
                Ok(place) if served || check.restart.is_some() => places.push((index, place)),
                Ok(_) => {}
                Err(why) => wrong.push(format!(
                    "health.check.{}.{}: {why}",
                    check.name,
                    check.kind.name()
                )),
            }
        }
        let needed = places
            .iter()
            .any(|(_, place)| matches!(place, Place::Helper { .. }));
        if needed {
            job.env = secret_variables(plan, values);
        }
        let job = needed.then(|| frame(&job)).transpose();
        let job = job.unwrap_or_else(|error| {
            wrong.push(format!("health.check: cannot be handed to the helper: {error}"));
            None
        });
        if !wrong.is_empty() {
            return Err(wrong);
        }
        Ok(Checks {
            places,
            job,
            env: plain_variables(plan, inherited),
            served,
        })
    }

    /// Starts all of them; gives the task that keeps the helper, if there is one.
    pub fn start(
        self,
        plan: &Plan,
        health: &Health,
        sender: &Sender,
        sink: &Rc<Sink>,
    ) -> Option<AbortHandle> {
        observe(plan, health, sender.clone(), self.served);
        let (asks, inbox) = mpsc::unbounded_channel();
        for (index, place) in self.places {
            let HealthCheck { name, settings, .. } = &plan.health.checks[index];
            let check: Box<dyn Check> = match place {
                Place::Here(check) => check,
                Place::Command => Box::new(Command::new(index, settings.timeout, sender.clone())),
                Place::Helper {
                    target,
                    component_type,
                    measures,
                } => Box::new(Remote {
                    target,
                    timeout: settings.timeout,
                    component_type,
                    measures,
                    asks: asks.clone(),
                }),
            };
            health.check(name.clone(), check, settings.clone());
        }
        let keeper = keeper::keep(self.job?, self.env, inbox, sender.clone(), Rc::clone(sink));
        Some(event_loop::spawn(keeper))
    }
}

/// Variables that change how clients connect: the resolver's, TLS's, and those of PostgreSQL's clients.
fn is_for_the_helper(name: &str) -> bool {
    name.starts_with("PG") || name.starts_with("SSL_CERT_") || ["LOCALDOMAIN", "RES_OPTIONS"].contains(&name)
}

/// What a client finds in its environment and the inherited one does not have: the values of secrets.
fn secret_variables(plan: &Plan, values: &Values) -> Vec<(String, String)> {
    let of_all = plan
        .secrets
        .wanted
        .iter()
        .filter(|secret| secret.of_process.is_none());
    of_all
        .filter(|secret| is_for_the_helper(&secret.name))
        .filter_map(|secret| {
            let value = values.get(&secret.name, Owner::ourselves())?;
            Some((secret.name.clone(), value.to_owned()))
        })
        .collect()
}

/// How the helper looks names up, unless the environment says otherwise (resolv.conf(5)). By default a question that
/// was lost is asked again only after 5 s, and so a name server that is back is noticed too late.
const LOOKUPS: &str = "timeout:1 attempts:2";

/// What is inherited of that, without the references that stand for secrets.
fn plain_variables(plan: &Plan, inherited: &Inherited) -> Environment {
    let is_secret = |name: &str| plan.secrets.wanted.iter().any(|secret| secret.name == name);
    let wanted = |name: &str| is_for_the_helper(name) && !is_secret(name);
    let plain = inherited
        .iter()
        .filter(|(name, _)| name.to_str().is_some_and(wanted));
    let mut plain: Environment = plain.cloned().collect();
    if !is_secret("RES_OPTIONS") && !plain.iter().any(|(name, _)| name == "RES_OPTIONS") {
        plain.push(("RES_OPTIONS".into(), LOOKUPS.into()));
    }
    plain
}

/// Decides where a check runs; what is for the helper goes to its targets. What cannot be looked at is refused here,
/// by the very check that the helper would make of it.
fn place(check: &HealthCheck, values: &Values, targets: &mut Vec<Target>) -> Result<Place, String> {
    let fill = |text: &Text| -> Result<Zeroizing<String>, String> {
        let url = text
            .fill(|name| values.get(name, Owner::ourselves()))
            .map_err(|absent| absent.to_string())?;
        let url = Zeroizing::new(url);
        config::check_health_url(&check.kind, &url)?;
        Ok(url)
    };
    let mut remote = |target, check: &dyn Check| {
        targets.push(target);
        Place::Helper {
            target: targets.len() - 1,
            component_type: check.component_type(),
            measures: check.measures().map(str::to_owned),
        }
    };
    let why = |invalid: checks::Invalid| invalid.to_string();
    Ok(match &check.kind {
        CheckKind::Postgres(url) => {
            let url = fill(url)?;
            let check = checks::Postgres::new(&url).map_err(why)?;
            remote(Target::Postgres(url.to_string()), &check)
        }
        CheckKind::MySql(url) => {
            let url = fill(url)?;
            let check = checks::MySql::new(&url).map_err(why)?;
            remote(Target::MySql(url.to_string()), &check)
        }
        CheckKind::Redis(url) => {
            let url = fill(url)?;
            let check = checks::Redis::new(&url).map_err(why)?;
            remote(Target::Redis(url.to_string()), &check)
        }
        CheckKind::Http(url) => {
            let url = fill(url)?;
            let check = checks::Http::new(&url).map_err(why)?;
            if check.is_local() {
                return Ok(Place::Here(Box::new(check)));
            }
            remote(Target::Http(url.to_string()), &check)
        }
        CheckKind::Tcp(address) => {
            let address = fill(address)?;
            let check = checks::Tcp::new(&address).map_err(why)?;
            if check.is_local() {
                return Ok(Place::Here(Box::new(check)));
            }
            remote(Target::Tcp(address.to_string()), &check)
        }
        CheckKind::Certificate { of, min_valid } => match of {
            CertificateOf::File(path) => {
                let check = checks::Certificate::of_file(path);
                remote(Target::CertificateOfFile(path.clone(), *min_valid), &check)
            }
            CertificateOf::Server(server) => {
                let check = checks::Certificate::of_server(server).map_err(why)?;
                remote(Target::CertificateOfServer(server.clone(), *min_valid), &check)
            }
        },
        CheckKind::Exec(_) => Place::Command,
        CheckKind::Disk { path, min_free } => Place::Here(Box::new(disk(path, *min_free))),
        CheckKind::Memory { max_used } => {
            Place::Here(Box::new(checks::Memory::new().max_used_percent(*max_used)))
        }
        CheckKind::Fds { max_used } => {
            let all = checks::Fds::of(process::ourselves_and_descendants);
            Place::Here(Box::new(all.max_used_percent(*max_used)))
        }
    })
}

fn disk(path: &Path, min_free: Share) -> checks::Disk {
    let disk = checks::Disk::new(path);
    match min_free {
        Share::Bytes(bytes) => disk.min_free_bytes(bytes),
        Share::Percent(percent) => disk.min_free_percent(percent),
    }
}

/// The loop hears of each look that changes something, of first ones that do not pass, and of all looks of checks that
/// restart a process.
fn observe(plan: &Plan, health: &Health, sender: Sender, served: bool) {
    let restarting = plan.health.checks.iter().filter(|check| check.restart.is_some());
    let restarting: Vec<String> = restarting.map(|check| check.name.clone()).collect();
    let unseen = plan.health.checks.iter().map(|check| check.name.clone());
    let unseen: Mutex<BTreeSet<String>> = Mutex::new(unseen.collect());
    health.observe(move |outcome| {
        let first = unseen
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(outcome.name);
        let seen = Seen::new(outcome, first, served);
        if seen.is_news() || restarting.iter().any(|name| name == outcome.name) {
            let _ = sender.send(Message::Looked(Box::new(seen)));
        }
    });
}
