//! Blocks of code that commit in parts.

use std::time::Duration;

use super::stepwise::progress;
use super::*;

/// However a block of code ends that commits: what it has committed must not be committed once more.
#[tokio::test]
async fn a_block_that_was_stopped_between_its_commits_is_in_doubt() {
    for how in ["cancelled", "cancelled by another", "too long", "no lock"] {
        let database = Database::new().await;
        let mut target = database.target();
        match how {
            "too long" => target.statement_timeout = Duration::from_millis(500),
            "no lock" => target.lock_timeout = Duration::from_millis(200),
            _ => {}
        }
        let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
        assert!(session.try_lock().await.expect("asks"));
        session.fence().await.expect("a fence");
        let mut worker = session.worker().await.expect("a worker");
        let mut client = database.client().await;
        run_sql(&mut client, "CREATE TABLE log (w int); CREATE TABLE busy ()").await;
        let wait = match how {
            "no lock" => {
                run_sql(&mut client, "BEGIN; LOCK TABLE busy").await;
                "LOCK TABLE busy"
            }
            _ => "PERFORM pg_sleep(60)",
        };
        let block = format!(
            "-- no-transaction\nCREATE TABLE a ();\n\
             DO $$ BEGIN FOR i IN 1..5 LOOP INSERT INTO log VALUES (i); COMMIT; {wait}; END LOOP; END $$;\n"
        );
        let file = migration("1_a.sql", &block);
        let handle = worker.handle();
        let again = file.clone();
        let work = tokio::spawn(async move {
            let result = apply(&mut worker, &again, Mode::Run).await.0;
            (worker, result)
        });
        let mut watcher = database.client().await;
        if how.starts_with("cancelled") {
            until(&mut watcher, "SELECT count(*) = 1 FROM log").await;
        }
        if how == "cancelled" {
            session.cancel(&handle).await.expect("cancels");
        }
        if how == "cancelled by another" {
            let cancel = format!("SELECT pg_cancel_backend({})", handle.pid);
            assert!(value::<bool>(&mut watcher, &cancel).await);
        }
        let (worker, result) = work.await.expect("no panic");
        match (how, &result) {
            ("cancelled", Err(ApplyError::Cancelled(why))) => {
                assert!(why.contains("may have committed a part"), "{why}");
            }
            ("cancelled", other) => panic!("{other:?}"),
            _ => assert_eq!(failed(result).kind(), ErrorKind::Dirty, "{how}"),
        }
        worker.close().await;
        let kept = progress(&mut session).await;
        assert!(kept[0].in_doubt && kept[0].done == 1, "{how}: {kept:?}");
        // The next run.
        for _ in 0..2 {
            let mut worker = session.worker().await.expect("a worker");
            let error = failed(apply(&mut worker, &file, Mode::Run).await.0);
            assert_eq!(error.kind(), ErrorKind::Dirty, "{how}: {error}");
        }
        assert_eq!(
            value::<i64>(&mut watcher, "SELECT count(*) FROM log").await,
            1,
            "{how}"
        );
    }
}
