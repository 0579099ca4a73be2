//! Real-life pieces of SQL, and where they are cut.

use super::*;

/// The statements' texts.
fn texts(sql: &str, dialect: Dialect) -> Vec<String> {
    split(sql, dialect)
        .unwrap_or_else(|error| panic!("{error:?} in {sql}"))
        .into_iter()
        .map(|statement| statement.text)
        .collect()
}

#[track_caller]
fn postgres(sql: &str, expected: &[&str]) {
    assert_eq!(texts(sql, Dialect::Postgres), expected);
}

#[track_caller]
fn mysql(sql: &str, expected: &[&str]) {
    assert_eq!(texts(sql, Dialect::MySql), expected);
}

/// One statement, however many semicolons it has, with another after it.
#[track_caller]
fn one_mysql(statement: &str) {
    mysql(&format!("{statement};\nSELECT 1;"), &[statement, "SELECT 1"]);
    let crlf = statement.replace('\n', "\r\n");
    mysql(&format!("{crlf};\r\nSELECT 1;"), &[&crlf, "SELECT 1"]);
    // The same between the mysql client's delimiters.
    mysql(
        &format!("DELIMITER //\n{statement}//\nDELIMITER ;\nSELECT 1;"),
        &[statement, "SELECT 1"],
    );
}

#[track_caller]
fn one_postgres(statement: &str) {
    postgres(&format!("{statement};\nSELECT 1;"), &[statement, "SELECT 1"]);
    let crlf = statement.replace('\n', "\r\n");
    postgres(&format!("{crlf};\r\nSELECT 1;"), &[&crlf, "SELECT 1"]);
}

#[test]
fn blanks_and_comments_around_statements_are_none() {
    for dialect in [Dialect::Postgres, Dialect::MySql] {
        assert_eq!(texts("", dialect), [""; 0]);
        assert_eq!(
            texts(" \r\n;;\n -- only this;\n/* and ; this */;", dialect),
            [""; 0]
        );
        assert_eq!(
            texts("\u{feff}-- first\nSELECT /* ; */ 1 -- ;\n ; /* last */", dialect),
            ["SELECT /* ; */ 1"]
        );
        assert_eq!(texts("a;b\n-- c", dialect), ["a", "b"]);
    }
}

#[test]
fn lines_are_those_of_the_file() {
    let sql = "-- no-transaction\r\n\r\nCREATE TABLE a (\r\n b int);\r\n/*\r\n*/ SELECT 1; SELECT\r\n2";
    for dialect in [Dialect::Postgres, Dialect::MySql] {
        let statements = split(sql, dialect).expect("valid");
        let lines: Vec<u32> = statements.iter().map(|statement| statement.line).collect();
        assert_eq!(lines, [3, 6, 6]);
        assert_eq!(statements[2].text, "SELECT\r\n2");
    }
}

#[test]
fn postgres_quotes() {
    for statement in [
        "SELECT 'it''s; a'",
        r"SELECT 'a\'",
        r"SELECT E'it\'s; \\'",
        "SELECT e'a'  -- goes on\n 'b\\'; c'",
        "SELECT 'a'\n'b'",
        r"SELECT U&'\' UESCAPE '!'",
        r"SELECT U&'d\0061t', U&'d!0061;' UESCAPE '!'",
        r"SELECT E'\400\x4G\u00zz;'",
        r"SELECT N'\', B'01', X'1F'",
        "SELECT \"a;\"\"b\" FROM \"C:\\\"",
        "SELECT $$a;$b$;'$$, $b$;$$;$c$ $b$",
        "SELECT $é$;$é$",
        "SELECT a$b$, c$b$ FROM d",
        "SELECT 1$$;$$",
        "PREPARE a AS SELECT $1, $2::int",
        "/* a /* b; */ c; */ SELECT 1 /* ; */ + 1",
        "SELECT '{}'::jsonb ?| array['a'] AND a @? '$.b' AND c #>> '{d}' = '' AND e <-> f < 1_000 AND g::text ~* '^;'",
        "SELECT a[1:2], b::int, c ->> 'd', é, «x», 0x1F, 1e10, .5, 1.",
        "DO $do$\nBEGIN\n  PERFORM 1; EXECUTE 'a;';\nEND\n$do$",
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $$\nBEGIN\n  NEW.a := $x$;$x$;\n  RETURN NEW;\nEND $$",
    ] {
        // A comment in front is none of the statement's text.
        let text = statement
            .strip_prefix("/* a /* b; */ c; */ ")
            .unwrap_or(statement);
        postgres(&format!("{statement};\nSELECT 2;"), &[text, "SELECT 2"]);
    }
}

