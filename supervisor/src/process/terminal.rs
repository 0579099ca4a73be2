//! The terminal of `docker run -it`.

use std::io::IsTerminal;

/// Remembers whether stdin is a terminal whose foreground job we may choose.
#[derive(Clone, Copy, Debug)]
pub struct Terminal {
    ours: bool,
}

impl Terminal {
    /// Looks at stdin.
    pub fn detect() -> Terminal {
        // SAFETY: no memory is involved; fails unless stdin is our controlling terminal.
        let session = unsafe { libc::tcgetsid(libc::STDIN_FILENO) };
        // SAFETY: as above.
        let ours = std::io::stdin().is_terminal() && session == unsafe { libc::getsid(0) };
        Terminal { ours }
    }

    /// Whether a child can become its foreground job. Not while we are in the background: a shell has
    /// the terminal then (`runmate run &`), and would lose it.
    pub fn can_hand_over(self) -> bool {
        // SAFETY: no memory is involved.
        self.ours && unsafe { libc::tcgetpgrp(libc::STDIN_FILENO) == libc::getpgrp() }
    }

    /// Makes ourselves the foreground job again, after the child that was it ended.
    pub fn take_back(self) {
        if self.ours {
            // SAFETY: no memory is involved. We are in the background now: without ignoring
            // SIGTTOU the call would stop us.
            unsafe {
                let before = libc::signal(libc::SIGTTOU, libc::SIG_IGN);
                libc::tcsetpgrp(libc::STDIN_FILENO, libc::getpgrp());
                libc::signal(libc::SIGTTOU, before);
            }
        }
    }
}
