//! The system calls that the standard library does not offer, as safe functions.

use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;
use std::time::Duration;

/// CLOCK_MONOTONIC in nanoseconds: the one clock that all processes share.
pub fn now() -> u64 {
    read_clock(libc::CLOCK_MONOTONIC).expect("CLOCK_MONOTONIC exists")
}

/// The CPU time that a process and its threads have used, those of its children excluded. Works
/// until the process is reaped.
pub fn cpu_time(pid: u32) -> io::Result<Duration> {
    let mut clock = 0;
    // SAFETY: `clock` is valid for the write.
    match unsafe { libc::clock_getcpuclockid(pid as i32, &mut clock) } {
        0 => read_clock(clock).map(Duration::from_nanos),
        error => Err(io::Error::from_raw_os_error(error)),
    }
}

fn read_clock(clock: libc::clockid_t) -> io::Result<u64> {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: `time` is valid for the write.
    match unsafe { libc::clock_gettime(clock, &mut time) } {
        0 => Ok(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Sends a signal to a process. That it may be gone is for the caller to know.
pub fn kill(pid: u32, signal: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::kill(pid as i32, signal) };
}

/// Whether a process exists, be it as a zombie.
pub fn exists(pid: i32) -> bool {
    // SAFETY: no memory is involved; signal 0 only asks.
    unsafe { libc::kill(pid, 0) == 0 }
}

/// Keeps SIGTERM pending until [`wait_for_sigterm`].
pub fn block_sigterm() {
    // SAFETY: the set is valid.
    unsafe { libc::sigprocmask(libc::SIG_BLOCK, &sigterm(), ptr::null_mut()) };
}

/// Returns when SIGTERM arrives.
pub fn wait_for_sigterm() {
    let mut number = 0;
    // SAFETY: both pointers are valid.
    unsafe { libc::sigwait(&sigterm(), &mut number) };
}

fn sigterm() -> libc::sigset_t {
    // SAFETY: an all-zero set is valid memory for sigemptyset to initialise.
    unsafe {
        let mut set = std::mem::zeroed();
        libc::sigemptyset(&mut set);
        libc::sigaddset(&mut set, libc::SIGTERM);
        set
    }
}

/// Runs `child` in a new process and returns its pid.
pub fn fork(child: impl FnOnce()) -> i32 {
    // SAFETY: this program is single-threaded when it plays a child.
    match unsafe { libc::fork() } {
        0 => {
            child();
            // SAFETY: ends this process without running what belongs to its parent.
            unsafe { libc::_exit(0) }
        }
        pid => pid,
    }
}

/// Reaps one child.
pub fn wait_for(pid: i32) {
    // SAFETY: a null status is allowed.
    unsafe { libc::waitpid(pid, ptr::null_mut(), 0) };
}

/// Makes `count` orphans that end at once, and returns their pids.
pub fn double_fork(count: usize) -> Vec<i32> {
    // One page that parent and children share: the pid of the last grandchild.
    // SAFETY: a fresh anonymous mapping of one page, never unmapped.
    let shared = unsafe {
        libc::mmap(
            ptr::null_mut(),
            4096,
            libc::PROT_READ | libc::PROT_WRITE,
            libc::MAP_SHARED | libc::MAP_ANONYMOUS,
            -1,
            0,
        )
    };
    assert!(shared != libc::MAP_FAILED, "one page of memory");
    let shared: *mut i32 = shared.cast();
    let mut pids = Vec::with_capacity(count);
    for _ in 0..count {
        wait_for(fork(|| {
            let grandchild = fork(|| ());
            // SAFETY: the page is mapped; the reader waits for our end.
            unsafe { shared.write_volatile(grandchild) };
        }));
        // SAFETY: as above; the writer is gone.
        let grandchild = unsafe { shared.read_volatile() };
        assert!(grandchild > 0, "fork failed");
        pids.push(grandchild);
    }
    pids
}

/// Standard output without the buffer of the standard library.
pub fn stdout() -> File {
    // SAFETY: a child of the bench uses it through this handle only.
    unsafe { File::from_raw_fd(libc::STDOUT_FILENO) }
}

/// Makes a named pipe.
pub fn make_fifo(path: &std::path::Path) -> io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes())?;
    // SAFETY: `path` ends in NUL.
    match unsafe { libc::mkfifo(path.as_ptr(), 0o600) } {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}

/// Asks for a larger pipe.
pub fn enlarge_pipe(pipe: &impl AsRawFd, bytes: i32) {
    // SAFETY: no memory is involved.
    unsafe { libc::fcntl(pipe.as_raw_fd(), libc::F_SETPIPE_SZ, bytes) };
}

/// A descriptor that becomes readable when the process ends.
pub fn pidfd(pid: u32) -> io::Result<OwnedFd> {
    // SAFETY: no memory is involved.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    if fd < 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the new descriptor belongs to nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// Waits until there is something to read, or for so long. Says whether there is.
pub fn readable(fd: &impl AsRawFd, patience: Duration) -> bool {
    let mut poll = libc::pollfd {
        fd: fd.as_raw_fd(),
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, patience.as_millis() as i32) > 0 }
}

/// Whether PID namespaces can be made without a user namespace.
pub fn is_root() -> bool {
    // SAFETY: no memory is involved; it cannot fail.
    unsafe { libc::geteuid() == 0 }
}
