//! The guard of a command: a process between us and the command, which outlives us by just as long as it takes
//! to end the command and everything below it.
//!
//! A kernel tells nobody but the parent that a process died, and PR_SET_PDEATHSIG reaches only children, not
//! what they started in turn (`sh -c`, `bundle exec`, worker processes). The guard adopts all of those
//! (PR_SET_CHILD_SUBREAPER) and hears of our death as the end of a pipe.
//!
//! A program that uses [`Migrate::command`](crate::Migrate::command) has to offer this as a subcommand of its
//! own that does nothing else than to call [`main`].

use std::ffi::OsString;
use std::io;
use std::os::fd::RawFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::process::{Command, ExitStatus};
use std::time::{Duration, Instant};

/// The descriptor of the pipe.
pub(crate) const LINE: RawFd = 3;

/// Exit code if the command cannot be started. Unlikely to be the command's own.
pub(crate) const NOT_STARTED: i32 = 241;

/// Exit code if nothing was heard for [`PATIENCE`].
pub(crate) const ABANDONED: i32 = 242;

/// Exit code if something of the command does not end although it was killed.
pub(crate) const NOT_ENDED: i32 = 243;

/// The descriptor of a lock of the operating system that the guard holds as long as it lives, if there is one:
/// nobody else begins before everything has ended.
pub(crate) const LOCK: RawFd = 4;

/// How long the guard goes on without a sign of life. The one who holds the lock gives one each second, so it
/// is frozen, or cannot reach the database.
pub(crate) const PATIENCE: Duration = Duration::from_secs(15);

/// How long killed processes may take to vanish before the guard gives up.
const SWEEP: Duration = Duration::from_secs(5);

/// What the guard is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Word {
    /// The lock is held; go on.
    Alive = b'a',
    /// Ask the command to end: SIGTERM.
    Stop = b't',
    /// End everything.
    Kill = b'k',
}

/// Runs the command and returns what the process has to exit with. To be called first thing in a process
/// that does nothing else: it takes over its children and its signals. `args` are the command and its
/// arguments.
pub fn main(args: impl IntoIterator<Item = OsString>) -> i32 {
    let argv: Vec<OsString> = args.into_iter().collect();
    match guard(&argv) {
        Ok(code) => code,
        Err(error) => {
            eprintln!(
                "cannot run {}: {error}",
                argv.first().map(|arg| arg.to_string_lossy()).unwrap_or_default()
            );
            NOT_STARTED
        }
    }
}

fn guard(argv: &[OsString]) -> io::Result<i32> {
    let (program, args) = argv.split_first().ok_or(io::ErrorKind::InvalidInput)?;
    // SAFETY: system calls on numbers, and on a set that lives on the stack and that sigfillset makes valid.
    let signals = unsafe {
        check(libc::fcntl(LINE, libc::F_SETFD, libc::FD_CLOEXEC))?;
        // Where there is no such lock, there may be no such descriptor.
        libc::fcntl(LOCK, libc::F_SETFD, libc::FD_CLOEXEC);
        check(libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0))?;
        // Held back rather than handled: who wants the command to end tells us by the pipe.
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        check(libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut()))?;
        let mut child = std::mem::zeroed();
        libc::sigemptyset(&mut child);
        libc::sigaddset(&mut child, libc::SIGCHLD);
        check(libc::signalfd(-1, &child, libc::SFD_CLOEXEC | libc::SFD_NONBLOCK))?
    };
    let mut command = Command::new(program);
    command.args(args).process_group(0);
    // SAFETY: system calls only, on the stack.
    unsafe {
        command.pre_exec(|| {
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            check(libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut()))?;
            check(libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL))?;
            Ok(())
        })
    };
    let pid = command.spawn()?.id() as libc::pid_t;
    // As processes are stopped elsewhere: a program gets the signal itself, a line for the shell all of its programs.
    let to = if is_shell(argv) { -pid } else { pid };
    let mut heard = Instant::now();
    let (mut status, mut stopping) = (None, false);
    let code = loop {
        let word = wait(signals, PATIENCE.saturating_sub(heard.elapsed()))?;
        let nobody_left = reap(pid, &mut status);
        match status {
            // After a stop those that it started have the rest of the grace.
            Some(status) if nobody_left || !stopping => break Ok(status),
            _ => {}
        }
        match word {
            Heard::Nothing => {}
            Heard::Word(byte) if byte == Word::Alive as u8 => heard = Instant::now(),
            Heard::Word(byte) if byte == Word::Stop as u8 => {
                stopping = true;
                heard = Instant::now();
                if status.is_none() || to < 0 {
                    // SAFETY: no memory is involved; a pid that is not reaped is still its own, and a group of ours
                    // keeps its number as long as somebody is in it.
                    unsafe { libc::kill(to, libc::SIGTERM) };
                }
            }
            Heard::Word(_) | Heard::End => break Err(128 + libc::SIGKILL),
        }
        if heard.elapsed() >= PATIENCE {
            break Err(ABANDONED);
        }
    };
    // Whatever it left behind could still be migrating.
    if !sweep(pid) {
        return Ok(NOT_ENDED);
    }
    Ok(match code {
        Ok(status) => repeat(status),
        Err(code) => code,
    })
}

