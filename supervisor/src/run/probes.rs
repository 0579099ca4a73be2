//! Readiness probes as tasks of the event loop.

use std::future::Future;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tokio::task::AbortHandle;

use super::log::end_in_words;
use crate::config::{Probe, Ready};
use crate::machine::{End, Pid, ProcessId};
use crate::output::Watch;
use crate::readiness;

/// What tasks tell the loop.
pub(super) enum Message {
    /// The probe of this life of the process passed.
    Ready(ProcessId, Pid),
    /// The last attempt of this life of the process failed, for this reason where it is known.
    NotYet(ProcessId, Pid, Option<String>),
    /// Run the process's probe command and send its end, or why it could not be started.
    RunProbe(ProcessId, u64, oneshot::Sender<Result<End, String>>),
    /// Nobody waits for this probe command any more.
    DropProbe(u64),
    /// Time to see whether the platform's port is served.
    CheckPort,
}

pub(super) type Sender = mpsc::UnboundedSender<Message>;

/// A probe command under way. Dropping it gives the command up.
struct ProbeRun {
    id: u64,
    sender: Sender,
}

impl Drop for ProbeRun {
    fn drop(&mut self) {
        let _ = self.sender.send(Message::DropProbe(self.id));
    }
}

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
    tokio::task::spawn_local(task).abort_handle()
}

async fn until_command_succeeds(
    interval: Duration,
    process: ProcessId,
    failed: impl FnMut(Option<String>),
    sender: Sender,
) {
    readiness::until(interval, failed, || {
        let (reply, end) = oneshot::channel();
        let run = ProbeRun {
            id: next_id(),
            sender: sender.clone(),
        };
        let _ = sender.send(Message::RunProbe(process, run.id, reply));
        async move {
            let end = end.await;
            drop(run);
            match end {
                Ok(Ok(end)) if end.succeeded() => Ok(()),
                Ok(Ok(end)) => Err(Some(format!("its probe command {}", end_in_words(end)))),
                Ok(Err(why)) => Err(Some(format!("cannot run its probe command: {why}"))),
                Err(_) => Err(None),
            }
        }
    })
    .await;
}

/// A number that no other probe command has.
fn next_id() -> u64 {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    NEXT.fetch_add(1, Ordering::Relaxed)
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
