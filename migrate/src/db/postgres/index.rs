//! `CREATE INDEX CONCURRENTLY`, and what it leaves behind when it fails.

use sqlx::Row;
use sqlx::postgres::PgConnection;

use super::words::Index;
use super::worker::{PgWorker, execute};
use super::{connect, text};
use crate::event::Event;

/// An index in the catalog.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found {
    pub oid: i64,
    pub valid: bool,
    /// With its schema, in quotes where it needs them.
    pub name: String,
}

/// Looks for the index that a statement creates, on the table that it names.
pub(super) async fn find(connection: &mut PgConnection, index: &Index) -> Result<Option<Found>, sqlx::Error> {
    let (Some(name), false) = (&index.name, index.table.is_empty()) else {
        return Ok(None);
    };
    let sql = format!(
        "SELECT c.oid::bigint, i.indisvalid, format('%I.%I', n.nspname, c.relname) FROM pg_index i \
         JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE c.relname = {} AND i.indrelid = to_regclass({})",
        text::quote(name),
        text::quote(&index.table)
    );
    let rows = connect::ask(connection, &sql).await?;
    rows.first()
        .map(|row| {
            Ok(Found {
                oid: row.try_get(0)?,
                valid: row.try_get(1)?,
                name: row.try_get(2)?,
            })
        })
        .transpose()
}

/// True if there is an index of this name, as a statement writes it.
pub(super) async fn exists(connection: &mut PgConnection, name: &str) -> Result<bool, sqlx::Error> {
    let sql = format!("SELECT to_regclass({}) IS NOT NULL", text::quote(name));
    let rows = connect::ask(connection, &sql).await?;
    rows.first().map_or(Ok(false), |row| row.try_get(0))
}

impl PgWorker {
    /// Drops what an attempt of ours left behind.
    pub(super) async fn drop_invalid(
        &mut self,
        found: &Found,
        report: &mut (dyn FnMut(Event) + Send),
    ) -> Result<(), sqlx::Error> {
        let sql = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", found.name);
        execute(&mut self.connection, &sql).await.1?;
        report(Event::Note {
            message: format!(
                "dropped the INVALID index {}, which an unfinished CREATE INDEX CONCURRENTLY of this migration had \
                 left behind",
                found.name
            ),
        });
        Ok(())
    }

    /// Says which indexes are of no use because they were never finished, each once. Indexes that somebody
    /// is building at this moment are none of them: they hold a lock on their table.
    pub(super) async fn note_invalid_indexes(&mut self, report: &mut (dyn FnMut(Event) + Send)) {
        let sql = "SELECT c.oid::bigint, format('%I.%I', n.nspname, c.relname), i.indrelid::regclass::text \
            FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
            WHERE NOT i.indisvalid AND c.relkind = 'i' AND n.nspname !~ '^pg_' \
            AND NOT EXISTS (SELECT 1 FROM pg_locks l WHERE l.locktype = 'relation' AND l.relation = i.indrelid \
            AND l.mode = 'ShareUpdateExclusiveLock' AND l.pid <> pg_backend_pid() \
            AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())) \
            ORDER BY 2";
        // The migration is done, whatever becomes of this.
        let rows = connect::ask(&mut self.connection, sql).await.unwrap_or_default();
        for row in rows {
            let read = || -> Result<(i64, String, String), sqlx::Error> {
                Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
            };
            let Ok((oid, name, table)) = read() else { continue };
            if self.noted.insert(oid) {
                report(Event::Note {
                    message: format!(
                        "index {name} on {table} is INVALID: it was never finished, slows down writes and is not \
                         used; REINDEX INDEX CONCURRENTLY {name}, or DROP INDEX CONCURRENTLY {name}"
                    ),
                });
            }
        }
    }
}
