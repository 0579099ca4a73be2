//! PostgreSQL.
//!
//! The lock is a session's advisory lock, [`LOCK`], together with the one that sqlx takes, so that sqlx-cli
//! is excluded as well. Both are only ever tried: a session that waits in `pg_advisory_lock` holds a
//! snapshot, for which `CREATE INDEX CONCURRENTLY` would wait in turn.
//!
//! Who is who is said by `application_name`: `runmate-wait/RUN` waits or is about to end, `runmate/RUN`
//! holds the lock or does its work. Whoever gets the lock ends all other sessions of the second kind.
//!
//! Everything goes over the simple protocol: one round trip for several statements, and no prepared
//! statements for a pooler to lose.

mod connect;
mod errors;
mod fence;
mod index;
mod ledger;
mod report;
mod session;
mod steps;
mod text;
mod whole;
mod words;
mod worker;

#[cfg(test)]
pub(crate) mod testing;
#[cfg(test)]
mod tests;

pub(crate) use session::PgSession;

/// The key of the advisory lock: `runmate1` in ASCII.
pub(crate) const LOCK: i64 = i64::from_be_bytes(*b"runmate1");
