//! Files that were written for something else than a migration.

use super::*;

#[tokio::test]
async fn a_file_that_rolls_its_own_work_back_is_refused() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    let mut client = database.client().await;
    for sql in [
        "CREATE TABLE a(id int);\nROLLBACK;",
        "BEGIN;\nCREATE TABLE a(id int);\n ABORT;\nCREATE TABLE b(id int);",
        "CREATE TABLE a(id int);\nROLLBACK AND CHAIN;",
    ] {
        let file = migration("1_a.sql", sql);
        let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
        assert_eq!(error.kind(), ErrorKind::Failed, "{error}");
        for part in [
            "1_a.sql, statement ",
            "roll its own work back",
            "nothing of the file is applied",
        ] {
            assert!(error.to_string().contains(part), "{part}: {error}");
        }
        let nothing = "SELECT count(*) = 0 AND to_regclass('a') IS NULL AND to_regclass('b') IS NULL FROM _sqlx_migrations";
        assert!(value::<bool>(&mut client, nothing).await, "{sql}");
    }
    // These lose nothing.
    for (version, sql) in [
        (
            2,
            "CREATE TABLE c(id int); SAVEPOINT s; SELECT 1; ROLLBACK TO SAVEPOINT s;",
        ),
        (3, "BEGIN; CREATE TABLE d(id int); COMMIT; ROLLBACK;"),
        (
            4,
            "BEGIN; SELECT 1; ROLLBACK; BEGIN; CREATE TABLE e(id int); COMMIT;",
        ),
    ] {
        let file = migration(&format!("{version}_a.sql"), sql);
        apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    }
    assert!(value::<bool>(&mut client, "SELECT to_regclass('c') IS NOT NULL AND to_regclass('d') IS NOT NULL AND to_regclass('e') IS NOT NULL").await);
}

#[tokio::test]
async fn what_is_psqls_own_is_told_by_its_line() {
    let database = Database::new().await;
    let (_session, mut worker) = working(&database).await;
    for (sql, place, remedy) in [
        (
            "SELECT 1;\n\nSELECT 'open;\nSELECT 2;\n",
            "line 3: ",
            "correct 1_a.sql",
        ),
        (
            "-- a dump\n\\restrict abc\n\nSELECT 1;\n\\unrestrict abc\n",
            "line 2: ",
            "begin with a backslash",
        ),
        (
            "CREATE TABLE t (a int, b text);\nCOPY public.t (a, b) FROM stdin;\n1\tit's\n\\.\nSELECT 1;\n",
            "line 3: ",
            "psql's own",
        ),
        (
            "CREATE TABLE t (a int, b text);\nCOPY t (a,\n b) FROM stdin;\n1\tone\n\\.\nSELECT 1;\n",
            "line 4: ",
            "psql's own",
        ),
    ] {
        for first in ["", "-- no-transaction\n"] {
            let file = migration("1_a.sql", &format!("{first}{sql}"));
            let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
            if first.is_empty() {
                assert!(error.to_string().contains(place), "{sql}: {error}");
            } else {
                assert!(error.to_string().contains("line "), "{sql}: {error}");
            }
            let said = error.remedy().unwrap_or_default();
            assert!(said.contains(remedy), "{first}{sql}: {error}: {said}");
        }
    }
    // A line of a text may begin as it likes.
    let file = migration("1_a.sql", "SELECT 'a\n\\b\n';\nSELEC 1;");
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(error.to_string().contains("line 4: SELEC 1"), "{error}");
    assert_eq!(error.remedy().map(|remedy| remedy.contains("psql")), Some(false));
}

#[tokio::test]
async fn a_byte_order_mark_is_not_sent() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let file = migration("1_a.sql", "\u{feff}CREATE TABLE t (a int);");
    apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    let seen = session.look(&a_key("v"), true).await.expect("looks");
    assert_eq!(seen.applied[0].checksum, file.checksum);
    // It does not shift what is said of an error.
    let file = migration("2_a.sql", "\u{feff}SELECT 1;\nSELEC 2;");
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    assert!(
        error.to_string().contains("statement 2 of 2, line 2: SELEC 2"),
        "{error}"
    );
    let file = migration(
        "2_a.sql",
        "\u{feff}-- no-transaction\nCREATE INDEX CONCURRENTLY i ON t (a);",
    );
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
    let remedy = error.remedy().unwrap_or_default();
    assert!(remedy.contains("byte order mark"), "{remedy}");
}
