//! There is memory left.

mod cgroup;

use std::fs;
use std::path::{Path, PathBuf};

use super::amount::bytes;
use crate::check::{Check, ComponentType, Failure, Look, Looked, Measured, Observation};

const MEASURES: &str = "utilization";

/// Passes while no more than a part of the memory is used: of the limit of the container's cgroup (version 2 or 1),
/// or without one of the machine's. Measures `utilization`, in percent.
///
/// Used is what the kernel cannot take back at once: cached files that nobody reads do not count, as with
/// `docker stats` and the kubelet's working set. Where several cgroups around the process have a limit, the fullest
/// one counts, because any of them ends in the out-of-memory killer.
///
/// Without a limit of its own, at most 90 percent may be used.
#[derive(Debug)]
pub struct Memory {
    max_used: u8,
    root: PathBuf,
}

/// Some memory and how much of it is used, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    used: u64,
    limit: u64,
    of: Of,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Of {
    Container,
    Machine,
}

impl Memory {
    /// A check of the memory that this process may use.
    pub fn new() -> Memory {
        Memory {
            max_used: 90,
            root: "/".into(),
        }
    }

    /// At most this many percent may be used. More than 100 counts as 100.
    pub fn max_used_percent(self, percent: u8) -> Memory {
        Memory {
            max_used: percent.min(100),
            ..self
        }
    }

    fn judge(&self) -> Looked {
        let usage = measure(&self.root).ok_or_else(|| {
            Failure::unknown("cannot read how much memory is used: no cgroup, no /proc/meminfo")
        })?;
        let percent = usage.percent();
        let measured = Measured {
            what: MEASURES.into(),
            value: percent,
            unit: "percent".into(),
        };
        if percent <= f64::from(self.max_used) {
            return Ok(Observation::of(measured));
        }
        let (used, limit) = (bytes(usage.used), bytes(usage.limit));
        let of = match usage.of {
            Of::Container => "the container's memory limit",
            Of::Machine => "the machine's memory",
        };
        let why = format!(
            "{percent} % of {of} are used ({used} of {limit}), at most {} % may be",
            self.max_used
        );
        Err(Failure::new(why).with(measured))
    }
}

impl Usage {
    /// To one decimal.
    fn percent(&self) -> f64 {
        // Exact up to 8 PiB.
        (self.used as f64 * 1000.0 / self.limit as f64).round() / 10.0
    }
}

impl Default for Memory {
    fn default() -> Memory {
        Memory::new()
    }
}

impl Check for Memory {
    fn look(&self) -> Look<'_> {
        // The kernel answers from memory: nothing here can hang.
        Box::pin(async { self.judge() })
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::System
    }

    fn measures(&self) -> Option<&str> {
        Some(MEASURES)
    }
}

fn measure(root: &Path) -> Option<Usage> {
    let machine = machine(root);
    // A limit above what there is limits nothing; "none" is such a number in version 1.
    let most = machine.map_or(1 << 62, |machine| machine.limit);
    let fullest = cgroup::usages(root)
        .into_iter()
        .filter(|usage| usage.limit < most)
        .max_by(|a, b| a.percent().total_cmp(&b.percent()));
    fullest.or(machine)
}

/// proc_meminfo(5): what is available could be used without swapping.
fn machine(root: &Path) -> Option<Usage> {
    let text = fs::read_to_string(root.join("proc/meminfo")).ok()?;
    let read = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name))?;
        let kib: u64 = line.strip_suffix("kB")?.trim().parse().ok()?;
        kib.checked_mul(1024)
    };
    let limit = read("MemTotal:").filter(|total| *total > 0)?;
    Some(Usage {
        used: limit.saturating_sub(read("MemAvailable:")?),
        limit,
        of: Of::Machine,
    })
}

#[cfg(test)]
mod tests;
