//! A request as the SDK would make it, for tests that talk to a stand-in or an emulator themselves.

#![allow(dead_code)]

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};

use serde_json::Value;

/// Sends a request of AWS JSON 1.1 to an `http://` address and reads the answer to its end: status and
/// body; status 0 if the connection was closed.
pub fn ask(url: &str, region: &str, target: &str, body: &Value) -> (u16, Value) {
    let service = if target.starts_with("AmazonSSM") {
        "ssm"
    } else {
        "secretsmanager"
    };
    let address = url.strip_prefix("http://").expect("a plain address");
    let mut stream = TcpStream::connect(address).expect("connected");
    let body = body.to_string();
    write!(
        stream,
        "POST / HTTP/1.1\r\nHost: {address}\r\nX-Amz-Target: {target}\r\nContent-Length: {}\r\n\
         Content-Type: application/x-amz-json-1.1\r\nConnection: close\r\n\
         Authorization: AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260101/{region}/{service}/aws4_request, \
         SignedHeaders=host, Signature=0\r\n\r\n{body}",
        body.len()
    )
    .expect("sent");
    stream.shutdown(Shutdown::Write).expect("half closed");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_default();
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok());
    (
        status.unwrap_or_default(),
        serde_json::from_str(body).unwrap_or_default(),
    )
}
