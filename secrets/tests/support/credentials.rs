//! A stand-in for the endpoints that give a container its credentials (ECS at 169.254.170.2, EKS Pod
//! Identity at 169.254.170.23). It is strict about the token: the header has to equal it byte by byte.
//! Whoever includes it has `fault.rs` beside it, as `mod fault`.

#![allow(dead_code)]

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};

use serde_json::json;

use super::fault::http::{Greeting, Listener, Reply, Request, Response};

/// What the answers hold; a test finds them again in the calls that were signed with them.
pub const ACCESS_KEY: &str = "ASIACONTAINER";
pub const SESSION_TOKEN: &str = "session-token-of-the-container";
/// Where the credentials are.
pub const PATH: &str = "/v2/credentials/4f3c2b1a";

/// A running stand-in; ends when dropped.
pub struct CredentialServer {
    listener: Listener,
    seen: Arc<Mutex<Seen>>,
}

/// What it was asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// Requests that were answered with credentials.
    pub given: usize,
    /// Those that were refused.
    pub refused: usize,
    /// The Authorization headers, as they came.
    pub tokens: Vec<Option<String>>,
}

impl CredentialServer {
    /// Starts one on a free port of 127.0.0.1. With a token, it gives nothing without it.
    pub fn start(token: Option<&str>) -> CredentialServer {
        CredentialServer::start_at((Ipv4Addr::LOCALHOST, 0).into(), token)
    }

    /// Starts one at this address.
    pub fn start_at(address: SocketAddr, token: Option<&str>) -> CredentialServer {
        let seen = Arc::new(Mutex::new(Seen::default()));
        let token = token.map(str::to_owned);
        let shared = Arc::clone(&seen);
        let listener = Listener::start_at(
            address,
            || Greeting::Serve,
            move |request| {
                let mut seen = shared.lock().expect("nobody panics with it");
                Reply::Answer(answer(request, token.as_deref(), &mut seen))
            },
        );
        CredentialServer { listener, seen }
    }

    /// For `AWS_CONTAINER_CREDENTIALS_FULL_URI`.
    pub fn full_uri(&self) -> String {
        format!("http://{}{PATH}", self.listener.address())
    }

    /// What it was asked so far.
    pub fn seen(&self) -> Seen {
        self.seen.lock().expect("nobody panics with it").clone()
    }
}

fn answer(request: &Request, token: Option<&str>, seen: &mut Seen) -> Response {
    let sent = request.header("authorization");
    seen.tokens.push(sent.map(str::to_owned));
    let refuse = |status, why: &str| Response::json(status, &json!({ "code": "Refused", "message": why }));
    if token.is_some() && sent != token {
        seen.refused += 1;
        return refuse(401, "the token is not the one");
    }
    if (request.method.as_str(), request.path.as_str()) != ("GET", PATH) {
        seen.refused += 1;
        return refuse(404, "no credentials here");
    }
    seen.given += 1;
    Response::json(
        200,
        &json!({
            "RoleArn": "arn:aws:iam::123456789012:role/task-role",
            "AccessKeyId": ACCESS_KEY,
            "SecretAccessKey": "secret-key-of-the-container",
            "Token": SESSION_TOKEN,
            "Expiration": "2099-01-01T00:00:00Z",
        }),
    )
}
