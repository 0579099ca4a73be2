//! `[health]`: where it listens, who sees the details, and what is checked.

mod checks;
mod plan;
mod target;
mod warnings;

pub use plan::{CertificateOf, CheckKind, Health, HealthCheck, Share};

pub(super) use checks::read as checks;
pub(crate) use target::check_url;
pub(super) use target::{describe, place};
pub(super) use warnings::warnings;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::reader::{Table, Value};
use super::{address, keys};

/// Where health listens unless told: 9180 is what no application server takes by default.
pub(super) const DEFAULT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 9180);

/// The section without its checks, which name processes.
pub(super) fn read(value: Option<&Value>, env: &BTreeMap<String, String>) -> Health {
    let table = value.and_then(|value| value.table(Some(keys::HEALTH), "a table [health]"));
    let get = |name| table.as_ref().and_then(|table| table.get(name));
    let (listen, explicit) = listen(table.as_ref(), env);
    let token = get("token").and_then(|value| {
        let token = value.text("a string")?;
        if let Some(plain) = token.literal() {
            value.check(bearer_token(plain))?;
        }
        Some(token).filter(|token| token.literal() != Some(""))
    });
    let details = [("token", false), ("public", true)];
    Health {
        listen,
        explicit,
        token,
        public_details: get("details")
            .and_then(|value| value.choice(&details))
            .unwrap_or(false),
        checks: Vec::new(),
    }
}

/// Where to listen, and whether the config says so.
pub(super) fn listen(table: Option<&Table>, env: &BTreeMap<String, String>) -> (Option<SocketAddr>, bool) {
    let app_port = env.get("PORT").and_then(|port| port.parse().ok());
    let value = table.and_then(|table| table.get("listen"));
    let text = value
        .as_ref()
        .and_then(|value| value.filled("an address such as \"0.0.0.0:9180\", or \"off\""));
    let (Some(value), Some(text)) = (value, text) else {
        // Nobody asked for this port: the app goes first. See `warnings`.
        return (
            Some(DEFAULT).filter(|address| Some(address.port()) != app_port),
            false,
        );
    };
    if text == "off" {
        return (None, true);
    }
    let address = value.check(address::socket(&text, Ipv4Addr::UNSPECIFIED));
    if let Some(address) = address
        && Some(address.port()) == app_port
    {
        value.error(format!(
            "port {} is $PORT, where the app listens; write another port",
            address.port()
        ));
    }
    (address, true)
}

/// A token that a request can carry. One read from a file often ends with that file's line break, and
/// would then never be matched.
pub(crate) fn bearer_token(token: &str) -> Result<(), String> {
    if token != token.trim() || token.contains(char::is_control) {
        // Not the token itself: this goes into the log.
        return Err("no request can carry a line break, or a space at either end; remove it".to_owned());
    }
    Ok(())
}
