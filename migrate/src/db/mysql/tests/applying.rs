//! What is done, and what is said when it is not.

use super::*;

#[tokio::test]
async fn files_are_applied_and_recorded() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE a (b INT);\n\nINSERT INTO a VALUES (1);\nINSERT INTO a VALUES (2);\nALTER TABLE a ADD c INT",
    );
    let (answer, events) = apply(&mut worker, &file, Mode::Run).await;
    answer.expect("applied");
    let told: Vec<u32> = events
        .iter()
        .filter_map(|event| match event {
            Event::Statement { statement, of: 4, .. } => Some(*statement),
            _ => None,
        })
        .collect();
    assert_eq!(told, [1, 2, 3, 4]);
    let seen = look(&mut session).await;
    let row = &seen.applied[0];
    assert!(row.success && row.version == 1 && row.description == "step 1" && row.checksum == file.checksum);
    assert!(seen.progress.is_empty() && seen.applied.len() == 1);
    let mut other = database.connect().await;
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM a").await, 3);
}

#[tokio::test]
async fn the_message_says_what_is_applied_and_how_to_go_on() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration(
        7,
        "CREATE TABLE a (b INT);\n\nALTER TABLE a\n  ADD b INT;\nDROP TABLE a",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert_eq!(error.kind(), ErrorKind::Failed);
    assert_eq!(
        error.to_string(),
        "cannot apply 7_step_7.sql: statement 2 of 3 (line 3: ALTER TABLE a ADD b INT) failed: Duplicate column \
         name 'b' (1060 42S21); MySQL commits DDL implicitly: statement 1 is applied, this one and those after it \
         are not"
    );
    assert_eq!(
        error.remedy(),
        Some("fix statement 2 in 7_step_7.sql and run `runmate migrate repair`")
    );
    let seen = look(&mut session).await;
    assert!(!seen.applied[0].success, "sqlx-cli sees it too");
    let progress = &seen.progress[0];
    assert_eq!(
        (progress.version, progress.done, progress.in_doubt),
        (7, 1, false)
    );
    assert_eq!(progress.error.as_deref(), Some(error.to_string().as_str()));
}

#[tokio::test]
async fn a_file_of_which_nothing_is_done_leaves_nothing_behind() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    for sql in [
        "ALTER TABLE nowhere ADD b INT; SELECT 1",
        "SET @a = 1; INSERT INTO nowhere VALUES (1)",
        "this is no SQL",
        "CREATE TABLE a (b INT /* and so on",
    ] {
        let error = failed(apply(&mut worker, &migration(1, sql), Mode::Run).await.0);
        assert!(
            error.remedy().expect("a remedy").ends_with("and start again"),
            "{sql}: {error}"
        );
        let seen = look(&mut session).await;
        assert!(seen.applied.is_empty() && seen.progress.is_empty(), "{sql}");
    }
}

#[tokio::test]
async fn data_is_changed_together_with_its_record() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE a (b INT PRIMARY KEY);
        START TRANSACTION; INSERT INTO a VALUES (1); INSERT INTO a VALUES (2); COMMIT;
        BEGIN; INSERT INTO a VALUES (3); ROLLBACK;
        START TRANSACTION; INSERT INTO a VALUES (4); INSERT INTO a VALUES (1); COMMIT;",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(error.to_string().contains("statement 11 of 12"), "{error}");
    assert!(
        error
            .to_string()
            .contains("Duplicate entry '1' for key 'PRIMARY' (1062 23000)"),
        "{error}"
    );
    assert!(
        error.to_string().contains("statements 1 to 8 are applied"),
        "{error}"
    );
    assert_eq!(look(&mut session).await.progress[0].done, 8);
    let mut other = database.connect().await;
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM a").await, 3);
    // DDL in a transaction ends it: that much is done.
    let file = migration(
        2,
        "BEGIN; INSERT INTO a VALUES (10); CREATE TABLE c (d INT); INSERT INTO a VALUES (10); COMMIT",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(error.to_string().contains("statement 4 of 5"), "{error}");
    assert!(
        error.to_string().contains("statements 1 to 3 are applied"),
        "{error}"
    );
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM a").await, 13);
}

