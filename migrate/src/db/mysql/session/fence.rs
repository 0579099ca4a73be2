//! What keeps others out, and what ends what they left behind.

use super::*;

/// How long what was ended may take to be gone, and how often that is looked at.
pub(super) const GONE_WITHIN: Duration = Duration::from_secs(10);
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Why what was left behind is not known to be gone.
pub(super) enum Leftover {
    /// This connection was ended, and takes its time.
    Undoing(u64),
    Failed(SessionError),
}

impl From<SessionError> for Leftover {
    fn from(error: SessionError) -> Self {
        Leftover::Failed(error)
    }
}

impl MySqlSession {
    /// Through a proxy that hands out its own connections to whoever asks, a lock belongs to nobody. From a
    /// second connection, while that has a transaction open, ours must be the one that has the lock, the lock
    /// must not be had twice, and we must still be who we were.
    pub(super) async fn prove(&mut self) -> Result<(), SessionError> {
        let mut probe = self.place.connect().await?;
        let lock = literal(&self.lock);
        let sql = format!(
            "START TRANSACTION;
            SELECT CAST(CONNECTION_ID() AS UNSIGNED) AS id, IS_USED_LOCK({lock}) AS owner, GET_LOCK({lock}, 0) AS got"
        );
        let row = last_row(&mut probe, sql).await;
        let row = row.map_err(|error| self.failed(&error, "try the lock of"))?;
        let (other, owner, got) = (number(&row, "id"), number(&row, "owner"), number(&row, "got"));
        let ours = self
            .ask(
                "SELECT CAST(CONNECTION_ID() AS UNSIGNED) AS answer".to_owned(),
                "ask",
            )
            .await?;
        if got == Some(1) {
            let _ = execute(&mut probe, format!("DO RELEASE_LOCK({lock})")).await;
        }
        let _ = probe.close().await;
        let us = Some(self.facts.id);
        if ours == us && owner == us && got == Some(0) && other.is_some() && other != us {
            return Ok(());
        }
        let message = format!(
            "the connection to {} goes through a proxy that shares connections (ProxySQL, RDS Proxy), where a \
             lock excludes nobody",
            self.place.name
        );
        Err(Error::new(ErrorKind::Config, message)
            .with_remedy("set MIGRATE_DATABASE_URL to a direct connection")
            .into())
    }

    /// Which connections have these locks: one round trip, however many they are.
    async fn owners(&mut self, locks: &[String]) -> Result<Vec<Option<u64>>, SessionError> {
        if locks.is_empty() {
            return Ok(Vec::new());
        }
        let columns: Vec<String> = locks
            .iter()
            .enumerate()
            .map(|(place, lock)| format!("IS_USED_LOCK({}) AS owner{place}", literal(lock)))
            .collect();
        let row = last_row(&mut self.connection, format!("SELECT {}", columns.join(", "))).await;
        let row = row.map_err(|error| self.failed(&error, "ask for a lock on"))?;
        Ok((0..locks.len())
            .map(|place| number(&row, &format!("owner{place}")))
            .collect())
    }

    /// Ends the connections that have these locks, and waits until they are gone: a statement that is being
    /// undone still holds what it has locked. Gives the places of the locks that somebody had.
    pub(super) async fn end_owners(&mut self, locks: &[String]) -> Result<Vec<usize>, Leftover> {
        let us = self.facts.id;
        let mut ended = Vec::new();
        for (place, owner) in self.owners(locks).await?.into_iter().enumerate() {
            if let Some(id) = owner.filter(|id| *id != us) {
                self.kill(id).await?;
                ended.push((place, id));
            }
        }
        let deadline = Instant::now() + self.gone_within;
        while !ended.is_empty() {
            let owners = self.owners(locks).await?;
            // Somebody who was waiting may have the lock by now: that is not whom we ended.
            let left = ended
                .iter()
                .find(|(place, id)| owners.get(*place) == Some(&Some(*id)));
            match left {
                None => break,
                Some((_, id)) if Instant::now() >= deadline => return Err(Leftover::Undoing(*id)),
                Some(_) => sleep(LOOK_EVERY).await,
            }
        }
        Ok(ended.into_iter().map(|(place, _)| place).collect())
    }

    pub(super) fn still_there(&self, id: u64) -> String {
        format!(
            "connection {id} of another run on {} was ended and is still undoing its statement after {} s",
            self.place.name,
            self.gone_within.as_secs()
        )
    }

    async fn kill(&mut self, id: u64) -> Result<(), SessionError> {
        match execute(&mut self.connection, format!("KILL {id}")).await {
            // It was gone before.
            Err(error) if error::number(&error) == Some(1094) => Ok(()),
            Err(error) if error::number(&error) == Some(1095) => {
                let message = format!(
                    "cannot end connection {id} on {}: {}",
                    self.place.name,
                    error::said(&error)
                );
                let remedy = "use the same database user for all runs, or grant it CONNECTION_ADMIN (before MySQL \
                              8 and MariaDB 10.5: SUPER)";
                Err(Error::new(ErrorKind::Denied, message).with_remedy(remedy).into())
            }
            Err(error) => Err(self.failed(&error, "end a connection on")),
            Ok(_) => Ok(()),
        }
    }

    /// The locks that the sessions of these runs carry.
    pub(super) fn work_locks(runs: &[String]) -> Vec<String> {
        runs.iter().flat_map(|run| names::work_locks(run)).collect()
    }
}
