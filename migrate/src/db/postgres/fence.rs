//! That the lock is ours alone: no pooler in between, nothing left of a holder that died.

use std::collections::BTreeSet;
use std::time::Duration;

use sqlx::Row;
use sqlx::postgres::PgConnection;
use tokio::time::{Instant, sleep};

use super::ledger::{self, SINCE};
use super::session::{PgSession, holding, in_pg_locks, waiting};
use super::{LOCK, connect, errors, text};
use crate::db::{Ended, SessionError};
use crate::error::{Error, ErrorKind};

/// How often the two connections are compared, and how often this session is asked in a row each time. A pooler
/// that hands out the connection used last gives the second one ours; one that takes turns gives us another when
/// we ask twice, and no count suits all lengths of its turn. One that has only two connections to the server and
/// hands them out at random, as it looks under traffic, is overlooked in all rounds once in ten million times.
const ROUNDS: [u32; 8] = [2, 1, 3, 1, 2, 3, 1, 3];

/// How long leftovers may take to go.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(50);

/// How long a lock that went to a pooler's connection is looked for, to give it back.
const GIVE_BACK: Duration = Duration::from_secs(2);

/// Which sessions are to be ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Scope {
    /// Those that are there now. What the condition holds for later is somebody else: the next holder.
    AtFirst,
    /// Those that come meanwhile, too: a dead run's command may have opened another one.
    AsTheyCome,
}

/// What two connections have seen of the server's processes behind them.
#[derive(Debug, Default)]
struct Sightings {
    /// Those behind the session that took the lock.
    here: BTreeSet<i32>,
    /// Those behind the second connection.
    there: BTreeSet<i32>,
    /// The lock was not held where it should be, or could be taken a second time.
    loose: bool,
}

impl Sightings {
    /// Sessions that are one's own have one process each, and not the same.
    fn pooled(&self) -> bool {
        self.loose || self.here.len() > 1 || self.there.len() > 1 || !self.here.is_disjoint(&self.there)
    }
}

impl PgSession {
    /// Compares this session with a second connection. A pooler in transaction mode gives any of its server
    /// connections to any client for the time of a transaction, so that sooner or later both are seen on the
    /// same one, or one of them on two. It is sooner if a transaction keeps one of them occupied.
    pub(super) async fn prove_exclusive(&mut self) -> Result<(), SessionError> {
        let name = self.target.name.clone();
        let mut other = connect::open(&self.options, &name, &waiting(&self.run)).await?;
        let result = self.compare(&mut other).await;
        connect::close(other).await;
        let (seen, refused) = result?;
        if !seen.pooled() && !refused {
            return Ok(());
        }
        let given_back = self.give_back(&seen.here).await;
        self.locked = None;
        let message = format!(
            "cannot lock {name}: the connection goes through a pooler in transaction mode (PgBouncer, RDS Proxy), \
             so that a lock would not be exclusive"
        );
        let mut remedy = "set MIGRATE_DATABASE_URL to a direct connection".to_owned();
        if !given_back {
            remedy.push_str("; then `runmate migrate unlock`, because the pooler has kept the lock");
        }
        Err(Error::new(ErrorKind::Config, message).with_remedy(remedy).into())
    }

    /// The sightings, and whether the second connection was refused a transaction.
    async fn compare(&mut self, other: &mut PgConnection) -> Result<(Sightings, bool), SessionError> {
        let doing = "cannot prove the lock";
        let name = self.target.name.clone();
        let mut seen = Sightings::default();
        seen.here.extend(self.locked);
        let second = format!("BEGIN; SELECT pg_backend_pid(), pg_try_advisory_xact_lock({LOCK})");
        for in_a_row in ROUNDS {
            let rows = match connect::ask(other, &second).await {
                Ok(rows) => rows,
                // A pooler in statement mode.
                Err(error) if errors::server(&error).1.contains("pooling mode") => return Ok((seen, true)),
                Err(error) => return Err(errors::asking(&error, doing, &name)),
            };
            for row in &rows {
                seen.there.insert(row.try_get(0).map_err(self.unreadable(doing))?);
                seen.loose |= row.try_get::<bool, _>(1).map_err(self.unreadable(doing))?;
            }
            // While the second one is in its transaction, and after it.
            if !seen.pooled() {
                self.sight(&mut seen).await?;
            }
            connect::ask(other, "COMMIT")
                .await
                .map_err(|error| errors::asking(&error, doing, &name))?;
            for _ in 0..in_a_row {
                if !seen.pooled() {
                    self.sight(&mut seen).await?;
                }
            }
            if seen.pooled() {
                break;
            }
        }
        Ok((seen, false))
    }

    async fn sight(&mut self, seen: &mut Sightings) -> Result<(), SessionError> {
        let doing = "cannot prove the lock";
        let sql = format!(
            "SELECT pg_backend_pid(), EXISTS (SELECT 1 FROM pg_locks WHERE pid = pg_backend_pid() AND {})",
            in_pg_locks(LOCK)
        );
        let row = self.ask_one(&sql, doing).await?;
        let unreadable = self.unreadable(doing);
        seen.here.insert(row.try_get(0).map_err(&unreadable)?);
        seen.loose |= !row.try_get::<bool, _>(1).map_err(&unreadable)?;
        Ok(())
    }

