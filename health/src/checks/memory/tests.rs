use std::fs;
use std::path::Path;

use tempfile::TempDir;

use super::*;
use crate::check::FailureKind;

const MIB: u64 = 1 << 20;

fn system(files: &[(&str, &str)]) -> TempDir {
    let root = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = root.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    root
}

const MEMINFO: (&str, &str) = (
    "proc/meminfo",
    "MemTotal:        1048576 kB\nMemFree:           10000 kB\nMemAvailable:     262144 kB\n",
);
const V2_MOUNT: (&str, &str) = (
    "proc/self/mountinfo",
    "31 24 0:27 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n",
);

fn container(used: u64, limit: u64) -> Option<Usage> {
    Some(Usage {
        used,
        limit,
        of: Of::Container,
    })
}

fn of_machine() -> Option<Usage> {
    Some(Usage {
        used: 768 * MIB,
        limit: 1024 * MIB,
        of: Of::Machine,
    })
}

#[test]
fn version_2_counts_without_files_that_nobody_reads() {
    let root = system(&[
        MEMINFO,
        V2_MOUNT,
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/memory.max", "536870912\n"),
        ("sys/fs/cgroup/memory.current", "419430400\n"),
        (
            "sys/fs/cgroup/memory.stat",
            "anon 1\nfile 2\ninactive_anon 7\ninactive_file 104857600\n",
        ),
    ]);
    assert_eq!(measure(root.path()), container(300 * MIB, 512 * MIB));
}

#[test]
fn the_fullest_cgroup_around_us_counts() {
    let files = |pod: &'static str| {
        system(&[
            MEMINFO,
            V2_MOUNT,
            ("proc/self/cgroup", "0::/pod/app\n"),
            ("sys/fs/cgroup/pod/memory.max", pod),
            ("sys/fs/cgroup/pod/memory.current", "314572800\n"),
            ("sys/fs/cgroup/pod/app/memory.max", "209715200\n"),
            ("sys/fs/cgroup/pod/app/memory.current", "104857600\n"),
        ])
    };
    assert_eq!(measure(files("max\n").path()), container(100 * MIB, 200 * MIB));
    assert_eq!(
        measure(files("1073741823\n").path()),
        container(100 * MIB, 200 * MIB)
    );
    assert_eq!(
        measure(files("524288000\n").path()),
        container(300 * MIB, 500 * MIB)
    );
}

#[test]
fn version_1_is_read_inside_and_outside_of_a_container() {
    for (mounted, directory) in [
        ("/docker/abc", "sys/fs/cgroup/memory"),
        ("/", "sys/fs/cgroup/memory/docker/abc"),
    ] {
        let mounts = format!(
            "30 24 0:26 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n\
             32 24 0:28 {mounted} /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n\
             31 24 0:27 {mounted} /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n"
        );
        let at = |file: &str| format!("{directory}/{file}");
        let root = system(&[
            MEMINFO,
            (
                "proc/self/cgroup",
                "4:memory:/docker/abc\n1:cpu:/docker/abc\n0::/\n",
            ),
            ("proc/self/mountinfo", &mounts),
            (&at("memory.limit_in_bytes"), "536870912\n"),
            (&at("memory.usage_in_bytes"), "419430400\n"),
            (
                &at("memory.stat"),
                "inactive_file 1\ntotal_inactive_file 209715200\n",
            ),
        ]);
        assert_eq!(measure(root.path()), container(200 * MIB, 512 * MIB), "{mounted}");
    }
}

#[test]
fn without_a_limit_the_machine_counts() {
    let unlimited = system(&[
        MEMINFO,
        V2_MOUNT,
        ("proc/self/cgroup", "0::/\n"),
        ("sys/fs/cgroup/memory.max", "max\n"),
        ("sys/fs/cgroup/memory.current", "1000\n"),
    ]);
    assert_eq!(measure(unlimited.path()), of_machine());
    // The number of version 1 for "no limit": the largest multiple of a page.
    let unlimited = system(&[
        MEMINFO,
        ("proc/self/cgroup", "4:memory:/\n"),
        (
            "proc/self/mountinfo",
            "31 24 0:27 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory\n",
        ),
        (
            "sys/fs/cgroup/memory/memory.limit_in_bytes",
            "9223372036854771712\n",
        ),
        ("sys/fs/cgroup/memory/memory.usage_in_bytes", "1000\n"),
    ]);
    assert_eq!(measure(unlimited.path()), of_machine());
    assert_eq!(measure(system(&[MEMINFO]).path()), of_machine());
}

fn look(root: &Path, max_used: u8) -> Looked {
    let check = Memory {
        root: root.into(),
        ..Memory::new().max_used_percent(max_used)
    };
    check.judge()
}

#[test]
fn more_than_allowed_fails_and_says_of_what() {
    let root = system(&[MEMINFO]);
    let seen = look(root.path(), 75).unwrap().measured.unwrap();
    assert_eq!((seen.value, &*seen.unit), (75.0, "percent"));
    let failure = look(root.path(), 74).unwrap_err();
    assert_eq!(
        failure.why,
        "75 % of the machine's memory are used (768.0 MiB of 1.0 GiB), at most 74 % may be"
    );
    assert_eq!(failure.measured, Some(seen));
}

#[test]
fn where_nothing_can_be_read_nothing_is_known() {
    let failure = look(system(&[]).path(), 90).unwrap_err();
    assert_eq!(failure.kind, FailureKind::Unknown);
}

#[test]
fn the_machine_of_the_tests_is_measured() {
    let usage = measure(Path::new("/")).expect("Linux says how much memory is used");
    assert!(usage.used > 0 && usage.limit > usage.used, "{usage:?}");
}
