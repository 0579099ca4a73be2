//! The smallest HTTP client that is right: one GET to a literal address, only the status is read.

use std::io;

use tokio::io::Interest;
use tokio::net::TcpStream;

use crate::config::HttpTarget;

/// Room for the status line and headers of any sane answer.
const MAX_HEAD: usize = 16 << 10;

/// The status code of a GET.
///
/// # Errors
/// If nobody accepts the connection or what comes back is not HTTP/1.
pub async fn get(target: &HttpTarget) -> io::Result<u16> {
    let stream = TcpStream::connect(target.address).await?;
    let request = format!(
        "GET {} HTTP/1.1\r\nHost: {}\r\nUser-Agent: runmate/{}\r\nAccept: */*\r\nConnection: close\r\n\r\n",
        target.path,
        target.host,
        env!("CARGO_PKG_VERSION"),
    );
    let mut unsent = request.as_bytes();
    while !unsent.is_empty() {
        stream.writable().await?;
        match stream.try_write(unsent) {
            Ok(count) => unsent = &unsent[count..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    let mut head = Vec::new();
    loop {
        stream.ready(Interest::READABLE).await?;
        let mut chunk = [0; 1024];
        match stream.try_read(&mut chunk) {
            Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
            Ok(count) => head.extend_from_slice(&chunk[..count]),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => continue,
            Err(error) => return Err(error),
        }
        let mut headers = [httparse::EMPTY_HEADER; 64];
        let mut response = httparse::Response::new(&mut headers);
        // The status stands in the first line; the headers need not be complete, or few.
        let parsed = response.parse(&head);
        if let Some(code) = response.code {
            return Ok(code);
        }
        if parsed.is_err() || head.len() > MAX_HEAD {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the answer is not HTTP/1",
            ));
        }
    }
}
