//! Databases that cannot store every character.

use super::*;
use crate::db::Ending;

/// A database that has Latin letters and nothing else.
async fn latin() -> Database {
    let database = Database::new().await;
    let name = format!("{}_latin", database.name);
    let mut client = database.client().await;
    let sql = format!("CREATE DATABASE {name} ENCODING LATIN1 TEMPLATE template0");
    run_sql(&mut client, &sql).await;
    Database {
        url: Server::shared().url(&name),
        name,
    }
}

#[tokio::test]
async fn what_cannot_be_stored_does_not_keep_a_run_from_being_noted() {
    let database = latin().await;
    let (mut session, mut worker) = working(&database).await;
    let key = a_key("é → 1");
    session.begin(&key).await.expect("begins");
    let file = migration("1_é→.sql", "CREATE TABLE t (a int);");
    apply(&mut worker, &file, Mode::Run).await.0.expect("applies");
    let steps = migration("2_é→.sql", "-- no-transaction\nSELECT 1;\nSELECT 'é → 2'::int;");
    let error = failed(apply(&mut worker, &steps, Mode::Run).await.0);
    assert!(error.to_string().contains("LATIN1"), "{error}");
    let ending = Ending::Failed {
        exit_code: 1,
        detail: "é → '\\ €",
    };
    session.finish(ending).await.expect("noted");

    let seen = session.look(&key, true).await.expect("looks");
    assert_eq!(seen.failure.expect("it failed").detail, "é ? '\\ ?");
    assert!(seen.holder.is_none());
    let applied: Vec<_> = seen
        .applied
        .iter()
        .map(|row| (row.description.as_str(), row.success))
        .collect();
    assert_eq!(applied, [("é?", true), ("é?", false)]);
    assert_eq!(seen.progress[0].done, 1);
    assert!(seen.progress[0].error.is_some());
    let releases = session.releases(1).await.expect("reads");
    assert_eq!(
        (releases[0].release.as_str(), releases[0].state.as_str()),
        ("é ? 1", "failed")
    );
}
