//! Database migrations, exactly once across a fleet.
//!
//! However many copies of a program start together, one migrates, the others wait until it has, and a later
//! start finds in milliseconds that there is nothing to do. PostgreSQL, MySQL, MariaDB and SQLite.
//!
//! ```no_run
//! # async fn example() -> Result<(), runmate_migrate::Error> {
//! use runmate_migrate::Migrate;
//!
//! let url = std::env::var("DATABASE_URL").unwrap_or_default();
//! let outcome = Migrate::new(&url)?.dir("migrations").run().await?;
//! # let _ = outcome;
//! # Ok(())
//! # }
//! ```
//!
//! Files and table are those of sqlx (`VERSION_DESCRIPTION.sql`, `_sqlx_migrations`): sqlx's own tools can go
//! on where this crate stops, and the other way round. A program that is one file brings its migrations along:
//!
//! ```
//! # fn example() -> Result<(), runmate_migrate::Error> {
//! use runmate_migrate::{Migrate, Migration};
//!
//! let users = Migration::new("1_users.sql", "CREATE TABLE users (id bigint PRIMARY KEY)")?; // include_str!
//! let migrate = Migrate::new("sqlite:app.db")?.migrations([users]);
//! # drop(migrate);
//! # Ok(())
//! # }
//! # example().unwrap();
//! ```
//!
//! # What is promised
//! - **Never two at once.** The lock belongs to a connection that does nothing else. It is asked each second
//!   whether it is still held; if not, the work is stopped and the call ends with [`ErrorKind::LockLost`]. Who
//!   gets the lock after a crash first ends the database sessions that were left behind.
//! - **Waiting blocks nobody.** The lock is polled; those who wait have no statement and no transaction open,
//!   because `CREATE INDEX CONCURRENTLY` waits for those.
//! - **A lock that is not exclusive is refused**, such as one through a pooler in transaction mode.
//! - **An end is known.** A transaction is rolled back; where there can be none (MySQL's DDL, files that begin
//!   with `-- no-transaction`), progress is written down statement by statement.
//!
//! Besides `_sqlx_migrations` there are two tables: `_runmate_releases`, the runs and how they ended, and
//! `_runmate_progress`, with a row for each file that is half done.

mod api;
mod db;
mod dir;
mod error;
mod event;
mod outcome;
mod release;
mod run;
mod sql;
#[cfg(test)]
mod testing;
mod url;

pub use api::Migrate;
pub use db::Release;
pub use dir::Migration;
pub use error::{Error, ErrorKind};
pub use event::{Event, Holder};
pub use outcome::{Outcome, Pending, Planned, Problem, Status, Unlocked};
pub use run::guard;
