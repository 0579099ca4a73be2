//! The system calls that the standard library does not offer, as safe functions.

use std::io::{self, Seek, Write};
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};

use crate::config::User;
use crate::machine::{End, Pid, Target};
use crate::signal::Signal;

fn check(result: libc::c_int) -> io::Result<libc::c_int> {
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(result)
    }
}

/// Reaps one dead child of any kind. `Ok(None)`: children live, none is dead. `ECHILD`: no child.
pub fn wait_any() -> io::Result<Option<(Pid, End)>> {
    let mut status = 0;
    // SAFETY: `status` is valid for the write; no other thread waits for children (see `waiter`).
    let pid = check(unsafe { libc::waitpid(-1, &mut status, libc::WNOHANG) })?;
    if pid == 0 {
        return Ok(None);
    }
    let end = match Signal::from_number(libc::WTERMSIG(status)) {
        Some(signal) if libc::WIFSIGNALED(status) => End::Killed(signal),
        _ => End::Exited(libc::WEXITSTATUS(status)),
    };
    Ok(Some((pid, end)))
}

/// Sends a signal.
pub fn kill(target: Target, signal: Signal) -> io::Result<()> {
    let (Target::Process(pid) | Target::Group(pid)) = target;
    // 0, 1 and -1 would address ourselves or the whole world.
    assert!(pid > 1, "no signal is ever sent to pid {pid}");
    let address = if matches!(target, Target::Group(_)) {
        -pid
    } else {
        pid
    };
    // SAFETY: no memory is involved.
    check(unsafe { libc::kill(address, signal.number()) }).map(drop)
}

/// Sends a signal to every process of the PID namespace but ourselves (kill(2), pid -1).
pub fn kill_everybody(signal: Signal) {
    assert!(
        std::process::id() == 1,
        "only PID 1 may take everybody for its own"
    );
    // SAFETY: no memory is involved.
    unsafe { libc::kill(-1, signal.number()) };
}

/// Whether the process group has a member, zombies included.
pub fn group_alive(group: Pid) -> bool {
    // SAFETY: no memory is involved; signal 0 only asks.
    match check(unsafe { libc::kill(-group, 0) }) {
        Ok(_) => true,
        Err(error) => error.raw_os_error() == Some(libc::EPERM),
    }
}

/// Has a write beyond the limit of a file's size (`ulimit -f`) fail, instead of ending us.
pub fn outlive_file_size_limit() {
    // SAFETY: no handler is involved, and children get the default back.
    unsafe { libc::signal(libc::SIGXFSZ, libc::SIG_IGN) };
}

/// Makes this process adopt the orphans among its descendants, as PID 1 does by nature.
pub fn become_subreaper() -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::prctl(libc::PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) }).map(drop)
}

/// A pipe: read end (non-blocking), write end. Neither is inherited over an exec.
pub fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    let mut fds = [0; 2];
    // SAFETY: `fds` has room for two descriptors.
    check(unsafe { libc::pipe2(fds.as_mut_ptr(), libc::O_CLOEXEC) })?;
    // SAFETY: both were just opened and belong to nobody else.
    let (read, write) = unsafe { (OwnedFd::from_raw_fd(fds[0]), OwnedFd::from_raw_fd(fds[1])) };
    // Only the read end: the two ends have flags of their own, and a child expects a blocking one.
    // SAFETY: no memory is involved.
    check(unsafe { libc::fcntl(read.as_raw_fd(), libc::F_SETFL, libc::O_NONBLOCK) })?;
    Ok((read, write))
}

/// Has reads and writes wait, or not. It holds for all that share this opening of the file.
pub fn set_nonblocking(fd: RawFd, nonblocking: bool) -> io::Result<()> {
    let flags = if nonblocking { libc::O_NONBLOCK } else { 0 };
    // SAFETY: no memory is involved. Of the flags that can be set so, pipes have no other.
    check(unsafe { libc::fcntl(fd, libc::F_SETFL, flags) }).map(drop)
}

/// How many bytes a pipe holds that nobody has read (FIONREAD of ioctl_tty(2)).
pub fn unread(fd: RawFd) -> io::Result<usize> {
    let mut count: libc::c_int = 0;
    // SAFETY: `count` is valid for the write.
    check(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) })?;
    Ok(usize::try_from(count).unwrap_or(0))
}

