//! Between a check and its server: counts connections, and can freeze as a network or a server does that is up but
//! does not answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

pub struct Proxy {
    pub port: u16,
    frozen: watch::Sender<bool>,
    connections: Arc<AtomicUsize>,
}

impl Proxy {
    /// In front of a port of 127.0.0.1.
    pub async fn to(server: u16) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        let (frozen, state) = watch::channel(false);
        let connections = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&connections);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(connect(client, server, state.clone()));
            }
        });
        Proxy {
            port,
            frozen,
            connections,
        }
    }

    /// From now on connections are accepted, and nothing gets through.
    pub fn freeze(&self) {
        self.frozen.send_replace(true);
    }

    /// What was held back gets through.
    pub fn thaw(&self) {
        self.frozen.send_replace(false);
    }

    /// How many connections there were.
    pub fn connections(&self) -> usize {
        self.connections.load(Ordering::Relaxed)
    }
}

async fn connect(client: TcpStream, server: u16, state: watch::Receiver<bool>) {
    let Ok(server) = TcpStream::connect(("127.0.0.1", server)).await else {
        return;
    };
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::join!(
        pump(from_client, to_server, state.clone()),
        pump(from_server, to_client, state)
    );
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<bool>) {
    let mut chunk = vec![0; 16 << 10];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if state.wait_for(|frozen| !frozen).await.is_err() || to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
}
