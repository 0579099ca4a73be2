//! The last step of a spawn: becoming the program.
//!
//! Not execvp(3): told by the kernel that a file is no program, it hands it to `/bin/sh`. A binary for
//! another processor then fails with a syntax error of sh's instead of the truth, and without a PATH
//! it searches other directories than we say.

use std::ffi::{CString, OsStr, c_char};
use std::io;
use std::os::unix::ffi::OsStrExt;

use super::spawn::default_dispositions;
use super::{SpawnError, Spec, protect};
use crate::lookup;

/// All that execve(2) needs, made before the fork: nothing may be allocated after it.
pub(super) struct Program {
    /// The files to try, in this order.
    files: Vec<CString>,
    argv: Strings,
    env: Strings,
}

impl Program {
    /// # Errors
    /// If a string holds a NUL.
    pub fn new(spec: &Spec) -> io::Result<Program> {
        let files = lookup::candidates(&spec.argv[0].to_string_lossy(), spec.path(), None);
        let files = files.iter().map(|file| c_string(file.as_os_str()));
        let env = spec.env.iter().map(|(key, value)| {
            let entry = [key.as_bytes(), b"=", value.as_bytes()].concat();
            c_string(OsStr::from_bytes(&entry))
        });
        Ok(Program {
            files: files.collect::<io::Result<_>>()?,
            argv: Strings::new(spec.argv.iter().map(|argument| c_string(argument)))?,
            env: Strings::new(env)?,
        })
    }

    /// Becomes the first of the files that the kernel takes. Returns only if it takes none: why. The
    /// rules are those of execvp(3): what is not there or may not be executed does not end the search.
    pub fn exec(&self) -> i32 {
        let mut denied = false;
        for file in &self.files {
            // SAFETY: all strings end in NUL, both arrays in a null pointer, and all of them live.
            unsafe { libc::execve(file.as_ptr(), self.argv.as_ptr(), self.env.as_ptr()) };
            match io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL) {
                libc::EACCES => denied = true,
                libc::ENOENT | libc::ENOTDIR | libc::ENODEV | libc::ESTALE | libc::ETIMEDOUT => {}
                other => return other,
            }
        }
        if denied { libc::EACCES } else { libc::ENOENT }
    }
}

/// Becomes the program of `spec`, in this very process; of `spec` only `argv` and `env` count. Returns only
/// if it cannot: why.
pub fn become_program(spec: &Spec) -> SpawnError {
    let program = match Program::new(spec) {
        Ok(program) => program,
        Err(error) => return SpawnError::of_arguments(error),
    };
    if let Some(limit) = protect::core_limit_of_children() {
        protect::set_core_limit(&limit);
    }
    // Rust's runtime ignores SIGPIPE, and what is ignored stays so over an exec.
    default_dispositions();
    SpawnError::of_exec(program.exec())
}

/// Strings as C wants a list of them.
struct Strings {
    _owned: Vec<CString>,
    /// Into `_owned`, whose strings stay where they are; a null pointer at the end.
    pointers: Vec<*const c_char>,
}

// SAFETY: the pointers lead only to memory that `_owned` owns, and nothing changes it.
unsafe impl Send for Strings {}
// SAFETY: as above.
unsafe impl Sync for Strings {}

impl Strings {
    fn new(strings: impl Iterator<Item = io::Result<CString>>) -> io::Result<Strings> {
        let owned = strings.collect::<io::Result<Vec<_>>>()?;
        let pointers = owned.iter().map(|string| string.as_ptr());
        let pointers = pointers.chain([std::ptr::null()]).collect();
        Ok(Strings {
            _owned: owned,
            pointers,
        })
    }

    fn as_ptr(&self) -> *const *const c_char {
        self.pointers.as_ptr()
    }
}

fn c_string(text: &OsStr) -> io::Result<CString> {
    CString::new(text.as_bytes()).map_err(io::Error::from)
}
