//! What the tests share.

pub(crate) mod mariadb;

use std::time::{Duration, Instant};

use crate::db::{Key, Run};
use crate::dir::Migration;

/// Waits until something is so, and fails if it does not become so.
pub(crate) async fn until(what: &str, mut is_so: impl AsyncFnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !is_so().await {
        assert!(Instant::now() < deadline, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

pub(crate) fn run(id: &str) -> Run {
    Run {
        id: id.to_owned(),
        host: format!("host of {id}"),
    }
}

pub(crate) fn key(release: &str) -> Key {
    Key {
        release: release.to_owned(),
        fingerprint: format!("fingerprint of {release}"),
        what: "dir migrations".to_owned(),
        skippable: true,
    }
}

/// A migration as it would have been read from a file.
pub(crate) fn migration(version: i64, sql: &str) -> Migration {
    use sha2::{Digest, Sha384};
    Migration {
        version,
        description: format!("step {version}"),
        file: format!("{version}_step_{version}.sql"),
        sql: sql.to_owned(),
        checksum: Sha384::digest(sql).to_vec(),
        no_transaction: sql.starts_with("-- no-transaction"),
    }
}

/// Sixteen starts at once with ten migrations, of which each inserts a row into `ran`: all end well, and the
/// versions that they say they applied are all, once each.
pub(crate) async fn start_sixteen(url: &str) {
    let files: Vec<Migration> = (1..=10)
        .map(|version| match version {
            1 => migration(1, "CREATE TABLE ran (version INT PRIMARY KEY); INSERT INTO ran VALUES (1)"),
            _ => migration(
                version,
                &format!("CREATE TABLE t{version} (a INT); INSERT INTO ran VALUES ({version}); DROP TABLE t{version}"),
            ),
        })
        .collect();
    let starts: Vec<_> = (0..16)
        .map(|_| {
            let migrate = crate::Migrate::new(url).expect("a URL").migrations(files.clone());
            tokio::spawn(migrate.wait(Duration::from_secs(60)).run())
        })
        .collect();
    let mut applied = Vec::new();
    for start in starts {
        applied.extend(
            start
                .await
                .expect("no panic")
                .expect("every start ends well")
                .applied,
        );
    }
    applied.sort_unstable();
    assert_eq!(applied, (1..=10).collect::<Vec<i64>>());
}
