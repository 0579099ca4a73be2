use super::*;
use crate::db::Ending;

#[tokio::test]
async fn a_run_is_noted_from_its_beginning_to_its_end() {
    let database = Database::new().await;
    let mut session = PgSession::connect(&database.target(), &a_run("r1"))
        .await
        .expect("connects");
    let key = a_key("v'1\\");
    // Without any table.
    let seen = session.look(&key, true).await.expect("looks");
    assert!(!seen.done && seen.failure.is_none() && seen.holder.is_none() && seen.applied.is_empty());
    assert!(seen.now > 1_600_000_000_000_000);
    assert_eq!(session.releases(9).await.expect("reads"), []);
    let mut other = PgSession::connect(&database.target(), &a_run("r2"))
        .await
        .expect("connects");

    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    session.begin(&key).await.expect("begins");
    // Who connected before there was a table sees it, too.
    let seen = other.look(&key, true).await.expect("looks");
    let holder = seen.holder.expect("a holder");
    assert_eq!(
        (holder.run.as_str(), holder.host.as_str(), holder.release.as_str()),
        ("r1", "host 1", "v'1\\")
    );
    assert!(!seen.done);

    let detail = "it's \"broken\" \\ ü\nhere";
    let ending = Ending::Failed {
        exit_code: 65,
        detail,
    };
    session.finish(ending).await.expect("ends");
    let seen = other.look(&key, false).await.expect("looks");
    let failure = seen.failure.expect("a failure");
    assert_eq!(
        (failure.run.as_str(), failure.exit_code, failure.detail.as_str()),
        ("r1", 65, detail)
    );
    assert!(failure.ended <= seen.now && failure.ended > seen.now - 10_000_000);
    assert!(
        other
            .look(&a_key("v2"), false)
            .await
            .expect("looks")
            .failure
            .is_none()
    );

    session.begin(&key).await.expect("begins");
    session.finish(Ending::Done).await.expect("ends");
    assert!(other.look(&key, false).await.expect("looks").done);
    assert!(!other.look(&a_key("v2"), false).await.expect("looks").done);
    session.close().await;
    let releases = other.releases(9).await.expect("reads");
    assert_eq!(releases.len(), 1);
    assert_eq!(
        (releases[0].state.as_str(), releases[0].what.as_str()),
        ("done", "dir migrations")
    );
    assert!(releases[0].took.is_some_and(|took| took < 10.0));
}

#[tokio::test]
async fn who_did_not_end_was_lost_and_cannot_end_any_more() {
    let database = Database::new().await;
    let mut first = holder(&database, "r1").await;
    first.begin(&a_key("v1")).await.expect("begins");
    first.close().await;
    let mut second = holder(&database, "r2").await;
    second.begin(&a_key("v1")).await.expect("begins");
    let mut late = PgSession::connect(&database.target(), &a_run("r1"))
        .await
        .expect("connects");
    late.finish(Ending::Done).await.expect("asks");
    second.finish(Ending::Stopped).await.expect("ends");
    let states: Vec<(String, String)> = second
        .releases(9)
        .await
        .expect("reads")
        .into_iter()
        .map(|r| (r.run, r.state))
        .collect();
    assert_eq!(
        states,
        [
            ("r2".to_owned(), "stopped".to_owned()),
            ("r1".to_owned(), "lost".to_owned())
        ]
    );
    assert!(!second.look(&a_key("v1"), false).await.expect("looks").done);
}

#[tokio::test]
async fn old_runs_are_forgotten_but_not_what_a_start_skips_for() {
    let database = Database::new().await;
    let mut session = holder(&database, "r1").await;
    let mut client = database.client().await;
    let fill = "INSERT INTO _runmate_releases (run, \"release\", fingerprint, what, state, host, started_at) \
        SELECT 'old' || n, 'v1', CASE n WHEN 1 THEN 'f-v1' ELSE 'f' END, 'w', CASE n WHEN 1 THEN 'done' ELSE 'failed' END, \
        'h', now() - interval '1 day' + n * interval '1 second' FROM generate_series(1, 600) n";
    run_sql(&mut client, fill).await;
    session.begin(&a_key("v2")).await.expect("begins");
    assert_eq!(
        value::<i64>(&mut client, "SELECT count(*) FROM _runmate_releases").await,
        500
    );
    assert!(session.look(&a_key("v1"), false).await.expect("looks").done);
    let newest = session.releases(2).await.expect("reads");
    assert_eq!((newest[0].run.as_str(), newest[1].run.as_str()), ("r1", "old600"));
}

#[tokio::test]
async fn who_may_not_create_tables_is_told_what_to_grant() {
    let database = Database::new().await;
    let mut client = database.client().await;
    let role = format!("role_{}", database.name);
    run_sql(&mut client, &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'")).await;
    let mut target = database.target();
    target.url = format!(
        "postgres://{role}:x@127.0.0.1:{}/{}",
        Server::shared().port,
        database.name
    );
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    let error = final_error(session.fence().await);
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(
        error.remedy().is_some_and(|remedy| remedy.contains("CREATE")),
        "{error}"
    );
    run_sql(&mut client, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}
