//! The helper that runs checks: what they are and one request per look on its stdin, which is a socket; the
//! answers go back on it. It has no schedule and keeps no result: that is PID 1's.

use std::fs::File;
use std::os::unix::net::UnixStream as Socket;
use std::sync::Arc;

use runmate_health::{Check, Failure, checks, look_once};
use tokio::net::UnixStream;
use tokio::sync::mpsc;

use super::check_protocol::{Answer, Inbox, Job, Request, Target, frame, send};
use crate::event_loop;
use crate::process::{self, sys};
use crate::run::exit_code;

/// What the helper may map: a service that sends without end must not take the container's memory.
const MEMORY: u64 = 1 << 30;

/// Runs the helper until PID 1 closes the socket; returns its exit code. It prints nothing.
pub(crate) fn main() -> i32 {
    // The exec undid what PID 1 had set for itself.
    if process::hold_secrets().is_err() {
        return exit_code::INTERNAL;
    }
    sys::limit_memory(MEMORY);
    let Some(socket) = sys::take_descriptor(libc::STDIN_FILENO).map(Socket::from) else {
        return exit_code::USAGE;
    };
    // The number is taken, or a connection would get it.
    let _stdin = File::open("/dev/null");
    match event_loop::block_on(serve(socket)) {
        Ok(Ok(())) => 0,
        Ok(Err(_)) | Err(_) => exit_code::INTERNAL,
    }
}

async fn serve(socket: Socket) -> std::io::Result<()> {
    socket.set_nonblocking(true)?;
    let socket = Arc::new(UnixStream::from_std(socket)?);
    let mut inbox = Inbox::default();
    let Some(job) = inbox.receive::<Job>(&socket).await? else {
        return Ok(());
    };
    // The first look brings the second thread, for its lookup of a name.
    sys::set_variables(&job.env);
    let checks: Vec<Option<Arc<dyn Check>>> = job.targets.iter().map(check).collect();
    drop(job);
    let (answers, outbox) = mpsc::unbounded_channel();
    tokio::spawn(send_all(Arc::clone(&socket), outbox));
    while let Some(request) = inbox.receive::<Request>(&socket).await? {
        let check = checks.get(request.target).cloned().flatten();
        let answers = answers.clone();
        tokio::spawn(async move {
            let looked = match check {
                Some(check) => look_once(&*check, request.timeout).await,
                // PID 1 has made the same check of it before it sent it.
                None => Err(Failure::unknown("the helper that runs it cannot make it")),
            };
            // Nobody is left to hear it at the end.
            let _ = answers.send(Answer::new(request.number, looked));
        });
    }
    Ok(())
}

async fn send_all(socket: Arc<UnixStream>, mut outbox: mpsc::UnboundedReceiver<Answer>) {
    while let Some(answer) = outbox.recv().await {
        let Ok(bytes) = frame(&answer) else { return };
        if send(&socket, &bytes).await.is_err() {
            return;
        }
    }
}

/// The check of a target; `None` if it cannot be made.
fn check(target: &Target) -> Option<Arc<dyn Check>> {
    fn made<C: Check, E>(check: Result<C, E>) -> Option<Arc<dyn Check>> {
        Some(Arc::new(check.ok()?))
    }
    match target {
        Target::Postgres(url) => made(checks::Postgres::new(url)),
        Target::MySql(url) => made(checks::MySql::new(url)),
        Target::Redis(url) => made(checks::Redis::new(url)),
        Target::Http(url) => made(checks::Http::new(url)),
        Target::Tcp(address) => made(checks::Tcp::new(address)),
        Target::CertificateOfFile(path, min_valid) => {
            Some(Arc::new(checks::Certificate::of_file(path).min_valid(*min_valid)))
        }
        Target::CertificateOfServer(server, min_valid) => {
            made(checks::Certificate::of_server(server).map(|check| check.min_valid(*min_valid)))
        }
    }
}
