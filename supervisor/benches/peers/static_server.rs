//! A static axum handler behind the supervisor's own way of serving (`run::serve`): hyper's HTTP/1 on one
//! thread. What is faster or slower than it is so because of what the endpoints do.

use std::ffi::OsString;
use std::io;
use std::net::TcpListener;
use std::time::Duration;

use axum::Router;
use axum::body::Bytes;
use axum::http::header;
use axum::routing::get;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::task::{LocalSet, spawn_local};

/// The first argument that makes this program the server.
pub const WORD: &str = "static";

/// As in the supervisor.
const REQUEST: Duration = Duration::from_secs(5);

/// Serves the files named, at `/0`, `/1` and so on, on a port of loopback until it is killed.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> io::Result<()> {
    let port = arguments.next().and_then(|port| port.into_string().ok());
    let port: u16 = port
        .and_then(|port| port.parse().ok())
        .ok_or(io::ErrorKind::InvalidInput)?;
    let mut router = Router::new();
    for (number, file) in arguments.enumerate() {
        let body = Bytes::from(std::fs::read(file)?);
        let handler = move || {
            let body = body.clone();
            // The same answer, byte by byte but for the date.
            let headers = [
                (header::CONTENT_TYPE, "application/health+json"),
                (header::CACHE_CONTROL, "no-store"),
            ];
            async move { (headers, body) }
        };
        router = router.route(&format!("/{number}"), get(handler));
    }
    // A program with one thread only has an allocator without locks; who logs, or runs on several threads, has not.
    // The supervisor's writes to stdout.
    std::thread::spawn(|| {
        loop {
            std::thread::park();
        }
    });
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    LocalSet::new().block_on(&runtime, serve(router, port))
}

async fn serve(router: Router, port: u16) -> io::Result<()> {
    let listener = TcpListener::bind(("127.0.0.1", port))?;
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let service = TowerToHyperService::new(router);
    loop {
        let (connection, _) = listener.accept().await?;
        let served = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(REQUEST)
            .serve_connection(TokioIo::new(connection), service.clone());
        spawn_local(async move { drop(served.await) });
    }
}
