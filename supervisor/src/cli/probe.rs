//! `runmate probe`: what a container's HEALTHCHECK runs, so that no image needs curl.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::Path;

use crate::config::{self, HttpTarget, Inputs};
use crate::readiness::http;

/// One GET; exit code 0 for 200 to 399, otherwise 1 and a line on stderr that says why.
pub(super) fn probe(file: Option<&Path>, url: Option<&str>) -> i32 {
    match target(file, url).and_then(|target| ask(&target)) {
        Ok(()) => 0,
        Err(why) => {
            eprintln!("runmate probe: {why}");
            1
        }
    }
}

fn target(file: Option<&Path>, url: Option<&str>) -> Result<HttpTarget, String> {
    if let Some(url) = url {
        return HttpTarget::parse(url);
    }
    let env = super::environment();
    let listen = config::load_listen(&Inputs::of_this_container(file, Vec::new(), &env))
        .map_err(|errors| errors.to_string())?;
    let listen = match listen {
        (Some(listen), _) => listen,
        (None, true) => return Err("health.listen is \"off\"; name a URL, or turn it on".to_owned()),
        (None, false) => {
            return Err(
                "the default port of health is $PORT, where the app listens; set health.listen to another \
                        port, or name a URL"
                    .to_owned(),
            );
        }
    };
    let address = loopback(listen);
    Ok(HttpTarget {
        address,
        host: address.to_string(),
        path: "/healthz".into(),
    })
}

/// Where a server bound to this address can be reached from inside the container.
fn loopback(bound: SocketAddr) -> SocketAddr {
    let ip = match bound.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
    };
    SocketAddr::new(ip, bound.port())
}

fn ask(target: &HttpTarget) -> Result<(), String> {
    let HttpTarget { address, path, .. } = target;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start: {error}"))?;
    runtime.block_on(async {
        match tokio::time::timeout(super::PROBE_TIMEOUT, http::get(target)).await {
            Err(_) => Err(format!(
                "http://{address}{path} did not answer within {:?}",
                super::PROBE_TIMEOUT
            )),
            Ok(Err(error)) => Err(format!("cannot get http://{address}{path}: {error}")),
            Ok(Ok(status)) if (200..400).contains(&status) => Ok(()),
            Ok(Ok(status)) => Err(format!("http://{address}{path} answered {status}")),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_probe_goes_to_loopback_unless_an_address_was_named() {
        for (bound, asked) in [
            ("0.0.0.0:9180", "127.0.0.1:9180"),
            ("[::]:80", "[::1]:80"),
            ("127.0.0.5:1", "127.0.0.5:1"),
        ] {
            assert_eq!(loopback(bound.parse().unwrap()), asked.parse().unwrap());
        }
    }
}
