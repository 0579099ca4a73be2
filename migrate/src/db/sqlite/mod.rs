//! SQLite.
//!
//! The lock is the operating system's, on a file beside the database: it dies with its process, so a run
//! leaves no session behind that would have to be ended. What it does not do: exclude machines from each
//! other on a network file system without locks, where SQLite itself would not be safe either.

mod brake;
mod error;
mod ledger;
mod lock;
mod place;
mod script;
mod session;
mod worker;

#[cfg(test)]
mod tests;

pub(crate) use session::SqliteSession;
