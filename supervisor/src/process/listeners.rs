//! Who listens on which TCP port in this container, from `/proc`.

use std::collections::HashMap;
use std::fmt;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use crate::machine::Pid;

/// A listening TCP socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listener {
    /// Where it listens.
    pub address: SocketAddr,
    /// Who holds it, where we may see that.
    pub holder: Option<Holder>,
}

/// Who holds a socket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Holder {
    /// Its pid.
    pub pid: Pid,
    /// The name the kernel knows it by.
    pub name: String,
    /// The process of the config that it is or descends from, where the caller knows it.
    pub process: Option<String>,
}

impl fmt::Display for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.holder {
            Some(Holder {
                process: Some(process),
                ..
            }) => f.write_str(process)?,
            Some(Holder { pid, name, .. }) => write!(f, "{name} (pid {pid})")?,
            None => f.write_str("an unknown process")?,
        }
        write!(f, " listens on {}", self.address)
    }
}

/// All listening TCP sockets of our network namespace.
pub fn listeners() -> Vec<Listener> {
    let mut found = Vec::new();
    for file in ["/proc/net/tcp", "/proc/net/tcp6"] {
        if let Ok(table) = fs::read_to_string(file) {
            found.extend(table.lines().skip(1).filter_map(parse_row));
        }
    }
    let holders = holders_of(&found.iter().map(|(_, inode)| *inode).collect::<Vec<_>>());
    let mut found: Vec<Listener> = found
        .into_iter()
        .map(|(address, inode)| Listener {
            address,
            holder: holders.get(&inode).cloned().map(|(pid, name)| Holder {
                pid,
                name,
                process: None,
            }),
        })
        .collect();
    found.sort();
    found.dedup();
    found
}

/// Why nobody can be reached at `expected`, naming what does listen; `None` if somebody can be.
pub fn missing_listener(expected: SocketAddr, listeners: &[Listener]) -> Option<String> {
    let same_port = || {
        listeners
            .iter()
            .filter(|listener| listener.address.port() == expected.port())
    };
    if same_port().any(|listener| reaches(listener.address.ip(), expected.ip())) {
        return None;
    }
    let near: Vec<String> = same_port().map(Listener::to_string).collect();
    // Outside a container there are strangers; those of the config are the ones that matter.
    let ours = |listener: &&Listener| {
        listener
            .holder
            .as_ref()
            .is_some_and(|holder| holder.process.is_some())
    };
    let any_ours = listeners.iter().any(|listener| ours(&listener));
    let all = listeners.iter().filter(|listener| !any_ours || ours(listener));
    let all: Vec<String> = all.map(Listener::to_string).collect();
    Some(match if near.is_empty() { all } else { near } {
        none if none.is_empty() => "nothing listens on any port".to_owned(),
        some => format!("{} only", some.join(", ")),
    })
}

/// Whether a socket bound to `bound` gets connections to `wanted`. `0.0.0.0` as the wanted address
/// stands for "from outside"; `[::]` takes IPv4 too unless it was told otherwise.
fn reaches(bound: IpAddr, wanted: IpAddr) -> bool {
    bound == wanted
        || bound == IpAddr::V6(Ipv6Addr::UNSPECIFIED)
        || (bound.is_unspecified() && wanted.is_ipv4())
        || (wanted.is_unspecified() && !bound.is_loopback())
}

/// A row of `/proc/net/tcp` in the state LISTEN (0A): its local address and its inode
/// (Linux Documentation/networking/proc_net_tcp.rst).
fn parse_row(row: &str) -> Option<(SocketAddr, u64)> {
    let fields: Vec<&str> = row.split_ascii_whitespace().collect();
    let (local, state, inode) = (fields.get(1)?, fields.get(3)?, fields.get(9)?);
    if *state != "0A" {
        return None;
    }
    let (ip, port) = local.split_once(':')?;
    Some((
        SocketAddr::new(parse_ip(ip)?, u16::from_str_radix(port, 16).ok()?),
        inode.parse().ok()?,
    ))
}

/// The address as the kernel prints it: 32-bit words in the byte order of the machine.
fn parse_ip(hex: &str) -> Option<IpAddr> {
    let word = |at: usize| {
        u32::from_str_radix(hex.get(at..at + 8)?, 16)
            .ok()
            .map(u32::to_ne_bytes)
    };
    match hex.len() {
        8 => Some(Ipv4Addr::from(word(0)?).into()),
        32 => {
            let mut bytes = [0; 16];
            for (index, chunk) in bytes.chunks_mut(4).enumerate() {
                chunk.copy_from_slice(&word(index * 8)?);
            }
            // A program with one socket for both families (Java's) holds 127.0.0.1 as ::ffff:127.0.0.1.
            Some(Ipv6Addr::from(bytes).to_canonical())
        }
        _ => None,
    }
}

