use std::time::{Duration, Instant};

use super::*;

async fn session(database: &Database, run: &str) -> PgSession {
    PgSession::connect(&database.target(), &a_run(run))
        .await
        .expect("connects")
}

#[tokio::test]
async fn one_has_the_lock_and_nobody_waits_in_it() {
    let database = Database::new().await;
    let mut first = session(&database, "r1").await;
    let mut second = session(&database, "r2").await;
    assert!(first.try_lock().await.expect("asks"));
    // Again is the same lock, not a second one.
    assert!(first.try_lock().await.expect("asks"));
    for _ in 0..20 {
        assert!(!second.try_lock().await.expect("asks"));
    }
    let mut client = database.client().await;
    let waiting = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted";
    assert_eq!(value::<i64>(&mut client, waiting).await, 0);
    // Nor is a transaction open that an index would wait for.
    let open = "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'runmate-wait/%' \
        AND datname = current_database() AND (xact_start IS NOT NULL OR backend_xmin IS NOT NULL)";
    assert_eq!(value::<i64>(&mut client, open).await, 0);
    first.close().await;
    assert!(second.try_lock().await.expect("asks"));
    assert!(second.heartbeat().await.expect("asks"));
}

#[tokio::test]
async fn sqlx_and_we_exclude_each_other() {
    let database = Database::new().await;
    let mut client = database.client().await;
    let mut session = session(&database, "r1").await;
    use sqlx::migrate::Migrate;
    client.lock().await.expect("locks");
    assert!(!session.try_lock().await.expect("asks"));
    // What was taken first was given back.
    let ours = format!("SELECT pg_try_advisory_lock({LOCK}) AND pg_advisory_unlock({LOCK})");
    assert!(value::<bool>(&mut client, &ours).await);
    client.unlock().await.expect("unlocks");
    assert!(session.try_lock().await.expect("asks"));
    let waits = tokio::spawn(async move { client.lock().await.expect("locks") });
    let mut watcher = database.client().await;
    until(
        &mut watcher,
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND NOT granted)",
    )
    .await;
    session.close().await;
    waits.await.expect("locked");
}

#[tokio::test]
async fn what_a_dead_run_left_is_ended_at_once() {
    let database = Database::new().await;
    let mut left = database.named("runmate/other").await;
    let mut idle = database.named("runmate/third").await;
    run_sql(&mut idle, "BEGIN; CREATE TABLE half (a int)").await;
    let waiter = session(&database, "r2").await;
    let app = database.named("app").await;
    let sleeping = tokio::spawn(async move {
        sqlx::raw_sql("SELECT pg_sleep(60)")
            .execute(&mut left)
            .await
            .is_err()
    });
    let mut client = database.client().await;
    until(
        &mut client,
        "SELECT EXISTS (SELECT 1 FROM pg_stat_activity WHERE application_name = 'runmate/other' \
         AND state = 'active' AND datname = current_database())",
    )
    .await;
    let mut session = session(&database, "r1").await;
    assert!(session.try_lock().await.expect("asks"));
    let started = Instant::now();
    let ended = session.fence().await.expect("a fence");
    assert!(
        started.elapsed() < Duration::from_secs(2),
        "{:?}",
        started.elapsed()
    );
    assert_eq!(ended.sessions, 2);
    assert_eq!(ended.runs, ["other", "third"]);
    assert!(sleeping.await.expect("no panic"));
    let names = "SELECT string_agg(application_name, ' ' ORDER BY application_name) FROM pg_stat_activity \
        WHERE datname = current_database() AND application_name <> ''";
    assert_eq!(
        value::<String>(&mut client, names).await,
        "app runmate-wait/r2 runmate/r1"
    );
    drop((waiter, app));
}

/// A run that died, with a worker that a migration gave another name and that is still at work.
async fn renamed_worker(database: &Database) -> tokio::task::JoinHandle<Result<(), ApplyError>> {
    let mut first = holder(database, "r1").await;
    first.begin(&a_key("v")).await.expect("begins");
    let mut worker = first.worker().await.expect("a worker");
    let working = tokio::spawn(async move {
        let file = migration("1_a.sql", "SET application_name = 'app'; SELECT pg_sleep(60)");
        apply(&mut worker, &file, Mode::Run).await.0
    });
    let mut client = database.client().await;
    until(
        &mut client,
        "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
         AND application_name = 'app' AND wait_event = 'PgSleep'",
    )
    .await;
    first.close().await;
    working
}

