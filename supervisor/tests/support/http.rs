//! The least HTTP client.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::PATIENCE;

/// GET: status and body.
pub fn get(address: SocketAddr, path: &str) -> io::Result<(u16, String)> {
    ask(address, path, "")
}

/// GET with a bearer token.
pub fn get_as(address: SocketAddr, path: &str, token: &str) -> io::Result<(u16, String)> {
    ask(address, path, &format!("Authorization: Bearer {token}\r\n"))
}

fn ask(address: SocketAddr, path: &str, header: &str) -> io::Result<(u16, String)> {
    let mut socket = TcpStream::connect_timeout(&address, PATIENCE)?;
    socket.set_read_timeout(Some(PATIENCE))?;
    // In one piece: who answers after the first piece and closes would reset the connection.
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n{header}Connection: close\r\n\r\n");
    socket.write_all(request.as_bytes())?;
    let mut answer = String::new();
    socket.read_to_string(&mut answer)?;
    let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or_else(|| io::Error::other(format!("no HTTP: {answer:?}")))?;
    let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
    Ok((status, body.to_owned()))
}
