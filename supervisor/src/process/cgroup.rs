//! Whether the kernel's out-of-memory killer struck in our cgroup.

use std::fs;
use std::path::{Path, PathBuf};

/// Counts OOM kills since it was opened. Works with cgroup v2 (`memory.events`) and v1
/// (`memory.oom_control`); where neither can be read, the answer is "unknown".
#[derive(Debug)]
pub struct OomCounter {
    file: Option<PathBuf>,
    before: u64,
}

impl OomCounter {
    /// Finds the counter and remembers where it stands.
    pub fn open() -> OomCounter {
        OomCounter::open_at(Path::new("/"))
    }

    fn open_at(root: &Path) -> OomCounter {
        let file = find(root).filter(|file| count(file).is_some());
        let before = file.as_deref().and_then(count).unwrap_or(0);
        OomCounter { file, before }
    }

    /// How many processes were killed since; `None` if it cannot be known.
    pub fn kills(&self) -> Option<u64> {
        let now = count(self.file.as_deref()?)?;
        Some(now.saturating_sub(self.before))
    }
}

/// The line `oom_kill N` of the counter file (cgroups(7); Linux Documentation/admin-guide/cgroup-v2.rst).
fn count(file: &Path) -> Option<u64> {
    let text = fs::read_to_string(file).ok()?;
    text.lines()
        .find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok())
}

/// Where our own memory cgroup is, from `/proc/self/cgroup` (our path in each hierarchy) and
/// `/proc/self/mountinfo` (where each hierarchy is mounted, and from which of its directories on).
fn find(root: &Path) -> Option<PathBuf> {
    let cgroups = fs::read_to_string(root.join("proc/self/cgroup")).ok()?;
    let mounts = fs::read_to_string(root.join("proc/self/mountinfo")).ok()?;
    let v1 = cgroups.lines().find_map(|line| {
        let mut fields = line.splitn(3, ':').skip(1);
        let controllers = fields.next()?;
        let path = fields.next()?;
        controllers
            .split(',')
            .any(|name| name == "memory")
            .then_some(path)
    });
    let v2 = cgroups.lines().find_map(|line| line.strip_prefix("0::"));
    let place = |path: Option<&str>, kind: &str, option: &str, file: &str| {
        let path = path?;
        mounts.lines().find_map(|line| {
            let (mount, rest) = line.split_once(" - ")?;
            let mut rest = rest.split(' ');
            let matches =
                rest.next()? == kind && rest.nth(1)?.split(',').any(|o| option.is_empty() || o == option);
            let mut mount = mount.split(' ').skip(3);
            let (mount_root, mount_point) = (mount.next()?, mount.next()?);
            if !matches {
                return None;
            }
            // In a container the mount often starts at our own directory, while our path is told
            // from the root of the hierarchy.
            let below = path.strip_prefix(mount_root.trim_end_matches('/')).unwrap_or("");
            let directory = root.join(mount_point.trim_start_matches('/'));
            let full = directory.join(below.trim_start_matches('/')).join(file);
            Some(if full.exists() { full } else { directory.join(file) })
        })
    };
    place(v1, "cgroup", "memory", "memory.oom_control").or_else(|| place(v2, "cgroup2", "", "memory.events"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[test]
    fn cgroup_v2_in_a_namespace_of_its_own() {
        let root = tempfile::tempdir().unwrap();
        write(root.path(), "proc/self/cgroup", "0::/\n");
        write(
            root.path(),
            "proc/self/mountinfo",
            "31 24 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n",
        );
        write(
            root.path(),
            "sys/fs/cgroup/memory.events",
            "low 0\nhigh 0\nmax 9\noom 2\noom_kill 2\n",
        );
        let counter = OomCounter::open_at(root.path());
        assert_eq!(counter.kills(), Some(0));
        write(
            root.path(),
            "sys/fs/cgroup/memory.events",
            "oom 3\noom_kill 3\noom_group_kill 0\n",
        );
        assert_eq!(counter.kills(), Some(1));
    }

    #[test]
    fn cgroup_v1_seen_from_inside_and_outside_the_container() {
        for (mount_root, mount_point, file) in [
            (
                "/docker/abc",
                "/sys/fs/cgroup/memory",
                "sys/fs/cgroup/memory/memory.oom_control",
            ),
            (
                "/",
                "/sys/fs/cgroup/memory",
                "sys/fs/cgroup/memory/docker/abc/memory.oom_control",
            ),
        ] {
            let root = tempfile::tempdir().unwrap();
            write(
                root.path(),
                "proc/self/cgroup",
                "4:memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n",
            );
            let mounts = format!(
                "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
                 31 24 0:27 {mount_root} {mount_point} rw - cgroup cgroup rw,memory\n"
            );
            write(root.path(), "proc/self/mountinfo", &mounts);
            write(root.path(), file, "oom_kill_disable 0\nunder_oom 0\noom_kill 0\n");
            let counter = OomCounter::open_at(root.path());
            write(root.path(), file, "oom_kill_disable 0\nunder_oom 0\noom_kill 4\n");
            assert_eq!(counter.kills(), Some(4), "{mount_root}");
        }
    }

    #[test]
    fn without_a_counter_the_answer_is_unknown() {
        let root = tempfile::tempdir().unwrap();
        assert_eq!(OomCounter::open_at(root.path()).kills(), None);
    }
}
