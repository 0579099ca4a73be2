//! Children of the same binary that do the heavy work, so that nothing of it (the AWS SDK, TLS,
//! SQL) ever runs in PID 1: a crash there cannot take the container down, and its memory goes with it.
//!
//! The one that resolves secrets reads its job from stdin and writes its answer to descriptor [`ANSWER_FD`]; both
//! ends of that conversation stand in `protocol`. The one that runs checks lives long and talks over a socket, as
//! `check_protocol` says.

pub(crate) mod check_protocol;
mod checks;
mod export;
pub(crate) mod export_protocol;
mod migrate;
mod protocol;
mod resolve;
mod secrets;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

pub(crate) use checks::main as checks_main;
pub(crate) use export::main as export_main;
pub(crate) use migrate::main as migrate_main;
pub(crate) use protocol::{Answer, Answers, Job, Report, read_answers};
pub(crate) use resolve::resolve;
pub(crate) use secrets::main as secrets_main;

/// Where a helper writes its answer.
pub(crate) const ANSWER_FD: RawFd = 3;

/// The hidden subcommand of the helper that resolves secrets.
pub(crate) const SECRETS: &str = "helper-secrets";

/// The hidden subcommand of the helper that runs checks.
pub(crate) const CHECKS: &str = "helper-checks";

/// The hidden subcommand of the helper that exports traces.
pub(crate) const EXPORT: &str = "helper-export";

/// The hidden subcommand of the helper that migrates.
pub(crate) const MIGRATE: &str = "helper-migrate";

/// The hidden subcommand of the guard of a migration command; the command follows.
pub(crate) const GUARD: &str = "helper-guard";

/// The command line of a helper: this very binary, which may have no name in its image any more.
pub(crate) fn command(word: &str) -> Vec<OsString> {
    let own = Path::new("/proc/self/exe");
    let program = if own.exists() {
        own.as_os_str().to_owned()
    } else {
        executable().unwrap_or_else(|| "runmate".into())
    };
    vec![program, word.into()]
}

/// How the kernel was told to start us (getauxval(3), AT_EXECFN), for where there is no /proc.
fn executable() -> Option<OsString> {
    // SAFETY: the kernel keeps the string for as long as the process lives.
    unsafe {
        let name = libc::getauxval(libc::AT_EXECFN) as *const libc::c_char;
        (!name.is_null()).then(|| {
            let name = std::ffi::CStr::from_ptr(name).to_bytes();
            std::ffi::OsStr::from_bytes(name).to_owned()
        })
    }
}
