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
