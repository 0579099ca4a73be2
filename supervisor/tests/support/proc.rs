//! Processes, as `/proc` shows them.

use std::collections::HashMap;
use std::fs;

use super::eventually;

/// A process that was seen: its pid alone may be somebody else's by now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Process {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    /// `R`, `S`, `T` (stopped), `Z` (zombie), …
    pub state: char,
    /// When it started, in clock ticks since boot.
    born: u64,
}

impl Process {
    /// What there is to know about a pid; `None` if there is no such process.
    pub fn look(pid: i32) -> Option<Process> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may itself hold some: proc_pid_stat(5).
        let fields: Vec<&str> = stat[stat.rfind(')')? + 1..].split_ascii_whitespace().collect();
        Some(Process {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            group: fields.get(2)?.parse().ok()?,
            born: fields.get(19)?.parse().ok()?,
        })
    }

    /// Whether it still exists and is no zombie.
    pub fn lives(&self) -> bool {
        Process::look(self.pid).is_some_and(|now| now.born == self.born && now.state != 'Z')
    }

    /// SIGKILL, if it is still the one that was seen.
    pub fn kill(&self) {
        self.signal(libc::SIGKILL);
    }

    /// Sends a signal, if it is still the one that was seen.
    pub fn signal(&self, signal: i32) {
        if self.lives() {
            // SAFETY: no memory is involved.
            unsafe { libc::kill(self.pid, signal) };
        }
    }

    /// Waits until it is gone.
    pub fn wait_gone(&self) {
        eventually(&format!("end of {self:?}"), || (!self.lives()).then_some(()));
    }
}

/// All processes.
pub fn all() -> Vec<Process> {
    let entries = fs::read_dir("/proc").expect("/proc");
    let pids = entries
        .flatten()
        .filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    pids.filter_map(Process::look).collect()
}

/// The children of a process, zombies included.
pub fn children(pid: i32) -> Vec<Process> {
    all()
        .into_iter()
        .filter(|process| process.parent == pid)
        .collect()
}

/// Everything below a process.
pub fn descendants(pid: i32) -> Vec<Process> {
    let mut by_parent: HashMap<i32, Vec<Process>> = HashMap::new();
    for process in all() {
        by_parent.entry(process.parent).or_default().push(process);
    }
    let mut found = Vec::new();
    let mut next = vec![pid];
    while let Some(pid) = next.pop() {
        let below = by_parent.remove(&pid).unwrap_or_default();
        next.extend(below.iter().map(|process| process.pid));
        found.extend(below);
    }
    found
}
