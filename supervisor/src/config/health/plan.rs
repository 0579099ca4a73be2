//! What `[health]` means, after every default was applied.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use crate::config::{Command, Text};
use crate::machine::ProcessId;

/// `[health]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    /// Where the endpoints listen; `None` is off.
    pub listen: Option<SocketAddr>,
    /// Whether the address was written in the config: then a busy port is an error.
    pub explicit: bool,
    /// The bearer token that opens the details.
    pub token: Option<Text>,
    /// Whether everyone may see the details.
    pub public_details: bool,
    /// The checks in the order of the file.
    pub checks: Vec<HealthCheck>,
}

/// `[health.check.NAME]`, resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HealthCheck {
    /// Its name in the config.
    pub name: String,
    /// What is looked at.
    pub kind: CheckKind,
    /// When, and what follows.
    pub settings: runmate_health::Settings,
    /// The process to restart while it fails.
    pub restart: Option<ProcessId>,
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CheckKind {
    /// A PostgreSQL server, by its URL.
    Postgres(Text),
    /// A MySQL or MariaDB server, by its URL.
    MySql(Text),
    /// A Redis or Valkey server, by its URL.
    Redis(Text),
    /// A GET of this URL, answered with 200 to 399.
    Http(Text),
    /// `HOST:PORT` that accepts a connection.
    Tcp(Text),
    /// A command that exits with 0.
    Exec(Command),
    /// Free space of the file system that holds a path.
    Disk {
        /// The path.
        path: PathBuf,
        /// How much has to be free.
        min_free: Share,
    },
    /// Memory of the container.
    Memory {
        /// Used at most, in percent of the limit.
        max_used: u8,
    },
    /// Open descriptors of each process of the container.
    Fds {
        /// Used at most, in percent of its limit.
        max_used: u8,
    },
    /// How long a certificate is valid.
    Certificate {
        /// Where it is.
        of: CertificateOf,
        /// For how long it has to be valid from now.
        min_valid: Duration,
    },
}

/// A part of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    /// So many bytes.
    Bytes(u64),
    /// So many of a hundred.
    Percent(u8),
}

/// Where a certificate is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CertificateOf {
    /// In a PEM file.
    File(PathBuf),
    /// With the TLS server at `HOST:PORT`.
    Server(String),
}