#[tokio::test]
async fn a_dead_runs_worker_is_ended_under_any_name() {
    let database = Database::new().await;
    let working = renamed_worker(&database).await;
    let mut app = database.named("app").await;
    let mut next = session(&database, "r2").await;
    assert!(next.try_lock().await.expect("asks"));
    assert_eq!(next.fence().await.expect("a fence").sessions, 1);
    let result = working.await.expect("no panic");
    connection_ended(result);
    assert_eq!(value::<i64>(&mut app, "SELECT 1::bigint").await, 1);
    // What was noted is of no concern once the run is known to be lost.
    next.begin(&a_key("v")).await.expect("begins");
    let lost =
        "SELECT state || ' ' || (sessions ~ '^[0-9]+:[0-9]{16}$') FROM _runmate_releases WHERE run = 'r1'";
    assert_eq!(value::<String>(&mut app, lost).await, "lost true");
}

#[tokio::test]
async fn unlock_ends_a_worker_under_any_name() {
    let database = Database::new().await;
    let working = renamed_worker(&database).await;
    let mut asking = session(&database, "r9").await;
    assert_eq!(asking.end_holder().await.expect("ends").sessions, 1);
    let result = working.await.expect("no panic");
    connection_ended(result);
}

#[tokio::test]
async fn after_a_good_end_the_next_holder_finds_nothing_to_end() {
    let database = Database::new().await;
    let (first, worker) = working(&database).await;
    let mut second = session(&database, "r2").await;
    worker.close().await;
    let closing = tokio::spawn(first.close());
    let deadline = Instant::now() + Duration::from_secs(10);
    while !second.try_lock().await.expect("asks") {
        assert!(Instant::now() < deadline);
    }
    let ended = second.fence().await.expect("a fence");
    assert_eq!(ended.sessions, 0, "{ended:?}");
    closing.await.expect("no panic");
}

#[tokio::test]
async fn whose_leftovers_may_not_be_ended_is_told() {
    let database = Database::new().await;
    let mut client = database.client().await;
    let role = format!("role_{}", database.name);
    run_sql(
        &mut client,
        &format!("CREATE ROLE {role} LOGIN PASSWORD 'x'; GRANT ALL ON SCHEMA public TO {role}"),
    )
    .await;
    let _left = database.named("runmate/other").await;
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
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("pg_signal_backend")),
        "{error}"
    );
    run_sql(&mut client, &format!("DROP OWNED BY {role}; DROP ROLE {role}")).await;
}

/// A process that does nothing, not even end, as long as this lives.
struct Halted(i32);

impl Halted {
    fn new(pid: i32) -> Halted {
        // SAFETY: no memory is involved; the process is one of the server of these tests.
        assert_eq!(unsafe { libc::kill(pid, libc::SIGSTOP) }, 0);
        Halted(pid)
    }
}

impl Drop for Halted {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::kill(self.0, libc::SIGCONT) };
    }
}

#[tokio::test]
async fn a_leftover_that_takes_long_to_go_is_waited_for() {
    let database = Database::new().await;
    let mut left = database.named("runmate/other").await;
    let halted = Halted::new(value(&mut left, "SELECT pg_backend_pid()").await);
    let mut next = session(&database, "r1").await;
    assert!(next.try_lock().await.expect("asks"));
    let result = next.end_leftovers(Duration::from_millis(200)).await;
    let Err(SessionError::Transient(why)) = result else {
        panic!("{result:?}")
    };
    let name = format!("process {} (runmate/other)", halted.0);
    assert!(why.contains(&name), "{why}");
    drop(halted);
    next.fence().await.expect("a fence");
    assert!(sqlx::raw_sql("SELECT 1").execute(&mut left).await.is_err());
}

