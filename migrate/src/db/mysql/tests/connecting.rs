//! Who is let in.

use super::*;

/// A server with options, made while no other is: those that are being made remove each other's files.
fn own_server(options: &[&str]) -> Server {
    static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());
    Server::shared();
    let _one = ONE.lock();
    Server::start(options)
}

#[tokio::test]
async fn what_will_not_pass_is_told_apart_from_what_may() {
    let database = database().await;
    let mut root = database.connect().await;
    let user = format!("u{}", database.name);
    execute(
        &mut root,
        &format!("CREATE USER {user}@localhost IDENTIFIED BY 'topsecret'"),
    )
    .await;
    let with = |who: &str| Target::parse(&database.url.replace("root@", who)).expect("a URL");

    let error = refused(MySqlSession::connect(&with(&format!("{user}:wrong-topsecret@")), &run("one")).await);
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
    assert!(
        error.remedy().is_some() && !error.to_string().contains("topsecret"),
        "{error}"
    );
    let error = refused(MySqlSession::connect(&with(&format!("{user}:topsecret@")), &run("one")).await);
    assert_eq!(
        error.kind(),
        ErrorKind::Denied,
        "no right on the database: {error}"
    );

    let nowhere = Target::parse("mysql://root@localhost/app?socket=/nowhere/socket").expect("a URL");
    let answer = MySqlSession::connect(&nowhere, &run("one")).await;
    assert!(matches!(answer, Err(SessionError::Transient(_))));
    let closed = Target::parse("mysql://root:topsecret@127.0.0.1:1/app").expect("a URL");
    let answer = MySqlSession::connect(&closed, &run("one")).await;
    assert!(matches!(&answer, Err(SessionError::Transient(cause)) if cause.contains("refused")));
    let unknown = Target::parse("mysql://root:topsecret@no-such-host.invalid/app").expect("a URL");
    let answer = MySqlSession::connect(&unknown, &run("one")).await;
    assert!(matches!(answer, Err(SessionError::Transient(_))));

    let none = Target::parse("mysql://root@localhost").expect("a URL");
    let error = refused(MySqlSession::connect(&none, &run("one")).await);
    assert!(error.to_string().contains("names no database"), "{error}");
}

#[tokio::test]
async fn somebody_may_look_but_not_write() {
    let database = database().await;
    let mut root = database.connect().await;
    let (user, name) = (format!("u{}", database.name), &database.name);
    execute(
        &mut root,
        &format!("CREATE USER {user}@localhost; GRANT SELECT ON {name}.* TO {user}@localhost"),
    )
    .await;
    let target = Target::parse(&database.url.replace("root@", &format!("{user}@"))).expect("a URL");
    let mut session = session(&target, "one").await;
    assert!(session.try_lock().await.expect("an answer"));
    let Err(SessionError::Final(error)) = session.fence().await else {
        panic!("it was let in");
    };
    assert_eq!(error.kind(), ErrorKind::Denied, "{error}");
}

#[tokio::test]
async fn a_database_is_made_only_if_that_is_wanted() {
    let name = format!("{}_made", database().await.name);
    let mut target = Target::parse(&Server::shared().url(&name)).expect("a URL");
    let error = refused(MySqlSession::connect(&target, &run("one")).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(
        error
            .remedy()
            .expect("a remedy")
            .contains("migrate.create = true")
    );
    target.create = true;
    for _ in 0..2 {
        let mut session = session(&target, &format!("run{name}")).await;
        assert!(session.try_lock().await.expect("an answer"));
        session.fence().await.expect("no obstacle");
        session.close().await;
    }
}

#[tokio::test]
async fn a_server_that_does_not_write_is_refused() {
    let server = own_server(&["--read-only"]);
    let target = Target::parse(&server.url("mysql")).expect("a URL");
    // Root could write here, and would break the replica.
    let error = refused(MySqlSession::connect(&target, &run("one")).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("read-only"), "{error}");
    assert!(error.remedy().expect("a remedy").contains("writer"));
}

#[tokio::test]
async fn skipping_is_quick() {
    let database = database().await;
    let mut session = holder(&database, "one").await;
    session.finish(Ending::Done).await.expect("the ledger");
    session.close().await;
    let mut best = Duration::MAX;
    for _ in 0..5 {
        let start = Instant::now();
        let mut session = super::session(&database.target(), "skip").await;
        assert!(session.look(&key("r1"), false).await.expect("a look").done);
        session.close().await;
        best = best.min(start.elapsed());
    }
    println!("connect, look and close: {best:?}");
    assert!(best < Duration::from_millis(10), "{best:?}");
}

/// Two clients behind a proxy that shares connections: what the second does, the first has done.
#[tokio::test]
async fn a_lock_that_others_can_have_too_is_refused() {
    let database = database().await;
    let mut session = session(&database.target(), &unique(&database, "one")).await;
    assert!(session.try_lock().await.expect("an answer"));
    // As if our connection had been another one when it took the lock.
    let mut other = database.connect().await;
    let lock = literal(&names::lock(&database.name));
    execute(session.connection(), &format!("DO RELEASE_LOCK({lock})")).await;
    for taken in [false, true] {
        if taken {
            execute(&mut other, &format!("DO GET_LOCK({lock}, 0)")).await;
        }
        let Err(SessionError::Final(error)) = session.fence().await else {
            panic!("it was let in");
        };
        assert_eq!(error.kind(), ErrorKind::Config);
        assert!(
            error.to_string().contains("a proxy that shares connections"),
            "{error}"
        );
        assert!(error.remedy().expect("a remedy").contains("a direct connection"));
    }
    assert_eq!(
        ask(&mut other, &format!("IS_USED_LOCK({lock}) = CONNECTION_ID()")).await,
        1
    );
}

/// What the server sets for everybody is not what our records and timeouts depend on.
#[tokio::test]
async fn the_settings_of_the_server_do_not_decide_for_us() {
    let server = own_server(&[
        "--autocommit=0",
        "--completion-type=CHAIN",
        "--max-statement-time=0.5",
        "--sql-safe-updates=1",
        "--sql-mode=NO_BACKSLASH_ESCAPES",
    ]);
    let database = server.database().await;
    let (mut holder, mut worker) = working(&database).await;
    let file = migration(
        1,
        "CREATE TABLE a (b INT); INSERT INTO a VALUES (1); DELETE FROM a; DO SLEEP(0.7)",
    );
    apply(&mut worker, &file, Mode::Run).await.0.expect("applied");
    // Where a text with a backslash ends is the server's to say.
    let file = migration(2, "INSERT INTO a VALUES ('\\'); DROP TABLE a; -- ')");
    let error = failed(apply(&mut worker, &file, Mode::Run).await.0).to_string();
    assert!(error.contains("NO_BACKSLASH_ESCAPES"), "{error}");
    holder.finish(Ending::Done).await.expect("the ledger");
    let mut other = database.connect().await;
    let done = "SELECT COUNT(*) FROM _runmate_releases WHERE state = 'done'";
    assert_eq!(ask(&mut other, done).await, 1);
    assert_eq!(
        ask(&mut other, "SELECT COUNT(*) FROM _sqlx_migrations WHERE success").await,
        1
    );

    execute(&mut other, "SET GLOBAL tx_read_only = 1, GLOBAL autocommit = 1").await;
    let target = Target::parse(&server.url("fresh")).expect("a URL");
    let target = Target {
        create: true,
        ..target
    };
    let mut fresh = session(&target, "fresh").await;
    assert!(fresh.try_lock().await.expect("an answer"));
    fresh.fence().await.expect("no obstacle");
    fresh.begin(&key("r1")).await.expect("the ledger");
}
