//! Processes may open more files.

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::check::{Check, ComponentType, Failure, Look, Looked, Measured, Observation, Offload};

const MEASURES: &str = "utilization";

/// Passes while processes have opened no more than a part of the files that they may (the soft limit of
/// RLIMIT_NOFILE). Of several processes the one counts that is nearest to its limit. Measures `utilization`, in
/// percent.
///
/// A process that is gone, or whose files may not be counted, is left out. Without a limit of its own, at most 80
/// percent may be used.
pub struct Fds {
    counting: Counting,
    asking: Offload<Looked>,
}

/// Whose files are counted, and how many are too many.
#[derive(Clone)]
struct Counting {
    pids: Arc<dyn Fn() -> Vec<i32> + Send + Sync>,
    max_used: u8,
    proc: PathBuf,
}

/// A process and its files.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Usage {
    pid: i32,
    open: u64,
    limit: u64,
}

impl Fds {
    /// A check of this process.
    pub fn new() -> Fds {
        let own = i32::try_from(std::process::id()).unwrap_or(0);
        Fds::of(move || vec![own])
    }

    /// A check of the processes that `pids` gives at each look. It is called on a thread of the check's own, where it
    /// may read files, and never twice at once.
    pub fn of(pids: impl Fn() -> Vec<i32> + Send + Sync + 'static) -> Fds {
        Fds {
            counting: Counting {
                pids: Arc::new(pids),
                max_used: 80,
                proc: "/proc".into(),
            },
            asking: Offload::default(),
        }
    }

    /// At most this many percent may be open. More than 100 counts as 100.
    pub fn max_used_percent(mut self, percent: u8) -> Fds {
        self.counting.max_used = percent.min(100);
        self
    }
}

impl Counting {
    fn judge(&self) -> Looked {
        let pids = (self.pids)();
        if pids.is_empty() {
            return Err(Failure::unknown("no process runs whose files could be counted"));
        }
        let seen: Vec<io::Result<Usage>> = pids.iter().map(|pid| usage(&self.proc, *pid)).collect();
        let fullest = seen
            .iter()
            .flatten()
            .max_by(|a, b| a.percent().total_cmp(&b.percent()));
        let Some(fullest) = fullest else {
            let why = seen.into_iter().find_map(Result::err);
            let why = why.map(|error| error.to_string()).unwrap_or_default();
            return Err(Failure::unknown(format!(
                "cannot count the open files of any process: {why}"
            )));
        };
        let percent = fullest.percent();
        let measured = Measured {
            what: MEASURES.into(),
            value: percent,
            unit: "percent".into(),
        };
        if percent <= f64::from(self.max_used) {
            return Ok(Observation::of(measured));
        }
        let Usage { pid, open, limit } = fullest;
        let name = name(&self.proc, *pid);
        let why = format!(
            "{name} (pid {pid}) has {open} of {limit} files open, at most {} % may be",
            self.max_used
        );
        Err(Failure::new(why).with(measured))
    }
}

impl Usage {
    /// To one decimal. Without a limit, or with none that could be reached, it is 0.
    fn percent(&self) -> f64 {
        (self.open as f64 * 1000.0 / self.limit.max(1) as f64).round() / 10.0
    }
}

impl Default for Fds {
    fn default() -> Fds {
        Fds::new()
    }
}

impl Check for Fds {
    fn look(&self) -> Look<'_> {
        // On a thread: of thousands of processes it takes a while.
        Box::pin(async {
            let counting = self.counting.clone();
            self.asking.run(move || counting.judge()).await?
        })
    }

    fn component_type(&self) -> ComponentType {
        ComponentType::System
    }

    fn measures(&self) -> Option<&str> {
        Some(MEASURES)
    }
}

impl fmt::Debug for Fds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Fds")
            .field("max_used", &self.counting.max_used)
            .finish_non_exhaustive()
    }
}

fn usage(proc: &Path, pid: i32) -> io::Result<Usage> {
    let directory = proc.join(pid.to_string());
    let limits = fs::read_to_string(directory.join("limits"))?;
    let limit = soft_limit(&limits).ok_or(io::ErrorKind::InvalidData)?;
    let files = directory.join("fd");
    // Since Linux 6.2 the directory's size is their number (proc_pid_fd(5)): one call, however many there are, and
    // no right to look inside is needed. Before, it is 0.
    let open = match fs::metadata(&files)?.len() {
        0 => fs::read_dir(&files)?.count() as u64,
        counted => counted,
    };
    Ok(Usage { pid, open, limit })
}

