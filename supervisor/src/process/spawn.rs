//! Starting a process: its group, its identity, its pipes, and everything a child must not inherit.

use std::ffi::OsString;
use std::fmt;
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::rc::Rc;

use super::exec::Program;
use super::{protect, sys};
use crate::config::User;
use crate::lookup;
use crate::machine::Pid;
use crate::signal::Signal;

/// A pipe this large lets a process run ahead of the reader; the default is 64 KiB.
const PIPE_SIZE: i32 = 1 << 20;

/// Where a child's standard input comes from.
#[derive(Clone, Debug)]
pub enum StdinFrom {
    /// `/dev/null`.
    Null,
    /// Runmate's own.
    Inherit,
    /// Runmate's own, which is a terminal: the child becomes its foreground job.
    Terminal,
    /// This file, from where it stands.
    File(Rc<OwnedFd>),
}

/// Where a child's output goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Output {
    /// A pipe each for stdout and stderr.
    Pipes,
    /// Runmate's own stdout and stderr.
    Inherit,
    /// Nowhere.
    Null,
}

/// What to start, and as whom.
#[derive(Clone)]
pub struct Spec {
    /// Program and arguments; never empty. The program is looked up in the child's own `PATH`.
    pub argv: Vec<OsString>,
    /// The whole environment.
    pub env: Vec<(OsString, OsString)>,
    /// Working directory; entered as the child's user.
    pub cwd: Option<PathBuf>,
    /// Identity; `None` is our own.
    pub user: Option<User>,
    /// File mode mask; `None` is our own.
    pub umask: Option<u32>,
    /// Standard input.
    pub stdin: StdinFrom,
    /// Standard output and error.
    pub output: Output,
    /// A descriptor on which the child tells us something: that it is ready, or a helper's answer.
    pub out_fd: Option<RawFd>,
}

impl fmt::Debug for Spec {
    /// Without the values of variables: they may be secrets.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.env.iter().map(|(name, _)| name).collect();
        f.debug_struct("Spec")
            .field("argv", &self.argv)
            .field("env", &names)
            .field("cwd", &self.cwd)
            .field("user", &self.user)
            .finish_non_exhaustive()
    }
}

impl Spec {
    /// The child's own `PATH`, if it has one that can be read.
    pub(super) fn path(&self) -> Option<&str> {
        let path = self.env.iter().find(|(key, _)| key == "PATH");
        path.and_then(|(_, value)| value.to_str())
    }
}

/// A running child. It leads a process group of its own number.
#[derive(Debug)]
pub struct Spawned {
    /// Its pid.
    pub pid: Pid,
    /// The read ends of its stdout and stderr, non-blocking.
    pub pipes: Option<(OwnedFd, OwnedFd)>,
    /// The read end of its `out_fd`, non-blocking.
    pub out: Option<OwnedFd>,
}

/// Why a child could not be started.
#[derive(Debug)]
pub struct SpawnError {
    /// What could not be done, as the end of a sentence: "cannot …".
    pub step: &'static str,
    /// Why not.
    pub error: io::Error,
}

impl SpawnError {
    pub(super) fn of_arguments(error: io::Error) -> SpawnError {
        SpawnError {
            step: "pass its arguments and environment",
            error,
        }
    }

    pub(super) fn of_exec(errno: i32) -> SpawnError {
        SpawnError {
            step: Step::Exec.describe(),
            error: io::Error::from_raw_os_error(errno),
        }
    }

    /// The whole reason, in words.
    pub fn explain(&self, spec: &Spec) -> String {
        if !matches!(
            self.error.raw_os_error(),
            Some(libc::ENOENT | libc::EACCES | libc::ENOEXEC)
        ) || self.step != Step::Exec.describe()
        {
            return format!("cannot {}: {}", self.step, self.error);
        }
        // "No such file" may mean the program, its interpreter or its loader: find out which.
        lookup::why_not(&spec.argv[0].to_string_lossy(), spec.path(), spec.cwd.as_deref())
    }

    /// Whether the system was out of something (processes, memory, descriptors) that it may have
    /// again in a moment.
    pub fn is_temporary(&self) -> bool {
        matches!(
            self.error.raw_os_error(),
            Some(libc::EAGAIN | libc::ENOMEM | libc::EMFILE | libc::ENFILE)
        )
    }