/// Which process holds each of these sockets. Sees only what our rights allow.
fn holders_of(inodes: &[u64]) -> HashMap<u64, (i32, String)> {
    let mut holders = HashMap::new();
    let wanted: HashMap<String, u64> = inodes
        .iter()
        .map(|inode| (format!("socket:[{inode}]"), *inode))
        .collect();
    let Ok(processes) = fs::read_dir("/proc") else {
        return holders;
    };
    for process in processes.flatten() {
        let Some(pid) = process.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        let Ok(fds) = fs::read_dir(process.path().join("fd")) else {
            continue;
        };
        for fd in fds.flatten() {
            let Ok(target) = fs::read_link(fd.path()) else {
                continue;
            };
            if let Some(inode) = target.to_str().and_then(|target| wanted.get(target)) {
                let name = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
                // Forked workers hold it too; the lowest pid is the one that opened it.
                let holder = holders.entry(*inode).or_insert((pid, name.trim().to_owned()));
                if pid < holder.0 {
                    *holder = (pid, name.trim().to_owned());
                }
            }
        }
    }
    holders
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::TcpListener;

    #[test]
    #[cfg(target_endian = "little")]
    fn rows_are_read() {
        let row =
            "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000 0 4242 1";
        assert_eq!(parse_row(row), Some(("127.0.0.1:8080".parse().unwrap(), 4242)));
        let row = "  1: 00000000000000000000000001000000:0050 00000000000000000000000000000000:0000 0A \
                   0:0 0:0 0 0 0 7 1";
        assert_eq!(parse_row(row), Some(("[::1]:80".parse().unwrap(), 7)));
        assert_eq!(
            parse_row("  1: 0100007F:1F90 00000000:0000 01 0:0 0:0 0 0 0 7 1"),
            None
        );
        let row = "  2: 0000000000000000FFFF00000100007F:1F90 00000000000000000000000000000000:0000 0A \
                   0:0 0:0 0 0 0 7 1";
        assert_eq!(parse_row(row), Some(("127.0.0.1:8080".parse().unwrap(), 7)));
        assert_eq!(parse_row("rubbish"), None);
    }

    #[test]
    fn our_own_listener_is_found_with_its_holder() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            let socket = TcpListener::bind(address).unwrap();
            let address = socket.local_addr().unwrap();
            let found = listeners()
                .into_iter()
                .find(|listener| listener.address == address);
            assert_eq!(found.unwrap().holder.unwrap().pid, std::process::id() as i32);
        }
    }

    #[test]
    fn the_explanation_names_what_is_wrong() {
        let on = |address: &str| Listener {
            address: address.parse().unwrap(),
            holder: Some(Holder {
                pid: 12,
                name: "node".into(),
                process: None,
            }),
        };
        let explain =
            |expected: &str, listeners: &[Listener]| missing_listener(expected.parse().unwrap(), listeners);
        assert_eq!(
            explain("0.0.0.0:8080", &[on("127.0.0.1:8080")]).as_deref(),
            Some("node (pid 12) listens on 127.0.0.1:8080 only")
        );
        assert_eq!(
            explain("0.0.0.0:8080", &[on("127.0.0.1:3000")]).as_deref(),
            Some("node (pid 12) listens on 127.0.0.1:3000 only")
        );
        assert_eq!(
            explain("0.0.0.0:8080", &[]).as_deref(),
            Some("nothing listens on any port")
        );
        let mut known = on("127.0.0.1:3000");
        known.holder.as_mut().unwrap().process = Some("app".into());
        assert_eq!(
            explain("0.0.0.0:8080", &[on("10.0.0.7:22"), known]).as_deref(),
            Some("app listens on 127.0.0.1:3000 only")
        );
        for reachable in ["0.0.0.0:8080", "[::]:8080", "10.0.0.7:8080"] {
            assert_eq!(explain("0.0.0.0:8080", &[on(reachable)]), None);
        }
        assert_eq!(explain("127.0.0.1:8080", &[on("0.0.0.0:8080")]), None);
        assert!(explain("[::1]:8080", &[on("0.0.0.0:8080")]).is_some());
    }
}
