//! The helper that resolves secrets: a job on stdin, values on the answer descriptor, the end.

use std::fs::File;
use std::io::{BufWriter, Read, Write};

use super::protocol::{Job, write_answers};
use super::{ANSWER_FD, resolve};
use crate::process::{self, sys};
use crate::run::exit_code;

/// What the helper may map: a service that sends without end must not take the container's memory.
const MEMORY: u64 = 1 << 30;

/// Runs the helper; returns its exit code. It prints nothing: all it has to say is in the answer.
pub(crate) fn main() -> i32 {
    // Before anything else is opened: if it was not handed over, the number is soon somebody else's.
    let Some(mut out) = sys::take_descriptor(ANSWER_FD).map(|fd| BufWriter::new(File::from(fd))) else {
        return exit_code::USAGE;
    };
    // The exec undid what PID 1 had set for itself.
    if process::hold_secrets().is_err() {
        return exit_code::INTERNAL;
    }
    sys::limit_memory(MEMORY);
    let mut bytes = Vec::new();
    // Closed again, or a reference to file:/dev/stdin would read the job.
    let read = match sys::take_descriptor(libc::STDIN_FILENO) {
        Some(stdin) => File::from(stdin).read_to_end(&mut bytes).ok(),
        None => None,
    };
    let Some(job) = read.and_then(|_| Job::from_bytes(&bytes)) else {
        return exit_code::USAGE;
    };
    let Ok(answers) = resolve(&job) else {
        return exit_code::INTERNAL;
    };
    let written = write_answers(&mut out, &answers).and_then(|()| out.flush());
    if written.is_ok() { 0 } else { exit_code::INTERNAL }
}
