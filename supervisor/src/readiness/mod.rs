//! Asking a process whether it is ready.
//!
//! Each probe is a future that ends when the process has shown that it is ready, and is dropped
//! when the machine stops caring. Nothing in here resolves names: a static C library would load
//! the image's own name service modules for that.

pub mod http;

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::net::unix::pipe;
use tokio::time::{sleep, timeout};

use crate::config::HttpTarget;

/// The first pause between two attempts; it doubles up to the configured interval. Most processes
/// are up within a few of these, and waiting for a whole interval would be all of their start.
const FIRST_PAUSE: Duration = Duration::from_millis(10);

/// How long one attempt may take.
pub const ATTEMPT: Duration = Duration::from_secs(5);

/// Repeats attempts until one succeeds; why the others did not goes to `failed`, where that is known.
pub async fn until<F: Future<Output = Result<(), Option<String>>>>(
    interval: Duration,
    mut failed: impl FnMut(Option<String>),
    mut attempt: impl FnMut() -> F,
) {
    let mut pause = FIRST_PAUSE.min(interval);
    while let Err(why) = timeout(ATTEMPT, attempt()).await.unwrap_or(Err(None)) {
        failed(why);
        sleep(pause).await;
        pause = (pause * 2).min(interval);
    }
}

/// Whether somebody accepts a connection there.
pub async fn tcp(address: SocketAddr) -> bool {
    TcpStream::connect(address)
        .await
        .is_ok_and(|stream| !is_our_own(&stream))
}

/// Whether the other end is this end: where nobody listens, the kernel may choose the very port as our
/// side of the connection, and TCP then connects it to itself (RFC 9293, simultaneous open).
fn is_our_own(stream: &TcpStream) -> bool {
    matches!((stream.local_addr(), stream.peer_addr()), (Ok(ours), Ok(theirs)) if ours == theirs)
}

/// A GET that is answered with 200 to 399; the error is another answer, in words.
pub async fn http(target: &HttpTarget) -> Result<(), Option<String>> {
    match http::get(target).await {
        Ok(200..400) => Ok(()),
        Ok(status) => Err(Some(format!(
            "GET http://{}{} was answered with {status}; it takes 200 to 399",
            target.address, target.path
        ))),
        // Who listens, and where, says more.
        Err(_) => Err(None),
    }
}

/// Waits for a newline on the descriptor that the process was handed (the convention of s6's
/// `notification-fd`). Never ends if the process closes it without having written one.
///
/// # Errors
/// If the descriptor cannot be registered with the event loop.
pub async fn notified(fd: OwnedFd) -> io::Result<()> {
    let pipe = pipe::Receiver::from_owned_fd(fd)?;
    loop {
        pipe.readable().await?;
        let mut bytes = [0; 64];
        match pipe.try_read(&mut bytes) {
            Ok(0) => std::future::pending().await,
            Ok(count) if bytes[..count].contains(&b'\n') => return Ok(()),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::net::TcpSocket;

    #[test]
    fn a_connection_to_itself_is_nobody_listening() {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        runtime.block_on(async {
            let socket = TcpSocket::new_v4().unwrap();
            socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
            let own = socket.local_addr().unwrap();
            assert!(is_our_own(&socket.connect(own).await.unwrap()));

            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            assert!(tcp(listener.local_addr().unwrap()).await);
        });
    }
}