#[test]
fn postgres_bodies() {
    one_postgres("CREATE RULE r AS ON INSERT TO a DO ALSO (INSERT INTO b VALUES (1); DELETE FROM c;)");
    one_postgres(
        "CREATE OR REPLACE FUNCTION f(a int DEFAULT (1)) RETURNS int LANGUAGE sql\nBEGIN ATOMIC\n  \
         INSERT INTO t VALUES (CASE WHEN a > 1 THEN 1 ELSE 2 END);\n  \
         SELECT x AS end, t.end, CASE a WHEN 1 THEN CASE WHEN b THEN 2 END END FROM t;\nEND",
    );
    one_postgres("CREATE PROCEDURE p() BEGIN /* now */ ATOMIC SELECT 1; END");
    // A transaction's BEGIN and END, and what only looks like a body.
    postgres(
        "BEGIN; UPDATE a SET b = CASE WHEN c THEN 1 END; END; BEGIN ATOMIC; SELECT 1",
        &[
            "BEGIN",
            "UPDATE a SET b = CASE WHEN c THEN 1 END",
            "END",
            "BEGIN ATOMIC",
            "SELECT 1",
        ],
    );
    postgres("SELECT 1); SELECT 2", &["SELECT 1)", "SELECT 2"]);
}

#[test]
fn what_only_psql_can_do_is_said() {
    for (sql, line, message) in [
        ("SELECT 1;\n\\connect app\n", 2, "\\connect is a command of psql"),
        ("\\set ON_ERROR_STOP on", 1, "\\set is a command of psql"),
        ("SELECT 1 \\gexec", 1, "\\gexec is a command of psql"),
        (
            "\n\nCOPY a (b) FROM stdin;\n1\tit's\n\\.\n",
            3,
            "pg_dump --inserts",
        ),
    ] {
        let error = split(sql, Dialect::Postgres).expect_err(sql);
        assert_eq!(error.line, line, "{sql}");
        assert!(error.message.contains(message), "{}", error.message);
    }
    // In quotes it is not; and only PostgreSQL has psql.
    postgres("SELECT '\\connect'", &["SELECT '\\connect'"]);
    mysql("SELECT \\N; SELECT 2", &["SELECT \\N", "SELECT 2"]);
}

#[test]
fn what_is_never_closed_names_its_line() {
    for (sql, dialect, what) in [
        ("SELECT 1;\nSELECT 'a;\n", Dialect::Postgres, "the string"),
        ("SELECT 1;\nSELECT E'a\\';\n", Dialect::Postgres, "the string"),
        ("SELECT 1;\nSELECT \"a;\n", Dialect::Postgres, "the name"),
        ("SELECT 1;\nDO $a$ b;\n$$", Dialect::Postgres, "the text in $a$"),
        ("SELECT 1;\n/* /* */ b;\n", Dialect::Postgres, "the comment"),
        ("SELECT 1;\nSELECT 'a\\';\n", Dialect::MySql, "the string"),
        ("SELECT 1;\nSELECT `a;\n", Dialect::MySql, "the name"),
        ("SELECT 1;\n/* b;\n", Dialect::MySql, "the comment"),
    ] {
        let error = split(sql, dialect).expect_err(sql);
        assert_eq!(error.line, 2, "{sql}");
        assert_eq!(error.message, format!("{what} that begins here is never closed"));
    }
}

#[test]
fn mysql_quotes_and_comments() {
    mysql(
        "# it's; a comment\nSELECT 'it\\'s;', \"a\\\";\", `b;``\\`; -- it's;\nSELECT 1--2; SELECT 3 --\n, 4;--\n",
        &[
            "SELECT 'it\\'s;', \"a\\\";\", `b;``\\`",
            "SELECT 1--2",
            "SELECT 3 --\n, 4",
        ],
    );
    // Not nested.
    mysql("/* /* ; */ SELECT 1; SELECT 2", &["SELECT 1", "SELECT 2"]);
    mysql(
        "SELECT /*+ MAX_EXECUTION_TIME(1) */ 1; b",
        &["SELECT /*+ MAX_EXECUTION_TIME(1) */ 1", "b"],
    );
    one_mysql("SELECT @`a;b`, @@sql_mode, @a := 1, a->>'$.b', _utf8mb4'a', x'4D', a$b, 1e, é FROM $a");
    one_mysql("CREATE FUNCTION f() RETURNS INT LANGUAGE JAVASCRIPT AS $$ let a = 'it;'; return a; $$");
}

