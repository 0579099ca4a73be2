//! MySQL and MariaDB.
//!
//! The lock is `GET_LOCK`, which belongs to one server: all starts have to reach the same one. The server does
//! not see that a client is gone while it executes a statement for it, and it has no keepalive that a session
//! could set. So:
//!
//! - the lock's session asks to be ended when it has been silent for [`session::SILENCE`]: a holder that is
//!   frozen or cut off loses the lock after that time;
//! - a worker's session carries a lock of its own, named after its run, as long as it lives. By that name the
//!   next holder finds it, whatever became of its client, and ends it before it works itself.
//!
//! What a command of the user connects with cannot be told from others' sessions, so it is not ended: a
//! statement that a dead command left running goes on to its end.

mod again;
mod connect;
mod error;
mod ledger;
mod names;
mod nature;
mod session;
mod tokens;
mod values;
mod worker;

use crate::db::Progress;

#[cfg(test)]
mod tests;

pub(crate) use session::MySqlSession;

/// How the error begins that is noted while nobody knows what another program applied of a file.
const ANOTHER: &str = "another program began it, and it is not known what that applied";

/// True if another program began a file, and we have added nothing to that.
pub(crate) fn is_of_another(progress: &Progress) -> bool {
    progress
        .error
        .as_deref()
        .is_some_and(|error| error.starts_with(ANOTHER))
}

/// What a statement is whose end was never recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Doubt {
    /// To execute it again fails if it was applied, or changes nothing.
    pub repeatable: bool,
    /// It may be applied in part.
    pub in_part: bool,
}

impl Doubt {
    pub fn of(text: &str) -> Doubt {
        Doubt {
            repeatable: again::is_repeatable(text),
            in_part: again::may_be_in_part(text),
        }
    }

    /// What is not known about it.
    pub fn whether(&self) -> &'static str {
        match self.in_part {
            true => "it is not known whether that is applied, or in part",
            false => "it is not known whether that is applied",
        }
    }

    /// The way on, whether it is applied or not.
    pub fn remedy(&self, number: usize) -> String {
        if self.repeatable {
            return format!(
                "run: runmate migrate repair (it executes statement {number} again, and goes on if the server says \
                 that it is applied already); if you have seen that it is applied, run: runmate migrate repair \
                 --applied"
            );
        }
        let undo = match self.in_part {
            true => " (if it is in part, undo that first)",
            false => "",
        };
        format!(
            "statement {number} is not executed again, because it could be applied twice: look whether it is \
             applied; if it is, run: runmate migrate repair --applied; if it is not, execute it by hand{undo}, then \
             run the same; or, if it adds what has no name, name that in the file and run: runmate migrate repair"
        )
    }
}