    /// The exit code this stands for, by the shell's convention: 127 not found, 126 not executable;
    /// 75 (EX_TEMPFAIL of sysexits.h) if it is temporary.
    pub fn exit_code(&self) -> i32 {
        match self.error.raw_os_error() {
            _ if self.is_temporary() => 75,
            Some(libc::ENOENT) if self.step == Step::Exec.describe() => 127,
            _ => 126,
        }
    }
}

/// What happens in the child between fork and exec. The standard library carries one errno from
/// there to here; the step travels in its upper bits.
#[derive(Clone, Copy)]
enum Step {
    Exec = 0,
    Terminal = 1,
    Groups = 2,
    Gid = 3,
    Uid = 4,
    Cwd = 5,
    OutFd = 6,
    DeathSignal = 7,
}

const STEPS: [Step; 8] = [
    Step::Exec,
    Step::Terminal,
    Step::Groups,
    Step::Gid,
    Step::Uid,
    Step::Cwd,
    Step::OutFd,
    Step::DeathSignal,
];

impl Step {
    fn describe(self) -> &'static str {
        match self {
            Step::Exec => "execute it",
            Step::Terminal => "make it the foreground job of the terminal",
            Step::Groups => "set its supplementary groups",
            Step::Gid => "set its group id",
            Step::Uid => "set its user id",
            Step::Cwd => "change to its working directory",
            Step::OutFd => "hand it the descriptor to answer on",
            Step::DeathSignal => "tie its life to ours",
        }
    }

    fn encode(self, errno: i32) -> io::Error {
        io::Error::from_raw_os_error((self as i32) << 16 | errno)
    }
}

fn decode(error: io::Error) -> SpawnError {
    let raw = error.raw_os_error().unwrap_or(0);
    match STEPS.get((raw >> 16) as usize) {
        Some(step) if raw > 0 => SpawnError {
            step: step.describe(),
            error: io::Error::from_raw_os_error(raw & 0xffff),
        },
        _ => SpawnError {
            step: Step::Exec.describe(),
            error,
        },
    }
}

/// Starts a child. Must be called on the main thread, whose death it follows (PDEATHSIG belongs to
/// the spawning thread), and on the thread that reaps.
///
/// # Errors
/// If a pipe cannot be made, or if any step up to the exec fails; the child is gone then.
pub fn spawn(spec: &Spec) -> Result<Spawned, SpawnError> {
    let prepare = |error| SpawnError {
        step: "make its pipes",
        error,
    };
    let program = Program::new(spec).map_err(SpawnError::of_arguments)?;
    let mut command = Command::new(&spec.argv[0]);
    command.process_group(0);
    command.stdin(match &spec.stdin {
        StdinFrom::Null => null()?,
        StdinFrom::Inherit | StdinFrom::Terminal => Stdio::inherit(),
        StdinFrom::File(file) => Stdio::from(file.try_clone().map_err(prepare)?),
    });
    let pipes = match spec.output {
        Output::Pipes => {
            let (stdout, stdout_write) = output_pipe(spec.user.as_ref()).map_err(prepare)?;
            let (stderr, stderr_write) = output_pipe(spec.user.as_ref()).map_err(prepare)?;
            command.stdout(stdout_write).stderr(stderr_write);
            Some((stdout, stderr))
        }
        Output::Inherit => None,
        Output::Null => {
            command.stdout(null()?).stderr(null()?);
            None
        }
    };
    let out = spec.out_fd.map(out_pipe).transpose().map_err(prepare)?;
    let handed = out.as_ref().map(|out| (out.write.as_raw_fd(), out.target));

    let umask = spec.umask;
    let cwd = spec.cwd.as_ref().map(|path| {
        std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("paths of the config hold no NUL")
    });
    let user = spec.user.clone();
    let takes_terminal = matches!(spec.stdin, StdinFrom::Terminal);
    let core_limit = protect::core_limit_of_children();
    let parent = std::process::id() as Pid;
    let between_fork_and_exec = move || {
        if takes_terminal {
            become_foreground().map_err(|errno| Step::Terminal.encode(errno))?;
        }
        default_dispositions();
        if let Some(limit) = &core_limit {
            protect::set_core_limit(limit);
        }
        if let Some(umask) = umask {
            // SAFETY: no memory is involved; it cannot fail.
            unsafe { libc::umask(umask) };
        }
        if let Some(user) = &user {
            become_user(user)?;
        }
        if let Some(cwd) = &cwd {
            // SAFETY: `cwd` ends in NUL.
            try_step(Step::Cwd, unsafe { libc::chdir(cwd.as_ptr()) })?;
        }
        // After the change of identity, which clears it.
        // SAFETY: no memory is involved.
        try_step(Step::DeathSignal, unsafe {
            libc::prctl(libc::PR_SET_PDEATHSIG, libc::SIGKILL, 0, 0, 0)
        })?;
        // SAFETY: no memory is involved.
        if unsafe { libc::getppid() } != parent && parent != 1 {
            // We died before the line above took effect.
            return Err(Step::DeathSignal.encode(libc::ESRCH));
        }
        if let Some((from, to)) = handed {
            // SAFETY: no memory is involved. The copy is not closed on exec.
            try_step(Step::OutFd, unsafe { libc::dup2(from, to) })?;
        }
        Err(Step::Exec.encode(program.exec()))
    };
    // SAFETY: the closure makes only system calls, on memory that was prepared before the fork.
    unsafe { command.pre_exec(between_fork_and_exec) };

    // The handle is dropped, never waited for: the one waiter reaps.
    let pid = command.spawn().map_err(decode)?.id() as Pid;
    Ok(Spawned {
        pid,
        pipes,
        out: out.map(|out| out.read),
    })
}

