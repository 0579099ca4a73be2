//! A network that loses a connection and tells nobody.

use std::path::PathBuf;

use tempfile::TempDir;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::watch;
use tokio::time::timeout;

use super::*;

/// Between clients and the server. The connection that a text goes over goes silent once the server has that.
struct Network {
    dir: TempDir,
    silent: watch::Receiver<bool>,
}

impl Network {
    fn new(database: &Database, text: &'static str) -> Network {
        let dir = TempDir::new().expect("a directory");
        let listener = UnixListener::bind(dir.path().join("socket")).expect("a socket");
        let (_, server) = database.url.split_once("socket=").expect("a socket");
        let server = PathBuf::from(server);
        let (silence, silent) = watch::channel(false);
        tokio::spawn(async move {
            loop {
                let (client, _) = listener.accept().await.expect("a client");
                let server = UnixStream::connect(&server).await.expect("the server");
                tokio::spawn(carry(client, server, text, silence.clone()));
            }
        });
        Network { dir, silent }
    }

    fn target(&self, database: &Database) -> Target {
        let (url, _) = database.url.split_once("socket=").expect("a socket");
        let socket = self.dir.path().join("socket");
        Target::parse(&format!("{url}socket={}", socket.display())).expect("a URL")
    }

    async fn until_silent(&self) {
        let mut silent = self.silent.clone();
        let waited = timeout(Duration::from_secs(30), silent.wait_for(|silent| *silent)).await;
        waited.expect("in time").expect("a network");
    }

    /// What became of something that is never answered. Nobody waits for that in real time.
    async fn outcome<T>(&self, action: impl Future<Output = Result<T, SessionError>>) -> String {
        let mut action = std::pin::pin!(action);
        tokio::select! {
            _ = &mut action => panic!("it was answered"),
            () = self.until_silent() => {}
        }
        tokio::time::pause();
        let outcome = timeout(Duration::from_secs(600), action).await;
        tokio::time::resume();
        match outcome {
            Ok(Err(SessionError::Transient(cause))) => cause,
            Ok(Err(SessionError::Final(error))) => panic!("it does not count as passing: {error}"),
            Ok(Ok(_)) => panic!("it was answered"),
            Err(_) => panic!("it is waited for"),
        }
    }
}

async fn carry(mut client: UnixStream, mut server: UnixStream, text: &str, silence: watch::Sender<bool>) {
    let (mut there, mut back) = ([0; 65536], [0; 65536]);
    loop {
        tokio::select! {
            read = client.read(&mut there) => match read {
                Ok(read) if read > 0 => {
                    let sent = &there[..read];
                    server.write_all(sent).await.expect("to send");
                    if sent.windows(text.len()).any(|window| window == text.as_bytes()) {
                        silence.send_replace(true);
                        // Both stay open, and neither hears of the other again.
                        std::future::pending::<()>().await;
                    }
                }
                _ => return,
            },
            read = server.read(&mut back) => match read {
                Ok(read) if read > 0 && client.write_all(&back[..read]).await.is_ok() => {}
                _ => return,
            },
        }
    }
}

#[tokio::test]
async fn nothing_that_is_asked_is_waited_for_for_ever() {
    for (what, text) in [
        ("connect", "SESSION wait_timeout"),
        ("look", "clock.now"),
        ("try_lock", "GET_LOCK"),
        ("prove", "GET_LOCK"),
        ("kill", "IS_USED_LOCK(_utf8mb4 X'72756e6d6174652f"),
        ("begin", "'lost'"),
        ("worker", "_sqlx_migrations"),
    ] {
        let database = database().await;
        if what == "kill" {
            holder(&database, "left").await.close().await;
        }
        let network = Network::new(&database, text);
        let (target, who) = (network.target(&database), run(&unique(&database, "one")));
        let connecting = MySqlSession::connect(&target, &who);
        if what == "connect" {
            let cause = network.outcome(connecting).await;
            assert_eq!(cause, "no answer within 15 s");
            continue;
        }
        let mut session = connecting.await.expect("a session");
        let cause = match what {
            "look" => network.outcome(session.look(&key("r1"), true)).await,
            "try_lock" => network.outcome(session.try_lock()).await,
            what => {
                if what != "prove" {
                    assert!(session.try_lock().await.expect("an answer"));
                }
                match what {
                    "prove" | "kill" => network.outcome(session.fence()).await,
                    what => {
                        session.fence().await.expect("no obstacle");
                        match what {
                            "begin" => network.outcome(session.begin(&key("r1"))).await,
                            _ => network.outcome(session.worker()).await,
                        }
                    }
                }
            }
        };
        assert_eq!(cause, "no answer within 15 s", "{what}");
    }
}

/// The worker hears nothing of its statement's end, while the session with the lock is well.
#[tokio::test]
async fn a_worker_whose_connection_the_server_has_lost_ends() {
    let database = database().await;
    let mut other = database.connect().await;
    execute(&mut other, "CREATE TABLE items (b INT)").await;
    let network = Network::new(&database, "ALTER TABLE items ADD c INT");
    let mut session = session(&network.target(&database), &unique(&database, "one")).await;
    assert!(session.try_lock().await.expect("an answer"));
    session.fence().await.expect("no obstacle");
    session.begin(&key("r1")).await.expect("the ledger");
    let worker = session.worker().await.expect("a worker");
    let task = spawn(worker, "ALTER TABLE items ADD c INT");
    network.until_silent().await;
    let beat = async |session: &mut MySqlSession| {
        for _ in 0..session::WORKER_EVERY {
            assert!(session.heartbeat().await.expect("an answer"));
        }
    };
    beat(&mut session).await;
    assert!(!task.is_finished(), "its connection is there");
    let [lock, _] = names::work_locks(&unique(&database, "one"));
    let owner = format!("IS_USED_LOCK('{lock}')");
    let id = ask(&mut other, &owner).await;
    execute(&mut other, &format!("KILL {id}")).await;
    until("it is gone", async || {
        ask(&mut other, &format!("COALESCE({owner}, 0)")).await == 0
    })
    .await;
    until("the worker ends", async || {
        beat(&mut session).await;
        task.is_finished()
    })
    .await;
    let (answer, _worker) = task.await.expect("no panic");
    assert!(
        matches!(&answer, Err(ApplyError::Cancelled(said)) if said.contains(&id.to_string())),
        "{answer:?}"
    );
    let progress = look(&mut session).await.progress;
    assert_eq!((progress[0].done, progress[0].in_doubt), (0, true));
}

/// A file may give up locks, ours among them.
#[tokio::test]
async fn a_worker_without_its_lock_is_still_there() {
    let database = database().await;
    let (mut session, worker) = working(&database).await;
    let task = spawn(worker, "DO RELEASE_ALL_LOCKS(); DO SLEEP(60)");
    let id = until_it_runs(&database, "DO SLEEP(60)").await;
    for _ in 0..session::WORKER_EVERY {
        assert!(session.heartbeat().await.expect("an answer"));
    }
    execute(&mut database.connect().await, &format!("KILL QUERY {id}")).await;
    let (answer, _worker) = task.await.expect("no panic");
    // The server told the worker, so it was heard until then.
    assert!(
        !matches!(&answer, Err(ApplyError::Cancelled(said)) if said.contains("lost the connection")),
        "{answer:?}"
    );
}