/// Gives a pipe of ours to the user of a child, so that it can open `/dev/stdin` or `/dev/stdout` again, which is this
/// pipe. Without the right to do so (CAP_CHOWN was dropped) only that is lost; who may not change its identity hears
/// so later.
pub fn give_pipe(end: &OwnedFd, user: Option<&User>) {
    if let Some(user) = user.filter(|user| user.uid != effective_uid()) {
        let _ = change_owner(end.as_raw_fd(), user.uid, user.gid);
    }
}

/// Asks for a larger pipe. A refusal (the user's share of pipe memory is spent) does no harm.
pub fn enlarge_pipe(fd: RawFd, bytes: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(fd, libc::F_SETPIPE_SZ, bytes) };
}

/// Gives an open file to a user.
fn change_owner(fd: RawFd, uid: u32, gid: u32) -> io::Result<()> {
    // SAFETY: no memory is involved.
    check(unsafe { libc::fchown(fd, uid, gid) }).map(drop)
}

/// Duplicates a descriptor to the lowest free number that is at least `min`, closed on exec.
pub fn duplicate_from(fd: RawFd, min: RawFd) -> io::Result<OwnedFd> {
    // SAFETY: the new descriptor belongs to nobody else.
    unsafe { check(libc::fcntl(fd, libc::F_DUPFD_CLOEXEC, min)).map(|fd| OwnedFd::from_raw_fd(fd)) }
}

/// Takes over a descriptor that whoever started us has left open, and closes it on exec; `None` if there is
/// none. To be called before anything is opened, so that nothing else can have the number.
pub fn take_descriptor(fd: RawFd) -> Option<OwnedFd> {
    // SAFETY: no memory is involved; by the rule above the descriptor belongs to nobody else.
    unsafe {
        check(libc::fcntl(fd, libc::F_SETFD, libc::FD_CLOEXEC)).ok()?;
        Some(OwnedFd::from_raw_fd(fd))
    }
}

/// Reads what is there now from a non-blocking descriptor.
pub fn read(fd: RawFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: `buffer` is valid for writes of its length.
    let count = unsafe { libc::read(fd, buffer.as_mut_ptr().cast(), buffer.len()) };
    usize::try_from(count).map_err(|_| io::Error::last_os_error())
}

/// Holds every signal back: what arrives from now on waits until [`unblock_signals`].
pub fn block_signals() -> io::Result<()> {
    // SAFETY: sigfillset makes the set valid; the old mask is not asked for.
    check(unsafe {
        let mut all = std::mem::zeroed();
        libc::sigfillset(&mut all);
        libc::sigprocmask(libc::SIG_SETMASK, &all, std::ptr::null_mut())
    })
    .map(drop)
}

/// Empties our own signal mask: whoever started us may have blocked what we must hear.
pub fn unblock_signals() -> io::Result<()> {
    // SAFETY: sigemptyset makes the set valid; the old mask is not asked for.
    check(unsafe {
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &none, std::ptr::null_mut())
    })
    .map(drop)
}

/// Opens the pipe behind a descriptor once more, for writing without blocking. `None` if it is no
/// pipe, or may not be opened (somebody else's, or there is no `/proc`).
pub fn reopen_pipe(fd: RawFd) -> Option<OwnedFd> {
    let path = format!("/proc/self/fd/{fd}");
    if !std::fs::metadata(&path).ok()?.file_type().is_fifo() {
        return None;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).custom_flags(libc::O_NONBLOCK);
    options.open(path).ok().map(OwnedFd::from)
}

/// Writes some of it, waiting until something can be written.
pub fn write(fd: RawFd, bytes: &[u8]) -> io::Result<usize> {
    loop {
        // SAFETY: `bytes` is valid for reads of its length.
        let result = unsafe { libc::write(fd, bytes.as_ptr().cast(), bytes.len()) };
        let error = match usize::try_from(result) {
            Ok(count) => return Ok(count),
            Err(_) => io::Error::last_os_error(),
        };
        match error.kind() {
            io::ErrorKind::Interrupted => {}
            io::ErrorKind::WouldBlock => {
                let mut poll = libc::pollfd {
                    fd,
                    events: libc::POLLOUT,
                    revents: 0,
                };
                // SAFETY: one valid pollfd.
                unsafe { libc::poll(&mut poll, 1, -1) };
            }
            _ => return Err(error),
        }
    }
}