#[tokio::test]
async fn routines_and_triggers_have_bodies() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE a (b INT); CREATE TABLE log (b INT);
CREATE TRIGGER t AFTER INSERT ON a FOR EACH ROW BEGIN
  INSERT INTO log VALUES (NEW.b);
  INSERT INTO log VALUES (NEW.b * 10);
END;
DELIMITER //
CREATE PROCEDURE p(n INT)
BEGIN
  IF n > 0 THEN INSERT INTO a VALUES (n); END IF;
END//
DELIMITER ;
CALL p(1);
DROP PROCEDURE p;",
    );
    apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    assert_eq!(
        ask(&mut database.connect().await, "SELECT SUM(b) FROM log").await,
        11
    );
}

/// What dumps and conditional DDL consist of.
#[tokio::test]
async fn settings_locks_and_prepared_statements_work() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "/*!40101 SET NAMES utf8mb4 */;
SET FOREIGN_KEY_CHECKS = 0, sql_mode = 'ANSI_QUOTES,NO_BACKSLASH_ESCAPES';
CREATE TABLE \"a\" (b INT);
LOCK TABLES a WRITE;
INSERT INTO a VALUES (1);
/*!40000 ALTER TABLE a DISABLE KEYS */;
INSERT INTO a VALUES (2);
UNLOCK TABLES;
SET @sql = IF(EXISTS(SELECT 1 FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE()
  AND TABLE_NAME = 'a' AND COLUMN_NAME = 'c'), 'DO 0', 'ALTER TABLE a ADD c INT');
PREPARE s FROM @sql; EXECUTE s; DEALLOCATE PREPARE s;
CREATE TEMPORARY TABLE t AS SELECT * FROM a;
INSERT INTO a SELECT * FROM t;
SET autocommit = 0; INSERT INTO a VALUES (5, 5); COMMIT; SET autocommit = 1;
SET TRANSACTION ISOLATION LEVEL SERIALIZABLE; START TRANSACTION; UPDATE a SET b = b + 1; COMMIT;
USE mysql;
SELECT COUNT(*) FROM user;",
    );
    apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    let seen = look(&mut session).await;
    assert!(seen.applied[0].success && seen.progress.is_empty());
    let mut other = database.connect().await;
    assert_eq!(ask(&mut other, "SELECT SUM(b) FROM a").await, 16);
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM a").await, 5);
}

/// In a MyISAM table, what was done stays done.
#[tokio::test]
async fn tables_without_transactions_leave_doubts() {
    let database = database().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE m (b INT PRIMARY KEY) ENGINE = MyISAM;
        INSERT INTO m VALUES (1), (2);
        INSERT INTO m VALUES (3), (1), (4)",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(
        error
            .to_string()
            .contains("statements 1 to 2 are applied, and this one may be in part"),
        "{error}"
    );
    let seen = look(&mut session).await;
    assert_eq!((seen.progress[0].done, seen.progress[0].in_doubt), (2, true));
    assert_eq!(
        ask(&mut database.connect().await, "SELECT COUNT(*) FROM m").await,
        3
    );
}

#[tokio::test]
async fn many_statements_share_commits() {
    let database = database().await;
    let (_session, mut worker) = working(&database).await;
    let mut sql = "CREATE TABLE a (b INT);\n".to_owned();
    for number in 0..2000 {
        sql.push_str(&format!("INSERT INTO a VALUES ({number});\n"));
    }
    let mut other = database.connect().await;
    let commits =
        "SELECT VARIABLE_VALUE FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'Com_commit'";
    let before = ask(&mut other, commits).await;
    let start = Instant::now();
    let (answer, events) = apply(&mut worker, &migration(1, &sql), Mode::Run).await;
    answer.expect("applied");
    println!("2001 statements: {:?}", start.elapsed());
    assert_eq!(events.len(), 2001);
    assert_eq!(ask(&mut other, "SELECT COUNT(*) FROM a").await, 2000);
    assert!(ask(&mut other, commits).await - before < 1000);
}