#[test]
fn mysql_executable_comments_are_statements() {
    mysql(
        "/*!40101 SET NAMES utf8mb4 */;\n/*!999999 a; '*/' b */;\n/*M!100100 SET x = 1 */;\nCREATE TABLE a (b int) /*!50100 c /* d */ e */;",
        &[
            "/*!40101 SET NAMES utf8mb4 */",
            "/*!999999 a; '*/' b */",
            "/*M!100100 SET x = 1 */",
            "CREATE TABLE a (b int) /*!50100 c /* d */ e */",
        ],
    );
    let trigger = "/*!50003 CREATE*/ /*!50017 DEFINER=`a`@`%`*/ /*!50003 TRIGGER t BEFORE INSERT ON a FOR EACH ROW BEGIN\n  \
                   SET NEW.b = 1; SET NEW.c = 2;\nEND */";
    one_mysql(trigger);
    mysql(
        &format!("DELIMITER ;;\n{trigger};;\nDELIMITER ;\n/*!50003 SET x = 1 */ ;"),
        &[trigger, "/*!50003 SET x = 1 */"],
    );
}

#[test]
fn the_clients_delimiter() {
    mysql(
        "delimiter $$\r\nCREATE PROCEDURE a() BEGIN SELECT 1; END$$\r\n\r\n  Delimiter ;\r\nSELECT 1; SELECT '$$'",
        &[
            "CREATE PROCEDURE a() BEGIN SELECT 1; END",
            "SELECT 1",
            "SELECT '$$'",
        ],
    );
    mysql("DELIMITER '//'\na;b//c", &["a;b", "c"]);
    // Neither in quotes nor as a name.
    mysql(
        "SELECT '\nDELIMITER //\n'; b",
        &["SELECT '\nDELIMITER //\n'", "b"],
    );
    mysql(
        "CREATE TABLE a (\ndelimiter varchar(3),\ndelimiters int); b",
        &["CREATE TABLE a (\ndelimiter varchar(3),\ndelimiters int)", "b"],
    );
    // A forgotten one ends what was before it.
    mysql("a\nDELIMITER //\nb;c//", &["a", "b;c"]);
    // PostgreSQL has none.
    postgres("DELIMITER //\na;b", &["DELIMITER //\na", "b"]);
    let error = split("a;\nDELIMITER  \nb", Dialect::MySql).expect_err("no delimiter");
    assert_eq!(error.line, 2);
}