/// Writes everything, waiting where it must, or as much as goes before an error.
pub fn write_all(fd: RawFd, mut bytes: &[u8]) {
    while !bytes.is_empty() {
        match write(fd, bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(_) => return,
        }
    }
}

/// From here on, a signal that asks to stop ends us, as it would by itself if we were not PID 1: the kernel
/// gives that one no signal it has no handler for. An exec undoes it.
pub fn end_on_stop_signals() {
    extern "C" fn end(signal: libc::c_int) {
        // SAFETY: async-signal-safe, and no memory is involved.
        unsafe { libc::_exit(128 + signal) }
    }
    for signal in [libc::SIGTERM, libc::SIGINT, libc::SIGQUIT, libc::SIGHUP] {
        // SAFETY: the handler is async-signal-safe.
        unsafe { libc::signal(signal, end as *const () as libc::sighandler_t) };
    }
}

/// The effective user id.
pub fn effective_uid() -> u32 {
    // SAFETY: no memory is involved; it cannot fail.
    unsafe { libc::geteuid() }
}

/// The effective group id.
pub fn effective_gid() -> u32 {
    // SAFETY: no memory is involved; it cannot fail.
    unsafe { libc::getegid() }
}

/// How many descriptors this process may have open (the soft limit of RLIMIT_NOFILE of getrlimit(2)).
pub fn descriptor_limit() -> u64 {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: the struct is valid for the write.
    unsafe { libc::getrlimit(libc::RLIMIT_NOFILE, &mut limit) };
    limit.rlim_cur
}

/// Limits what this process may map from here on (RLIMIT_AS of setrlimit(2)). A refusal does no harm.
pub fn limit_memory(bytes: u64) {
    let limit = libc::rlimit {
        rlim_cur: bytes,
        rlim_max: bytes,
    };
    // SAFETY: `limit` is valid for the read.
    unsafe { libc::setrlimit(libc::RLIMIT_AS, &limit) };
}

/// Removes variables from our own environment that are set to nothing. Must be called while the program has one
/// thread: another one might be reading the environment.
#[allow(clippy::disallowed_methods)]
pub fn unset_if_empty(names: &[&str]) {
    for name in names {
        if std::env::var_os(name).is_some_and(|value| value.is_empty()) {
            // SAFETY: by the rule above nobody reads the environment meanwhile.
            unsafe { std::env::remove_var(name) };
        }
    }
}

/// Removes variables from our own environment. Must be called while the program has one thread: another one might be
/// reading the environment.
#[allow(clippy::disallowed_methods)]
pub fn unset(names: &[&str]) {
    for name in names {
        // SAFETY: by the rule above nobody reads the environment meanwhile.
        unsafe { std::env::remove_var(name) };
    }
}

/// Sets variables of our own environment. Must be called while the program has one thread: another one might be reading
/// the environment. The names are valid ones; a value that no variable can hold is left out.
#[allow(clippy::disallowed_methods)]
pub fn set_variables(variables: &[(String, String)]) {
    for (name, value) in variables.iter().filter(|(_, value)| !value.contains('\0')) {
        // SAFETY: by the rule above nobody reads the environment meanwhile.
        unsafe { std::env::set_var(name, value) };
    }
}

/// How long arguments and environment together may be (execve(2)): a quarter of the stack limit, at least
/// 128 KiB, at most 6 MiB.
pub fn argument_limit() -> usize {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write; a failure leaves zero, which means the minimum.
    unsafe { libc::getrlimit(libc::RLIMIT_STACK, &mut limit) };
    let quarter = usize::try_from(limit.rlim_cur / 4).unwrap_or(usize::MAX);
    quarter.clamp(128 << 10, 6 << 20)
}

/// A file in memory that holds `bytes`, open at its beginning, closed on exec (memfd_create(2)).
pub fn file_of(bytes: &[u8]) -> io::Result<OwnedFd> {
    // SAFETY: the name ends in NUL; the new descriptor belongs to nobody else.
    let file = unsafe {
        let fd = check(libc::memfd_create(c"runmate".as_ptr(), libc::MFD_CLOEXEC))?;
        OwnedFd::from_raw_fd(fd)
    };
    let mut file = std::fs::File::from(file);
    file.write_all(bytes)?;
    file.rewind()?;
    Ok(file.into())
}
