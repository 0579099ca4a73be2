//! What a check looks at: whether it can be, where that is, and how to name it without its secrets.

use std::net::IpAddr;

use runmate_health::checks;

use super::plan::{CertificateOf, CheckKind, Share};
use crate::config::{Command, Text, units};

/// The schemes of URLs with the key that they belong under.
const SCHEMES: &[(&str, &str)] = &[
    ("postgres", "postgres"),
    ("postgresql", "postgres"),
    ("postgis", "postgres"),
    ("mysql", "mysql"),
    ("mysql2", "mysql"),
    ("mariadb", "mysql"),
    ("trilogy", "mysql"),
    ("redis", "redis"),
    ("rediss", "redis"),
    ("valkey", "redis"),
    ("valkeys", "redis"),
    ("http", "http"),
    ("https", "http"),
];

/// Whether a check of this kind knows what to do with this URL, or `HOST:PORT` for tcp. The message holds nothing
/// of it: a URL has a password in it more often than not.
pub(crate) fn check_url(kind: &CheckKind, url: &str) -> Result<(), String> {
    let scheme = url
        .split_once("://")
        .map(|(scheme, _)| scheme.to_ascii_lowercase());
    // Frameworks name their driver behind a plus: postgresql+psycopg.
    let base = scheme.as_deref().and_then(|scheme| scheme.split('+').next());
    if let Some((scheme, key)) = SCHEMES.iter().find(|(known, _)| Some(*known) == base)
        && *key != kind.name()
    {
        return Err(format!(
            "a URL that begins with {scheme}:// belongs under {key}; write {key} = \"...\""
        ));
    }
    let result = match kind {
        CheckKind::Postgres(_) => checks::Postgres::new(url).map(drop),
        CheckKind::MySql(_) => checks::MySql::new(url).map(drop),
        CheckKind::Redis(_) => checks::Redis::new(url).map(drop),
        CheckKind::Http(_) => checks::Http::new(url).map(drop),
        // The library shows what it cannot read, and this may be a secret in the wrong place.
        CheckKind::Tcp(_) => {
            return checks::Tcp::new(url)
                .map(drop)
                .map_err(|_| "is no host with a port; write one such as \"db.example.com:5432\"".to_owned());
        }
        _ => Ok(()),
    };
    result.map_err(|invalid| invalid.to_string())
}

/// Whether this is the `HOST:PORT` of a server.
pub(super) fn check_server(server: &str) -> Result<(), String> {
    // Not what was given: a variable may hold something else than was thought.
    checks::Certificate::of_server(server).map(drop).map_err(|_| {
        "is no server; write one such as \"api.example.com:443\", or a path with a '/' in front".to_owned()
    })
}

impl CheckKind {
    /// Its key in the config.
    pub fn name(&self) -> &'static str {
        match self {
            CheckKind::Postgres(_) => "postgres",
            CheckKind::MySql(_) => "mysql",
            CheckKind::Redis(_) => "redis",
            CheckKind::Http(_) => "http",
            CheckKind::Tcp(_) => "tcp",
            CheckKind::Exec(_) => "exec",
            CheckKind::Disk { .. } => "disk",
            CheckKind::Memory { .. } => "memory",
            CheckKind::Fds { .. } => "fds",
            CheckKind::Certificate { .. } => "certificate",
        }
    }

    /// The URL, or `HOST:PORT`, of a kind that has one.
    pub fn url(&self) -> Option<&Text> {
        match self {
            CheckKind::Postgres(url)
            | CheckKind::MySql(url)
            | CheckKind::Redis(url)
            | CheckKind::Http(url)
            | CheckKind::Tcp(url) => Some(url),
            _ => None,
        }
    }

    /// Whether other containers may use the same: then all of them see it fail at once. Where secrets hide the
    /// address, or PGHOST says it, it counts as shared.
    pub(super) fn is_shared(&self) -> bool {
        let Some(url) = self.url() else { return false };
        let Some(host) = url.literal().map(|url| self.host(url)) else {
            return true;
        };
        match host {
            Host::Named(host) => {
                let ip = host.parse::<IpAddr>();
                !(host.eq_ignore_ascii_case("localhost") || ip.is_ok_and(|ip| ip.is_loopback()))
            }
            Host::Here => false,
            Host::Elsewhere => true,
        }
    }

    /// The host of a URL, as the check itself understands it.
    fn host(&self, url: &str) -> Host {
        let named = match self {
            CheckKind::Postgres(_) => match checks::Postgres::new(url).map(|check| check.host()) {
                Ok(None) => return Host::Elsewhere,
                host => host.ok().flatten(),
            },
            CheckKind::MySql(_) => checks::MySql::new(url).ok().and_then(|check| check.host()),
            CheckKind::Redis(_) => checks::Redis::new(url).ok().map(|check| check.host()),
            _ => Some(without_port(authority(url)).to_owned()),
        };
        match named {
            // A socket's is the path of its file.
            Some(host) if !host.starts_with('/') => Host::Named(host),
            _ => Host::Here,
        }
    }
}

