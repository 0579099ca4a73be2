use std::time::{Duration, Instant};

use super::*;

async fn connect_to(url: &str, create: bool) -> Result<(), SessionError> {
    let mut target = crate::url::Target::parse(url).expect("a URL");
    target.create = create;
    let result = PgSession::connect(&target, &a_run("r1")).await;
    let shown = format!("{:?}", result.as_ref().err());
    assert!(!shown.contains("secret"), "{shown}");
    result.map(drop)
}

#[tokio::test]
async fn what_passes_is_told_from_what_does_not() {
    let server = Server::shared();
    let refused = format!("postgres://postgres:x@127.0.0.1:{}/postgres", closed_port());
    assert!(matches!(
        connect_to(&refused, false).await,
        Err(SessionError::Transient(_))
    ));
    let unknown = "postgres://postgres:x@nowhere.invalid/postgres";
    assert!(matches!(
        connect_to(unknown, false).await,
        Err(SessionError::Transient(_))
    ));

    let wrong = server.url("postgres").replace("%401", "");
    assert_eq!(
        final_error(connect_to(&wrong, false).await).kind(),
        ErrorKind::Denied
    );
    let tls = format!("{}?sslmode=require", server.url("postgres"));
    assert_eq!(
        final_error(connect_to(&tls, false).await).kind(),
        ErrorKind::Config
    );
    let option = format!("{}?sslmode=nonsense", server.url("postgres"));
    assert_eq!(
        final_error(connect_to(&option, false).await).kind(),
        ErrorKind::Config
    );
    let missing = final_error(connect_to(&server.url("missing"), false).await);
    assert_eq!(missing.kind(), ErrorKind::Config);
    assert!(
        missing.to_string().contains("does not exist (3D000)"),
        "{missing}"
    );
}

#[tokio::test]
async fn a_server_that_says_nothing_is_given_up_in_time() {
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port");
    let url = format!(
        "postgres://u:x@127.0.0.1:{}/d",
        silent.local_addr().expect("an address").port()
    );
    let started = Instant::now();
    assert!(matches!(
        connect_to(&url, false).await,
        Err(SessionError::Transient(_))
    ));
    assert!(started.elapsed() < Duration::from_secs(7));
}

#[tokio::test]
async fn a_missing_database_is_created_by_many_at_once() {
    let url = Server::shared()
        .url("Made \"here\"")
        .replace(' ', "%20")
        .replace('"', "%22");
    let mut starts = tokio::task::JoinSet::new();
    for _ in 0..4 {
        let url = url.clone();
        starts.spawn(async move {
            // The template may be in use by another's copy; that passes.
            let deadline = Instant::now() + Duration::from_secs(30);
            loop {
                match connect_to(&url, true).await {
                    Err(SessionError::Transient(_)) if Instant::now() < deadline => {
                        tokio::time::sleep(Duration::from_millis(20)).await;
                    }
                    result => return result,
                }
            }
        });
    }
    while let Some(result) = starts.join_next().await {
        result.expect("no panic").expect("connects");
    }
}

#[tokio::test]
async fn servers_that_take_no_writes_are_refused() {
    let database = Database::new().await;
    let standby = Server::shared().standby();
    let error = final_error(connect_to(&standby.url("postgres"), false).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("replica"), "{error}");
    assert!(
        error
            .remedy()
            .is_some_and(|remedy| remedy.contains("MIGRATE_DATABASE_URL to the writer"))
    );

    let mut client = database.client().await;
    let sql = format!(
        "ALTER DATABASE {} SET default_transaction_read_only = on",
        database.name
    );
    run_sql(&mut client, &sql).await;
    let error = final_error(connect_to(&database.url, false).await);
    assert_eq!(error.kind(), ErrorKind::Config);
    assert!(error.to_string().contains("read-only"), "{error}");
}