#[tokio::test]
async fn a_lost_session_is_noticed() {
    let database = Database::new().await;
    let mut session = holder(&database, "r1").await;
    assert!(session.heartbeat().await.expect("asks"));
    let mut client = database.client().await;
    let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
        WHERE application_name = 'runmate/r1' AND datname = current_database()";
    assert!(value::<bool>(&mut client, end).await);
    assert!(!session.heartbeat().await.expect("asks"));
    let mut next = holder(&database, "r2").await;
    assert!(next.heartbeat().await.expect("asks"));
    // The lock alone counts, not the connection.
    sqlx::raw_sql("SELECT pg_advisory_unlock_all()")
        .execute(&mut next.connection)
        .await
        .expect("unlocks");
    assert!(!next.heartbeat().await.expect("asks"));
}

#[tokio::test]
async fn who_comes_back_from_a_dead_run_is_ended_at_the_next_heartbeat() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let mut late = database.named("runmate/other").await;
    assert!(session.heartbeat().await.expect("asks"));
    let gone = sqlx::raw_sql("SELECT pg_sleep(60)").execute(&mut late).await;
    assert!(gone.is_err());
    // Our own is left alone.
    let (result, _) = apply(&mut worker, &migration("1_a.sql", "SELECT 1"), Mode::Run).await;
    result.expect("applies");
}

#[tokio::test]
async fn unlock_ends_the_holder_and_its_worker_only() {
    let database = Database::new().await;
    let mut asking = session(&database, "r9").await;
    assert_eq!(asking.end_holder().await.expect("asks").sessions, 0);
    let (mut held, mut worker) = working(&database).await;
    let mut waiter = session(&database, "r2").await;
    let ended = asking.end_holder().await.expect("ends");
    assert_eq!((ended.sessions, ended.runs), (2, vec!["r1".to_owned()]));
    assert!(!held.heartbeat().await.expect("asks"));
    let (result, _) = apply(&mut worker, &migration("1_a.sql", "SELECT 1"), Mode::Run).await;
    connection_ended(result);
    assert!(waiter.try_lock().await.expect("asks"));
}

#[tokio::test]
async fn unlock_spares_who_gets_the_lock_meanwhile() {
    let database = Database::new().await;
    let (_held, _worker) = working(&database).await;
    let mut waiter = session(&database, "r2").await;
    let taking = tokio::spawn(async move {
        let deadline = Instant::now() + Duration::from_secs(10);
        while !waiter.try_lock().await.expect("asks") {
            assert!(Instant::now() < deadline);
        }
        waiter
    });
    let mut asking = session(&database, "r9").await;
    let ended = asking.end_holder().await.expect("ends");
    assert_eq!((ended.sessions, ended.runs), (2, vec!["r1".to_owned()]));
    let mut next = taking.await.expect("no panic");
    assert!(next.heartbeat().await.expect("asks"));
}

#[tokio::test]
async fn sessions_notice_that_their_client_is_gone() {
    let database = Database::new().await;
    let (mut session, mut worker) = working(&database).await;
    let all = "SELECT current_setting('tcp_keepalives_idle') || ' ' || current_setting('tcp_keepalives_interval') || ' ' \
        || current_setting('tcp_keepalives_count') || ' ' || current_setting('tcp_user_timeout') || ' ' || \
        current_setting('client_connection_check_interval') || ' ' || current_setting('idle_session_timeout')";
    for connection in [&mut session.connection, &mut worker.connection] {
        assert_eq!(value::<String>(connection, all).await, "10 5 3 20000 5s 0");
    }
    assert_eq!(
        session.command_env(),
        [("PGAPPNAME".to_owned(), "runmate/r1".to_owned())]
    );
    // A worker whose client vanishes in the middle of a statement does not go on to its end.
    let mut client = database.client().await;
    let working = tokio::spawn(async move {
        let _ = apply(
            &mut worker,
            &migration("1_a.sql", "SELECT pg_sleep(60)"),
            Mode::Run,
        )
        .await;
    });
    let busy = "SELECT count(*) = 1 FROM pg_stat_activity WHERE datname = current_database() \
        AND application_name = 'runmate/r1' AND wait_event = 'PgSleep'";
    until(&mut client, busy).await;
    working.abort();
    until(&mut client, &busy.replace("= 1", "= 0")).await;
}
