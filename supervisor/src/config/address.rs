//! Addresses and URLs that PID 1 can use by itself: literal ones, for it resolves no names.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::HttpTarget;

/// Reads `ADDRESS:PORT`, `:PORT` or `PORT`, with `unnamed` for the address where there is none.
pub(super) fn socket(text: &str, unnamed: Ipv4Addr) -> Result<SocketAddr, String> {
    let example = SocketAddr::from((unnamed, 8000));
    let (host, port) = match text.rsplit_once(':') {
        Some((host, port)) => (host, port),
        None => ("", text),
    };
    // "::1" without a port would otherwise be read as the host ":" and the port 1.
    if host.contains(':') && !(host.starts_with('[') && host.ends_with(']')) {
        return Err(format!("{text:?} has no port; write \"[ADDRESS]:PORT\""));
    }
    let Some(port) = number(port) else {
        return Err(format!(
            "{text:?} is no address with a port; write one such as \"{example}\""
        ));
    };
    let ip = if host.is_empty() {
        IpAddr::V4(unnamed)
    } else {
        literal(host)?
    };
    Ok(SocketAddr::new(ip, port))
}

/// Reads a URL such as `http://127.0.0.1:8000/up`.
pub(super) fn http(url: &str) -> Result<HttpTarget, String> {
    let example = "http://127.0.0.1:8000/up";
    let scheme = |prefix: &str| {
        url.get(..prefix.len())
            .is_some_and(|start| start.eq_ignore_ascii_case(prefix))
    };
    if scheme("https://") {
        return Err(
            "https cannot be probed, PID 1 has no TLS; probe the plain port, or use tcp or exec".to_owned(),
        );
    }
    if !scheme("http://") {
        return Err(format!("{url:?} is no http URL; write one such as \"{example}\""));
    }
    // It becomes a request line as it is.
    if !url.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(format!(
            "{url:?} holds spaces, control or non-ASCII characters; percent-encode them"
        ));
    }
    let rest = &url["http://".len()..];
    let rest = rest.split('#').next().unwrap_or(rest);
    let (authority, path) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("a URL with a user or password cannot be probed; use exec".to_owned());
    }
    if authority.is_empty() {
        return Err(format!(
            "{url:?} names no address; write one such as \"{example}\""
        ));
    }
    let (host, port) = match authority.rsplit_once(':') {
        // Inside brackets a colon belongs to the address.
        Some((host, port)) if !port.ends_with(']') => {
            let port = number(port).filter(|port| *port > 0);
            (
                host,
                port.ok_or_else(|| format!("{url:?} has a bad port; write one such as \"{example}\""))?,
            )
        }
        _ => (authority, 80),
    };
    Ok(HttpTarget {
        address: SocketAddr::new(literal(host)?, port),
        host: authority.to_owned(),
        path: if path.starts_with('/') {
            path.to_owned()
        } else {
            format!("/{path}")
        },
    })
}

/// A literal address, or localhost.
fn literal(host: &str) -> Result<IpAddr, String> {
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(IpAddr::V4(Ipv4Addr::LOCALHOST));
    }
    let parsed = match host.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')) {
        Some(inner) => inner.parse().map(IpAddr::V6).ok(),
        None => host.parse().map(IpAddr::V4).ok(),
    };
    parsed.ok_or_else(|| {
        format!("{host:?} is no literal address and PID 1 resolves no names; write 127.0.0.1 or [::1], or localhost")
    })
}

/// A port, digits only (`parse` alone would take `+80`).
fn number(text: &str) -> Option<u16> {
    text.bytes()
        .all(|b| b.is_ascii_digit())
        .then(|| text.parse().ok())
        .flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_read() {
        for (text, expected) in [
            ("0.0.0.0:9180", "0.0.0.0:9180"),
            ("[::]:9180", "[::]:9180"),
            (":9180", "0.0.0.0:9180"),
            ("9180", "0.0.0.0:9180"),
            ("localhost:9180", "127.0.0.1:9180"),
        ] {
            assert_eq!(
                socket(text, Ipv4Addr::UNSPECIFIED).unwrap().to_string(),
                expected,
                "{text}"
            );
        }
        for text in [
            "",
            ":",
            "x",
            "1.2.3.4",
            "1.2.3.4:",
            "db:5432",
            "::1",
            "::1:80",
            "1.2.3.4:99999",
            "1.2.3.4:+80",
        ] {
            assert!(socket(text, Ipv4Addr::UNSPECIFIED).is_err(), "{text}");
        }
    }

    #[test]
    fn urls_read() {
        for (url, address, host, path) in [
            (
                "http://127.0.0.1:8000/up",
                "127.0.0.1:8000",
                "127.0.0.1:8000",
                "/up",
            ),
            ("HTTP://localhost", "127.0.0.1:80", "localhost", "/"),
            ("http://[::1]:3000?a=b", "[::1]:3000", "[::1]:3000", "/?a=b"),
            ("http://[::1]/x#y", "[::1]:80", "[::1]", "/x"),
        ] {
            let target = http(url).unwrap();
            assert_eq!(target.address.to_string(), address, "{url}");
            assert_eq!(
                (target.host.as_str(), target.path.as_str()),
                (host, path),
                "{url}"
            );
        }
    }

    #[test]
    fn urls_that_cannot_be_probed_say_why() {
        for (url, part) in [
            ("https://127.0.0.1/", "PID 1 has no TLS"),
            ("http://app:8000/up", "PID 1 resolves no names"),
            ("127.0.0.1:8000", "is no http URL"),
            ("http://", "names no address"),
            ("http:///up", "names no address"),
            ("http://127.0.0.1:0/", "bad port"),
            ("http://127.0.0.1:/", "bad port"),
            ("http://127.0.0.1/a b", "percent-encode"),
            ("http://127.0.0.1/\r\nX: y", "percent-encode"),
            ("http://me:secret@127.0.0.1/", "user or password"),
        ] {
            let error = http(url).unwrap_err();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("secret@"), "{error}");
        }
    }
}
