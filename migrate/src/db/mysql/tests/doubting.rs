//! What is not known of a half-done migration, and is not guessed.

use super::*;

const REPAIR: Mode = Mode::Repair { applied: false };

/// `ADD INDEX (b)` goes through as often as it is executed, each time with another name.
#[tokio::test]
async fn what_could_be_applied_twice_is_not_executed_again() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let sql =
        "CREATE TABLE a (b INT); ALTER TABLE a ADD INDEX (b), ADD CHECK (b < 9); CREATE TABLE c (b INT)";
    let file = migration(1, sql);
    let mut other = database.connect().await;
    lost_in(
        &mut other,
        &file,
        1,
        "CREATE TABLE a (b INT); ALTER TABLE a ADD INDEX (b), ADD CHECK (b < 9)",
    )
    .await;
    let error = failed(apply(&mut worker, &file, REPAIR).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    let remedy = error.remedy().unwrap_or_default();
    assert!(
        remedy.contains("--applied") && remedy.contains("by hand"),
        "{remedy}"
    );
    let indexes = "SELECT COUNT(*) FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE()
        AND TABLE_NAME = 'a'";
    assert_eq!(ask(&mut other, indexes).await, 1);
    // Still in doubt, and both ways lead on.
    let named = migration(1, &sql.replace("INDEX (b)", "INDEX b (b)"));
    let (answer, events) = apply(&mut worker, &named, REPAIR).await;
    answer.expect("repaired");
    assert!(matches!(&events[0], Event::Note { .. }), "{events:?}");
    assert_eq!(ask(&mut other, indexes).await, 1);

    let file = migration(
        2,
        &sql.replace("TABLE a", "TABLE d").replace("TABLE c", "TABLE e"),
    );
    lost_in(
        &mut other,
        &file,
        1,
        "CREATE TABLE d (b INT); ALTER TABLE d ADD INDEX (b)",
    )
    .await;
    failed(apply(&mut worker, &file, REPAIR).await.0);
    let applied = Mode::Repair { applied: true };
    apply(&mut worker, &file, applied)
        .await
        .0
        .expect("taken as applied");
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM e").await, 0);
}

/// Of a statement on a table without transactions some rows may be there.
#[tokio::test]
async fn what_may_be_applied_in_part_is_not_executed_again() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE m (b INT) ENGINE = MyISAM; INSERT INTO m VALUES (1), (2)",
    );
    let mut other = database.connect().await;
    let there = "CREATE TABLE m (b INT) ENGINE = MyISAM; INSERT INTO m VALUES (1)";
    lost_in(&mut other, &file, 1, there).await;
    let error = failed(apply(&mut worker, &file, REPAIR).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    assert!(error.to_string().contains("applied, or in part"), "{error}");
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM m").await, 1);
}

/// A statement that was applied and says that what it begins with is not there.
#[tokio::test]
async fn a_rename_in_doubt_stays_in_doubt() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let mut other = database.connect().await;
    execute(&mut other, "CREATE TABLE t (b INT)").await;
    let file = migration(
        1,
        "CREATE TABLE y (b INT); RENAME TABLE t TO t2; CREATE TABLE after_it (b INT)",
    );
    lost_in(
        &mut other,
        &file,
        1,
        "CREATE TABLE y (b INT); RENAME TABLE t TO t2",
    )
    .await;
    for _ in 0..2 {
        let error = failed(apply(&mut worker, &file, REPAIR).await.0);
        let remedy = error.remedy().unwrap_or_default();
        assert!(error.to_string().contains("still not known"), "{error}");
        assert!(
            remedy.contains("repair`") && remedy.contains("--applied"),
            "{remedy}"
        );
        assert!(look(&mut session).await.progress[0].in_doubt);
    }
    let applied = Mode::Repair { applied: true };
    apply(&mut worker, &file, applied)
        .await
        .0
        .expect("taken as applied");
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM after_it").await, 0);
}

/// Another session has another LAST_INSERT_ID.
#[tokio::test]
async fn a_value_that_was_the_old_sessions_is_not_made_up() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let sql = "CREATE TABLE a (i INT AUTO_INCREMENT PRIMARY KEY, b INT); INSERT INTO a (b) VALUES (7);
        SET @id = LAST_INSERT_ID(); CREATE TABLE c (a INT); INSERT INTO nowhere VALUES (1);
        INSERT INTO c VALUES (@id)";
    failed(apply(&mut worker, &migration(1, sql), Mode::Run).await.0);
    let fixed = sql.replace("INSERT INTO nowhere VALUES (1)", "SELECT 1");
    let error = failed(apply(&mut worker, &migration(1, &fixed), REPAIR).await.0);
    assert_eq!(error.kind(), ErrorKind::Dirty, "{error}");
    assert!(
        error.to_string().contains("statement 6 of 6") && error.to_string().contains("@ID"),
        "{error}"
    );
    let given = migration(1, &fixed.replace("SELECT 1", "SET @id = 1"));
    apply(&mut worker, &given, REPAIR).await.0.expect("repaired");
    assert_eq!(ask(&mut database.connect().await, "SELECT a FROM c").await, 1);
}

/// A transaction of the file's is applied as a whole or not, and what is meant by it is the whole.
#[tokio::test]
async fn a_transaction_that_counts_as_applied_does_so_to_its_end() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let sql = "CREATE TABLE m (b INT) ENGINE = MyISAM; BEGIN; INSERT INTO m VALUES (1); COMMIT; SELECT 1";
    let file = migration(1, sql);
    let mut other = database.connect().await;
    let there = "CREATE TABLE m (b INT) ENGINE = MyISAM; INSERT INTO m VALUES (1)";
    lost_in(&mut other, &file, 1, there).await;
    let applied = Mode::Repair { applied: true };
    apply(&mut worker, &file, applied)
        .await
        .0
        .expect("taken as applied");
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM m").await, 1);
}

/// As it is after a run that died in a statement: what is in the database, and in doubt in our tables.
async fn lost_in(other: &mut sqlx::MySqlConnection, file: &Migration, done: usize, there: &str) {
    let statements = crate::sql::split(&file.sql, crate::sql::Dialect::MySql).expect("statements");
    let prefix = crate::sql::prefix_hash(&statements[..done]);
    let version = file.version;
    let sql = format!(
        "{there};
        INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
            VALUES ({version}, 'step', FALSE, 'x', -1);
        INSERT INTO _runmate_progress (version, done, prefix, in_doubt) VALUES ({version}, {done}, '{prefix}', TRUE)"
    );
    execute(other, &sql).await;
}
