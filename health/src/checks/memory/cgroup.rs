//! What the cgroups around this process say (cgroups(7); Linux Documentation/admin-guide/cgroup-v2.rst and
//! cgroup-v1/memory.rst).

use std::fs;
use std::path::{Path, PathBuf};

use super::{Of, Usage};

/// The files of a version, and what they call what is cached and could be dropped.
struct Version {
    /// The type of its file system.
    mounted_as: &'static str,
    limit: &'static str,
    usage: &'static str,
    inactive: &'static str,
}

const V1: Version = Version {
    mounted_as: "cgroup",
    limit: "memory.limit_in_bytes",
    usage: "memory.usage_in_bytes",
    inactive: "total_inactive_file ",
};

const V2: Version = Version {
    mounted_as: "cgroup2",
    limit: "memory.max",
    usage: "memory.current",
    inactive: "inactive_file ",
};

/// The usage of each cgroup around this process that has a limit and can be seen.
pub(super) fn usages(root: &Path) -> Vec<Usage> {
    let read = |path: &str| fs::read_to_string(root.join(path)).unwrap_or_default();
    let (cgroups, mounts) = (read("proc/self/cgroup"), read("proc/self/mountinfo"));
    // Memory belongs to one version only; in a hybrid set-up that is version 1.
    let (version, path) = match path_in_v1(&cgroups) {
        Some(path) => (&V1, path),
        None => match cgroups.lines().find_map(|line| line.strip_prefix("0::")) {
            Some(path) => (&V2, path),
            None => return Vec::new(),
        },
    };
    let Some((top, own)) = mounts.lines().find_map(|line| place(root, line, version, path)) else {
        return Vec::new();
    };
    own.ancestors()
        .take_while(|directory| directory.starts_with(&top))
        .filter_map(|directory| usage(directory, version))
        .collect()
}

/// `4:memory:/docker/abc`.
fn path_in_v1(cgroups: &str) -> Option<&str> {
    cgroups.lines().find_map(|line| {
        let (_, line) = line.split_once(':')?;
        let (controllers, path) = line.split_once(':')?;
        let is_memory = controllers.split(',').any(|name| name == "memory");
        is_memory.then_some(path)
    })
}

/// Where the hierarchy is mounted and where our cgroup is in it, if this line of mountinfo is about it.
fn place(root: &Path, line: &str, version: &Version, path: &str) -> Option<(PathBuf, PathBuf)> {
    let (mount, rest) = line.split_once(" - ")?;
    let mut rest = rest.split(' ');
    if rest.next()? != version.mounted_as {
        return None;
    }
    let options = rest.nth(1)?;
    if version.mounted_as == V1.mounted_as && !options.split(',').any(|option| option == "memory") {
        return None;
    }
    let mut mount = mount.split(' ').skip(3);
    let (mounted, at) = (mount.next()?, mount.next()?);
    let top = root.join(at.trim_start_matches('/'));
    // In a container the mount often starts at our own cgroup, while our path is told from the root of the
    // hierarchy, or the other way round.
    let below = path.strip_prefix(mounted.trim_end_matches('/')).unwrap_or("");
    let own = top.join(below.trim_start_matches('/'));
    let own = if own.exists() { own } else { top.clone() };
    Some((top, own))
}

/// `None` without a limit, and where there are no such files (the root has none).
fn usage(directory: &Path, version: &Version) -> Option<Usage> {
    let read = |name: &str| fs::read_to_string(directory.join(name)).ok();
    let number = |name: &str| read(name)?.trim().parse::<u64>().ok();
    // "max" is no number.
    let limit = number(version.limit).filter(|limit| *limit > 0)?;
    let used = number(version.usage)?;
    let inactive = read("memory.stat").and_then(|stat| {
        let line = stat.lines().find_map(|line| line.strip_prefix(version.inactive));
        line?.trim().parse::<u64>().ok()
    });
    Some(Usage {
        used: used.saturating_sub(inactive.unwrap_or(0)),
        limit,
        of: Of::Container,
    })
}