#[test]
fn mysql_bodies() {
    for statement in [
        "CREATE TRIGGER t BEFORE INSERT ON a FOR EACH ROW SET NEW.b = IF(NEW.c, 1, 2)",
        "CREATE TRIGGER t AFTER UPDATE ON a FOR EACH ROW FOLLOWS begin IF NEW.a THEN SET @a = 1; END IF",
        "CREATE TRIGGER IF NOT EXISTS t BEFORE INSERT ON a FOR EACH ROW PRECEDES `x`\nBEGIN SET @a = 1; END",
        "CREATE DEFINER=`a`@`%` TRIGGER t BEFORE DELETE ON a FOR EACH ROW\nBEGIN\n  IF OLD.end < NOW() THEN\n    \
         INSERT INTO log VALUES (OLD.begin, OLD.end);\n  ELSEIF (OLD.x) THEN DELETE FROM b; ELSE\n    IF 1 THEN SET @x = 1; END IF;\n  \
         END IF;\nEND",
        "CREATE PROCEDURE p(IN a INT, OUT `if` INT)\nBEGIN\n  DECLARE done BOOL DEFAULT FALSE;\n  \
         DECLARE end DATETIME;\n  DECLARE c CURSOR FOR SELECT id FROM t FOR UPDATE;\n  \
         DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = IF(1, TRUE, FALSE);\n  \
         DECLARE EXIT HANDLER FOR SQLEXCEPTION, SQLSTATE '23000' BEGIN ROLLBACK; RESIGNAL; END;\n  \
         OPEN c;\n  again: LOOP\n    FETCH c INTO a;\n    IF done THEN LEAVE again; END IF;\n    \
         CASE a WHEN 1 THEN SELECT 1; WHEN 2 THEN BEGIN END; ELSE CASE WHEN 1 THEN SELECT 2; END CASE; END CASE;\n  \
         END LOOP again;\n  WHILE a > 0 DO SET a = a - 1; END WHILE;\n  \
         REPEAT SET a = a + 1; SET end = REPEAT('x', 2); UNTIL a > CASE WHEN 1 THEN 2 END END REPEAT;\n  CLOSE c;\nEND",
        "CREATE PROCEDURE IF NOT EXISTS p() SQL SECURITY INVOKER COMMENT 'a; BEGIN' lbl: BEGIN SELECT 1; END lbl",
        "CREATE FUNCTION f(a INT) RETURNS VARCHAR(9) CHARACTER SET utf8mb4 DETERMINISTIC RETURN IF(a, 'x', 'y')",
        "CREATE FUNCTION f(a INT) RETURNS SET('a','b') NO SQL RETURN CASE WHEN a THEN CAST(a AS CHAR) ELSE a IS NULL END",
        "CREATE FUNCTION f(a INT) RETURNS INT DETERMINISTIC BEGIN RETURN CASE a WHEN 1 THEN 2 END; END",
        "CREATE FUNCTION f RETURNS INTEGER SONAME 'f.so'",
        "CREATE PROCEDURE p(a INT) IF a THEN SELECT 1; ELSE SELECT 2; END IF",
        "CREATE PROCEDURE p() WHILE f() DO SELECT 1; SELECT 2; END WHILE",
        "CREATE EVENT IF NOT EXISTS e ON SCHEDULE EVERY 1 DAY STARTS NOW() DO BEGIN DELETE FROM a; DELETE FROM b; END",
        "ALTER DEFINER = CURRENT_USER() EVENT e ON COMPLETION PRESERVE DO BEGIN DO SLEEP(1); SELECT 1; END",
        "CREATE OR REPLACE AGGREGATE FUNCTION f(x INT) RETURNS INT BEGIN DECLARE a INT; LOOP FETCH GROUP NEXT ROW; END LOOP; END",
        "CREATE PROCEDURE p() BEGIN FOR i IN 1..3 DO SELECT i; END FOR; FOR r IN (SELECT 1) DO SELECT 1; END FOR; END",
        "CREATE PROCEDURE p() `l`: BEGIN BEGIN END; x: BEGIN END x; SET @a := 1; END `l`",
        "BEGIN NOT ATOMIC\n  IF 1 THEN SELECT 1; END IF;\n  SELECT 2;\nEND",
        "IF (SELECT COUNT(*) FROM a) = 0 THEN INSERT INTO a VALUES (1); END IF",
        // MariaDB's Oracle mode.
        "CREATE PROCEDURE p(a INT) AS b INT := 1; BEGIN SELECT b; EXCEPTION WHEN OTHERS THEN SELECT 2; END",
        "CREATE FUNCTION f(a INT) RETURN INT AS BEGIN RETURN 1; END",
        "CREATE OR REPLACE PACKAGE k AS PROCEDURE p(); FUNCTION f() RETURN INT; END",
        "CREATE PACKAGE BODY k AS x INT; PROCEDURE p() AS y INT; BEGIN SELECT 1; END; \
         FUNCTION f() RETURN INT IS BEGIN RETURN 1; END; BEGIN SET x = 1; END",
    ] {
        one_mysql(statement);
    }
}

#[test]
fn what_is_no_body_ends_at_its_semicolon() {
    mysql(
        "BEGIN; SELECT IF(1, 2, 3); COMMIT; BEGIN WORK; XA BEGIN 'x'; XA END 'x'; DROP TRIGGER t; DO SLEEP(1); \
         SHOW CREATE PROCEDURE p; ALTER TABLE a ADD COLUMN begin INT; CREATE TABLE event (`end` INT, begin INT); \
         CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM a; ALTER EVENT e DISABLE; SELECT 1 END; \
         CREATE FUNCTION f() RETURNS INT RETURN 1; CALL p()",
        &[
            "BEGIN",
            "SELECT IF(1, 2, 3)",
            "COMMIT",
            "BEGIN WORK",
            "XA BEGIN 'x'",
            "XA END 'x'",
            "DROP TRIGGER t",
            "DO SLEEP(1)",
            "SHOW CREATE PROCEDURE p",
            "ALTER TABLE a ADD COLUMN begin INT",
            "CREATE TABLE event (`end` INT, begin INT)",
            "CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM a",
            "ALTER EVENT e DISABLE",
            "SELECT 1 END",
            "CREATE FUNCTION f() RETURNS INT RETURN 1",
            "CALL p()",
        ],
    );
}

#[test]
fn the_hash_of_a_prefix() {
    let hash = |sql| prefix_hash(&split(sql, Dialect::Postgres).expect("valid"));
    assert_eq!(
        hash("SELECT\n1; SELECT 2"),
        hash("-- a\nSELECT\r\n1;\r\n\r\nSELECT 2;")
    );
    assert_ne!(hash("SELECT 1; SELECT 2"), hash("SELECT 1"));
    assert_ne!(hash("ab; c"), hash("a; bc"));
    assert_eq!(hash("").len(), 64);
}