/// `Max open files            1024                 524288               files`: the first of the two.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|line| line.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// What the kernel calls it; the process itself may have chosen it, so control characters go.
fn name(proc: &Path, pid: i32) -> String {
    let comm = fs::read_to_string(proc.join(pid.to_string()).join("comm")).unwrap_or_default();
    let name: String = comm.trim().chars().filter(|c| !c.is_control()).collect();
    if name.is_empty() { "a process".into() } else { name }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Child, Command, Stdio};
    use std::time::Duration;

    use super::*;
    use crate::check::FailureKind;

    const LIMITS: &str = "Limit                     Soft Limit           Hard Limit           Units     \n\
                          Max processes             7                    7                    processes \n\
                          Max open files            10                   524288               files     \n";

    /// A shell that may have 20 files open and has the given number; it ends when it is dropped.
    struct Shell(Child);

    impl Shell {
        fn with(open: u32) -> Shell {
            let more: String = (3..open).map(|file| format!(" {file}</dev/null")).collect();
            let script = format!("ulimit -Sn 20; exec{more}; echo ready; read -r line");
            let mut child = Command::new("sh")
                .args(["-c", &script])
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .spawn()
                .unwrap();
            let mut line = String::new();
            let stdout = child.stdout.as_mut().unwrap();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            assert_eq!(line, "ready\n");
            Shell(child)
        }

        fn pid(&self) -> i32 {
            self.0.id() as i32
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.0.kill();
            let _ = self.0.wait();
        }
    }

    #[test]
    fn the_process_nearest_to_its_limit_counts() {
        let (few, many) = (Shell::with(4), Shell::with(9));
        // It may have inherited some beside.
        let open = fs::read_dir(format!("/proc/{}/fd", many.pid())).unwrap().count();
        let pids = vec![few.pid(), many.pid(), -1];
        let check = Fds::of(move || pids.clone());
        let seen = check.counting.judge().unwrap().measured.unwrap();
        assert_eq!((seen.value, &*seen.unit), (open as f64 * 5.0, "percent"));
        let failure = check.max_used_percent(44).counting.judge().unwrap_err();
        let pid = many.pid();
        assert_eq!(
            failure.why,
            format!("sh (pid {pid}) has {open} of 20 files open, at most 44 % may be")
        );
        assert_eq!(failure.measured, Some(seen));
    }

    #[test]
    fn the_limit_is_the_soft_one() {
        assert_eq!(soft_limit(LIMITS), Some(10));
        let unlimited = "Max open files            unlimited            unlimited            files     ";
        assert_eq!(soft_limit(unlimited), Some(u64::MAX));
        assert_eq!(soft_limit("Max processes 7 7 processes"), None);
    }

    #[test]
    fn whoever_cannot_be_counted_is_left_out_and_none_at_all_is_unknown() {
        let failure = Fds::of(|| vec![-1, 0]).counting.judge().unwrap_err();
        assert_eq!(failure.kind, FailureKind::Unknown);
        assert!(
            failure
                .why
                .starts_with("cannot count the open files of any process: "),
            "{}",
            failure.why
        );
        assert_eq!(
            Fds::of(Vec::new).counting.judge().unwrap_err().kind,
            FailureKind::Unknown
        );
        let own = std::process::id() as i32;
        assert!(Fds::of(move || vec![-1, own]).counting.judge().is_ok());
    }

    #[tokio::test]
    async fn counting_that_takes_long_does_not_hold_up_the_thread() {
        let (go_on, wait) = std::sync::mpsc::channel();
        let wait = std::sync::Mutex::new(wait);
        let own = std::process::id() as i32;
        let check = Fds::of(move || {
            let wait = wait.lock().unwrap();
            wait.recv_timeout(Duration::from_secs(30))
                .expect("the thread goes on");
            vec![own]
        });
        // Somebody else on this thread lets it end.
        let (looked, ()) = tokio::join!(check.look(), async { go_on.send(()).unwrap() });
        assert!(looked.unwrap().measured.is_some());
    }

    #[test]
    fn files_of_this_process_are_counted() {
        let own = std::process::id() as i32;
        let before = usage(Path::new("/proc"), own).unwrap();
        let files: Vec<_> = (0..50).map(|_| fs::File::open("/dev/null").unwrap()).collect();
        let after = usage(Path::new("/proc"), own).unwrap();
        // Other tests open and close theirs.
        assert!(after.open >= before.open + 30, "{before:?} {after:?}");
        assert!(files.len() as u64 <= after.open && after.open < after.limit);
        let failure = Fds::new().max_used_percent(0).counting.judge().unwrap_err();
        assert!(
            failure.why.contains(&format!("(pid {own}) has ")),
            "{}",
            failure.why
        );
        assert!(failure.measured.unwrap().value > 0.0);
    }
}