/// Where a URL leads.
enum Host {
    /// To this host, by name or address.
    Named(String),
    /// To a socket's file, or to this machine by default.
    Here,
    /// To where PGHOST says, if it says something.
    Elsewhere,
}

/// Host and port of a URL, or of a bare `HOST:PORT`: never the user, the password, the path or the query.
fn authority(url: &str) -> &str {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    let authority = &rest[..end];
    authority.rsplit_once('@').map_or(authority, |(_, host)| host)
}

fn without_port(authority: &str) -> &str {
    match authority.rsplit_once(':') {
        // Inside brackets a colon belongs to the address.
        Some((host, port)) if !port.ends_with(']') => host.trim_matches(['[', ']']),
        _ => authority.trim_matches(['[', ']']),
    }
}

/// What is looked at, for people: of URLs host and port, of those with secrets only the names of these.
pub(in crate::config) fn describe(kind: &CheckKind) -> String {
    if let Some(url) = kind.url() {
        return match url.literal().map(|url| (kind.host(url), authority(url))) {
            Some((Host::Here, _)) => "on this machine".to_owned(),
            Some((Host::Elsewhere, _)) => "on the host of PGHOST, or on this machine".to_owned(),
            // The query may name another one.
            Some((Host::Named(host), authority)) if without_port(authority) != host => host,
            Some((Host::Named(_), authority)) => authority.to_owned(),
            None => url
                .secrets()
                .map(|name| format!("${{{name}}}"))
                .collect::<Vec<_>>()
                .join(", "),
        };
    }
    match kind {
        // Words may come from variables, such as the password in redis-cli -a ${PASSWORD}.
        CheckKind::Exec(Command::Argv(argv)) => argv.first().cloned().unwrap_or_default(),
        CheckKind::Exec(_) => "/bin/sh".to_owned(),
        CheckKind::Disk { path, min_free } => {
            let least = match min_free {
                Share::Bytes(bytes) => format!("{bytes} bytes"),
                Share::Percent(part) => format!("{part}%"),
            };
            format!("{}, at least {least} free", path.display())
        }
        CheckKind::Memory { max_used } | CheckKind::Fds { max_used } => format!("at most {max_used}% used"),
        CheckKind::Certificate { of, min_valid } => {
            let of = match of {
                CertificateOf::File(path) => path.display().to_string(),
                CertificateOf::Server(server) => server.clone(),
            };
            format!("{of}, valid for {} or more", units::show(*min_valid))
        }
        _ => String::new(),
    }
}

/// Where the check runs: PID 1 itself looks up no names and has neither TLS nor drivers.
pub(in crate::config) fn place(kind: &CheckKind) -> &'static str {
    let here = match kind {
        CheckKind::Exec(_) | CheckKind::Disk { .. } | CheckKind::Memory { .. } | CheckKind::Fds { .. } => {
            true
        }
        CheckKind::Http(url) => with_literal(url, checks::Http::new).is_some_and(|http| http.is_local()),
        CheckKind::Tcp(address) => with_literal(address, checks::Tcp::new).is_some_and(|tcp| tcp.is_local()),
        CheckKind::Postgres(_)
        | CheckKind::MySql(_)
        | CheckKind::Redis(_)
        | CheckKind::Certificate { .. } => false,
    };
    match (here, kind.url()) {
        (true, _) => "in PID 1",
        // What it comes to is known only with its secrets.
        (false, Some(url))
            if url.literal().is_none() && matches!(kind, CheckKind::Http(_) | CheckKind::Tcp(_)) =>
        {
            "in PID 1 or in the helper"
        }
        (false, _) => "in the helper",
    }
}

fn with_literal<T>(url: &Text, make: impl Fn(&str) -> Result<T, checks::Invalid>) -> Option<T> {
    url.literal().and_then(|url| make(url).ok())
}
