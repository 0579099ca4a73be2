//! The JSON that RDS, Aurora and AWS Copilot keep, as the URL that programs want
//! (<https://docs.aws.amazon.com/secretsmanager/latest/userguide/reference_secret_json_structure.html>).

use std::net::Ipv6Addr;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use zeroize::Zeroizing;

use crate::{FailureKind, Secret};

use super::Text;
use super::json::{Object, Scalar};

/// All but RFC 3986's unreserved characters: no parser reads these in two ways.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// As many characters as a name in the DNS may have (RFC 1035, section 2.3.4).
const MAX_HOST: usize = 253;

/// Whether a text can stand before `://` (RFC 3986, section 3.1).
pub(super) fn is_scheme(text: &str) -> bool {
    text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"+-.".contains(&byte))
}

/// Makes the URL, with the scheme that is given or the one of the engine.
pub(super) fn from_json(value: &[u8], scheme: Option<&str>) -> Result<Secret, FailureKind> {
    let object = Object::parse(value).map_err(|what| {
        bad(&format!(
            "as = \"database-url\" needs the JSON that RDS writes, and the value is {what}; if it is a URL \
             already, leave the form out"
        ))
    })?;
    let scheme = match scheme {
        Some(scheme) => scheme,
        None => engine_scheme(text(&object, "engine")?)?,
    };
    let user = required(
        &object,
        "username",
        "add it, or build the URL in your own variables",
    )?;
    let password = required(
        &object,
        "password",
        "add it, or build the URL in your own variables",
    )?;
    let host = required(
        &object,
        "host",
        "secrets that RDS manages itself hold user name and password only: keep one with the host (and \
         engine, port, dbname), or build the URL in your own variables",
    )?;
    let host = checked_host(&host)?;
    let port = text(&object, "port")?
        .map(|port| checked_port(&port))
        .transpose()?;
    let database = text(&object, "dbname")?;

    // Enough for everything, so that it never moves and leaves a copy: an encoded byte takes three.
    let parts = [
        user.len(),
        password.len(),
        host.len(),
        database.as_ref().map_or(0, |name| name.len()),
    ];
    let mut url = Zeroizing::new(String::with_capacity(
        scheme.len() + 16 + 3 * parts.iter().sum::<usize>(),
    ));
    url.push_str(scheme);
    url.push_str("://");
    url.extend(utf8_percent_encode(&user, RESERVED));
    url.push(':');
    url.extend(utf8_percent_encode(&password, RESERVED));
    url.push('@');
    url.push_str(&host);
    if let Some(port) = port {
        url.push_str(&format!(":{port}"));
    }
    if let Some(name) = database {
        url.push('/');
        url.extend(utf8_percent_encode(&name, RESERVED));
    }
    Ok(Secret::new(url.as_bytes()))
}

/// SQLAlchemy rejects `postgres://`; all others take `postgresql://` as well.
fn engine_scheme(engine: Option<Text>) -> Result<&'static str, FailureKind> {
    match engine.as_ref().map(|engine| engine.as_str()) {
        Some("postgres" | "postgresql" | "aurora-postgresql" | "aurora-postgres") => Ok("postgresql"),
        Some("mysql" | "mariadb" | "aurora" | "aurora-mysql") => Ok("mysql"),
        Some(_) => Err(bad(
            "the \"engine\" of its JSON is neither PostgreSQL nor MySQL; write the URL's scheme: as = \
             \"database-url:SCHEME\"",
        )),
        None => Err(bad(
            "its JSON has no \"engine\", so the URL's scheme is not known; write it: as = \
             \"database-url:SCHEME\", such as \"database-url:postgresql\"",
        )),
    }
}

/// A host as it stands in a URL. Anything but a name or an address would become another part of it.
fn checked_host(host: &str) -> Result<String, FailureKind> {
    let bare = match host.strip_prefix('[') {
        Some(rest) => rest.strip_suffix(']').unwrap_or(""),
        None => host,
    };
    if bare.contains(':') && bare.parse::<Ipv6Addr>().is_ok() {
        return Ok(format!("[{bare}]"));
    }
    // Docker's names have underscores.
    let named = |byte: u8| byte.is_ascii_alphanumeric() || b".-_".contains(&byte);
    if host.len() <= MAX_HOST && host.bytes().all(named) {
        return Ok(host.to_owned());
    }
    Err(bad(
        "the \"host\" of its JSON is neither a name nor an address; write the host alone, without scheme, port \
         and path",
    ))
}

fn checked_port(port: &str) -> Result<u16, FailureKind> {
    match port.parse() {
        Ok(port) if port != 0 => Ok(port),
        _ => Err(bad(
            "the \"port\" of its JSON is no number from 1 to 65535; correct it, or leave it out",
        )),
    }
}

fn required(object: &Object<'_>, key: &str, remedy: &str) -> Result<Text, FailureKind> {
    text(object, key)?.ok_or_else(|| bad(&format!("its JSON has no {key:?}; {remedy}")))
}

/// A string or number; `None` if there is none, null or an empty one.
fn text(object: &Object<'_>, key: &str) -> Result<Option<Text>, FailureKind> {
    match object.get(key) {
        Ok(Scalar::String(text) | Scalar::Number(text)) => Ok((!text.is_empty()).then_some(text)),
        Ok(Scalar::Bool(_) | Scalar::Compound(_)) => Err(bad(&format!(
            "the {key:?} of its JSON is neither a string nor a number; correct it"
        ))),
        Err(FailureKind::NoSuchKey { .. } | FailureKind::Null { .. }) => Ok(None),
        Err(other) => Err(other),
    }
}

fn bad(what: &str) -> FailureKind {
    FailureKind::BadValue(what.to_owned())
}
