//! URLs of servers, read without asking anybody: no variable, no file, no account of the system. Whoever makes a check
//! need not be who looks.

use std::net::Ipv6Addr;

use percent_encoding::percent_decode_str;
use zeroize::Zeroizing;

use super::Invalid;
use super::address::is_host;

/// A kind of server.
pub(super) struct Family {
    /// For people, with its article.
    pub name: &'static str,
    /// How its URLs begin, without the driver that SQLAlchemy has behind a plus (`postgresql+psycopg`).
    pub schemes: &'static [&'static str],
    /// What to write.
    pub example: &'static str,
}

/// `SCHEME://USER:PASSWORD@HOST:PORT/PATH?QUERY`, each part decoded. What may be a secret is wiped with it.
pub(super) struct ServerUrl {
    pub user: Option<Zeroizing<String>>,
    pub password: Option<Zeroizing<String>>,
    /// Without brackets; empty if there is none. A directory, if it begins with a slash.
    pub host: String,
    pub port: Option<u16>,
    /// Without the slash in front.
    pub path: Zeroizing<String>,
    query: Vec<(Zeroizing<String>, Zeroizing<String>)>,
}

impl Family {
    /// Reads a URL.
    ///
    /// # Errors
    /// The part that is wrong, without its value.
    pub fn read(&self, url: &str) -> Result<ServerUrl, Invalid> {
        let (_, behind) = self.scheme(url).ok_or_else(|| self.wrong("this is no URL"))?;
        if has_odd_at(behind) {
            return Err(Invalid(
                "this URL has an @ behind its host; in user and password, characters such as / ? # @ have to be \
                 percent-encoded"
                    .into(),
            ));
        }
        let behind = behind.split('#').next().unwrap_or_default();
        let (behind, query) = behind.split_once('?').unwrap_or((behind, ""));
        let (authority, path) = behind.split_once('/').unwrap_or((behind, ""));
        let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
        let (user, password) = login
            .split_once(':')
            .map_or((login, None), |(user, password)| (user, Some(password)));
        let (host, port) = self.host_and_port(place)?;
        let user = self.decoded(user, "user name")?;
        Ok(ServerUrl {
            user: Some(user).filter(|user| !user.is_empty()),
            password: password
                .map(|password| self.decoded(password, "password"))
                .transpose()?,
            host,
            port,
            path: self.decoded(path, "path")?,
            query: pairs(query).collect(),
        })
    }

    /// The scheme, as the family writes it, and what stands behind it.
    pub fn scheme<'a>(&self, url: &'a str) -> Option<(&'static str, &'a str)> {
        let (scheme, behind) = url.trim().split_once("://")?;
        let scheme = scheme.split('+').next().unwrap_or_default();
        let known = self
            .schemes
            .iter()
            .find(|known| known.eq_ignore_ascii_case(scheme));
        Some((*known?, behind))
    }

    /// `what` is not as it should be.
    pub fn wrong(&self, what: &str) -> Invalid {
        Invalid(format!("{what} of {}; write {}", self.name, self.example))
    }

    /// A part of the URL is not as it should be.
    pub fn wrong_part(&self, what: &str) -> Invalid {
        self.wrong(&format!("{what} in this URL"))
    }

    /// A port by its digits.
    pub fn port(&self, digits: &str) -> Result<u16, Invalid> {
        let port = digits.parse().ok().filter(|port| *port > 0);
        port.ok_or_else(|| self.wrong_part("there is no port from 1 to 65535"))
    }

    /// A host that is looked at: one, by name or address, or the directory of a socket.
    pub fn host(&self, host: &str) -> Result<(), Invalid> {
        if host.contains(',') {
            return Err(self.wrong_part("there can be one host only, and there are several"));
        }
        match host.is_empty() || host.starts_with('/') || is_host(host) {
            true => Ok(()),
            false => Err(self.wrong_part("there is no host")),
        }
    }

    fn host_and_port(&self, place: &str) -> Result<(String, Option<u16>), Invalid> {
        let place = self.decoded(place, "host")?;
        if place.contains(',') {
            // Each of them may have a port.
            self.host(&place)?;
        }
        let (host, behind) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            Some((host, behind)) if host.parse::<Ipv6Addr>().is_ok() => (host, behind),
            Some(_) => return Err(self.wrong_part("there is no host")),
            None => place.split_at(place.find(':').unwrap_or(place.len())),
        };
        self.host(host)?;
        let port = match behind {
            "" | ":" => None,
            behind => Some(self.port(behind.strip_prefix(':').unwrap_or(behind))?),
        };
        Ok((host.to_owned(), port))
    }

    fn decoded(&self, text: &str, part: &str) -> Result<Zeroizing<String>, Invalid> {
        let decoded = percent_decode_str(text).decode_utf8();
        let decoded = decoded.map_err(|_| self.wrong_part(&format!("the {part} is not UTF-8")))?;
        Ok(Zeroizing::new(decoded.into_owned()))
    }
}

