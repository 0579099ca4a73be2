//! Keeping values out of reach while we hold them.

use std::io;
use std::sync::OnceLock;

/// The core limit that runmate was started with, once it was lowered.
static CORE_LIMIT: OnceLock<libc::rlimit> = OnceLock::new();

/// No core dump of this process from here on, and no other process of the same user may look into its
/// memory or its environment (prctl(2), PR_SET_DUMPABLE). To be called before the first value arrives.
/// An exec undoes the first half; children get the core limit back that we had.
///
/// A side effect: `/proc/PID/fd` belongs to root from here on, and nobody may open what is behind it.
///
/// # Errors
/// None is known on Linux; a sandbox may refuse.
pub fn hold_secrets() -> io::Result<()> {
    let mut limit = libc::rlimit {
        rlim_cur: 0,
        rlim_max: 0,
    };
    // SAFETY: `limit` is valid for the write.
    if unsafe { libc::getrlimit(libc::RLIMIT_CORE, &mut limit) } < 0 {
        return Err(io::Error::last_os_error());
    }
    let original = *CORE_LIMIT.get_or_init(|| limit);
    // Only the soft one: without privileges a hard limit could not be given back.
    let none = libc::rlimit {
        rlim_cur: 0,
        rlim_max: original.rlim_max,
    };
    // SAFETY: `none` is valid for the read; prctl involves no memory.
    if unsafe {
        libc::setrlimit(libc::RLIMIT_CORE, &none) < 0 || libc::prctl(libc::PR_SET_DUMPABLE, 0, 0, 0, 0) < 0
    } {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// The core limit that a child is to have, if it differs from ours.
pub(super) fn core_limit_of_children() -> Option<libc::rlimit> {
    CORE_LIMIT.get().copied()
}

/// Sets our own core limit; for between fork and exec.
pub(super) fn set_core_limit(limit: &libc::rlimit) {
    // SAFETY: `limit` is valid for the read. It was ours before, so it cannot be refused.
    unsafe { libc::setrlimit(libc::RLIMIT_CORE, limit) };
}
