//! Who we are, and randomness.

use std::fs::File;
use std::io::Read;

use crate::db::Run;

/// Gives this run a name of its own.
pub(crate) fn this_run() -> Run {
    let id = format!("{:012x}", random() >> 16);
    let host = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let host = match host.trim() {
        "" => "unknown",
        host => host,
    };
    Run {
        id,
        host: format!("{host}/{}", std::process::id()),
    }
}

/// From 0 to 1.
pub(super) fn random_fraction() -> f64 {
    (random() >> 32) as f64 / f64::from(u32::MAX)
}

fn random() -> u64 {
    let mut bytes = [0; 8];
    match File::open("/dev/urandom").and_then(|mut file| file.read_exact(&mut bytes)) {
        Ok(()) => u64::from_ne_bytes(bytes),
        // No /dev in this container: the keys of std's hash maps come from the kernel as well.
        Err(_) => {
            use std::hash::{BuildHasher, Hasher};
            std::collections::hash_map::RandomState::new()
                .build_hasher()
                .finish()
        }
    }
}
