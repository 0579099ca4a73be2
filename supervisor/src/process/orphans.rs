//! Whoever is left below us in the process tree.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::path::Path;

use super::sys;
use crate::machine::{Pid, Target};
use crate::signal::Signal;

/// Sends a signal to every descendant. Called when all managed processes are gone, so all of them
/// are adopted orphans or descend from one.
pub fn signal_descendants(signal: Signal) {
    // PID 1 without a /proc: everybody else in the container is a descendant.
    if std::process::id() == 1 && !Path::new("/proc/self/stat").exists() {
        return sys::kill_everybody(signal);
    }
    let mut signalled = HashSet::new();
    // Who forks meanwhile leaves a child that the list did not hold: look again until nobody is new.
    for _ in 0..PASSES {
        let mut anybody_new = false;
        for pid in descendants(std::process::id() as Pid) {
            if signalled.insert(pid) {
                anybody_new = true;
                // It may have ended since /proc was read; that is what we want of it.
                let _ = sys::kill(Target::Process(pid), signal);
            }
        }
        if !anybody_new {
            return;
        }
    }
}

/// Kills a child that leads a process group, the group, and whoever of its descendants has left that (setsid(1),
/// timeout(1) and su(1) do). Those first: once it is gone, nobody knows any more whose they were.
pub fn kill_tree(leader: Pid) {
    // Again, because a shell goes on with its next command when the one before is gone.
    for _ in 0..2 {
        for pid in descendants(leader) {
            // It may have ended since /proc was read; that is what we want of it.
            let _ = sys::kill(Target::Process(pid), Signal::KILL);
        }
    }
    let _ = sys::kill(Target::Group(leader), Signal::KILL);
}

/// A bound for those that fork faster than we look.
const PASSES: usize = 20;

/// The parent of a process; `None` if it is gone.
pub fn parent_of(pid: Pid) -> Option<Pid> {
    parent(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

/// This process and all that run below it.
pub fn ourselves_and_descendants() -> Vec<Pid> {
    let ourselves = std::process::id() as Pid;
    let mut all = descendants(ourselves);
    all.push(ourselves);
    all
}

fn descendants(root: Pid) -> Vec<Pid> {
    let mut children: HashMap<Pid, Vec<Pid>> = HashMap::new();
    let Ok(entries) = fs::read_dir("/proc") else {
        return Vec::new();
    };
    for entry in entries.flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse().ok()) else {
            continue;
        };
        if let Some(parent) = fs::read_to_string(entry.path().join("stat"))
            .ok()
            .as_deref()
            .and_then(parent)
        {
            children.entry(parent).or_default().push(pid);
        }
    }
    let mut found = Vec::new();
    let mut next = vec![root];
    while let Some(pid) = next.pop() {
        if let Some(below) = children.remove(&pid) {
            next.extend(&below);
            found.extend(below);
        }
    }
    found
}

/// The parent's pid from `/proc/PID/stat`: the second field after the name, which stands in
/// parentheses and may itself hold spaces and parentheses (proc_pid_stat(5)).
fn parent(stat: &str) -> Option<Pid> {
    let after_name = &stat[stat.rfind(')')? + 1..];
    after_name.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_parent_is_found_behind_any_name() {
        assert_eq!(parent("12 (sh) S 7 12 12 0"), Some(7));
        assert_eq!(parent("12 (a) b) (c) R 9 1 1"), Some(9));
        assert_eq!(parent("nonsense"), None);
    }

    #[test]
    fn our_own_parent_has_us_below_it() {
        let parent = std::os::unix::process::parent_id() as Pid;
        assert!(descendants(parent).contains(&(std::process::id() as Pid)));
    }
}
