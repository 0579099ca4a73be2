use std::path::PathBuf;

use proptest::prelude::*;
use sqlx::migrate::Migrator;

use super::*;

/// A directory with these files.
fn directory(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a temporary directory");
    for (name, content) in files {
        fs::write(dir.path().join(name), content).expect("a file can be written");
    }
    dir
}

fn error(files: &[(&str, &[u8])]) -> Error {
    let error = read(directory(files).path()).expect_err("an error");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.remedy().is_some(), "{error}");
    error
}

/// What sqlx makes of a directory, as far as it runs forwards; `None` if it refuses it.
fn sqlx_reads(dir: PathBuf) -> Option<Vec<Migration>> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    let migrator = runtime.block_on(Migrator::new(dir)).ok()?;
    let up = migrator
        .iter()
        .filter(|migration| migration.migration_type.is_up_migration());
    Some(
        up.map(|migration| Migration {
            version: migration.version,
            description: migration.description.to_string(),
            file: String::new(),
            sql: migration.sql.as_str().to_owned(),
            checksum: migration.checksum.to_vec(),
            no_transaction: migration.no_tx,
        })
        .collect(),
    )
}

#[test]
fn names_and_contents_are_read_as_sqlx_reads_them() {
    let dir = directory(&[
        ("10_later.sql", b"SELECT 10;\r\n"),
        ("2_two_words.up.sql", b"-- no-transaction\nSELECT 2"),
        ("2_two_words.down.sql", b"SELECT 0"),
        ("0003_x.sql.sql", b""),
        ("-1_.sql", b" -- no-transaction"),
        ("README.md", b"\xff"),
        ("create.sql", b"\xff"),
        ("12-create.sql", b""),
        ("5_notes.txt", b""),
    ]);
    fs::create_dir(dir.path().join("6_directory.sql")).expect("a directory");
    std::os::unix::fs::symlink("10_later.sql", dir.path().join("11_link.sql")).expect("a link");
    let Directory { migrations, ignored } = read(dir.path()).expect("valid");
    assert_eq!(ignored, ["12-create.sql", "create.sql"]);
    let names: Vec<&str> = migrations
        .iter()
        .map(|migration| migration.file.as_str())
        .collect();
    assert_eq!(
        names,
        [
            "-1_.sql",
            "2_two_words.up.sql",
            "0003_x.sql.sql",
            "10_later.sql",
            "11_link.sql"
        ]
    );
    let descriptions: Vec<&str> = migrations.iter().map(Migration::description).collect();
    assert_eq!(descriptions, ["", "two words", "x", "later", "link"]);
    assert_eq!(
        migrations
            .iter()
            .map(|migration| migration.no_transaction)
            .collect::<Vec<_>>(),
        [false, true, false, false, false]
    );
    let same = migrations.into_iter().map(|migration| Migration {
        file: String::new(),
        ..migration
    });
    assert_eq!(Some(same.collect()), sqlx_reads(dir.path().to_owned()));
}

#[test]
fn what_cannot_be_used_is_named() {
    let text = error(&[("1_a.sql", b""), ("01_b.sql", b"")]).to_string();
    assert_eq!(text, "two migrations have version 1: 01_b.sql and 1_a.sql");
    let text = error(&[("1_a.up.sql", b""), ("1_a.sql", b"")]).to_string();
    assert_eq!(text, "two migrations have version 1: 1_a.sql and 1_a.up.sql");
    for name in [
        "V1__init.sql",
        "create_users.sql",
        "_x.sql",
        "1.2_x.sql",
        "99999999999999999999_x.sql",
    ] {
        let text = error(&[("1_a.sql", b""), (name, b"")]).to_string();
        assert!(
            text.contains(name) && text.contains("version, an integer"),
            "{text}"
        );
    }
    let text = error(&[("1_a.sql", b"a\nb\n\xe9")]).to_string();
    assert!(text.contains("1_a.sql is not UTF-8 (line 3)"), "{text}");
}

#[test]
fn without_any_migration_it_is_not_the_right_directory() {
    assert!(error(&[]).to_string().ends_with("holds no migration"));
    let text = error(&[("create.sql", b""), ("1_a.down.sql", b"")]).to_string();
    assert!(
        text.ends_with("holds no migration; it ignores create.sql"),
        "{text}"
    );
    let dir = directory(&[("file", b"")]);
    for (name, remedy) in [("missing", "--dir"), ("file", "not one of its files")] {
        let error = read(&dir.path().join(name)).expect_err("no directory");
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(name), "{error}");
        assert!(error.remedy().is_some_and(|text| text.contains(remedy)));
    }
}

#[test]
fn what_a_program_brings_along_is_the_same_as_a_file() {
    let dir = directory(&[("7_a_b.up.sql", b"-- no-transaction\nSELECT 1")]);
    let read = read(dir.path()).expect("valid").migrations;
    let new = Migration::new("7_a_b.up.sql", "-- no-transaction\nSELECT 1").expect("valid");
    assert_eq!(read, std::slice::from_ref(&new));
    assert_eq!((new.version(), new.description()), (7, "a b"));
    for name in [
        "",
        "a.sql",
        "a_b.sql",
        "1_a.down.sql",
        "1_a.txt",
        "migrations/1_a.sql",
    ] {
        let error = Migration::new(name, "").expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(error.to_string().contains(&format!("{name:?}")) && error.remedy().is_some());
    }
    let twice = in_order(vec![new.clone(), new]).expect_err("two of one version");
    assert_eq!(twice.kind(), ErrorKind::Config);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn random_directories_are_read_as_sqlx_reads_them(
        files in prop::collection::btree_map(
            "[-+]?0?[0-9]{0,2}[-_a]?_?[a-z_.]{0,3}(\\.up|\\.down)?(\\.sql|\\.sq|\\.sql\\.sql)",
            "(-- no-transaction)?[a-z;é\\r\\n]{0,5}",
            0..8,
        ),
    ) {
        let files: Vec<(&str, &[u8])> = files
            .iter()
            .map(|(name, content)| (name.as_str(), content.as_bytes()))
            .collect();
        let dir = directory(&files);
        let theirs = sqlx_reads(dir.path().to_owned());
        match read(dir.path()) {
            Ok(directory) => {
                let ours = directory.migrations.into_iter().map(|migration| Migration {
                    file: String::new(),
                    ..migration
                });
                prop_assert_eq!(Some(ours.collect()), theirs);
            }
            // Stricter in two things only.
            Err(error) => {
                let text = error.to_string();
                let stricter = text.contains("two migrations have version") || text.contains("holds no migration");
                prop_assert!(stricter || theirs.is_none(), "{text}, but sqlx reads {theirs:?}");
            }
        }
    }
}

#[test]
fn a_nul_byte_is_named_with_its_line() {
    let migration = Migration::new("1_a.sql", "SELECT 1;\nSELECT\0 2;").expect("valid");
    let error = in_order(vec![migration]).expect_err("not text");
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("1_a.sql has a NUL byte in line 2"),
        "{error}"
    );
}