impl ServerUrl {
    /// What the query says under one of these names; the last one counts.
    pub fn query(&self, names: &[&str]) -> Option<&str> {
        let found = self
            .query
            .iter()
            .rev()
            .find(|(name, _)| names.contains(&name.as_str()));
        found.map(|(_, value)| value.as_str())
    }

    /// All of the query.
    #[cfg(feature = "postgres")]
    pub fn pairs(&self) -> impl Iterator<Item = (&str, &str)> {
        self.query
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// What a query says, in its order, read as the drivers do: a plus is a space.
pub(super) fn pairs(query: &str) -> impl Iterator<Item = (Zeroizing<String>, Zeroizing<String>)> {
    let decoded = |text: &str| {
        let spaced = Zeroizing::new(text.replace('+', " "));
        Zeroizing::new(percent_decode_str(&spaced).decode_utf8_lossy().into_owned())
    };
    let pairs = query.split('&').filter(|pair| !pair.is_empty());
    pairs.map(move |pair| {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        (decoded(name), decoded(value))
    })
}

/// Whether `user:password@host/path?query` has an @ where none should be: `u:12/34@h` is the password 12/34 to people,
/// and host u with port 12 to parsers. A part of the password would be shown as the host.
fn has_odd_at(behind: &str) -> bool {
    let end = behind.find(['/', '?', '#']).unwrap_or(behind.len());
    let (authority, behind) = behind.split_at(end);
    let path = behind.split(['?', '#']).next().unwrap_or_default();
    path.contains('@') || !authority.contains('@') && behind.contains('@')
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOP: Family = Family {
        name: "a shop",
        schemes: &["shop"],
        example: "shop://HOST",
    };

    #[test]
    fn the_parts_are_decoded() {
        assert_eq!(SHOP.scheme(" Shop+go://h"), Some(("shop", "h")));
        let url = SHOP
            .read(" Shop+go://a%40b:p%2Fw@[::1]:80/x%20y?m=1&m=%32&n%61me=a+b#end\n")
            .unwrap();
        assert_eq!(url.user.as_ref().map(|user| user.as_str()), Some("a@b"));
        assert_eq!(url.password.as_ref().map(|text| text.as_str()), Some("p/w"));
        assert_eq!(
            (url.host.as_str(), url.port, url.path.as_str()),
            ("::1", Some(80), "x y")
        );
        assert_eq!(
            (url.query(&["m"]), url.query(&["x", "name"])),
            (Some("2"), Some("a b"))
        );
        for (url, host, port) in [
            ("shop://", "", None),
            ("shop:///d", "", None),
            // Cloud SQL's, whose host is in the query.
            ("shop://u:p@/d?host=/cloudsql/x", "", None),
            ("shop://h:", "h", None),
            ("shop://%2Frun%2Fx:1", "/run/x", Some(1)),
        ] {
            let read = SHOP.read(url).unwrap();
            assert_eq!((read.host.as_str(), read.port), (host, port), "{url}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_without_its_value() {
        for (url, part) in [
            ("secret", "this is no URL"),
            ("http://secret", "this is no URL"),
            ("shop://secret:65536", "no port"),
            ("shop://secret:0", "no port"),
            ("shop://[secret]", "no host"),
            ("shop://secret secret", "no host"),
            ("shop://secret1:5432,secret2:5432/d", "one host only"),
            ("shop://u:secret%ff@h", "the password is not UTF-8"),
            ("shop://u%ff:secret@h", "the user name is not UTF-8"),
        ] {
            let error = SHOP.read(url).err().expect(url).to_string();
            assert!(
                error.contains(part) && error.ends_with("; write shop://HOST"),
                "{error}"
            );
            assert!(!error.contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_url_whose_host_could_be_a_part_of_the_password_is_refused() {
        for url in [
            "shop://u:12/secret@h/d",
            "shop://u:12#secret@h/d",
            "shop://u:12?secret@h/d",
            "shop://u:x@12/secret@h",
        ] {
            let error = SHOP.read(url).err().expect(url).to_string();
            assert!(
                error.contains("percent-encoded") && !error.contains("secret"),
                "{error}"
            );
        }
        assert!(SHOP.read("shop://u:12@secret@h/d?options=a@b").is_ok());
    }
}
