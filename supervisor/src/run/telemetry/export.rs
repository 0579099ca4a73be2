//! The helper that exports: what it is told, its start, and its answer.

use std::io::ErrorKind;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Duration;

use tokio::net::unix::pipe::Receiver;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};
use zeroize::Zeroizing;

use crate::config::{Exporter, Plan};
use crate::event_loop;
use crate::helper::export_protocol::{Answer, Job};
use crate::helper::{self, ANSWER_FD};
use crate::process::{self, Output, Spec, StdinFrom, sys};
use crate::run::children::Children;
use crate::run::errands::ErrandId;
use crate::run::probes::{Message, Sender};
use crate::secrets::environment::{self, Environment, Inherited};
use crate::secrets::{Owner, Values};
use crate::trace::Span;

/// The helper is to give up first: it knows whom it waited for.
const MARGIN: Duration = Duration::from_millis(250);
/// An answer is a sentence.
const LONGEST_ANSWER: usize = 64 << 10;

/// Where traces go, and how.
pub(super) struct Way {
    exporter: Exporter,
    service: String,
    resource: Vec<(String, String)>,
    /// Variables that are made of secrets.
    secrets: Vec<(String, String)>,
    /// What the helper finds in its environment.
    env: Environment,
}

/// Variables that change how an exporter works, who signs for it, and whom it asks about the resource.
fn is_for_the_helper(name: &str) -> bool {
    const PREFIXES: &[&str] = &["OTEL_", "AWS_", "ECS_", "SSL_CERT_"];
    const NAMES: &[&str] = &["HOME", "PATH", "LOCALDOMAIN", "RES_OPTIONS"];
    const PROXIES: &[&str] = &["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"];
    PREFIXES.iter().any(|prefix| name.starts_with(prefix))
        || NAMES.contains(&name)
        || PROXIES.iter().any(|proxy| name.eq_ignore_ascii_case(proxy))
}

impl Way {
    pub fn new(plan: &Plan, inherited: &Inherited) -> Way {
        // A reference is not what its variable is to hold.
        let is_secret = |name: &str| plan.secrets.wanted.iter().any(|secret| secret.name == name);
        let wanted = |name: &str| is_for_the_helper(name) && !is_secret(name);
        let plain = inherited
            .iter()
            .filter(|(name, _)| name.to_str().is_some_and(wanted));
        Way {
            exporter: plan.trace.exporter.clone(),
            service: plan.trace.service.clone(),
            resource: environment::resource_attributes(plan, inherited),
            secrets: Vec::new(),
            env: plain.cloned().collect(),
        }
    }

    /// Keeps the values that the helper needs.
    pub fn give_secrets(&mut self, plan: &Plan, values: &Values) {
        let of_all = plan.secrets.wanted.iter();
        let needed = of_all.filter(|secret| {
            secret.of_process.is_none()
                && (secret.name.starts_with("OTEL_") || secret.name.starts_with("AWS_"))
        });
        self.secrets = needed
            .filter_map(|secret| {
                let value = values.get(&secret.name, Owner::ourselves())?;
                Some((secret.name.clone(), value.to_owned()))
            })
            .collect();
    }

    /// The job for these spans, as bytes; gives them back.
    pub fn job(&self, spans: Vec<Span>, within: Duration) -> (Zeroizing<Vec<u8>>, Vec<Span>) {
        let job = Job {
            exporter: self.exporter.clone(),
            env: self.secrets.clone(),
            service: self.service.clone(),
            resource: self.resource.clone(),
            spans,
            timeout: within - (within / 10).min(MARGIN),
        };
        let bytes = serde_json::to_vec(&job).expect("strings, numbers and times serialise");
        (Zeroizing::new(bytes), job.spans)
    }

    fn spec(&self, job: &[u8]) -> Result<Spec, String> {
        let stdin = sys::file_of(job).map_err(|error| cannot(&error.to_string()))?;
        Ok(Spec {
            argv: helper::command(helper::EXPORT),
            env: self.env.clone(),
            cwd: None,
            user: None,
            umask: None,
            stdin: StdinFrom::File(Rc::new(stdin)),
            output: Output::Null,
            out_fd: Some(ANSWER_FD),
        })
    }
}

fn cannot(why: &str) -> String {
    format!("the helper cannot be started: {why}")
}

/// Starts the helper beside everything else; the loop hears of its answer.
pub(super) fn start(
    children: &mut Children,
    job: &[u8],
    way: &Way,
    sender: &Sender,
) -> Result<ErrandId, String> {
    let spec = way.spec(job)?;
    let id = ErrandId::next();
    // Its answer is all that is waited for.
    let (reply, _) = oneshot::channel();
    let out = children
        .start_export(&spec, id, reply)
        .map_err(|error| cannot(&error.explain(&spec)))?;
    let pipe = receiver(out)?;
    let sender = sender.clone();
    let by = Instant::now() + super::TIMEOUT;
    event_loop::spawn(async move {
        let answer = receive(&pipe, by).await;
        if answer.is_err() {
            let _ = sender.send(Message::GiveUp(id));
        }
        let _ = sender.send(Message::Exported(id, answer));
    });
    Ok(id)
}

/// Starts the helper when the loop is over, and waits for its answer. Nobody reaps any more, so its pid stays its own.
pub(super) async fn finish(job: &[u8], way: &Way, by: Instant) -> Answer {
    let spec = way.spec(job)?;
    let spawned = process::spawn(&spec).map_err(|error| cannot(&error.explain(&spec)))?;
    let answer = match spawned.out {
        Some(out) => match receiver(out) {
            Ok(pipe) => receive(&pipe, by).await,
            Err(why) => Err(why),
        },
        None => Err(cannot("it has no pipe")),
    };
    if answer.is_err() {
        process::kill_tree(spawned.pid);
    }
    answer
}

fn receiver(out: OwnedFd) -> Result<Receiver, String> {
    Receiver::from_owned_fd(out).map_err(|error| cannot(&error.to_string()))
}

async fn receive(pipe: &Receiver, by: Instant) -> Answer {
    let mut bytes = Vec::new();
    match timeout_at(by, read_all(pipe, &mut bytes)).await {
        Err(_) => return Err("it took too long".to_owned()),
        Ok(Err(why)) => return Err(why),
        Ok(Ok(())) => {}
    }
    serde_json::from_slice(&bytes).unwrap_or_else(|_| Err("the helper ended without an answer".to_owned()))
}

async fn read_all(pipe: &Receiver, bytes: &mut Vec<u8>) -> Result<(), String> {
    let mut piece = [0; 1 << 10];
    let wrong = |error: std::io::Error| format!("the answer of the helper cannot be read: {error}");
    loop {
        pipe.readable().await.map_err(wrong)?;
        match pipe.try_read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(_) if bytes.len() > LONGEST_ANSWER => {
                return Err("the answer of the helper has no end".to_owned());
            }
            Ok(count) => bytes.extend_from_slice(&piece[..count]),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
            Err(error) => return Err(wrong(error)),
        }
    }
}
