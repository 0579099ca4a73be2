//! `runmate probe`: what a container's HEALTHCHECK runs, so that no image needs curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::Path;

use crate::config::{self, HttpTarget, Inputs};
use crate::event_loop;
use crate::readiness::http;

/// One GET; exit code 0 if the answer is good, otherwise 1 and a line on stderr that says why.
pub(super) fn probe(file: Option<&Path>, url: Option<&str>) -> i32 {
    let asked = match url {
        Some(url) => HttpTarget::parse(url).and_then(|target| ask(&[target], 200..400)),
        // Health never redirects: whoever answers with one is somebody else on its port.
        None => own(file).and_then(|targets| ask(&targets, 200..300)),
    };
    match asked {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("runmate probe: {why}");
            1
        }
    }
}

/// `/healthz` of the runmate that this container runs, at each address where it may be.
fn own(file: Option<&Path>) -> Result<Vec<HttpTarget>, String> {
    let env = super::environment();
    let listen = config::load_listen(&Inputs::of_this_container(file, Vec::new(), &env))
        .map_err(|errors| errors.to_string())?;
    match listen {
        (Some(listen), _) => Ok(loopback(listen).into_iter().map(healthz).collect()),
        (None, true) => Err(
            "there are no health endpoints: health.listen is \"off\"; turn it on, or name what to ask: \
             runmate probe http://127.0.0.1:8000/up"
                .to_owned(),
        ),
        (None, false) => Err(
            "there are no health endpoints: their default port is $PORT, where the app listens; set health.listen \
             to another port, or name what to ask: runmate probe http://127.0.0.1:8000/up"
                .to_owned(),
        ),
    }
}

fn healthz(address: SocketAddr) -> HttpTarget {
    HttpTarget {
        address,
        host: address.to_string(),
        path: "/healthz".into(),
    }
}

/// Where a server bound to this address can be reached from inside the container.
fn loopback(bound: SocketAddr) -> Vec<SocketAddr> {
    let ips = match bound.ip() {
        ip if !ip.is_unspecified() => vec![ip],
        IpAddr::V4(_) => vec![Ipv4Addr::LOCALHOST.into()],
        // It takes IPv4 too. A container without IPv6, as Docker's are, can bind [::] and has no [::1].
        IpAddr::V6(_) => vec![Ipv6Addr::LOCALHOST.into(), Ipv4Addr::LOCALHOST.into()],
    };
    ips.into_iter()
        .map(|ip| SocketAddr::new(ip, bound.port()))
        .collect()
}

/// Asks the first that can be asked, all within [`super::PROBE_TIMEOUT`].
fn ask(targets: &[HttpTarget], good: Range<u16>) -> Result<(), String> {
    let asking = async {
        let mut trouble = None;
        for target in targets {
            let HttpTarget { address, path, .. } = target;
            match http::get(target).await {
                Ok(status) if good.contains(&status) => return Ok(()),
                Ok(503) if path == "/healthz" => {
                    return Err(format!(
                        "http://{address}{path} answered 503: not healthy, or draining; the log says why"
                    ));
                }
                Ok(status) => return Err(format!("http://{address}{path} answered {status}")),
                Err(error) => {
                    trouble.get_or_insert(format!("cannot get http://{address}{path}: {error}"));
                }
            }
        }
        Err(trouble.unwrap_or_default())
    };
    event_loop::block_on(async {
        match tokio::time::timeout(super::PROBE_TIMEOUT, asking).await {
            Ok(asked) => asked,
            Err(_) => {
                let urls = targets
                    .iter()
                    .map(|HttpTarget { address, path, .. }| format!("http://{address}{path}"));
                let urls: Vec<String> = urls.collect();
                Err(format!(
                    "{} did not answer within {:?}",
                    urls.join(" or "),
                    super::PROBE_TIMEOUT
                ))
            }
        }
    })?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_goes_to_loopback_unless_an_address_was_named() {
        for (bound, asked) in [
            ("0.0.0.0:9180", &["127.0.0.1:9180"][..]),
            ("[::]:80", &["[::1]:80", "127.0.0.1:80"]),
            ("127.0.0.5:1", &["127.0.0.5:1"]),
            ("[::1]:1", &["[::1]:1"]),
        ] {
            let found = loopback(bound.parse().unwrap());
            let found: Vec<String> = found.iter().map(SocketAddr::to_string).collect();
            assert_eq!(found, asked);
        }
    }
}
