//! Readiness probes as tasks of the event loop.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::errands::{Errand, ErrandId, Outcome, Running};
use super::log::end_in_words;
use super::outcomes::Seen;
use crate::config::{Probe, Ready};
use crate::event_loop;
use crate::helper::export_protocol::Answer;
use crate::machine::{Pid, ProcessId};
use crate::output::Watch;
use crate::readiness;

/// What tasks tell the loop.
pub(super) enum Message {
    /// The probe of this life of the process passed.
    Ready(ProcessId, Pid),
    /// The last attempt of this life of the process failed, for this reason where it is known.
    NotYet(ProcessId, Pid, Option<String>),
    /// Run this, and send what it came to.
    Run(Errand, ErrandId, oneshot::Sender<Outcome>),
    /// Nobody waits for this errand any more.
    GiveUp(ErrandId),
    /// A check was looked at.
    Looked(Box<Seen>),
    /// This life of a forwarder has got everything, or its time for that is over.
    Forwarded(ProcessId, Pid),
    /// Time to see whether the platform's port is served.
    CheckPort,
    /// Time to export traces.
    Export,
    /// What came of an export.
    Exported(ErrandId, Answer),
}

pub(super) type Sender = mpsc::UnboundedSender<Message>;

/// Starts the probe as a task; log probes have none, see [`watch`]. `fd` is the read end of the
/// readiness descriptor, for the probes that have one.
pub(super) fn start(
    ready: &Ready,
    process: ProcessId,
    pid: Pid,
    fd: Option<OwnedFd>,
    sender: Sender,
) -> Option<AbortHandle> {
    let interval = ready.interval;
    let told = sender.clone();
    let failed = {
        let sender = sender.clone();
        let mut last = None;
        move |why: Option<String>| {
            if why != last {
                last.clone_from(&why);
                let _ = sender.send(Message::NotYet(process, pid, why));
            }
        }
    };
    let task = match ready.probe.clone() {
        Probe::Log(_) => return None,
        Probe::Tcp(address) => spawn(told, process, pid, async move {
            let attempt = || async move { readiness::tcp(address).await.then_some(()).ok_or(None) };
            readiness::until(interval, failed, attempt).await;
        }),
        Probe::Http(target) => spawn(told, process, pid, async move {
            readiness::until(interval, failed, || readiness::http(&target)).await;
        }),
        Probe::Fd(_) => {
            let fd = fd?;
            spawn(told, process, pid, async move {
                if readiness::notified(fd).await.is_err() {
                    std::future::pending::<()>().await;
                }
            })
        }
        Probe::Exec(_) => spawn(
            told,
            process,
            pid,
            until_command_succeeds(interval, process, failed, sender),
        ),
    };
    Some(task)
}

fn spawn(
    sender: Sender,
    process: ProcessId,
    pid: Pid,
    passed: impl Future<Output = ()> + 'static,
) -> AbortHandle {
    let task = async move {
        passed.await;
        let _ = sender.send(Message::Ready(process, pid));
    };
    event_loop::spawn(task)
}

async fn until_command_succeeds(
    interval: Duration,
    process: ProcessId,
    failed: impl FnMut(Option<String>),
    sender: Sender,
) {
    readiness::until(interval, failed, || {
        let mut run = Running::start(Errand::Probe(process), &sender);
        async move {
            match run.outcome().await {
                Some(Ok(end)) if end.succeeded() => Ok(()),
                Some(Ok(end)) => Err(Some(format!("its probe command {}", end_in_words(end)))),
                Some(Err(error)) => Err(Some(format!("cannot run its probe command: {}", error.why))),
                None => Err(None),
            }
        }
    })
    .await;
}

/// The watch for a log probe, to be placed on the process's streams.
pub(super) fn watch(ready: &Ready, process: ProcessId, pid: Pid, sender: Sender) -> Option<Watch> {
    let Probe::Log(regex) = &ready.probe else {
        return None;
    };
    let found = Box::new(move || {
        let _ = sender.send(Message::Ready(process, pid));
    });
    Some(Watch::new(regex.clone(), found))
}
