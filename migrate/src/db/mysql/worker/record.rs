//! What is recorded of a migration that runs.

use super::*;
use crate::db::mysql::tokens;

/// What stands in the tables about a migration.
pub(super) struct Standing {
    /// sqlx's flag; none if there is no row.
    pub success: Option<bool>,
    pub progress: Option<Progress>,
}

/// A record of how far a migration got.
pub(super) struct Mark<'a> {
    pub migration: &'a Migration,
    /// The statements that are done.
    pub done: &'a [Statement],
    pub in_doubt: bool,
    pub error: Option<&'a str>,
}

impl MySqlWorker {
    pub(super) async fn standing(&mut self, migration: &Migration) -> Result<Standing, sqlx::Error> {
        let (database, version) = (&self.database, migration.version);
        let sql = format!(
            "SELECT 1 AS kind, success, NULL AS done FROM {database}._sqlx_migrations WHERE version = {version}"
        );
        let rows = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut self.connection)
            .await?;
        let success = rows
            .first()
            .and_then(|row| number(row, "success"))
            .map(|success| success != 0);
        let sql = format!("SELECT * FROM {database}._runmate_progress WHERE version = {version}");
        let rows = sqlx::raw_sql(AssertSqlSafe(sql))
            .fetch_all(&mut self.connection)
            .await?;
        let progress = rows.first().map(ledger::progress_of).transpose()?;
        Ok(Standing { success, progress })
    }

    /// The statements that write a mark; to be executed in a transaction with what they tell of. The first
    /// makes sqlx's row, as a migration that has failed, which it is until it is finished.
    pub(super) fn mark(&self, mark: &Mark<'_>) -> String {
        let migration = mark.migration;
        format!(
            "INSERT INTO {database}._sqlx_migrations (version, description, success, checksum, execution_time)
                VALUES ({version}, {description}, FALSE, {checksum}, -1)
                ON DUPLICATE KEY UPDATE version = version;
            INSERT INTO {database}._runmate_progress (version, done, prefix, in_doubt, error)
                VALUES ({version}, {done}, '{prefix}', {doubt}, {error})
                ON DUPLICATE KEY UPDATE done = {done}, prefix = '{prefix}', in_doubt = {doubt}, error = {error}",
            database = self.database,
            version = migration.version,
            description = literal(&migration.description),
            checksum = names::bytes(&migration.checksum),
            done = mark.done.len(),
            prefix = prefix_hash(mark.done),
            doubt = u8::from(mark.in_doubt),
            error = mark.error.map_or_else(|| "NULL".to_owned(), literal),
        )
    }

    /// A mark in a transaction of its own.
    pub(super) fn whole_mark(&self, mark: &Mark<'_>) -> String {
        format!("START TRANSACTION; {}; COMMIT", self.mark(mark))
    }

    /// Notes that a migration is finished. The file may not be the one that was begun.
    pub(super) async fn leave(&mut self, migration: &Migration, took: Duration) -> Result<(), sqlx::Error> {
        let sql = format!(
            "START TRANSACTION;
            INSERT INTO {database}._sqlx_migrations (version, description, success, checksum, execution_time)
                VALUES ({version}, {description}, TRUE, {checksum}, {took})
                ON DUPLICATE KEY UPDATE description = {description}, success = TRUE, checksum = {checksum},
                    execution_time = {took};
            DELETE FROM {database}._runmate_progress WHERE version = {version};
            COMMIT",
            database = self.database,
            version = migration.version,
            description = literal(&migration.description),
            checksum = names::bytes(&migration.checksum),
            took = nanos(took),
        );
        self.own(sql).await
    }

    /// Makes it as if the migration had never been begun.
    pub(super) async fn forget(&mut self, version: i64) -> Result<(), sqlx::Error> {
        let database = &self.database;
        let sql = format!(
            "START TRANSACTION;
            DELETE FROM {database}._sqlx_migrations WHERE version = {version} AND success = FALSE;
            DELETE FROM {database}._runmate_progress WHERE version = {version};
            COMMIT"
        );
        self.own_again(sql).await
    }

    /// False if the server takes a text to end where we do not see it.
    pub(super) async fn is_readable(&mut self, migration: &Migration) -> Result<bool, sqlx::Error> {
        if !migration.sql.contains('\\') || !tokens::has_backslashes(&migration.sql) {
            return Ok(true);
        }
        let sql = "SELECT FIND_IN_SET('NO_BACKSLASH_ESCAPES', @@SESSION.sql_mode) = 0 AS answer";
        let row = sqlx::raw_sql(sql).fetch_one(&mut self.connection).await?;
        Ok(number(&row, "answer") == Some(1))
    }

    /// True if the database has tables where what was done stays done when its transaction is rolled back.
    pub(super) async fn has_loose_tables(&mut self) -> Result<bool, sqlx::Error> {
        if let Some(known) = self.loose {
            return Ok(known);
        }
        let sql = "SELECT EXISTS (SELECT 1 FROM information_schema.TABLES AS t
                LEFT JOIN information_schema.ENGINES AS e ON e.ENGINE = t.ENGINE
                WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_TYPE = 'BASE TABLE'
                AND COALESCE(e.TRANSACTIONS, 'NO') <> 'YES') AS answer";
        // Where there are very many tables, this takes its time.
        let row = sqlx::raw_sql(sql).fetch_one(&mut self.connection).await?;
        let loose = number(&row, "answer") == Some(1);
        self.loose = Some(loose);
        Ok(loose)
    }
}
