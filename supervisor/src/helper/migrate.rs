//! The helper that migrates: an ordinary task to PID 1, with its job on stdin and its lines on stdout.

use std::fs::File;
use std::io::Read;

use crate::migrate::{Settings, Word, perform};
use crate::process::{self, sys};
use crate::run::exit_code;

/// Runs the helper; returns its exit code.
pub(crate) fn main() -> i32 {
    // The exec undid what PID 1 had set for itself.
    if process::hold_secrets().is_err() {
        return exit_code::INTERNAL;
    }
    let mut bytes = Vec::new();
    let read = match sys::take_descriptor(libc::STDIN_FILENO) {
        Some(stdin) => File::from(stdin).read_to_end(&mut bytes).ok(),
        None => None,
    };
    let Some(settings) = read.and_then(|_| Settings::from_bytes(&bytes)) else {
        return exit_code::USAGE;
    };
    // The number is taken, or the database's connection would get it.
    let _stdin = File::open("/dev/null");
    perform(Word::Run, settings, None)
}
