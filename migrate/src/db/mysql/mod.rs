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

mod connect;
mod error;
mod ledger;
mod names;
mod nature;
mod session;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use session::MySqlSession;
