use super::*;

const LEFT: &str = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' \
    AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";

async fn through(pooler: &Server, database: &Database) -> Result<crate::db::Ended, SessionError> {
    let mut target = database.target();
    target.url = pooler.url(&database.name);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    let result = session.fence().await;
    session.close().await;
    result
}

fn assert_refused(result: Result<crate::db::Ended, SessionError>) {
    let error = final_error(result);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error.to_string().contains("pooler in transaction mode"),
        "{error}"
    );
    assert!(
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("direct connection"))
    );
}

#[tokio::test]
async fn transaction_mode_is_refused_and_keeps_no_lock() {
    let database = Database::new().await;
    let mut client = database.client().await;
    // PgBouncer hands out the connection used last, or takes turns with those that it has.
    for (more, connections) in [
        ("", 0),
        ("", 3),
        ("default_pool_size = 1", 0),
        ("server_reset_query_always = 1", 0),
        ("server_round_robin = 1", 0),
        ("server_round_robin = 1", 2),
        ("server_round_robin = 1", 3),
        ("server_round_robin = 1", 4),
        ("server_round_robin = 1", 7),
    ] {
        let pooler = Server::shared().pgbouncer("transaction", more);
        let mut others = Vec::new();
        for _ in 0..connections {
            let mut other = connect(&pooler.url(&database.name)).await;
            run_sql(&mut other, "BEGIN").await;
            others.push(other);
        }
        for other in &mut others {
            run_sql(other, "COMMIT").await;
        }
        assert_refused(through(&pooler, &database).await);
        // Who follows the remedy does not have to wait for the pooler's connection to end.
        assert_eq!(value::<i64>(&mut client, LEFT).await, 0, "{more} {connections}");
    }
}

#[tokio::test]
async fn statement_mode_is_refused() {
    let database = Database::new().await;
    let pooler = Server::shared().pgbouncer("statement", "");
    assert_refused(through(&pooler, &database).await);
}

#[tokio::test]
async fn transaction_mode_is_refused_while_others_use_it() {
    let database = Database::new().await;
    let pooler = Server::shared().pgbouncer("transaction", "default_pool_size = 3");
    let mut busy = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let mut other = connect(&pooler.url(&database.name)).await;
        busy.spawn(async move {
            loop {
                run_sql(&mut other, "SELECT pg_sleep(random() * 0.002)").await;
            }
        });
    }
    for _ in 0..20 {
        assert_refused(through(&pooler, &database).await);
    }
    busy.shutdown().await;
    let mut client = database.client().await;
    assert_eq!(value::<i64>(&mut client, LEFT).await, 0);
}

#[tokio::test]
async fn session_mode_is_as_good_as_direct() {
    let database = Database::new().await;
    let pooler = Server::shared().pgbouncer("session", "");
    let mut target = database.target();
    target.url = pooler.url(&database.name);
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    session.fence().await.expect("a fence");
    let mut worker = session.worker().await.expect("a worker");
    let (result, _) = apply(
        &mut worker,
        &migration("1_a.sql", "CREATE TABLE a (b int)"),
        Mode::Run,
    )
    .await;
    result.expect("applies");
    assert!(session.heartbeat().await.expect("asks"));
    worker.close().await;
    session.close().await;
    let mut client = database.client().await;
    until(&mut client, &LEFT.replace("count(*)", "count(*) = 0")).await;
}

#[tokio::test]
async fn a_pooler_may_append_addresses_to_our_names() {
    let database = Database::new().await;
    let pooler = Server::shared().pgbouncer("session", "application_name_add_host = 1");
    let mut target = database.target();
    target.url = pooler.url(&database.name);
    let named = |run: &str| {
        let through = Database {
            name: database.name.clone(),
            url: target.url.clone(),
        };
        let name = format!("runmate/{run}");
        async move { through.named(&name).await }
    };
    // The pooler connects to the server only when something is asked.
    let mut left = named("r12").await;
    run_sql(&mut left, "SELECT 1").await;
    let mut session = PgSession::connect(&target, &a_run("r1")).await.expect("connects");
    assert!(session.try_lock().await.expect("asks"));
    let mut command = named("r1").await;
    let name: String = value(&mut command, "SELECT current_setting('application_name')").await;
    assert!(name.starts_with("runmate/r1 - "), "{name}");
    let ended = session.fence().await.expect("a fence");
    assert_eq!((ended.sessions, ended.runs), (1, vec!["r12".to_owned()]));
    let mut worker = session.worker().await.expect("a worker");
    assert!(session.heartbeat().await.expect("asks"));
    let (result, _) = apply(&mut worker, &migration("1_a.sql", "SELECT 1"), Mode::Run).await;
    result.expect("applies");
    assert_eq!(value::<i32>(&mut command, "SELECT 1").await, 1);
}

#[tokio::test]
async fn a_pooler_in_trouble_is_waited_for_and_its_refusals_are_explained() {
    let database = Database::new().await;
    let pooler = Server::shared().pgbouncer("session", "");
    let mut target = database.target();
    // PgBouncer knows nothing of a parameter of that name.
    target.url = format!("{}?options=-c%20geqo%3Doff", pooler.url(&database.name));
    let error = final_error(PgSession::connect(&target, &a_run("r1")).await.map(drop));
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("options"), "{error}");
    target.url = pooler.url("missing");
    let result = PgSession::connect(&target, &a_run("r1")).await.map(drop);
    assert!(
        matches!(&result, Err(SessionError::Final(error)) if error.kind() == ErrorKind::Config),
        "{result:?}"
    );
}