/// Opened here: if the standard library fails at it, that cannot be told from a failed exec.
fn null() -> Result<Stdio, SpawnError> {
    let file = File::options().read(true).write(true).open("/dev/null");
    file.map(Stdio::from).map_err(|error| SpawnError {
        step: "open /dev/null",
        error,
    })
}

fn output_pipe(user: Option<&User>) -> io::Result<(OwnedFd, OwnedFd)> {
    let (read, write) = sys::pipe()?;
    sys::enlarge_pipe(write.as_raw_fd(), PIPE_SIZE);
    sys::give_pipe(&write, user);
    Ok((read, write))
}

struct OutPipe {
    read: OwnedFd,
    write: OwnedFd,
    target: RawFd,
    /// Keeps the target number taken in our own process, so that nothing the standard library
    /// opens for the spawn can sit there and be overwritten in the child.
    _placeholder: Option<OwnedFd>,
}

fn out_pipe(target: RawFd) -> io::Result<OutPipe> {
    let (read, write) = sys::pipe()?;
    // Both ends away from the target: a dup2 onto itself would leave the descriptor to be closed.
    let write = sys::duplicate_from(write.as_raw_fd(), target + 1)?;
    let placeholder = sys::duplicate_from(write.as_raw_fd(), target)?;
    let placeholder = (placeholder.as_raw_fd() == target).then_some(placeholder);
    Ok(OutPipe {
        read,
        write,
        target,
        _placeholder: placeholder,
    })
}

fn try_step(step: Step, result: libc::c_int) -> io::Result<()> {
    if result < 0 {
        return Err(step.encode(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)));
    }
    Ok(())
}

/// Ignored signals stay ignored over an exec; a child must find the defaults, whatever we were
/// started with. (The mask was emptied by the standard library already.)
pub(super) fn default_dispositions() {
    for number in 1..=Signal::MAX {
        // SAFETY: SIG_DFL is valid for every signal; refusals (SIGKILL, SIGSTOP) do no harm.
        unsafe { libc::signal(number, libc::SIG_DFL) };
    }
}

fn become_foreground() -> Result<(), i32> {
    // SAFETY: no memory is involved. A background process that changes the foreground job gets
    // SIGTTOU, which would stop it; the dispositions are reset right after.
    let result = unsafe {
        libc::signal(libc::SIGTTOU, libc::SIG_IGN);
        libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpgrp())
    };
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error().raw_os_error().unwrap_or(libc::EINVAL)),
    }
}

fn become_user(user: &User) -> io::Result<()> {
    // SAFETY: the list is valid for its length. Without privileges, asking for what one already
    // has is no error for setgid and setuid; setgroups would be, hence the check.
    unsafe {
        if libc::geteuid() == 0 {
            let set = libc::setgroups(user.groups.len(), user.groups.as_ptr());
            // Root without capabilities may stay who it is, with the groups it has.
            if !(set < 0 && user.uid == 0) {
                try_step(Step::Groups, set)?;
            }
        }
        try_step(Step::Gid, libc::setgid(user.gid))?;
        try_step(Step::Uid, libc::setuid(user.uid))
    }
}