    /// A pooler's connection would keep the lock, and who follows the remedy would wait for it. So we ask until we
    /// come to that connection again; false if we never do. It is not ended: it may be at work for somebody.
    async fn give_back(&mut self, suspects: &BTreeSet<i32>) -> bool {
        let pids: Vec<String> = suspects.iter().map(i32::to_string).collect();
        let held = format!("pid IN ({}) AND {}", pids.join(", "), in_pg_locks(LOCK));
        let unlock = format!(
            "SELECT pg_advisory_unlock({LOCK}), pg_advisory_unlock({}) FROM pg_locks \
             WHERE pid = pg_backend_pid() AND {held}; \
             SELECT count(*) = 0 FROM pg_locks WHERE {held}",
            self.sqlx_lock
        );
        let until = Instant::now() + GIVE_BACK;
        while Instant::now() < until {
            let Ok(row) = self.ask_one(&unlock, "cannot give the lock back").await else {
                return false;
            };
            if row.try_get(0).unwrap_or(false) {
                return true;
            }
            sleep(Duration::from_millis(1)).await;
        }
        false
    }

    /// Ends what runs before us left behind: they may still be at work, and their lock is gone.
    pub(super) async fn end_leftovers(&mut self, within: Duration) -> Result<Ended, SessionError> {
        let mut condition = self.others();
        if self.tables.releases {
            condition = format!("{condition} OR {}", ledger::noted(&self.run));
        }
        self.end_sessions(&condition, Scope::AsTheyCome, within).await
    }

    /// A dead run's command may outlive it and connect again. Those sessions are ended as they come; if that is
    /// not possible, the lock is ours all the same.
    pub(super) async fn end_latecomers(&mut self) {
        let sql = format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND {}",
            self.others()
        );
        let _ = self.ask(&sql, "cannot end a leftover session").await;
    }

    /// Sessions of other runs. PgBouncer may append the client's address to a name (`application_name_add_host`).
    fn others(&self) -> String {
        let mine = holding(&self.run);
        format!(
            "application_name LIKE 'runmate/%' AND application_name <> {} AND application_name NOT LIKE {}",
            text::quote(&mine),
            text::quote(&format!("{mine} %"))
        )
    }

    /// Ends the sessions of this database for which `condition` is true, and waits until they are gone.
    pub(super) async fn end_sessions(
        &mut self,
        condition: &str,
        scope: Scope,
        within: Duration,
    ) -> Result<Ended, SessionError> {
        let doing = "cannot end a leftover session";
        let mut condition = condition.to_owned();
        let (mut pids, mut runs) = (BTreeSet::new(), BTreeSet::new());
        let until = Instant::now() + within;
        loop {
            let sql = format!(
                "SELECT pid, application_name, {SINCE}, pg_terminate_backend(pid) FROM pg_stat_activity \
                 WHERE datname = current_database() AND pid <> pg_backend_pid() AND ({condition})"
            );
            let rows = match connect::ask(&mut self.connection, &sql).await {
                Err(error) if errors::code(&error) == "42501" => return Err(self.may_not_end(&error)),
                result => result.map_err(|error| errors::asking(&error, doing, &self.target.name))?,
            };
            let (mut found, mut names) = (Vec::new(), Vec::new());
            for row in &rows {
                let unreadable = self.unreadable(doing);
                let pid: i32 = row.try_get(0).map_err(&unreadable)?;
                let name: &str = row.try_get(1).map_err(&unreadable)?;
                let since: i64 = row.try_get(2).map_err(&unreadable)?;
                pids.insert(pid);
                names.push(format!("process {pid} ({name}) is"));
                found.push(format!("({pid}, {since}::bigint)"));
                runs.extend(run_of(name).map(str::to_owned));
            }
            if rows.is_empty() {
                return Ok(Ended {
                    sessions: pids.len() as u32,
                    runs: runs.into_iter().collect(),
                });
            }
            if scope == Scope::AtFirst {
                condition = format!("(pid, {SINCE}) IN ({})", found.join(", "));
            }
            if Instant::now() > until {
                let message = format!(
                    "{doing} of {}: {} still there after {} s, maybe because of a long rollback",
                    self.target.name,
                    names.join(", "),
                    within.as_secs()
                );
                // Who waits for the lock has time for that, and who unlocks does not.
                return Err(match scope {
                    Scope::AsTheyCome => SessionError::Transient(message),
                    Scope::AtFirst => Error::new(ErrorKind::LockTimeout, message)
                        .with_remedy("wait for its end, or find out on the server why it does not end")
                        .into(),
                });
            }
            sleep(POLL).await;
        }
    }

    fn may_not_end(&self, error: &sqlx::Error) -> SessionError {
        let message = format!(
            "cannot end a leftover session of {}: {}",
            self.target.name,
            errors::server(error).1
        );
        Error::new(ErrorKind::Denied, message)
            .with_remedy("GRANT pg_signal_backend to the migrating user, or always migrate as the same user")
            .into()
    }
}

/// The run whose session has this name.
fn run_of(name: &str) -> Option<&str> {
    let (program, run) = name.split_once('/')?;
    let run = run.split(' ').next().unwrap_or(run);
    program.starts_with("runmate").then_some(run)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_which_run_it_is() {
        assert_eq!(run_of("runmate/r1"), Some("r1"));
        assert_eq!(run_of("runmate-wait/r1 - 192.0.2.1:5432"), Some("r1"));
        assert_eq!(run_of("app/1"), None);
        assert_eq!(run_of("psql"), None);
    }

    #[test]
    fn sessions_of_ones_own_have_one_process_each() {
        let seen = |here: &[i32], there: &[i32]| Sightings {
            here: here.iter().copied().collect(),
            there: there.iter().copied().collect(),
            loose: false,
        };
        assert!(!seen(&[1], &[2]).pooled());
        assert!(seen(&[1], &[1]).pooled());
        assert!(seen(&[1, 3], &[2]).pooled());
        assert!(seen(&[1], &[2, 3]).pooled());
        let loose = Sightings {
            loose: true,
            ..seen(&[1], &[2])
        };
        assert!(loose.pooled());
    }
}
