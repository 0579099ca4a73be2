//! The built-in checks.
//!
//! | check | passes if | measures | feature |
//! |---|---|---|---|
//! | `Postgres` | it answers a statement | | `postgres` |
//! | `MySql` | MySQL or MariaDB answers a statement | | `mysql` |
//! | `Redis` | Redis, Valkey answers a PING | | `redis` |
//! | `Http` | a GET is answered with 200 to 399 | | `http` |
//! | [`Tcp`] | a connection is accepted | | |
//! | `Exec` | a command exits with 0 | | `exec` |
//! | [`Disk`] | 10 % are free | `free`, bytes | |
//! | [`Memory`] | 90 % are used at most | `utilization`, percent | |
//! | [`Fds`] | 80 % are open at most | `utilization`, percent | |
//! | `Certificate` | it is valid for 14 days | `validFor`, seconds | `certificate` |
//!
//! Each is made from what a config would say, and refuses what it cannot look at with an [`Invalid`]. What they
//! report holds no URL and no password: what a server says is passed on without them, on one line. It may name a role,
//! a database or the path of a socket.
//!
//! The addresses of a name are tried one after the other, each but the last for a second at most. (PostgreSQL's and
//! MySQL's drivers have no such limit: a first address where nobody answers uses up the look.)
//!
//! Nothing that can hang holds up the thread, and none of it piles up: names are looked up, and files on disks that
//! may be remote are touched, on a thread of the check's own, never a second one while the first hangs.

mod address;
mod amount;
#[cfg(feature = "certificate")]
mod certificate;
#[cfg(feature = "_server")]
mod confidential;
mod disk;
#[cfg(feature = "exec")]
mod exec;
mod fds;
#[cfg(feature = "http")]
mod http;
#[cfg(feature = "_server")]
mod kept;
mod memory;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(feature = "peer")]
mod peer;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(feature = "redis")]
mod redis;
mod shortage;
#[cfg(feature = "_sql")]
mod sql;
mod tcp;
#[cfg(feature = "_tls")]
mod tls;
#[cfg(feature = "_server")]
mod url;
#[cfg(any(feature = "_server", feature = "_tls"))]
mod words;

#[cfg(feature = "certificate")]
pub use certificate::Certificate;
pub use disk::Disk;
#[cfg(feature = "exec")]
pub use exec::Exec;
pub use fds::Fds;
#[cfg(feature = "http")]
pub use http::Http;
pub use memory::Memory;
#[cfg(feature = "mysql")]
pub use mysql::MySql;
#[cfg(feature = "peer")]
pub use peer::{Peer, Stream};
#[cfg(feature = "postgres")]
pub use postgres::Postgres;
#[cfg(feature = "redis")]
pub use redis::Redis;
pub use tcp::Tcp;

use std::fmt;

/// Why a check cannot be made of what was given. Holds nothing of a URL, which may have a password in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Invalid(pub(crate) String);

impl fmt::Display for Invalid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Invalid {}