/// Whether this is a line for the shell, as the config makes it of a string.
fn is_shell(argv: &[OsString]) -> bool {
    matches!(argv, [shell, flag, _] if shell == "/bin/sh" && flag == "-c")
}

enum Heard {
    Nothing,
    Word(u8),
    /// The other side is gone.
    End,
}

/// Waits for a word, for the end of a child, or until the time is up.
fn wait(signals: RawFd, left: Duration) -> io::Result<Heard> {
    let mut fds = [LINE, signals].map(|fd| libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    });
    let left = left.as_millis().min(60_000) as libc::c_int + 1;
    // SAFETY: the array is valid for its length, the buffers for theirs.
    unsafe {
        if libc::poll(fds.as_mut_ptr(), 2, left) == -1 {
            let error = io::Error::last_os_error();
            return match error.kind() {
                io::ErrorKind::Interrupted => Ok(Heard::Nothing),
                _ => Err(error),
            };
        }
        if fds[1].revents != 0 {
            let mut info = [0_u8; 128 * 4];
            libc::read(signals, info.as_mut_ptr().cast(), info.len());
        }
        if fds[0].revents == 0 {
            return Ok(Heard::Nothing);
        }
        let mut byte = 0_u8;
        match libc::read(LINE, (&raw mut byte).cast(), 1) {
            1 => Ok(Heard::Word(byte)),
            _ => Ok(Heard::End),
        }
    }
}

/// Collects whoever has ended, and the command's status if it is among them. True if there is nobody left.
fn reap(pid: libc::pid_t, status: &mut Option<ExitStatus>) -> bool {
    loop {
        let mut raw = 0;
        // SAFETY: `raw` is valid for writes.
        match unsafe { libc::waitpid(-1, &mut raw, libc::WNOHANG) } {
            -1 => return true,
            0 => return false,
            ended if ended == pid => *status = Some(ExitStatus::from_raw(raw)),
            _ => {}
        }
    }
}

/// Kills everything below us; true if nobody is left. Who loses its parent becomes our child, so it takes rounds,
/// not a tree.
fn sweep(pid: libc::pid_t) -> bool {
    let until = Instant::now() + SWEEP;
    let mut ignored = None;
    while !reap(pid, &mut ignored) {
        if Instant::now() >= until {
            return false;
        }
        // SAFETY: no memory is involved. The group may be gone; then this does nothing.
        unsafe { libc::kill(-pid, libc::SIGKILL) };
        for child in children() {
            // SAFETY: as above; our children are not reaped in between.
            unsafe { libc::kill(child, libc::SIGKILL) };
        }
        // SAFETY: nothing is watched; this is a sleep, and all signals are held back.
        unsafe { libc::poll(std::ptr::null_mut(), 0, 1) };
    }
    true
}

/// Our children, by `/proc`; without it, only the command's group can be killed.
fn children() -> Vec<libc::pid_t> {
    let me = std::process::id().to_string();
    let Ok(entries) = std::fs::read_dir("/proc") else {
        return Vec::new();
    };
    entries
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .filter(|pid: &libc::pid_t| {
            // proc_pid_stat(5): the parent is the second field behind the name, which is in parentheses.
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let behind = stat.rsplit_once(')').map_or("", |(_, behind)| behind);
            behind.split_whitespace().nth(1) == Some(me.as_str())
        })
        .collect()
}

/// Ends as the command did: of the same signal, or with its code.
fn repeat(status: ExitStatus) -> i32 {
    if let Some(signal) = status.signal() {
        // SAFETY: system calls on numbers and on a set on the stack. One core is enough, and it was the command's.
        unsafe {
            libc::prctl(libc::PR_SET_DUMPABLE, 0);
            libc::signal(signal, libc::SIG_DFL);
            let mut none = std::mem::zeroed();
            libc::sigemptyset(&mut none);
            libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut());
            libc::raise(signal);
        }
        return 128 + signal;
    }
    status.code().unwrap_or(1)
}

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    match result {
        -1 => Err(io::Error::last_os_error()),
        result => Ok(result),
    }
}
